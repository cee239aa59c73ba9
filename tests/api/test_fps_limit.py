"""The cap on a camera's frame rate: by the camera where it can, by single pictures where it cannot."""

from __future__ import annotations

import threading

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera
from support import wait_until


def test_a_camera_with_a_brake_keeps_the_limit_itself() -> None:
    with (
        SimulatedCamera(fps=25, framesize="QVGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        assert cam.settings["fps_limit"].value == 0
        result = cam.set(fps_limit=4)["fps_limit"]
        assert (result.asked, result.actual, result.ok) == (4, 4, True)
        assert cam.settings["fps_limit"].value == 4
        assert cam.settings["min_frame_time"].value == 250
        cam.latest()
        wait_until(lambda: (cam.stats.interval_p50_ms or 0) > 240, 8, what="a slower stream")
        assert cam.stats.sensor_fps == 4
        cam.set(fps_limit=0)
        assert cam.settings["min_frame_time"].value == 0
        wait_until(lambda: cam.stats.fps > 10, 8, what="the full rate")


@pytest.mark.parametrize("asked", [0.4, -1, 61, 10**400, "fast", None])
def test_a_limit_that_would_end_the_stream_is_refused(asked: float) -> None:
    with SimulatedCamera(fps=25, side_delays=False) as simulated, es.Camera(simulated.url) as cam:
        with pytest.raises(es.SettingError, match="fps_limit"):
            cam.set(fps_limit=asked)
        with pytest.raises(es.SettingError, match="same brake"):
            cam.set(fps_limit=5, min_frame_time=100)
        assert not any("/control" in line for line in simulated.requests)
        assert cam.set(fps_limit=0.5)["fps_limit"].actual == 0.5


def test_elsewhere_single_pictures_take_the_place_of_the_stream() -> None:
    with (
        SimulatedCamera("camerawebserver", fps=25, side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        assert cam.latest().camera == cam.info.name
        assert cam.set(fps_limit=5, quality=20)["fps_limit"].ok
        wait_until(lambda: len(simulated.captured) > 3, 10, what="captures")
        streamed = simulated.sent.total
        frame = cam.latest()
        assert cam.latest(after=frame.sequence).sequence > frame.sequence
        assert simulated.sent.total == streamed
        assert cam.settings["fps_limit"].value == 5
        cam.set(fps_limit=0)
        wait_until(lambda: simulated.sent.total > streamed + 5, 10, what="the stream again")


def test_a_stream_that_was_asked_for_as_such_is_not_said_to_be_limited() -> None:
    with (
        SimulatedCamera("camerawebserver", fps=25, framesize="QVGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        with cam.stream("mjpeg") as stream:
            next(stream)
            with pytest.raises(es.SettingError, match="single pictures cannot take its place"):
                cam.set(fps_limit=5, quality=20)
            assert not any("/control" in line for line in simulated.requests)
            results = cam.set(strict=False, fps_limit=5, quality=20)
            assert results["quality"].ok
            assert (results["fps_limit"].ok, results["fps_limit"].actual) == (False, 0)
            assert cam.settings["fps_limit"].value == 0
        assert cam.set(fps_limit=5)["fps_limit"].ok
        with pytest.raises(es.UnsupportedError, match="limited"):
            cam.stream("mjpeg")
        with cam.stream() as stream:
            next(stream)
        assert len(simulated.captured) > 0


def test_a_stream_that_is_paused_for_a_large_still_is_not_limited_either() -> None:
    with (
        SimulatedCamera("camerawebserver", framesize="QVGA", fps=10) as simulated,
        es.Camera(simulated.url) as cam,
        cam.stream("mjpeg") as stream,
    ):
        next(stream)
        session = cam._opened()[1]
        snapping = threading.Thread(target=lambda: cam.snap(framesize="SXGA"))
        snapping.start()
        wait_until(lambda: session.link.stopped, 10, what="the pause")
        assert not cam.set(fps_limit=2, strict=False)["fps_limit"].ok
        snapping.join()
        assert next(stream).sequence > 0


def test_a_stream_that_everybody_left_while_it_begins_anew_does_not_run() -> None:
    with (
        SimulatedCamera("camerawebserver", framesize="QVGA", fps=10, side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        session = cam._opened()[1]
        for _ in range(20):
            cam.set(fps_limit=0)
            stream = cam.stream()
            next(stream)
            together = threading.Barrier(2)

            def limit(together: threading.Barrier = together) -> None:
                together.wait()
                cam.set(fps_limit=4, strict=False)

            setting = threading.Thread(target=limit)
            setting.start()
            together.wait()
            stream.close()
            setting.join()
            wait_until(lambda: session.link.stopped, 5, what="no stream, as nobody wants it")


def test_a_camera_that_restarts_is_given_its_limit_again(caplog: pytest.LogCaptureFixture) -> None:
    """Takes 2 s: that long a stream is silent before it is asked whether it still knows the connection."""
    with (
        SimulatedCamera(fps=25, framesize="QVGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        cam.latest()
        cam.set(fps_limit=10)
        with simulated.fault("reboot"):
            pass
        assert simulated.sensor["min_frame_time"] == 0
        wait_until(lambda: simulated.sensor["min_frame_time"] == 100, 15, what="the limit again")
        wait_until(lambda: "given again: fps_limit" in caplog.text, what="word of it")  # once it has answered
        frame = cam.latest()
        cam.latest(after=frame.sequence)
        assert cam._session is not None
        assert cam._session.pace.promised == 10
        cam.set(min_frame_time=0)  # lifts it, under whatever name
        assert cam._session.pace.promised == 0


def test_a_camera_that_only_streams_cannot_be_limited() -> None:
    with SimulatedCamera("esphome") as simulated, es.Camera(simulated.stream_url) as cam:
        assert "fps_limit" not in cam.settings
        with pytest.raises(es.UnsupportedError):
            cam.set(fps_limit=5)
