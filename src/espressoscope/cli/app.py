"""The commands put together. One is imported, and its options are understood, when it is asked for."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

__all__ = ["app"]

# In the order of the help: the command, its module, what makes it up there.
_COMMANDS = {
    "discover": ("discover", "discover"),
    "status": ("control", "status"),
    "set": ("control", "set_settings"),
    "snap": ("snap", "snap"),
    "stream": ("stream", "stream"),
    "watch": ("watch", "watch"),
    "view": ("view", "view"),
    "record": ("record", "record"),
    "timelapse": ("timelapse", "timelapse"),
    "info": ("runs", "info"),
    "repair": ("runs", "repair"),
    "export": ("export", "export"),
    "fleet": ("fleet", "fleet"),
    "identify": ("identify", "identify"),
    "doctor": ("doctor", "doctor"),
    "wifi": ("wifi", "wifi"),
    "simulate": ("simulate", "simulate"),
    "demo": ("demo", "demo"),
}


class _Commands(TyperGroup):
    """A group whose commands are imported one by one: all at once take half a second of a slow computer."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        made = getattr(import_module(f"espressoscope.cli.{module}"), attribute)
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
