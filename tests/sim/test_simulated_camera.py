"""The life of simulated cameras: starting, stopping, identity, memory, many at once."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import re
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image
from sim_clients import ChunkedStream, Wire, control, get

from espressoscope.errors import CameraError
from espressoscope.model import CameraInfo
from espressoscope.sim import SimulatedCamera, read_strip, simulate
from espressoscope.sim.board import Board
from espressoscope.sim.device import DeviceOptions
from espressoscope.sim.loop import LoopThread, acquire_loop, release_loop
from espressoscope.sim.records import FrameLog
from espressoscope.tables.firmware import FAMILIES
from support import wait_until


def number_of(jpeg: bytes) -> tuple[int, int]:
    reading = read_strip(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")))
    assert reading is not None
    return reading.camera, reading.frame


# --- one camera


def test_start_and_stop_are_idempotent() -> None:
    camera = SimulatedCamera(framesize="QVGA")
    assert not camera.running
    camera.stop()
    camera.start()
    port = camera.url
    assert camera.start() is camera
    assert camera.url == port
    assert get(camera.url, "/status").status == 200
    camera.stop()
    camera.stop()
    assert not camera.running
    with pytest.raises(ConnectionRefusedError):
        Wire(port)


def test_it_can_be_started_again() -> None:
    camera = SimulatedCamera(framesize="QVGA")
    macs = set()
    for _ in range(2):
        with camera:
            macs.add(camera.mac)
            assert get(camera.url, "/status").status == 200
    assert len(macs) == 1


def test_nothing_can_be_asked_before_the_start() -> None:
    camera = SimulatedCamera()
    with pytest.raises(RuntimeError, match="has not been started"):
        camera.url  # noqa: B018
    with pytest.raises(RuntimeError, match="has not been started"), camera.fault("stall"):
        pass


@pytest.mark.parametrize("firmware", list(FAMILIES))
def test_stopping_is_quick_and_final_with_a_client(firmware: str) -> None:
    camera = SimulatedCamera(firmware, framesize="QVGA").start()
    with Wire(camera.stream_url) as wire:
        wire.ask(FAMILIES[firmware].stream_path)
        wire.read_past(b"\xff\xd9")
        started = time.monotonic()
        camera.stop()
        assert time.monotonic() - started < 1.0
        wire.rest_until_silent(2.0)
        assert wire.ending(2.0) in ("fin", "reset")
    assert not [thread for thread in threading.enumerate() if "espressoscope-sim" in thread.name]


@pytest.mark.parametrize("firmware", ["matchboxscope", "esphome", "tasmota"])
def test_stopping_at_any_moment_of_a_connection_leaves_nothing(firmware: str) -> None:
    # Warnings of unclosed sockets and of coroutines never awaited are errors here.
    path = FAMILIES[firmware].stream_path
    options = DeviceOptions(firmware, framesize="QQVGA", prerender=True, fps=0)

    async def visit(loop: LoopThread, steps: int) -> None:
        board = Board(options, "127.0.0.1", 0, 0, loop.workshop)
        await board.start()
        for _ in range(8):
            await asyncio.sleep(0)  # one round of the loop: then the servers wait for somebody
        with socket.create_connection(("127.0.0.1", board.stream_port)) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            for _ in range(steps):
                await asyncio.sleep(0)
            await board.stop()

    loop = acquire_loop()
    try:
        for steps in range(16):
            loop.run(visit(loop, steps))
    finally:
        release_loop()
    gc.collect()


def test_stopping_while_clients_wait_unserved() -> None:
    camera = SimulatedCamera(framesize="QVGA").start()
    wires = [Wire(camera.url) for _ in range(12)]
    wires += [Wire(camera.stream_url) for _ in range(3)]
    for wire in wires:
        wire.ask("/")
    started = time.monotonic()
    camera.stop()
    assert time.monotonic() - started < 1.0
    for wire in wires:
        wire.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"firmware": "windows"}, "unknown firmware"),
        ({"fps": -1}, "fps"),
        ({"fps": 5000}, "fps"),
        ({"faults": ["gremlins"]}, "unknown fault"),
    ],
)
def test_impossible_cameras_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SimulatedCamera(**options)  # type: ignore[arg-type]


def test_a_size_the_sensor_does_not_have() -> None:
    with pytest.raises(ValueError, match="QXGA"), SimulatedCamera(framesize="QXGA"):
        pass


def test_a_taken_port_is_one_clear_error() -> None:
    with SimulatedCamera(framesize="QVGA") as camera:
        port = int(camera.url.rpartition(":")[2])
        with pytest.raises(CameraError, match=rf"127\.0\.0\.1:{port}.*Choose another port"):
            SimulatedCamera(port=port).start()
        with pytest.raises(CameraError, match="cannot listen"):  # its stream port is ours
            SimulatedCamera(port=port - 1).start()
        assert get(camera.url, "/status").status == 200


def test_a_foreign_address_is_one_clear_error() -> None:
    with pytest.raises(CameraError, match=r"192\.0\.2\.1"):
        SimulatedCamera(host="192.0.2.1").start()


def test_it_cannot_be_operated_from_its_own_thread() -> None:
    loop = acquire_loop()
    try:
        with pytest.raises(RuntimeError, match="own thread"):
            loop.call(lambda: loop.call(int))
    finally:
        release_loop()


# --- identity


def test_identity() -> None:
    with SimulatedCamera(framesize="QVGA", name="scope", seed=5, number=9) as camera:
        assert re.fullmatch(r"02(:[0-9A-F]{2}){5}", camera.mac)
        assert camera.info == CameraInfo(
            "scope", camera.url, camera.stream_url, camera.mac, "matchboxscope", "given"
        )
        assert json.loads(get(camera.url, "/status").body)["cam_name"] == "scope"
        assert number_of(get(camera.url, "/capture").body)[0] == 9
    with SimulatedCamera(seed=5, number=9) as again:
        assert again.mac == camera.mac
        assert again.name == "Matchboxscope"
    with SimulatedCamera(seed=6, number=9) as other:
        assert other.mac != camera.mac


def test_cameras_of_one_process_have_numbers_of_their_own() -> None:
    with SimulatedCamera() as first, SimulatedCamera() as second:
        assert (first.number, second.number) == (0, 1)
        assert first.mac != second.mac
    with SimulatedCamera() as third:
        assert third.number == 0


def test_stream_port_is_the_next_one() -> None:
    for firmware in ("matchboxscope", "camerawebserver", "tasmota"):
        with SimulatedCamera(firmware) as camera:
            port = int(camera.url.rpartition(":")[2])
            assert camera.stream_url.startswith(f"http://127.0.0.1:{port + 1}/")


# --- what it remembers


@pytest.mark.parametrize("prerender", [False, True])
def test_sent_holds_every_frame_a_client_received(prerender: bool) -> None:
    with SimulatedCamera(framesize="QVGA", fps=40, prerender=prerender) as camera:
        with ChunkedStream(camera.stream_url) as stream:
            received = [stream.frame()[1] for _ in range(20)]
        sent = camera.sent[:20]
        assert [record.jpeg for record in sent] == received
        assert [record.number for record in sent] == list(range(20))
        assert [number_of(jpeg) for jpeg in received] == [(0, number) for number in range(20)]
    assert len(camera.sent) >= 20  # readable after the end


def test_a_picture_received_whole_counts_as_sent_without_its_boundary() -> None:
    with (
        SimulatedCamera(framesize="QQVGA") as camera,
        camera.fault("slow", size=100_000, pause=60),
        ChunkedStream(camera.stream_url) as stream,
    ):
        stream.chunk()  # the boundary before the first part
        stream.chunk()
        jpeg = stream.read(int(stream.read_past(b"\r\n"), 16))
        camera.stop()  # before the end of the chunk, and the boundary
        assert [shot.jpeg for shot in camera.sent] == [jpeg]
        assert stream.rest_until_silent(1) == b""


def test_frame_log_is_bounded() -> None:
    log = FrameLog(keep=3, keep_bytes=100)
    for number in range(5):
        log.enter(number, b"x" * 10)
    assert [record.number for record in log] == [2, 3, 4]
    assert log.total == 5
    log.enter(5, b"x" * 85)
    assert [record.number for record in log] == [4, 5]
    log.enter(6, b"x" * 200)
    assert list(log) == []
    log.enter(7, b"x")
    log.take_back(7)
    assert (len(log), log.total) == (0, 7)
    log.enter(8, b"y")
    assert log[-1] == (8, b"y")
    assert log[0:1] == [(8, b"y")]
    log.clear()
    assert not log


def test_frame_log_keeps_all_or_nothing() -> None:
    everything, nothing = FrameLog(keep="all"), FrameLog(keep=0)
    for number in range(20_000):
        everything.enter(number, b"x")
        nothing.enter(number, b"x")
    assert (len(everything), everything.total) == (20_000, 20_000)
    assert (len(nothing), nothing.total) == (0, 20_000)


def test_pictures_follow_settings_on_the_wire() -> None:
    with (
        SimulatedCamera(framesize="QVGA", fps=30, side_delays=False) as camera,
        ChunkedStream(camera.stream_url) as stream,
    ):
        before = len(stream.frame()[1])
        assert control(camera, "quality", 60) == 200
        wait_until(lambda: len(stream.frame()[1]) < 0.7 * before, what="smaller pictures")


def test_frame_rate_is_the_sensor_s() -> None:
    with SimulatedCamera(framesize="VGA") as camera:
        assert camera.sensor.max_fps() == 10
        with ChunkedStream(camera.stream_url) as stream:
            stream.frame()
            started = time.monotonic()
            for _ in range(20):
                stream.frame()
            # Not faster than the sensor: late frames may be made up for. How slow is the machine's business.
            assert time.monotonic() - started > 1.5


def test_fps_0_is_as_fast_as_the_client_reads() -> None:
    with SimulatedCamera(framesize="QVGA", fps=0, prerender=True) as camera:
        camera.prepare()
        with ChunkedStream(camera.stream_url) as stream:
            started = time.monotonic()
            for _ in range(100):
                stream.frame()
            assert time.monotonic() - started < 5


# --- many


def test_many_cameras_have_ports_and_numbers_of_their_own() -> None:
    with simulate(12, port=0, framesize="QVGA", fps=25) as cameras:
        assert len({camera.mac for camera in cameras}) == 12
        assert len({camera.url for camera in cameras} | {camera.stream_url for camera in cameras}) == 24
        streams = [ChunkedStream(camera.stream_url) for camera in cameras]
        for at, stream in enumerate(streams):
            assert [number_of(stream.frame()[1]) for _ in range(3)] == [(at, 0), (at, 1), (at, 2)]
        for stream in streams:
            stream.close()


def test_many_cameras_mix_families_and_take_names() -> None:
    with simulate(3, ["matchboxscope", "esphome"], port=0, framesize="QVGA", name="scope") as cameras:
        assert [camera.firmware for camera in cameras] == ["matchboxscope", "esphome", "matchboxscope"]
        assert [camera.name for camera in cameras] == ["scope-1", "scope-2", "scope-3"]


def test_many_cameras_take_consecutive_ports() -> None:
    for base in range(21_000, 30_000, 500):  # below the ports that systems hand out
        try:
            with simulate(2, port=base, framesize="QVGA") as cameras:
                assert [camera.url for camera in cameras] == [
                    f"http://127.0.0.1:{base}",
                    f"http://127.0.0.1:{base + 2}",
                ]
                assert cameras[1].stream_url == f"http://127.0.0.1:{base + 3}/"
        except CameraError:
            continue
        return
    pytest.fail("no four free ports in a row")


def test_a_taken_port_among_many_leaves_none_running() -> None:
    with SimulatedCamera(framesize="QVGA") as camera:
        port = int(camera.url.rpartition(":")[2])
        with pytest.raises(CameraError, match="cannot listen"), simulate(3, port=port - 4):
            pass


@pytest.mark.parametrize(
    ("count", "options", "text"),
    [(0, {}, "at least one"), (10, {"port": 65530}, "do not fit"), (1, {"firmware": []}, "at least one")],
)
def test_impossible_fleets_are_refused(count: int, options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text), simulate(count, **options):  # type: ignore[arg-type]
        pass


def test_each_live_camera_sees_a_scene_of_its_own() -> None:
    with simulate(2, port=0, framesize="QVGA") as cameras:
        images = []
        for camera in cameras:
            jpeg = get(camera.url, "/capture").body
            images.append(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), np.int16)[:200])
        assert np.abs(images[0] - images[1]).mean() > 1
