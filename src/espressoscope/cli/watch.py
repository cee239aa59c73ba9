"""``espressoscope watch``: how a whole fleet is doing, as a table that is redrawn, or as JSON lines."""

import contextlib
import dataclasses
import logging
import math
import time
from collections.abc import Mapping
from typing import Annotated, Any, Self

import typer
from rich.console import Group
from rich.live import Live

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    CommandRun,
    FpsLimitOption,
    JsonOption,
    VerboseOption,
    examples,
    fleet_of,
)
from espressoscope.cli.discover import SearchDisplay, in_order, say_why_none
from espressoscope.cli.fleet_table import FleetTable, Row
from espressoscope.cli.limiter import Limiter
from espressoscope.cli.output import Output

__all__ = ["clock", "watch"]

_JSON_S = 1.0
_REDRAW_S = 0.25
_REPORT_S = 5.0
"""Between two tables where nothing can be redrawn."""
_DRAWING_SHARE = 0.04
"""Most of a processor's time that drawing may take; a table that costs more is drawn less often."""
_LIMIT_S = 6.0
"""Longest wait for cameras to take ``--fps-limit`` before the streams start."""
_MOST_NAMED = 5


@examples(
    "espressoscope watch",
    "espressoscope watch 192.168.1.20 192.168.1.21 --fps-limit 5",
    "espressoscope watch 192.168.1.20 --seconds 60 --json | jq -c '[.camera, .state, .fps]'",
)
def watch(
    cameras: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CAMERA", help="Name, host, host:port or URL; all that a search finds if none."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.001, help="End after so many seconds.")
    ] = None,
    fps_limit: FpsLimitOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Watch how the streams of many cameras are doing, until --seconds or Ctrl-C.

    A line for each camera: its frame rate beside its sensor's, its data rate, the age of its newest picture,
    the time between pictures (median and 99th percentile), what was lost, and what is wrong. Cameras that are
    not there are tried again and again. --fps-limit stays set afterwards where the camera keeps it itself.

    JSON keys: camera, those of Camera.stats (state frames bytes fps kb_per_s age_s interval_p50_ms
    interval_p99_ms reconnects damaged dropped superseded width height frozen sensor_fps clock_offset_s),
    message; one object for each camera a second. Exit code 1 when no camera was found; with --seconds also
    when one gave no picture or did not take --fps-limit.
    """
    with CommandRun(as_json, verbose, until_stopped=True) as run, contextlib.ExitStack() as stack:
        fleet = fleet_of(cameras) if cameras else _found(run)
        if fleet is None:
            return
        limiter = None
        if fps_limit is not None:
            limiter = Limiter(fleet, fps_limit)
            stack.callback(limiter.stop)  # after the fleet has been closed, which ends what it waits for
        run.out.say("Reaching the cameras ...", "dim")
        stack.enter_context(fleet)
        if limiter is not None:
            limiter.start(_LIMIT_S)
        fleet.start()
        _Watch(run, fleet, limiter, seconds).run()


def _found(run: CommandRun) -> "es.Fleet | None":
    run.out.say("Looking for cameras ...", "dim")
    with SearchDisplay(run.out) as display:
        infos = in_order(display.follow(es.discover(progress=display.tell)))
    if infos:
        return es.Fleet(infos)
    run.code = FAILED
    say_why_none(run.out, narrowed=False)
    return None


class _Watch:
    """A fleet that streams, from its first line to the summary."""

    def __init__(
        self, run: CommandRun, fleet: "es.Fleet", limiter: Limiter | None, seconds: float | None
    ) -> None:
        self._run = run
        self._fleet = fleet
        self._limiter = limiter
        self._began = time.monotonic()
        self._seconds = seconds
        self._table = FleetTable(fleet.names)
        self._told: set[str] = set()

    def run(self) -> None:
        """Tell how it goes until the end, and then how it went, whatever the end was."""
        try:
            with _Screen(self._run.out) as screen:
                self._follow(screen)
        finally:
            self._summarise()
        if self._seconds is not None and not self._run.ending.asked:
            self._judge()

    def _follow(self, screen: "_Screen") -> None:
        out = self._run.out
        end = math.inf if self._seconds is None else self._began + self._seconds
        lines = _Schedule(self._began, _JSON_S if out.as_json else math.inf)
        # JSON lines for a program say it all; a table beside them is for a terminal only.
        every_s = _REDRAW_S if out.live else math.inf if out.as_json else _REPORT_S
        tables = _Schedule(self._began, every_s)
        while not self._run.ending.asked:
            now = time.monotonic()
            if lines.due(now) or (now >= end and not lines.count):
                self._write_lines()
            if now >= end:
                return
            if tables.due(now):
                self._draw(screen, tables)
            self._run.ending.wait(max(0.0, min(lines.next, tables.next, end) - time.monotonic()))

    # --- what there is to tell

    def _rows(self) -> dict[str, Row]:
        messages = self._fleet.messages()
        refused = {} if self._limiter is None else dict(self._limiter.refused)
        return {
            name: Row(
                stats, messages.get(name) or (f"no fps limit: {refused[name]}" if name in refused else "")
            )
            for name, stats in self._fleet.stats().items()
        }

    def _write_lines(self) -> None:
        for name, row in self._rows().items():
            self._run.out.json(camera=name, **_keys(row.stats), message=row.message)
        self._tell_refusals()

    def _draw(self, screen: "_Screen", tables: "_Schedule") -> None:
        before = time.thread_time()
        if screen.live:
            width, height = screen.size
            screen.show(Group(*self._table.lines(self._rows(), self._clock(), width, height)))
            tables.spare((time.thread_time() - before) / _DRAWING_SHARE)
        else:
            self._print_table(self._clock())
            self._run.out.say()
            self._tell_refusals()

    def _print_table(self, clock: str) -> None:
        out = self._run.out
        for line in self._table.lines(self._rows(), clock, out.console.width):
            line.rstrip()
            out.say(line)

    def _clock(self) -> str:
        past_s = time.monotonic() - self._began
        if self._seconds is not None:
            return f"{max(0.0, self._seconds - past_s):.0f} s left, Ctrl-C ends"
        return f"{clock(past_s)}, Ctrl-C ends"

    def _tell_refusals(self) -> None:
        """Say once of each camera that it did not take the limit."""
        for name, why in {} if self._limiter is None else dict(self._limiter.refused).items():
            if name not in self._told:
                self._told.add(name)
                self._run.out.warn(f"{name}: no fps limit: {why}")

    # --- the end

    def _summarise(self) -> None:
        took = f"watched for {time.monotonic() - self._began:.1f} s"
        if self._run.out.as_json and not self._run.out.live:
            totals = self._table.lines(self._rows(), took, self._run.out.console.width)[-1]
            self._run.out.say(totals)
        else:
            self._print_table(took)
        self._tell_refusals()

    def _judge(self) -> None:
        if self._told:
            self._run.code = FAILED
        rows = self._rows()
        without = [name for name, row in rows.items() if not row.stats.frames]
        if not without:
            return
        self._run.code = FAILED
        if len(without) == 1:
            message = rows[without[0]].message.partition("; trying again")[0] or "none came in this time"
            self._run.out.error(f"{without[0]}: no picture: {message}", "espressoscope status tells more")
            return
        more = len(without) - _MOST_NAMED
        named = ", ".join(without[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        self._run.out.error(
            f"{len(without)} of {len(rows)} cameras gave no picture: {named}",
            "espressoscope status CAMERA tells more about one",
        )


def _keys(stats: es.StreamStats) -> Mapping[str, Any]:
    return {field.name: getattr(stats, field.name) for field in dataclasses.fields(stats)}


def clock(past_s: float) -> str:
    """Write a time as minutes and seconds."""
    minutes, seconds = divmod(int(past_s), 60)
    return f"{minutes}:{seconds:02}"


class _Schedule:
    """Times that are due at multiples of a period; those missed are left out, so that none comes late.

    Attributes
    ----------
    next : float
        When it is due again, by `time.monotonic`.
    count : int
        How often it has been.
    """

    def __init__(self, began: float, every_s: float) -> None:
        self._began = began
        self._every_s = every_s
        self._number = 1
        self.count = 0
        self.next = began + every_s

    def due(self, now: float) -> bool:
        """Say whether it is due; if so, look forward to the next time."""
        if now < self.next:
            return False
        self.count += 1
        self._number = max(self._number, int((now - self._began) / self._every_s)) + 1
        self.next = self._began + self._number * self._every_s
        return True

    def spare(self, pause_s: float) -> None:
        """Leave out times within a pause from now on."""
        while self.next < time.monotonic() + pause_s:
            self._number += 1
            self.next = self._began + self._number * self._every_s


class _Screen:
    """The terminal's other screen, as `top` uses it: what stood there before comes back at the end.

    Attributes
    ----------
    live : bool
        Whether there is one to draw on.
    """

    def __init__(self, out: Output) -> None:
        self.live = out.live
        self._console = out.console
        self._live = Live(
            console=out.console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        # Without a handler Python writes warnings on stderr, across the table that tells the same.
        self._quiet = logging.NullHandler()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines there are."""
        return self._console.width, self._console.height

    def __enter__(self) -> Self:
        if self.live:
            logging.getLogger("espressoscope").addHandler(self._quiet)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self.live:
            self._live.__exit__(*error)
            logging.getLogger("espressoscope").removeHandler(self._quiet)

    def show(self, content: Group) -> None:
        """Draw."""
        self._live.update(content, refresh=True)
