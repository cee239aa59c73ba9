"""``espressoscope record``: cameras to disk, without loss, with figures while it goes on."""

import dataclasses
import math
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    CommandRun,
    JsonOption,
    VerboseOption,
    WrongUse,
    examples,
    fleet_of,
)
from espressoscope.cli.output import clean, plain_table
from espressoscope.cli.trigger import Trigger

__all__ = ["record"]

_EVERY_S = 1.0
_REPORT_S = 5.0
"""Between two reports where nothing can be redrawn."""
_TRIGGER_S = 0.02


@examples(
    "espressoscope record 192.168.4.1 --seconds 60 -o run-01",
    "espressoscope record A1 A2 A3 -o run-02",
    "espressoscope record A1 --frames 1000 -o run-03 --json | jq .frames_written",
    "espressoscope record A1 A2 --pretrigger 10 --seconds 30 -o run-04",
)
def record(
    cameras: Annotated[
        list[str], typer.Argument(metavar="CAMERA...", help="Name, host, host:port or URL of each camera.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="RUN", help="The folder to record to: new, or empty.")
    ],
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.001, help="End after so many seconds.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="End after so many frames of each camera.")
    ] = None,
    pretrigger: Annotated[
        float | None,
        typer.Option(
            metavar="S", min=0.001, help="Wait for Enter or SIGUSR1; then begin with the S seconds before it."
        ),
    ] = None,
    keep_free: Annotated[
        int | None,
        typer.Option(metavar="MB", min=0, help="Leave so much of the disk free; else 100 MB, or 2 %."),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Record cameras until --seconds, --frames or Ctrl-C: each picture as the camera sent it, with its time.

    Nothing is decoded and nothing is overwritten. The files are TIFFs that Fiji, napari and Python open, also
    when this program is killed: espressoscope repair then brings back the last second.

    JSON keys: camera, those of Camera.stats, frames_written, bytes_written, frames_dropped, gaps, missing,
    disk_left_s; one object for each camera a second, and one at the end. What frames_written counts survives
    the end of this program. With --pretrigger, until the trigger: camera, those of Camera.stats,
    frames_written (0), kept_frames, kept_s. Exit code 1 when a camera gave no picture, or not the --frames
    asked for, or the disk refused.
    """
    with CommandRun(as_json, verbose, until_stopped=True) as run:
        if seconds is not None and frames is not None:
            raise WrongUse("--seconds and --frames together say nothing clear", "Give one of them")
        fleet = fleet_of(cameras)
        run.out.say("Reaching the cameras ...", "dim")
        with fleet:
            if pretrigger is not None and not _wait_for_trigger(run, fleet, output, pretrigger):
                run.out.say("Nothing was recorded: there was no trigger")
                return
            floor = None if keep_free is None else keep_free * 10**6
            recorder = fleet.record(output, seconds, frames, before=pretrigger, keep_free=floor)
            _Recording(run, fleet, recorder, frames).run()


def _wait_for_trigger(run: CommandRun, fleet: "es.Fleet", output: Path, seconds: float) -> bool:
    """Keep the last seconds until somebody wants them; false when the end is asked for instead."""
    _check_new(output)  # not only when it is too late to choose another one
    keeper = fleet.keep(seconds)
    next_line = time.monotonic() + _EVERY_S
    with Trigger() as trigger:
        run.out.say(f"Keeping the last {seconds:g} s of {len(fleet)} cameras; to record, {trigger.words}")
        while not trigger.pulled:
            if run.ending.wait(_TRIGGER_S):
                return False
            if time.monotonic() >= next_line:
                next_line += _EVERY_S
                stats = fleet.stats()
                for name, kept in keeper.kept.items():
                    if name in stats:
                        run.out.json(
                            camera=name,
                            **_keys(stats[name]),
                            frames_written=0,
                            kept_frames=kept.frames,
                            kept_s=round(kept.seconds, 3),
                        )
    return True


def _check_new(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise es.RecordingError(
            f"{output} has something in it already, and a recording never overwrites anything",
            frames_written=0,
            frames_dropped=0,
            hint="Give a folder that is new or empty",
        )


class _Recording:
    """A recording from its first line to its summary."""

    def __init__(
        self, run: CommandRun, fleet: "es.Fleet", recorder: "es.Recorder", frames: int | None
    ) -> None:
        self._run = run
        self._fleet = fleet
        self._recorder = recorder
        self._frames = frames
        self._began = time.monotonic()

    def run(self) -> None:
        """Follow it to its end; then say what there is, whatever the end was."""
        self._run.out.say(f"Recording to {clean(self._recorder.path)}; Ctrl-C ends")
        try:
            self._follow()
        finally:
            try:
                self._recorder.stop()
            finally:
                self._write_lines()
                self._summarise()
        if not self._run.ending.asked:
            self._judge()

    def _follow(self) -> None:
        out = self._run.out
        every_s = 0.5 if out.live else math.inf if out.as_json else _REPORT_S
        next_line = self._began + _EVERY_S
        next_report = self._began + min(every_s, _EVERY_S)
        live = Live(
            console=out.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        if out.live:
            live.__enter__()
        try:
            while not self._run.ending.asked and not self._recorder.wait(0.05):
                now = time.monotonic()
                if self._recorder.over or self._recorder.in_vain:
                    return
                if now >= next_line:
                    next_line += _EVERY_S
                    self._write_lines()
                if now >= next_report:
                    next_report = now + every_s
                    if out.live:
                        live.update(self._table(), refresh=True)
                    elif not out.as_json:
                        out.table(self._table())
        finally:
            if out.live:
                live.__exit__(None, None, None)

    def _write_lines(self) -> None:
        stats = self._fleet.stats()
        left_s = self._recorder.disk_left_s
        for name, progress in self._recorder.progress.items():
            if name in stats:
                self._run.out.json(
                    camera=name,
                    **_keys(stats[name]),
                    frames_written=progress.frames_written,
                    bytes_written=progress.bytes_written,
                    frames_dropped=progress.dropped,
                    gaps=progress.gaps,
                    missing=progress.missing,
                    disk_left_s=None if left_s is None else round(left_s),
                )

    def _table(self) -> Table:
        left_s = self._recorder.disk_left_s
        columns = (("fps", "right"), ("frames", "right"), ("MB", "right"), ("missing", "right"))
        table = plain_table("camera", "state", *columns, ("dropped", "right"), ("damaged", "right"))
        stats = self._fleet.stats()
        for name, each in self._recorder.progress.items():
            now = stats.get(name)
            table.add_row(
                clean(name),
                "" if now is None else str(now.state),
                "" if now is None else f"{now.fps:.1f}",
                str(each.frames_written),
                f"{each.bytes_written / 1e6:.1f}",
                str(each.missing),
                str(each.dropped),
                str(each.damaged),
            )
        if left_s is not None:
            table.caption = f"disk: room for {_span(left_s)}"
            table.caption_justify = "left"
        return table

    def _summarise(self) -> None:
        recorder = self._recorder
        progress = recorder.progress.values()
        size_mb = sum(each.bytes_written for each in progress) / 1e6
        missing = sum(each.missing for each in progress)
        cameras = "one camera" if len(progress) == 1 else f"{len(progress)} cameras"
        self._run.out.table(self._table())
        self._run.out.say(
            f"{recorder.frames_written} frames, {size_mb:.1f} MB of {cameras} in "
            f"{time.monotonic() - self._began:.1f} s; {missing} missing, {recorder.frames_dropped} dropped; "
            f"in {clean(recorder.path)}"
        )

    def _judge(self) -> None:
        messages = self._fleet.messages()
        for name, each in self._recorder.progress.items():
            if each.frames_written - each.earlier >= (self._frames or 1):
                continue
            self._run.code = FAILED
            why = messages.get(name, "").partition("; trying again")[0] or "none came in this time"
            what = f"only {each.frames_written} pictures" if each.frames_written else "no picture"
            self._run.out.error(f"{name}: {what}: {why}", "espressoscope doctor CAMERA tells more")


def _keys(stats: es.StreamStats) -> dict[str, Any]:
    return {field.name: getattr(stats, field.name) for field in dataclasses.fields(stats)}


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
