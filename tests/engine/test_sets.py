"""Frame sets while cameras deliver: real threads, the real clock; their rules are tested in test_align."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest

from espressoscope.engine.sets import MOST_QUEUED, FrameSets, SetFeed
from espressoscope.model import Frame, FrameSet
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

BIAS_NS = 3600 * 10**9
"""The clock of the frames is not the system's: that may have been set since the links were made."""


def frame(number: int) -> Frame:
    return Frame(b"\xff\xd8\xff\xd9", number, time.perf_counter_ns() + BIAS_NS)


def never() -> bool:
    return False


class Camera:
    """Puts a frame into its feed at a steady rate, on a thread of its own, until told to die."""

    def __init__(self, feed: SetFeed, interval_s: float) -> None:
        self.dies = threading.Event()
        self.told = 0
        self._feed = feed
        self._interval_s = interval_s
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for number in itertools.count():
            self.told += self._feed.put(frame(number))
            if self.dies.wait(self._interval_s):
                return

    def end(self) -> None:
        self.dies.set()
        self._thread.join(5)


@pytest.fixture
def sets() -> FrameSets:
    return FrameSets(tolerance_ms=50)


@pytest.fixture
def cameras(sets: FrameSets) -> Iterator[list[Camera]]:
    running = [Camera(sets.add("a"), 0.05), Camera(sets.add("b"), 0.05)]
    yield running
    for camera in running:
        camera.end()


def take(sets: FrameSets, count: int) -> list[FrameSet]:
    found = [sets.wait(never, 5) for _ in range(count)]
    assert None not in found
    return [each for each in found if each is not None]


def test_sets_come_while_cameras_deliver(sets: FrameSets, cameras: list[Camera]) -> None:
    found = take(sets, 20)
    assert sum(each.complete for each in found) >= 15
    instants = [each.time_ns for each in found]
    assert instants == sorted(set(instants))
    age_s = (time.perf_counter_ns() + BIAS_NS - instants[-1]) / 1e9
    assert age_s < 1.5
    assert sets.period_s == pytest.approx(0.05, rel=0.5)
    frames = [id(each) for one in found for each in one.frames.values() if each is not None]
    assert len(frames) == len(set(frames))


def test_a_camera_that_dies_is_missing_and_waited_for_by_nobody(
    sets: FrameSets, cameras: list[Camera]
) -> None:
    take(sets, 5)
    cameras[0].end()
    wait_until(lambda: all((each := sets.wait(never, 5)) and each.frames["a"] is None for _ in range(3)))


def test_cameras_come_and_go_meanwhile(sets: FrameSets, cameras: list[Camera]) -> None:
    take(sets, 3)
    feed = sets.add("c")
    third = Camera(feed, 0.05)
    try:
        wait_until(lambda: (each := sets.wait(never, 5)) and each.frames.get("c") is not None)
        assert sets.names == ("a", "b", "c")
        sets.remove(feed)
        sets.remove(feed)
        wait_until(lambda: (each := sets.wait(never, 5)) and "c" not in each.frames)
    finally:
        third.end()
    again = sets.add("c")
    assert not feed.put(frame(0)), "the old feed of a camera that came back is dead"
    assert again.name == "c"


@pytest.mark.parametrize("step", ["put", "take"])
def test_a_camera_removed_amid_the_making_of_sets_is_waited_for_by_nobody(
    sets: FrameSets, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """As the garbage collector does it: on the thread that is at it, between any two of its steps."""
    gone, stays = sets.add("a"), sets.add("b")
    done = getattr(sets._aligner, step)

    def remove_amid(*arguments: object) -> object:
        for _ in range(2):
            sets.remove(gone)
        return done(*arguments)

    def use() -> None:
        stays.put(frame(0))
        sets.wait(never, 0)

    with monkeypatch.context() as patched:
        patched.setattr(sets._aligner, step, remove_amid)
        using = threading.Thread(target=use, daemon=True)
        using.start()
        using.join(10)
        assert not using.is_alive()
    assert (gone.removed, sets.names) == (True, ("b",))
    sets.add("a")
    assert sets.names == ("b", "a")
    sets.remove(gone)
    found = wait_until(lambda: stays.put(frame(1)) or sets.wait(never, 0.1))
    assert isinstance(found, FrameSet)
    assert set(found.frames) == {"a", "b"}


def test_without_a_frame_the_wait_ends_in_time(sets: FrameSets) -> None:
    sets.add("a")
    begun = time.monotonic()
    assert sets.wait(never, 0.1) is None
    assert time.monotonic() - begun < 5
    assert sets.wait(never, 0) is None


def test_who_waits_is_woken_when_it_has_ended(sets: FrameSets) -> None:
    feed, ended = sets.add("a"), threading.Event()
    for wake in (feed.wake, sets.wake):
        ended.clear()
        waiter = threading.Thread(target=sets.wait, args=(ended.is_set, 60))
        waiter.start()
        ended.set()
        wake()
        waiter.join(5)
        assert not waiter.is_alive()


def test_the_first_frame_wakes_who_waits(sets: FrameSets) -> None:
    feed = sets.add("a")
    found: list[FrameSet | None] = []
    waiter = threading.Thread(target=lambda: found.append(sets.wait(never, 60)))
    waiter.start()
    feed.put(frame(0))
    waiter.join(10)
    assert not waiter.is_alive()
    assert found[0] is not None
    assert found[0].complete


def test_the_loop_is_never_held_up_by_a_set_being_made(sets: FrameSets) -> None:
    feed = sets.add("a")
    with sets._lock:  # as while a set is made
        told = [feed.put(frame(number)) for number in range(MOST_QUEUED + 3)]
    assert told == [False] * MOST_QUEUED + [True] * 3
    assert sets.dropped == 3
    assert sets.wait(never, 5) is not None


def test_who_does_not_ask_is_told_by_the_counters(sets: FrameSets) -> None:
    feed = sets.add("a")
    now_ns = time.perf_counter_ns() + BIAS_NS
    told = [feed.put(Frame(b"", number, now_ns - (200 - number) * 40_000_000)) for number in range(200)]
    assert sets.skipped > 100
    assert sets.dropped > 100
    assert sum(told) > 50
    assert sets.late == sets.repeated == 0


@pytest.mark.parametrize("tolerance_ms", [-1, 2001, float("nan"), float("inf")])
def test_a_tolerance_out_of_range_is_refused(tolerance_ms: float) -> None:
    with pytest.raises(ValueError, match="tolerance_ms must be 0 to 2000"):
        FrameSets(tolerance_ms=tolerance_ms)


@pytest.mark.parametrize("fps", [0, -1, 1001, float("nan")])
def test_a_rate_out_of_range_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="fps must be more than 0"):
        FrameSets(fps=fps)


def test_two_cameras_of_one_name_are_refused(sets: FrameSets) -> None:
    sets.add("a")
    with pytest.raises(ValueError, match="'a'"):
        sets.add("a")
