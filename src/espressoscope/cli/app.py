"""The commands put together. One is imported, and its options are understood, when it is asked for."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

__all__ = ["app"]

_NAMES = (
    *("discover", "status", "set", "snap", "stream", "watch", "view", "record", "timelapse"),
    *("info", "repair", "export", "fleet", "identify", "doctor", "wifi", "simulate", "demo"),
)
"""In the order of the help."""


def _made(name: str) -> Any:
    """Import what makes up a command; None for a name that is none."""
    made: Any = None
    match name:
        case "discover":
            from espressoscope.cli.discover import discover as made
        case "status":
            from espressoscope.cli.control import status as made
        case "set":
            from espressoscope.cli.control import set_settings as made
        case "snap":
            from espressoscope.cli.snap import snap as made
        case "stream":
            from espressoscope.cli.stream import stream as made
        case "watch":
            from espressoscope.cli.watch import watch as made
        case "view":
            from espressoscope.cli.view import view as made
        case "record":
            from espressoscope.cli.record import record as made
        case "timelapse":
            from espressoscope.cli.timelapse import timelapse as made
        case "info":
            from espressoscope.cli.runs import info as made
        case "repair":
            from espressoscope.cli.runs import repair as made
        case "export":
            from espressoscope.cli.export import export as made
        case "fleet":
            from espressoscope.cli.fleet import fleet as made
        case "identify":
            from espressoscope.cli.identify import identify as made
        case "doctor":
            from espressoscope.cli.doctor import doctor as made
        case "wifi":
            from espressoscope.cli.wifi import wifi as made
        case "simulate":
            from espressoscope.cli.simulate import simulate as made
        case "demo":
            from espressoscope.cli.demo import demo as made
    return made


class _Commands(TyperGroup):
    """A group whose commands are imported one by one: all at once take half a second of a slow computer."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        made = _made(cmd_name)
        if made is None:
            return None
        if not isinstance(made, typer.Typer):
            function, made = made, typer.Typer(add_completion=False, rich_markup_mode=None)
            made.command(name=cmd_name)(function)
        command = typer.main.get_command(made)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Commands,
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
