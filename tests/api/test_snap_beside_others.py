"""A snap of a camera that does not answer holds up nobody else; a stream that is wanted begins after it."""

from __future__ import annotations

import threading
import time

import pytest

import espressoscope as es
from espressoscope import sim
from espressoscope.api.follower import take_frames
from espressoscope.engine.slot import Subscription

PATIENCE_S = 30.0


def wait_until_snapping(camera: es.Camera) -> None:
    end = time.monotonic() + PATIENCE_S
    while not camera._known().demand.pausing.locked():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("size", [None, "VGA"])
def test_streams_of_others_begin_while_a_dead_camera_is_snapped(size: str | None) -> None:
    with (
        sim.SimulatedCamera(framesize="QVGA", fps=8) as well,
        sim.SimulatedCamera(framesize="QVGA", fps=8) as dead,
        es.Fleet([dead.url, well.url]) as fleet,
    ):
        first, second = (fleet[name] for name in fleet.names)
        failures: list[es.CameraError] = []

        def snap() -> None:
            try:
                first.snap(size)
            except es.CameraError as error:
                failures.append(error)

        with dead.fault("vanish"):
            thread = threading.Thread(target=snap)
            thread.start()
            wait_until_snapping(first)
            fleet.start()
            second.latest(timeout=PATIENCE_S)
            assert thread.is_alive()  # the snap is still waiting for its picture
            assert not failures
            thread.join(PATIENCE_S)
        assert len(failures) == 1
        first.latest(timeout=PATIENCE_S)  # its stream has begun after the snap, as was asked
        assert first.stats.state == "live"


def test_a_stream_asked_for_during_a_large_still_begins_after_it() -> None:
    with sim.SimulatedCamera(framesize="QVGA", fps=8) as board, es.Camera(board.url) as camera:
        pictures: list[es.Frame] = []
        thread = threading.Thread(target=lambda: pictures.append(camera.snap("SXGA")))
        thread.start()
        wait_until_snapping(camera)
        frame = camera.latest(timeout=PATIENCE_S)
        thread.join(PATIENCE_S)
        assert (pictures[0].width, pictures[0].height) == (1280, 1024)
        assert (frame.width, frame.height) == (320, 240)  # not beside the still, nor of its size


def test_a_consumer_that_cannot_begin_leaves_no_stream_running() -> None:
    def wrong() -> None:
        raise MemoryError("no room for what was kept")

    with sim.SimulatedCamera(framesize="QVGA", fps=8) as board, es.Camera(board.url) as camera:
        runtime, session = camera._opened()
        with pytest.raises(MemoryError):
            take_frames(runtime, session, Subscription(1), set(), wrong)
        assert (session.demand.wanted, camera.stats.state) == (False, "stopped")
