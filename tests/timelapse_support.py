"""What tests of the time-lapse share: a clock that is set, a camera that answers at once, sudden death."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any

from espressoscope.errors import CameraTimeout
from espressoscope.model import Frame
from espressoscope.timelapse.book import CameraBook
from espressoscope.timelapse.clock import Clock, RunClock
from espressoscope.timelapse.folder import LapseFolder, Plan, PlannedCamera
from espressoscope.timelapse.schedule import Course
from espressoscope.timelapse.walk import Taking, Walk
from recording_support import SOFTWARE, jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from espressoscope.timelapse.ledger import Line
    from espressoscope.timelapse.schedule import Schedule

START_NS = 1_800_000_000 * 10**9


class SetClock(Clock):
    """A clock that goes on only when somebody sleeps, or when the test says so."""

    def __init__(self, now_ns: int = START_NS) -> None:
        self.wall_ns = now_ns
        self.elapsed_ns = 0

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.elapsed_ns

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        self.go_on(seconds)

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.wall_ns += round(seconds * 1e9)
        self.elapsed_ns += round(seconds * 1e9)

    def set(self, seconds: float) -> None:
        """Set the system's clock by so much."""
        self.wall_ns += round(seconds * 1e9)


class ReadyTaker:
    """A camera that gives a picture at once, made of its time, and can be off."""

    def __init__(self, clock: SetClock, burst: int = 1, *, costs_s: float = 0.1) -> None:
        self.clock = clock
        self.burst = burst
        self.costs_s = costs_s
        self.off: Callable[[], bool] = lambda: False
        self.shots: list[bytes] = []

    def take(self, deadline_ns: int) -> Taking:
        if self.off():
            raise CameraTimeout("no answer", phase="connect", timeout_s=1.0, camera="A1")
        frames = []
        for _ in range(self.burst):
            self.clock.go_on(self.costs_s)
            now_ns = self.clock.wall_ns
            picture = jpeg(seed=len(self.shots) % 7) + now_ns.to_bytes(8, "big")
            self.shots.append(picture)
            frames.append(Frame(picture, 0, now_ns, None, 64, 48, "A1"))
        return Taking(frames, {"framesize": "VGA"})

    def tidy(self) -> None:
        pass


class Quick(ReadyTaker):
    """A camera that needs nothing else to be reached, told and closed."""

    info = None
    place: dict[str, str] = {}  # noqa: RUF012

    def close(self) -> None:
        pass


RUN_ID = uuid.UUID(int=7)


class Life:
    """One life of a program that takes the points of one camera, from its start to its end or death."""

    def __init__(self, path: Path, schedule: Schedule, clock: SetClock, taker: ReadyTaker) -> None:
        self.told: list[Line] = []
        self.stop = threading.Event()
        self.folder = LapseFolder(path)
        plan = self.folder.plan
        if plan is None:
            plan = self.folder.begin(Plan(schedule, (PlannedCamera("A1", "A1", "A1"),), {}, START_NS, RUN_ID))
        home = self.folder.camera_folder(plan.cameras[0])
        self.book = CameraBook("A1", home, RUN_ID.bytes, SOFTWARE, schedule.burst, 0)
        last = self.book.ledger.last
        self.clock = RunClock(clock, 0 if last is None else last.due_ns)
        self.folder.write("running", SOFTWARE, self.clock.now_ns(), {"A1": last}, {})
        course = Course(plan.schedule, plan.start_ns, 0, self.book.next_point)
        self.walk = Walk(course, self.book, taker, self.clock, self.stop, self.told.extend)

    def run(self) -> bool:
        """Go on to the end; everything is closed then."""
        return self._end(self.walk.run())

    def look(self) -> None:
        """Do no more than a program does that is stopped as soon as it has begun."""
        self.stop.set()
        self._end(self.walk.run())

    def _end(self, over: bool) -> bool:
        self.book.close()
        self.folder.write("complete", SOFTWARE, self.clock.now_ns(), {"A1": self.book.ledger.last}, {})
        self.folder.release()
        return over


class Death(BaseException):
    """The program is killed at this moment."""


_CALLS = (
    "open",
    "write",
    "writev",
    "pwrite",
    "fsync",
    "fdatasync",
    "rename",
    "replace",
    "mkdir",
    "ftruncate",
)


class Reaper:
    """Kills a program at its nth call that changes the disk; what is dead changes nothing any more.

    With `torn` the call is done, a write by half, but its caller never hears of it.

    Attributes
    ----------
    died_at : set of str
        Names of the calls at which it happened.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dead = False
        self.died_at: set[str] = set()
        self._left = 0
        self._torn = False
        self._open: set[int] = set()
        for name in _CALLS:
            if hasattr(os, name):
                monkeypatch.setattr(os, name, self._around(name, getattr(os, name)))

    def kill_at(self, number: int, *, torn: bool) -> None:
        """Kill at this call, counted from now."""
        self._left, self._torn = number, torn

    def bury(self) -> None:
        """Close what the dead program had open, as the system does."""
        self.dead, self._left = False, 0
        for descriptor in self._open:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._open.clear()

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.dead:
                raise Death
            if self._left:
                self._left -= 1
                if self._left == 0:
                    self.dead = True
                    self.died_at.add(name)
                    if self._torn:
                        self._half(name, real, arguments, options)
                    raise Death
            if name in ("fsync", "fdatasync"):
                return None  # a place to die at; the disk is not what this is about
            result = real(*arguments, **options)
            if name == "open":
                self._open.add(result)
            return result

        return call

    def _half(
        self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        if name not in ("write", "writev", "pwrite"):
            result = real(*arguments, **options)
            if name == "open":
                self._open.add(result)
            return
        data = b"".join(arguments[1]) if name == "writev" else bytes(arguments[1])
        half = data[: max(1, len(data) // 2)]
        real(arguments[0], [half] if name == "writev" else half, *arguments[2:])
