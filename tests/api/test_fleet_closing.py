"""Closing a fleet while calls of other threads wait: they end at once, and with an error of ours."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.api import handle, membership
from espressoscope.sim import SimulatedCamera, simulate
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def simulated() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=20, framesize="QVGA") as cameras:
        yield cameras


def started(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(work())
        except BaseException as error:  # noqa: BLE001 - what escapes is what is looked at
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_close_ends_an_open_that_waits(simulated: list[SimulatedCamera]) -> None:
    with simulated[1].fault("vanish"):
        fleet = es.Fleet(camera.url for camera in simulated)
        thread, ended = started(fleet.open)
        wait_until(lambda: fleet._pending, what="open() to wait")
        began = time.monotonic()
        fleet.close()
        thread.join(5)
        assert time.monotonic() - began < 1.0
        assert isinstance(ended[0], es.CameraError)
        assert "closed" in str(ended[0])
        with pytest.raises(es.CameraError, match="not open"):
            fleet.start()
    with fleet:  # it can be opened again
        assert len(fleet) == 3


def test_close_breaks_off_an_open_that_waits_for_a_generator(simulated: list[SimulatedCamera]) -> None:
    asked, told = threading.Event(), threading.Event()

    def slowly() -> Iterator[str]:
        yield simulated[0].url
        asked.set()
        assert told.wait(20)
        yield from (camera.url for camera in simulated[1:])

    fleet = es.Fleet(slowly())
    thread, ended = started(fleet.open)
    try:
        assert asked.wait(5)
        closing, _ = started(fleet.close)
        closing.join(5)
        assert not closing.is_alive()
        assert thread.is_alive()
    finally:
        told.set()
    thread.join(5)
    assert isinstance(ended[0], es.CameraError)
    assert "closed" in str(ended[0])
    with fleet:  # goes on where it was broken off
        assert len(fleet) == 3


def test_close_is_not_overtaken_by_those_who_open(simulated: list[SimulatedCamera]) -> None:
    fleet = es.Fleet(camera.url for camera in simulated)
    over = threading.Event()

    def open_again_and_again() -> None:
        while not over.is_set():
            with contextlib.suppress(es.CameraError):
                fleet.open()

    openers = [started(open_again_and_again) for _ in range(8)]
    try:
        for _ in range(5):
            wait_until(lambda: fleet._runtime, what="the fleet to be open")
            closing, _ = started(fleet.close)
            closing.join(5)
            assert not closing.is_alive()
    finally:
        over.set()
        for thread, ended in openers:
            thread.join(10)
            assert ended == [None]
        fleet.close()


CALLS: dict[str, Callable[[es.Fleet], object]] = {
    "set": lambda fleet: fleet.set(quality=12),
    "snap": lambda fleet: fleet.snap(),
    "add": lambda fleet: fleet.add("127.0.0.1:1"),
    "start": lambda fleet: fleet.start(),
    "stop": lambda fleet: fleet.stop(),
    "latest": lambda fleet: fleet.latest(),
    "view": lambda fleet: fleet.view(lambda frame, image: None).close(),
    "sets": lambda fleet: fleet.sets().close(),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_calls_again_and_again_meet_a_close(simulated: list[SimulatedCamera], name: str) -> None:
    call = CALLS[name]

    def again_and_again(fleet: es.Fleet) -> None:
        while True:
            call(fleet)

    for wait_s in (0.0, 0.01, 0.03, 0.07, 0.2):
        fleet = es.Fleet(camera.url for camera in simulated).open()
        fleet.start()
        thread, ended = started(lambda fleet=fleet: again_and_again(fleet))  # type: ignore[misc]
        thread.join(wait_s)
        fleet.close()
        thread.join(5)
        assert not thread.is_alive()
        assert isinstance(ended[0], es.CameraError), ended


def test_a_camera_that_is_added_and_does_not_answer_holds_up_nobody(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet([simulated[0].url]) as fleet, simulated[1].fault("vanish"):
        (first,) = fleet.names
        fleet.start()
        thread, _ = started(lambda: fleet.add(simulated[1].url, "late"))
        wait_until(lambda: fleet._pending, what="add() to wait")
        assert fleet.latest()[first] is not None
        assert fleet.stats()[first].frames > 0
        assert fleet.messages()[first] == ""
        assert thread.is_alive()
        thread.join(10)
        assert fleet.names == (first, "late")


def test_a_large_still_of_one_camera_holds_up_the_start_of_no_other(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet:
        first, *others = fleet.names
        with simulated[0].fault("stall"):
            thread, _ = started(lambda: fleet[first].snap(framesize="SVGA"))
            wait_until(lambda: "/capture" in str(simulated[0].requests), what="the still to begin")
            starting, _ = started(fleet.start)
            wait_until(
                lambda: all(fleet.stats()[name].frames for name in others), what="frames of the others"
            )
        thread.join(20)
        starting.join(20)


@pytest.mark.parametrize("fault", [None, "vanish"])
def test_broken_off_large_stills_are_restored_side_by_side(
    simulated: list[SimulatedCamera], fault: str | None
) -> None:
    fleet = es.Fleet(camera.url for camera in simulated).open()
    fleet.start()
    fleet.latest()
    thread, ended = started(lambda: fleet.snap(framesize="SVGA"))
    for camera in simulated:
        wait_until(lambda camera=camera: "/capture" in str(camera.requests), what="the still to begin")  # type: ignore[misc]
    with contextlib.ExitStack() as faults:
        if fault is not None:
            for camera in simulated:
                faults.enter_context(camera.fault(fault))
        began = time.monotonic()
        fleet.close()
        assert time.monotonic() - began < 1.0
    thread.join(5)
    assert isinstance(ended[0], es.CameraError)


def test_functions_that_hang_are_waited_for_together(
    simulated: list[SimulatedCamera], caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    hanging: list[str] = []

    def hang(frame: es.Frame, image: object) -> None:
        hanging.append(frame.camera)
        released.wait(20)

    try:
        fleet = es.Fleet(camera.url for camera in simulated).open()
        views = [fleet.view(hang) for _ in range(4)]
        wait_until(lambda: hanging, what="a function to hang")
        began = time.monotonic()
        fleet.close()
        assert time.monotonic() - began < 1.0
        assert "did not return within" in caplog.text
        assert "within 0.0 s" not in caplog.text
        count = len(hanging)
        assert sum(view.decoded for view in views) == count
    finally:
        released.set()
    wait_until(lambda: decode_threads() == 0, what="the threads that were left to end")
    assert len(hanging) == count


def test_functions_that_both_close_the_fleet_do_not_wait_for_each_other(
    simulated: list[SimulatedCamera], caplog: pytest.LogCaptureFixture
) -> None:
    both = threading.Barrier(2)
    first = itertools.count()
    closed: list[str] = []

    def close(frame: es.Frame, image: object) -> None:
        if next(first) < 2:
            both.wait(20)
            fleet.close()
            closed.append(frame.camera)

    fleet = es.Fleet(camera.url for camera in simulated).open()
    for _ in range(2):
        fleet.view(close)
    wait_until(lambda: len(closed) == 2, 20, what="both to have closed it")
    wait_until(lambda: decode_threads() == 0, what="the end of the threads")
    assert "did not return" not in caplog.text
    fleet.close()


def test_ctrl_c_while_closing_leaves_nothing_open(
    simulated: list[SimulatedCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(followers: object, whose: object) -> None:
        raise KeyboardInterrupt

    with es.Camera(simulated[2].url) as other:  # keeps the loop running
        fleet = es.Fleet(camera.url for camera in simulated[:2]).open()
        single = fleet[fleet.names[0]]
        fleet.start()
        fleet.latest()
        with monkeypatch.context() as patch:
            patch.setattr(membership, "close_followers", interrupted)
            patch.setattr(handle, "close_followers", interrupted)
            with pytest.raises(KeyboardInterrupt):
                fleet.close()
        assert {stats.state for stats in fleet.stats().values()} == {es.LinkState.STOPPED}
        assert "closed" in repr(single)
        assert other.snap()


def decode_threads() -> int:
    return sum(thread.name.startswith("espressoscope-decode") for thread in threading.enumerate())
