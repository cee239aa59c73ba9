"""`Fleet.sets` against simulated cameras: what belongs together, who is missing, how it ends."""

from __future__ import annotations

import threading
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera, read_strip, simulate
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def simulated() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=20, framesize="QVGA") as cameras:
        yield cameras


def check(found: list[es.FrameSet], tolerance_ms: float) -> None:
    seen: set[tuple[str, int]] = set()
    for one in found:
        for name, frame in one.frames.items():
            if frame is None:
                continue
            assert frame.camera == name
            assert abs(frame.received_ns - one.time_ns) <= tolerance_ms * 1e6
            assert (name, frame.sequence) not in seen
            seen.add((name, frame.sequence))
    assert all(earlier.time_ns < later.time_ns for earlier, later in pairwise(found))


def test_frames_of_one_instant(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet, fleet.sets(tolerance_ms=50) as sets:
        complete = 0
        for _ in range(10):  # a machine that hesitates makes pictures late
            found = list(islice(sets, 30))
            check(found, 50)
            assert all(tuple(one.frames) == fleet.names for one in found)
            assert all(one.spread_ms <= 100 for one in found)
            complete = max(complete, sum(one.complete for one in found[5:]))
            if complete >= 20:
                break
        assert complete >= 20
        for frame, camera in zip(found[-1].frames.values(), simulated, strict=True):
            if frame is not None:
                reading = read_strip(frame.image())
                assert reading is not None
                assert reading.camera == camera.number
    assert next(iter(sets), None) is None


def test_a_camera_without_a_frame_is_none(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet, fleet.sets() as sets:
        next(one for one in sets if one.complete)
        with simulated[1].fault("stall"):
            name = fleet.names[1]
            wait_until(lambda: (fleet.stats()[name].age_s or 0) > 0.5, what="the stall")
            last = fleet.latest(timeout=0)[name]
            assert last is not None
            without = next(one for one in islice(sets, 200) if one.time_ns > last.received_ns + 100_000_000)
            assert without.frames[name] is None
            assert sum(frame is not None for frame in without.frames.values()) >= 1
            found = list(islice(sets, 10))
            assert all(one.frames[name] is None for one in found)
            check(found, 50)
        wait_until(lambda: next(sets).complete, 20, what="a complete set again")


def test_cameras_join_and_leave_while_sets_are_taken(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet([simulated[0].url]) as fleet, fleet.sets() as sets:
        assert tuple(next(sets).frames) == fleet.names
        fleet.add(simulated[1].url, "second")
        joined = next(one for one in islice(sets, 100) if one.frames.get("second") is not None)
        assert tuple(joined.frames) == fleet.names
        fleet.remove("second")
        assert "second" not in next(sets).frames


def test_silence_is_told(simulated: list[SimulatedCamera]) -> None:
    with simulated[0].fault("silent-second"), es.Fleet([simulated[0].url]) as fleet:
        with fleet.sets(timeout=0.3) as sets, pytest.raises(es.CameraTimeout, match="1 cameras delivered"):
            next(sets)
        with pytest.raises(ValueError, match="timeout"):
            fleet.sets(timeout=0)
        with pytest.raises(ValueError, match="tolerance"):
            fleet.sets(tolerance_ms=-1)
        assert fleet.stats()[fleet.names[0]].state == "stopped"


def test_closing_the_fleet_ends_the_sets(simulated: list[SimulatedCamera]) -> None:
    fleet = es.Fleet([simulated[0].url]).open()
    with simulated[0].fault("silent-second"):
        sets = fleet.sets()
        ended = threading.Event()

        def take() -> None:
            list(sets)
            ended.set()

        threading.Thread(target=take).start()
        fleet.close()
        assert ended.wait(5)
