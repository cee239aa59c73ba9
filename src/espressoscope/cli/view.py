"""``espressoscope view``: napari with cameras in it, where napari is."""

from typing import Annotated

import typer

from espressoscope.cli.common import FAILED, CommandRun, JsonOption, VerboseOption, examples, fleet_of
from espressoscope.cli.window import open_napari, why_no_window

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

    Returns when napari is closed; Ctrl-C closes it, recordings included. A camera that does not answer is
    shown as such, and tried again.

    JSON keys: none. Exit code 1 when napari is not installed, there is no screen, or it ends badly.
    """
    with CommandRun(as_json, verbose, until_stopped=True) as run:
        fleet_of(cameras or [])  # a word that is no address is said here
        problem = why_no_window()
        if problem is not None:
            run.code = FAILED
            run.out.error(*problem)
            # An address may have a password in it.
            words = [word for word in cameras or [] if "@" not in word and "?" not in word]
            run.out.tips([f"Without a window: espressoscope watch {' '.join(words)}".rstrip()])
            return
        code = open_napari(cameras or [])
        if code != 0:
            run.code = FAILED
            run.out.error(f"napari ended badly ({code})", "Its own words are above")
