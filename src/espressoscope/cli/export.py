"""`espressoscope export`: a recording in the format of another program."""

import contextlib
import math
import os
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

import espressoscope as es
from espressoscope.cli.common import CommandRun, JsonOption, VerboseOption, WrongUse, examples
from espressoscope.cli.output import ReaderGone, clean
from espressoscope.cli.runs import RunArgument

__all__ = ["export"]

_LINE_S = 1.0
"""From one JSON line to the next."""


class _Format(StrEnum):
    MKV = "mkv"
    JPEG = "jpeg"
    OME_ZARR = "ome-zarr"
    CONTACT_SHEET = "contact-sheet"


def _moment(text: str | None) -> datetime | float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is neither seconds since the first frame nor a time like 2026-11-23T14:05:00Z"
            ) from None
        return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    if not math.isfinite(seconds) or abs(seconds) > 9e9:
        raise typer.BadParameter(f"{text!r} is no time in seconds")
    return seconds


@examples(
    "espressoscope export run-01 --to mkv -o films",
    "espressoscope export run-01 --to ome-zarr -o run-01.ome.zarr",
    "espressoscope export run-01 --to jpeg --camera A1 --from 10 --until 20 -o ten-seconds",
    "espressoscope export run-01 --to contact-sheet -o run-01.png",
)
def export(
    run: RunArgument,
    to: Annotated[_Format, typer.Option("--to", help="The format.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The new file or folder; parents are made.")
    ],
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", metavar="NAME", help="Only this camera; may be given several times."),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="T", help="Frames from then on: seconds since the first, or a time (UTC)."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="Frames before that, in the same way.")
    ] = None,
    well: Annotated[
        list[str] | None,
        typer.Option(
            "--well", metavar="NAME=WELL", help="For ome-zarr: the well of a camera, where the run has none."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="For contact-sheet: most pictures of each camera.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT: a file, or a folder that is an export.")
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Export a recording from the JPEGs as they were sent; none is encoded anew.

    mkv: a film for each camera, each picture at its own time; a folder, or one file when OUT ends in .mkv.
    jpeg: a folder for each camera, one file for every frame stored, and a table.
    ome-zarr: arrays for napari, dask and others; a plate when the cameras have wells.
    contact-sheet: one PNG with pictures evenly spaced in time.

    The result gets its name when it is whole. Works on a run under way, killed, or copied in part.

    JSON keys: camera state frames total left_out damaged bytes path; a line a second for the camera at work
    (state exporting), and one for each in the end (done). Notes go to stderr.
    """
    with CommandRun(as_json, verbose) as command:
        times = [_time_of(begin, "--from"), _time_of(until, "--until")]
        wells = _wells(well or [])
        opened = es.open_run(run)
        for name in (*(camera or []), *wells):
            if name not in opened:
                raise WrongUse(
                    f"{name!r} is none of this run's cameras",
                    f"There are {', '.join(map(clean, opened))}" if len(opened) else None,
                )
        if _is_taken(output) and not force:
            raise WrongUse(f"{output} exists already", "Choose another name, or add --force to replace it")
        with _Teller(command) as tell:
            try:
                done = es.export_run(
                    opened,
                    to.value,
                    output,
                    cameras=camera,
                    begin=times[0],
                    end=times[1],
                    wells=wells,
                    count=count,
                    force=force,
                    on_progress=tell,
                )
            except es.ExportError as error:
                if _concerns(output, opened.path):
                    raise WrongUse(error.message, error.hint) from error
                raise
            except ValueError as error:  # what could not be seen before: a well that is none, a wild time
                raise WrongUse(str(error)) from error
        for each in done.cameras:
            what = "pictures" if to is not _Format.JPEG else "files"
            command.out.say(f"{clean(each.camera)}: {each.frames} {what}, {each.bytes / 1e6:.1f} MB of JPEG")
        for note in done.notes:
            command.out.say(clean(note))
        command.out.say(f"Exported to {clean(done.path)}")


def _is_taken(output: Path) -> bool:
    try:
        return os.path.lexists(output) and not (output.is_dir() and next(output.iterdir(), None) is None)
    except OSError:
        return True


def _concerns(output: Path, run: Path) -> bool:
    """Whether the result would be in the recording's place, or in its folder."""
    real, home = Path(os.path.realpath(output.expanduser())), Path(os.path.realpath(run))
    return real == home or home in real.parents or real in home.parents


def _time_of(text: str | None, option: str) -> datetime | float | None:
    try:
        return _moment(text)
    except typer.BadParameter as error:
        raise WrongUse(f"{option}: {error.message}") from None


def _wells(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, well = text.rpartition("=")
        if not (name and equals and well):
            raise WrongUse(f"--well {text}: this is no camera and well", "Write it like --well left=B3")
        found[name] = well
    return found


class _Teller:
    """Tells how far it is: bars for people who watch, a line a second for programs. A context manager."""

    def __init__(self, command: CommandRun) -> None:
        self._out = command.out
        self._told_at = float("-inf")
        self._task: TaskID | None = None
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=command.out.console,
            transient=True,
        )

    def __call__(self, told: es.ExportProgress) -> None:
        now = time.monotonic()
        if told.state == "done" or now - self._told_at >= _LINE_S:
            self._told_at = now
            keys = ("camera", "state", "frames", "total", "left_out", "damaged", "bytes", "path")
            # A reader that has had enough, as `| head`, ends no export.
            with contextlib.suppress(ReaderGone):
                self._out.json(**{key: getattr(told, key) for key in keys})
        if self._out.live:
            self._advance(told)

    def _advance(self, told: es.ExportProgress) -> None:
        """Show the camera at work; a hundred bars would not fit on any screen."""
        if told.state == "done":  # told of all at the end
            return
        if self._task is None:
            self._task = self._bars.add_task("")
        self._bars.update(
            self._task, description=clean(told.camera, 40), total=told.total, completed=told.frames
        )

    def __enter__(self) -> "_Teller":
        if self._out.live:
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._out.live:
            self._bars.stop()
