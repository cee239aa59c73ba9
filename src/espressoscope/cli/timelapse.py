"""``espressoscope timelapse``: pictures at fixed times, for hours or weeks; and how that is going."""

import contextlib
import queue
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live

import espressoscope as es
from espressoscope.cli.common import FAILED, CommandRun, JsonOption, VerboseOption, WrongUse, examples
from espressoscope.cli.lapse_words import describe, line_keys, line_words, status_keys, status_table
from espressoscope.cli.output import clean

__all__ = ["timelapse"]

_REDRAW_S = 1.0
_REPORT_S = 3600.0
"""Between two reports where nothing can be redrawn."""
_MOST_NEWS = 100_000


@examples(
    "espressoscope timelapse 192.168.4.1 --every 10min --for 2d -o leaf",
    "espressoscope timelapse A1 A2 A3 --every 1h --lamp 50 --on-missed ~/tell-me.sh -o plate",
    "espressoscope timelapse --status leaf",
)
def timelapse(
    cameras: Annotated[
        list[str] | None,
        typer.Argument(metavar="CAMERA...", help="Name, host, host:port or URL of each camera."),
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="SPAN", help="From one point to the next: 30s, 10min, 1h30, 2d.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="RUN", help="The folder: new, or that of the same time-lapse."
        ),
    ] = None,
    count: Annotated[int | None, typer.Option(metavar="N", min=1, help="End after so many points.")] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="End before so long a time has passed.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="ISO", help="End before a moment, for example 2027-03-01T18:00.")
    ] = None,
    burst: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures of each point.")] = 1,
    lamp: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Brightness of the lamp while pictures are taken.")
    ] = None,
    settle: Annotated[str, typer.Option(metavar="SPAN", help="From the lamp on to the picture.")] = "500ms",
    stagger: Annotated[
        str | None, typer.Option(metavar="SPAN", help="From one camera to the next, to spare the radio.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="SPAN", help="For how long a point may be late; then it is missed.")
    ] = None,
    framesize: Annotated[
        str | None, typer.Option(metavar="F", help="Set before the first picture, for example UXGA.")
    ] = None,
    quality: Annotated[int | None, typer.Option(metavar="Q", help="Set before the first picture.")] = None,
    on_missed: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Run this when points are missed; not by a shell.")
    ] = None,
    keep_free: Annotated[
        int | None,
        typer.Option(metavar="MB", min=0, help="Leave so much of the disk free; else 100 MB, or 2 %."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Begin though the disk will not do, or a camera is too slow.")
    ] = False,
    status: Annotated[
        Path | None, typer.Option("--status", metavar="RUN", help="Tell how a time-lapse is doing.")
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Take pictures at fixed times, until --count, --for, --until or Ctrl-C; for hours or for weeks.

    After Ctrl-C, a crash or a power cut the same command goes on with the same run: nothing is overwritten,
    no point taken twice. Points that have passed meanwhile, or at which a camera did not answer, are recorded
    as missed. The first thing is a trial: whether the cameras answer, are quick enough, and the disk will do.

    JSON keys: camera point due_at outcome began_at late_ms received_at pictures bytes attempts taken missed
    reason; one object for each point of each camera. With --status one object: run state start_at end_at
    every_s points next_point next_due_at overdue taken missed disk_needed disk_free disk_room_s cameras. Exit
    code 1 when points were missed.
    """
    with CommandRun(as_json, verbose, until_stopped=True) as run:
        if status is not None:
            if cameras or every is not None or output is not None:
                raise WrongUse("--status goes with nothing else", "espressoscope timelapse --status RUN")
            _tell(run, es.timelapse_status(status))
            return
        if not cameras:
            raise WrongUse(
                "there is no camera", "espressoscope timelapse 192.168.4.1 --every 10min --for 2d -o leaf"
            )
        if every is None:
            raise WrongUse("--every is missing", "Say how often: --every 30s, --every 10min or --every 1h30")
        if output is None:
            raise WrongUse("-o is missing", "Name a folder for the pictures: -o leaf")
        news: queue.Queue[tuple[str, Any]] = queue.Queue(_MOST_NEWS)
        try:
            lapse = es.TimeLapse(
                cameras,
                every,
                path=output,
                count=count,
                duration=duration,
                until=until,
                burst=burst,
                lamp=lamp,
                settle=settle,
                stagger=stagger,
                window=window,
                framesize=framesize,
                quality=quality,
                on_missed=on_missed,
                on_point=lambda name, line: _put(news, (name, line)),
                keep_free=None if keep_free is None else keep_free * 10**6,
                force=force,
            )
        except ValueError as error:
            raise WrongUse(str(error)) from error
        except es.CameraError as error:
            raise WrongUse(
                f"{error.camera}: {error.message}" if error.camera else error.message, error.hint
            ) from error
        _Watch(run, lapse, news).run()


def _put(news: "queue.Queue[tuple[str, Any]]", item: tuple[str, Any]) -> None:
    with contextlib.suppress(queue.Full):  # it is all in the files, too
        news.put_nowait(item)


def _tell(run: CommandRun, status: "es.LapseStatus") -> None:
    run.out.json(**status_keys(status))
    for line in describe(status):
        run.out.say(line)
    run.out.table(status_table(status))


class _Watch:
    """A time-lapse on the command line: what it says while it goes on."""

    def __init__(self, run: CommandRun, lapse: "es.TimeLapse", news: "queue.Queue[tuple[str, Any]]") -> None:
        self._run = run
        self._lapse = lapse
        self._news = news
        self._error: BaseException | None = None
        self._missed = 0
        # Not `Thread.join`: one that Ctrl-C interrupts counts the thread as ended (CPython 3.11).
        self._done = threading.Event()

    def run(self) -> None:
        """Begin it, follow it to its end, and say what there is."""
        out = self._run.out
        out.say("Reaching the cameras ...", "dim")
        again = self._lapse.prepare()
        for warning in self._lapse.warnings:
            out.warn(f"Note: {warning}.")
        if self._lapse.forecast is not None:
            out.say(f"Disk: {self._lapse.forecast}")
        begun = "Going on with" if again else "Writing to"
        out.say(f"{begun} {clean(self._lapse.path)}; Ctrl-C ends, the same command goes on with it")
        worker = threading.Thread(target=self._work, name="espressoscope-lapse-run", daemon=True)
        worker.start()
        try:
            self._follow()
        except KeyboardInterrupt:  # its ordinary end: how it stands is told all the same
            self._run.ending.ask()
        finally:
            self._lapse.stop()
            while not self._done.wait(0.2):
                pass
            self._write_news()
        if self._error is not None:
            raise self._error
        status = self._lapse.status()
        for line in describe(status):
            out.say(line)
        out.table(status_table(status))
        for name, why in self._lapse.unopened.items():
            self._run.out.warn(f"{name}: its files could not be opened: {why}")
        if (self._missed or self._lapse.unopened) and not self._run.ending.asked:
            self._run.code = FAILED

    def _work(self) -> None:
        try:
            self._lapse.run()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self._error = error
        finally:
            self._done.set()

    def _follow(self) -> None:
        out = self._run.out
        next_report = time.monotonic() + _REPORT_S
        live = Live(console=out.console, auto_refresh=False, transient=True, redirect_stdout=False,
                    redirect_stderr=False)  # fmt: skip
        if out.live:
            live.__enter__()
        try:
            redraw_at = 0.0
            while not self._done.wait(0.1) and not self._run.ending.asked:
                self._write_news()
                now = time.monotonic()
                if out.live and now >= redraw_at:
                    redraw_at = now + _REDRAW_S
                    live.update(status_table(self._lapse.status()), refresh=True)
                elif not out.live and now >= next_report and not out.as_json:
                    next_report = now + _REPORT_S
                    out.say(describe(self._lapse.status())[0])
        finally:
            if out.live:
                live.__exit__(None, None, None)

    def _write_news(self) -> None:
        while True:
            try:
                name, line = self._news.get_nowait()
            except queue.Empty:
                return
            self._run.out.json(**line_keys(name, line))
            if line.outcome == "missed":
                self._missed += 1
            if line.outcome != "taken" and not self._run.out.live:
                self._run.out.warn(line_words(name, line))
