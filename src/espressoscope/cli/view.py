"""``espressoscope view``: napari with cameras in it, where napari is."""

import importlib.util
import subprocess
import sys
from typing import Annotated

import typer

from espressoscope.cli.common import FAILED, CommandRun, JsonOption, VerboseOption, examples

__all__ = ["view"]


@examples("espressoscope view", "espressoscope view A1 192.168.1.20")
def view(
    cameras: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CAMERA]...", help="Addresses, or names of the fleet file; all found if none."
        ),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Open napari with the cameras live; without cameras it looks for them.

    JSON keys: none. Exit code 1 when napari is not installed, or ends badly.
    """
    with CommandRun(as_json, verbose, until_stopped=True) as run:
        if importlib.util.find_spec("napari") is None or importlib.util.find_spec("qtpy") is None:
            run.code = FAILED
            run.out.error(
                "napari is not installed here",
                'Install it, and a Qt: pip install "espressoscope[napari]" PyQt6',
            )
            run.out.tips([f"Without a window: espressoscope watch {' '.join(cameras or [])}".rstrip()])
            return
        # A program of its own: the command line does not know the plugin, and Qt wants the main thread.
        command = [sys.executable, "-m", "espressoscope.napari_plugin", *(cameras or [])]
        if subprocess.call(command) != 0:
            run.code = FAILED
            run.out.error("napari ended badly", "Its own words are above")
