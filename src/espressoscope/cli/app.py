"""The commands put together."""

from typing import Annotated

import typer

from espressoscope.cli.control import set_settings, status
from espressoscope.cli.demo import demo
from espressoscope.cli.discover import discover
from espressoscope.cli.doctor import doctor
from espressoscope.cli.export import export
from espressoscope.cli.fleet import fleet
from espressoscope.cli.identify import identify
from espressoscope.cli.record import record
from espressoscope.cli.runs import info, repair
from espressoscope.cli.simulate import simulate
from espressoscope.cli.snap import snap
from espressoscope.cli.stream import stream
from espressoscope.cli.timelapse import timelapse
from espressoscope.cli.view import view
from espressoscope.cli.watch import watch
from espressoscope.cli.wifi import wifi

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        import espressoscope

        typer.echo(f"espressoscope {espressoscope.__version__}")
        raise typer.Exit


@app.callback(epilog="A first look, without any camera: espressoscope demo")
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find ESP32 WiFi cameras, set them, take pictures and stream from them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


app.command()(discover)
app.command()(status)
app.command(name="set")(set_settings)
app.command()(snap)
app.command()(stream)
app.command()(watch)
app.command()(view)
app.command()(record)
app.command()(timelapse)
app.command()(info)
app.command()(repair)
app.command()(export)
app.add_typer(fleet, name="fleet")
app.command()(identify)
app.command()(doctor)
app.command()(wifi)
app.command()(simulate)
app.command()(demo)
