"""Recordings and streams hold their camera or fleet until they are closed; what nobody holds is closed."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from espressoscope.api.recorder import Recorder


@pytest.fixture(scope="module")
def sim() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(framesize="QVGA", fps=25, side_delays=False, port=0) as running:
        yield running


def record_camera(url: str, path: Path) -> Recorder:
    return es.Camera(url).open().record(path, frames=20)


def record_fleet(url: str, path: Path) -> Recorder:
    return es.Fleet([url]).open().record(path, frames=20)


def record_member(url: str, path: Path) -> Recorder:
    fleet = es.Fleet([url]).open()
    return fleet[fleet.names[0]].record(path, frames=20)


@pytest.mark.parametrize("record", [record_camera, record_fleet, record_member])
def test_a_recording_of_what_nobody_else_holds_goes_on_to_its_end(
    sim: SimulatedCamera, tmp_path: Path, record: Callable[[str, Path], Recorder]
) -> None:
    recorder = record(sim.url, tmp_path / "run")
    gc.collect()
    assert recorder.wait(30)
    assert recorder.frames_written == 20
    with pytest.warns(ResourceWarning, match="never closed"):
        recorder.stop()
    assert es.open_run(tmp_path / "run").info["state"] == "closed"


def test_a_stream_of_a_camera_that_nobody_else_holds_goes_on(sim: SimulatedCamera) -> None:
    stream = es.Camera(sim.url).open().stream()
    gc.collect()
    assert [next(stream).sequence for _ in range(3)] == [0, 1, 2]
    with pytest.warns(ResourceWarning, match="never closed"):
        stream.close()
    assert list(stream) == []
    fleet = es.Fleet([sim.url]).open()
    stream = fleet[fleet.names[0]].stream()
    del fleet
    gc.collect()
    next(stream)
    with pytest.warns(ResourceWarning, match="never closed"):
        del stream


def test_sets_of_a_fleet_that_nobody_else_holds_go_on(sim: SimulatedCamera) -> None:
    sets = es.Fleet([sim.url]).open().sets()
    gc.collect()
    for _ in range(3):
        assert next(sets).complete
    with pytest.warns(ResourceWarning, match="never closed"):
        sets.close()
    assert list(sets) == []


def begun(what: str, url: str, path: Path) -> tuple[es.Camera | es.Fleet, Recorder, Iterator[object]]:
    """Give an open camera or fleet, a recording and a stream of it, which both have frames."""
    owner = es.Camera(url).open() if what == "camera" else es.Fleet([url]).open()
    recorder = owner.record(path)
    stream = owner.sets() if isinstance(owner, es.Fleet) else owner.stream()
    next(stream)
    wait_until(lambda: recorder.frames_written >= 5, 20)
    return owner, recorder, stream


@pytest.mark.parametrize("what", ["camera", "fleet"])
def test_what_is_dropped_with_its_recordings_and_streams_is_collected_and_closed(
    sim: SimulatedCamera, tmp_path: Path, what: str
) -> None:
    owner, recorder, stream = begun(what, sim.url, tmp_path / "run")
    gone, writer = weakref.ref(owner), recorder._writer
    del owner, recorder, stream
    with pytest.warns(ResourceWarning, match="never closed"):
        gc.collect()
    assert gone() is None
    assert (writer.over, writer.trouble) == (True, None)
    assert es.open_run(tmp_path / "run").info["state"] == "closed"


@pytest.mark.parametrize("what", ["camera", "fleet"])
def test_what_is_closed_is_held_no_more(sim: SimulatedCamera, tmp_path: Path, what: str) -> None:
    owner, recorder, stream = begun(what, sim.url, tmp_path / "run")
    owner.close()
    for _ in stream:  # its end tells it
        pass
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    assert recorder.over


def test_waiting_tells_whether_what_was_asked_for_was_reached(
    sim: SimulatedCamera, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with es.Camera(sim.url) as camera:
        frames, seconds = camera.record(tmp_path / "1", frames=5), camera.record(tmp_path / "2", seconds=0.2)
        assert frames.wait(30)
        assert seconds.wait(30)
        frames.stop()
        seconds.stop()
        assert frames.wait(0)
        assert seconds.wait(0)
        early = [
            camera.record(tmp_path / "3", frames=100_000),
            camera.record(tmp_path / "4", seconds=1000),
            camera.record(tmp_path / "5"),
        ]
        wait_until(lambda: all(each.frames_written for each in early), 20)
        answers: dict[int, bool] = {}

        def leave(number: int) -> None:
            with early[number]:
                answers[number] = early[number].wait(60)

        waiting = [threading.Thread(target=leave, args=(number,)) for number in range(3)]
        for thread in waiting:
            thread.start()
        camera.close()
        for thread in waiting:
            thread.join(20)
        assert answers == {0: False, 1: False, 2: False}
        assert all(each.over for each in early)
    assert "silent" not in caplog.text
