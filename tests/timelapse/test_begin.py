"""The moment at which the cameras of a time-lapse begin: Ctrl-C in it, and no more threads."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.api import lapse_crew
from espressoscope.api.lapse_crew import LapseCrew
from espressoscope.api.lapse_news import LapseNews
from espressoscope.sim import SimulatedCamera
from espressoscope.timelapse.clock import Clock, RunClock
from espressoscope.timelapse.folder import LapseFolder, Plan, PlannedCamera
from espressoscope.timelapse.schedule import Schedule
from support import wait_until
from timelapse_support import Quick, SetClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

NAME = "espressoscope-lapse"
EVERY_NS = 5_000_000


class Ready:
    """Two cameras whose files are open."""

    def __init__(self, path: Path) -> None:
        self.folder = LapseFolder(path)
        clock = RunClock(Clock(), 0)
        cameras = tuple(PlannedCamera(name, name, name) for name in "AB")
        plan = Plan(Schedule(EVERY_NS, None, window_ns=EVERY_NS), cameras, {}, clock.now_ns())
        self.folder.begin(plan)
        self.stop = threading.Event()
        self.crew = LapseCrew(self.stop)
        takers = [Quick(SetClock()), Quick(SetClock())]
        self.crew.prepare(self.folder, plan, takers, clock, LapseNews(None, None), 0)  # type: ignore[arg-type]
        self.books = [post.book for post in self.crew._posts]

    def end(self) -> None:
        """End it; all is closed then, and no thread is left."""
        self.stop.set()
        self.crew.end(20)
        self.folder.release()
        for book in self.books:
            assert book is not None
            assert (book.ledger.file.descriptor, book._log.file.descriptor) == (-1, -1)
        assert not at_work()


def at_work() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_ctrl_c_at_any_moment_of_the_beginning_leaves_all_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[object] = []  # those of what the garbage collector was about are none of the crew's
    monkeypatch.setattr(sys, "unraisablehook", lambda what: complaints.append(what.exc_value))
    moment, interrupted = 0, True
    while interrupted and moment < 1000:
        moment += 1
        ready = Ready(tmp_path / str(moment))
        left = moment

        def look(frame: FrameType, event: str, argument: object) -> None:
            nonlocal left
            left -= event in ("call", "c_return")
            if left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

        before = sys.getprofile()
        try:
            sys.setprofile(look)
            ready.crew.begin()
        except KeyboardInterrupt:
            pass
        else:
            interrupted = left == 0
        finally:
            sys.setprofile(before)
        ready.end()
        assert not caplog.text
    assert 10 < moment < 1000
    assert [each for each in complaints if not isinstance(each, KeyboardInterrupt)] == []


def test_who_has_not_begun_when_it_is_ended_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Callable[[], None]] = []

    def interrupted(work: Callable[[], None]) -> None:
        late.append(work)
        raise KeyboardInterrupt

    monkeypatch.setattr(lapse_crew, "undisturbed", interrupted)
    ready = Ready(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        ready.crew.begin()
    ready.end()
    late[0]()
    assert not at_work()


@pytest.mark.parametrize("name", [f"{NAME}-trial", NAME, "espressoscope-alarm"])
def test_want_of_threads_is_said_and_the_same_can_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = threading.Thread.start
    begun: list[str] = []

    def start(thread: threading.Thread) -> None:
        begun.append(thread.name)
        if begun.count(name) == 2 or name == thread.name == "espressoscope-alarm":
            raise RuntimeError("can't start new thread")
        real(thread)

    with (
        SimulatedCamera(name="a", fps=20, side_delays=False, number=76) as a,
        SimulatedCamera(name="b", fps=20, side_delays=False, number=77) as b,
    ):

        def lapse() -> es.TimeLapse:
            return es.TimeLapse(
                [a.url, b.url], every=2, count=1, path=tmp_path / "run", stagger=0, on_missed=[sys.executable]
            )

        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", start)
            with pytest.raises(es.CameraError, match="can't start new thread") as told:
                lapse().run()
        assert told.value.hint is not None
        assert "close what it does not need" in told.value.hint
        wait_until(lambda: not any(thread.name.startswith(NAME) for thread in threading.enumerate()), 30)
        status = lapse().run()
    assert status.state == "complete"
    assert [camera.next_point for camera in status.cameras] == [None, None]
