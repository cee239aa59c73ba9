"""The public Camera against simulated cameras: settings, fresh pictures, streams, faults, closing."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import warnings
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera, read_strip
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def simulated() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(fps=20, framesize="QVGA", side_delays=False, boot_s=0.5) as camera:
        yield camera


def number(frame: es.Frame) -> int:
    reading = read_strip(frame.image())
    assert reading is not None
    return reading.frame


def controls(camera: SimulatedCamera) -> list[str]:
    return [line.split()[1] for line in camera.requests if "/control" in line]


# ---- settings


def test_info_and_settings(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        assert cam.info.name == simulated.name
        assert cam.info.firmware == "matchboxscope"
        assert cam.info.mac == simulated.mac
        assert cam.info.stream_url == simulated.stream_url
        assert cam.info.found_by == "given"
        assert cam.settings["framesize"].value == "QVGA"
        assert cam.settings["quality"].maximum == 63
        assert "UXGA" in cam.settings["framesize"].choices


def test_nothing_is_sent_before_the_first_use(simulated: SimulatedCamera) -> None:
    cam = es.Camera(simulated.url)
    assert simulated.requests == []
    assert "Camera" in repr(cam)
    assert cam.status()["cam_name"] == simulated.name
    cam.close()
    cam.close()
    assert cam.info.name == simulated.name
    assert cam.stats.state == "stopped"
    with pytest.raises(es.CameraError, match="closed"):
        cam.status()
    with cam:
        assert cam.status()["quality"] == cam.settings["quality"].value


def test_the_size_of_a_pixel_is_told_and_stays_told(simulated: SimulatedCamera) -> None:
    camera = es.Camera(simulated.url)
    assert camera.pixel_um is None
    camera.pixel_um = 2
    for _ in range(2):
        with camera:
            assert camera._known().told == {"pixel_um": 2.0}
    for wrong in (0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="is no size"):
            camera.pixel_um = wrong
    assert camera.pixel_um == 2.0
    with camera:
        camera.pixel_um = None
        assert camera._known().told == {}


def test_set_reads_back(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        results = cam.set(framesize="vga", quality=20, lamp=50, hmirror="on")
        assert {name: result.ok for name, result in results.items()} == dict.fromkeys(results, True)
        assert results["framesize"].actual == "VGA"
        assert results["hmirror"].actual is True
        assert cam.status()["quality"] == 20
        assert cam.settings["lamp"].value == 50
    assert controls(simulated) == [
        "/control?var=framesize&val=8",
        "/control?var=quality&val=20",
        "/control?var=lamp&val=50",
        "/control?var=hmirror&val=1",
    ]


def test_set_checks_everything_before_it_sends_anything(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        for bad in ({"quality": 99}, {"nonsense": 1}, {"framesize": "QSXGA"}):
            with pytest.raises(es.SettingError) as caught:
                cam.set(lamp=50, **bad)  # type: ignore[arg-type]
            assert caught.value.results == {}
            assert isinstance(caught.value, ValueError)
    assert controls(simulated) == []


def test_raw_values_arrive_as_written(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.autofocus(-100, 100, 50)
        cam.focus_up()
        cam.focus_down()
        cam.focus_speed(-100)
        cam.focus_speed(0)
        cam.save_prefs()
        cam.clear_prefs()
        cam.set_wifi("lab", "pass;word=1")
        with pytest.raises(es.SettingError):
            cam.autofocus(-100, 100, 0)
        with pytest.raises(es.SettingError, match="'&'"):
            cam.set_wifi("a&b", "x")
        with pytest.raises(es.SettingError, match="32 characters"):
            cam.set_wifi("a" * 32, "x")
    assert controls(simulated) == [
        "/control?var=autofocus&val=-100;100;50",
        "/control?var=mFocusUp&val=1",
        "/control?var=mFocusDown&val=1",
        "/control?var=focusSlider&val=-100",
        "/control?var=focusSlider&val=0",
        "/control?var=save_prefs&val=1",
        "/control?var=clear_prefs&val=1",
        "/control?var=ssid&val=lab",
        "/control?var=password&val=pass;word=1",
    ]


def test_reboot_waits_until_it_answers_again(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        before = simulated.reboots
        cam.reboot()
        assert simulated.reboots == before + 1
        assert cam.status()["cam_name"] == simulated.name


@pytest.mark.parametrize("firmware", ["matchboxscope", "easytarget", "camerawebserver", "tasmota"])
def test_every_family_is_recognised_set_and_streamed(firmware: str) -> None:
    with (
        SimulatedCamera(firmware=firmware, fps=20, framesize="QVGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        assert cam.info.firmware == firmware
        assert cam.info.stream_url == simulated.stream_url
        result = cam.set(framesize="VGA", hmirror=True)
        assert result["framesize"].actual == "VGA", result
        assert result["hmirror"].actual is True
        frame = cam.snap()
        assert (frame.width, frame.height) == (640, 480)
        stream = cam.stream()
        frames = [next(stream) for _ in range(3)]
        stream.close()
        assert [f.sequence for f in frames] == list(range(frames[0].sequence, frames[0].sequence + 3))
        if firmware == "camerawebserver":
            assert frames[0].device_ns is not None


def test_esphome_is_a_bare_stream() -> None:
    with (
        SimulatedCamera(firmware="esphome", fps=20, framesize="QVGA") as simulated,
        es.Camera(simulated.stream_url) as cam,
    ):
        frame = cam.snap()
        assert (frame.width, frame.height) == (320, 240)
        with pytest.raises(es.UnsupportedError):
            cam.set(quality=10)
        with pytest.raises(es.UnsupportedError):
            cam.status()
        assert dict(cam.settings) == {}


# ---- pictures


def test_stream_gives_every_frame_bit_for_bit(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, cam.stream(buffer=100) as stream:
        frames = [next(stream) for _ in range(20)]
    sent = {record.number: record.jpeg for record in simulated.sent}
    numbers = [number(frame) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert all(sent[n] == frame.jpeg for n, frame in zip(numbers, frames, strict=True))
    assert [frame.sequence for frame in frames] == list(range(20))
    assert all(frame.status == "ok" and (frame.width, frame.height) == (320, 240) for frame in frames)
    assert all(abs(frame.received_ns - time.time_ns()) < 60e9 for frame in frames)


def test_leaving_the_loop_ends_the_stream(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        for frame in cam.stream():
            assert frame.sequence == 0
            break
        wait_until(lambda: cam.stats.state == "stopped", what="the stream to end")
        for frame in cam.stream():
            assert frame.sequence >= 1
            break


def test_a_slow_consumer_sees_gaps(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, cam.stream(buffer=2) as stream:
        first = next(stream)
        wait_until(lambda: stream.dropped >= 3, what="drops")
        second = next(stream)
        assert second.sequence > first.sequence + 1
        assert cam.stats.dropped >= 3


def test_latest_is_the_newest_and_waits_for_the_next(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        one = cam.latest()
        wait_until(lambda: cam.stats.frames >= one.sequence + 4, what="more frames")
        two = cam.latest()
        assert two.sequence >= one.sequence + 3
        three = cam.latest(after=two.sequence)
        assert three.sequence > two.sequence
        assert cam.stats.superseded >= 2
        assert cam.stats.fps > 5
        with pytest.raises(es.CameraTimeout):
            cam.latest(timeout=0.2, after=10**9)


def test_one_connection_serves_all_consumers(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, cam.stream() as one, cam.stream() as two:
        cam.latest()
        assert next(one).jpeg
        assert next(two).jpeg
    assert len([line for line in simulated.requests if line.startswith("GET / ")]) == 1


def test_snap_while_streaming_is_fresh_and_takes_no_capture(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.latest()
        for _ in range(3):
            newest = simulated.sent[-1].number
            assert number(cam.snap()) > newest
    assert not any("/capture" in line for line in simulated.requests)


def test_snap_without_stream_flushes_old_buffers(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, simulated.fault("stale-capture"):
        cam.snap()
        cam.set(colorbar=True)
        plain = cam.snap().image(scale=2)
        cam.set(colorbar=False)
        assert not np.array_equal(plain, cam.snap().image(scale=2))
        before = simulated.captured[-1].number
        assert number(cam.snap()) >= before


def test_snap_of_another_size_restores_the_stream(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.latest()
        still = cam.snap(framesize="SVGA")
        assert (still.width, still.height) == (800, 600)
        assert cam.status()["framesize"] == "QVGA"
        after = cam.latest(after=still.sequence)
        assert (after.width, after.height) == (320, 240)
        assert cam.snap(framesize="QVGA").width == 320


def test_snap_of_another_size_does_not_end_a_stream(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, cam.stream() as stream:
        first = next(stream)
        cam.snap(framesize="VGA")
        later = [next(stream) for _ in range(40)]
        assert later[-1].sequence > first.sequence
        assert later[-1].width == 320


def test_snapshots_as_a_stream(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        with cam.stream(source="snapshots", interval=0.05) as stream:
            frames = [next(stream) for _ in range(4)]
        assert [f.sequence for f in frames] == [0, 1, 2, 3]
    assert not any(line.startswith("GET / ") for line in simulated.requests)


def test_slow_snapshots_are_no_stall(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, cam.stream(source="snapshots", interval=7, timeout=5) as stream:
        assert next(stream).sequence == 0
        assert next(stream).sequence == 1
        assert cam.stats.reconnects == 0
        assert cam.stats.state == "live"


def test_numbering_is_learned_from_frames_at_hand() -> None:
    # Matchboxscope built with a newer core: N6 numbers under an N5 family.
    with (
        SimulatedCamera(firmware="camerawebserver", fps=20, framesize="VGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        cam._session.device.table._numbering = "N5"  # type: ignore[union-attr]
        cam._session.device.table._build()  # type: ignore[union-attr]
        assert cam.status()["framesize"] == "XGA"
        cam.latest()
        wait_until(lambda: cam.status()["framesize"] == "VGA", what="the numbering to be learned")
        assert cam.set(framesize="SVGA")["framesize"].actual == "SVGA"
    assert not any("/capture" in line for line in simulated.requests)


def test_arrays(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        frame = cam.latest()
        assert np.asarray(frame).shape == (240, 320, 3)
        assert frame.image(scale=4, gray=True).shape == (60, 80)


# ---- trouble


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("cut", {"every": 5}),
        ("wrong-length", {"every": 3, "delta": 2}),
        ("wrong-length", {"every": 3, "delta": -7}),
        ("no-length", {}),
        ("junk", {"every": 2}),
        ("stale-bytes", {}),
        ("two-jpegs", {"every": 2}),
        ("corrupt", {"every": 3, "kind": "no-eoi"}),
        ("corrupt", {"every": 3, "kind": "no-soi"}),
        ("corrupt", {"every": 3, "kind": "scan"}),
        ("size-change", {"every": 4}),
    ],
)
def test_a_bad_stream_goes_on(
    simulated: SimulatedCamera, fault: str, options: dict[str, float | str]
) -> None:
    with es.Camera(simulated.url) as cam, simulated.fault(fault, **options):
        with cam.stream(buffer=64) as stream:
            frames = [next(stream) for _ in range(25)]
        whole = 0
        for frame in frames:
            try:
                whole += read_strip(frame.image()) is not None
            except es.DecodeError:
                continue
        assert whole >= 12
        if fault == "corrupt" and options.get("kind") in ("no-eoi", "no-soi"):
            assert cam.stats.damaged > 0
        if fault == "cut":
            assert cam.stats.reconnects > 0


def test_truncated_frames_are_given_when_asked_for(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, simulated.fault("corrupt", every=2, kind="no-eoi"):
        with cam.stream(damaged=True) as stream:
            frame = next(f for f in stream if f.status == "truncated")
        with pytest.raises(es.DecodeError):
            frame.image()
        assert frame.image(partial=True).shape == (240, 320, 3)


def test_a_frozen_picture_is_noticed(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.latest()
        assert not cam.stats.frozen
        with simulated.fault("frozen"):
            wait_until(lambda: cam.stats.frozen, what="the frozen picture to be noticed")
            with cam.stream() as stream:
                assert next(stream).status == "duplicate"
        wait_until(lambda: not cam.stats.frozen, what="the picture to live again")


def test_a_stalled_stream_raises_and_recovers(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, cam.stream(timeout=0.7) as stream:
        next(stream)
        with simulated.fault("stall"):
            with pytest.raises(es.CameraError):
                deque(islice(stream, 100), maxlen=0)
            # 6 s without a byte until it counts as stalled, then it reconnects.
            wait_until(lambda: cam.stats.reconnects >= 1, 15, what="a reconnect")
            assert cam.stats.damaged >= 1, "the frame that the stall broke off is counted"
        frames = cam.stats.frames
        wait_until(lambda: cam.stats.frames > frames + 3 and cam.stats.state == "live", 15, what="frames")


def test_a_dripping_stream_is_slow_not_stalled(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.latest()
        with simulated.fault("slow"):
            wait_until(lambda: cam.stats.state == "slow", 10, what="slow")
            end = time.monotonic() + 6.5
            wait_until(lambda: time.monotonic() > end, 8)
            assert cam.stats.state == "slow"
            assert cam.stats.reconnects == 0


def test_a_second_viewer_is_named() -> None:
    with (
        SimulatedCamera(fps=20, framesize="QVGA") as simulated,
        simulated.fault("silent-second"),
        es.Camera(simulated.url) as cam,
    ):
        with pytest.raises(es.ConnectError) as caught:
            next(cam.stream(timeout=10))
        assert caught.value.reason is es.ConnectReason.BUSY
        assert cam.stats.state == "busy"


def test_close_in_any_state_is_quick(simulated: SimulatedCamera) -> None:
    for fault in ("stall", "vanish", "silent-second", "slow"):
        cam = es.Camera(simulated.url).open()
        if fault in ("stall", "slow", "vanish"):
            cam.latest()
        with simulated.fault(fault):
            waiting = threading.Thread(target=lambda cam=cam: _ignore_errors(cam.status))
            waiting.start()
            started = time.monotonic()
            cam.close()
            assert time.monotonic() - started < 1.0
            waiting.join(2)
            assert not waiting.is_alive()


def _ignore_errors(call: object) -> None:
    with contextlib.suppress(es.CameraError):
        call()  # type: ignore[operator]


def test_closing_ends_waiting_calls_elsewhere(simulated: SimulatedCamera) -> None:
    cam = es.Camera(simulated.url).open()
    with simulated.fault("silent-second"):
        stream = cam.stream(timeout=30)
        ended = threading.Event()

        def consume() -> None:
            for _ in stream:
                pass
            ended.set()

        thread = threading.Thread(target=consume)
        thread.start()
        cam.close()
        assert ended.wait(2)
        thread.join()


def test_calls_from_the_loops_own_thread_are_refused(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        runtime = cam._runtime
        assert runtime is not None

        async def call() -> str:
            try:
                cam.status()
            except RuntimeError as error:
                return str(error)
            return ""

        assert "own thread" in runtime.call(call(), pending=set())


def test_a_forgotten_camera_warns(simulated: SimulatedCamera) -> None:
    cam = es.Camera(simulated.url).open()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cam.__del__()
    assert any(issubclass(w.category, ResourceWarning) for w in caught)


def test_two_cameras_share_one_thread() -> None:
    with SimulatedCamera(fps=20, framesize="QVGA") as a, SimulatedCamera(fps=20, framesize="QVGA") as b:
        with es.Camera(a.url) as one, es.Camera(b.url) as two:
            assert one.latest().jpeg
            assert two.latest().jpeg
            names = [thread.name for thread in threading.enumerate()]
            assert names.count("espressoscope-loop") == 1
        assert "espressoscope-loop" not in [thread.name for thread in threading.enumerate()]
