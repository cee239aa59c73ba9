"""Every fault, seen from the other end of the wire."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sim_clients import ChunkedStream, Wire, control, get

import espressoscope.sim.faults as faults_module
from espressoscope.sim import FAULTS, SimulatedCamera, read_strip
from espressoscope.sim.faults import make_fault, parse_fault
from support import wait_until

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from espressoscope.sim.strip import StripReading

LENGTH = re.compile(rb"Content-Length: (\d+)")


@pytest.fixture
def camera() -> Iterator[SimulatedCamera]:
    options = {"framesize": "QVGA", "fps": 50, "side_delays": False, "prerender": True, "boot_s": 0.3}
    with SimulatedCamera(**options) as camera:  # type: ignore[arg-type]
        yield camera


def strip_of(jpeg: bytes) -> StripReading | None:
    return read_strip(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")))


def pictures_in(body: bytes) -> int:
    return body.count(b"\xff\xd8\xff\xe0\x00\x10JFIF")


def record_of(camera: SimulatedCamera, jpeg: bytes) -> bool:
    return any(sent.jpeg == jpeg for sent in camera.sent)


# --- names and options


def test_the_table_in_the_docstring_is_complete() -> None:
    table = re.findall(r"^([a-z-]+) {2,}\S", faults_module.__doc__ or "", re.MULTILINE)
    assert [name for name in table if name != "fault"] == list(FAULTS)


@pytest.mark.parametrize("name", list(FAULTS))
def test_every_fault_begins_and_ends(camera: SimulatedCamera, name: str) -> None:
    for _ in range(2):
        with camera.fault(name):
            pass
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
    assert get(camera.url, "/status").status == 200


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("stall", {"after": 0.0, "seconds": None}),
        ("stall:after=5,seconds=1.5", {"after": 5, "seconds": 1.5}),
        ("wrong-length:delta=-7", {"delta": -7, "every": 5}),
        ("size-change:to=svga", {"to": "svga"}),
        ("bad-json:kind=html", {"kind": "html"}),
    ],
)
def test_faults_from_the_command_line(text: str, options: dict[str, object]) -> None:
    fault = parse_fault(text)
    assert fault.name == text.partition(":")[0]
    assert options.items() <= fault.options.items()


@pytest.mark.parametrize(
    "text",
    [
        *("nonsense", "", "stall:often=1", "stall:after", "cut:every=0", "cut:every=x", "stall:seconds=-1"),
        *("bad-json:kind=sad", "corrupt:kind=html", "slow:size=many", "stall:seconds=nan"),
        *("cut:every=inf", f"junk:size={'9' * 400}", "size-change:to=FOO"),
    ],
)
def test_impossible_faults_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|known"):
        parse_fault(text)
    with pytest.raises(ValueError, match=r"fault|known"):
        SimulatedCamera(faults=[text])


def test_every_counts_frames() -> None:
    fault = make_fault("cut", every=3)
    assert [fault.strikes() for _ in range(6)] == [False, False, True, False, False, True]
    assert fault.hits == 2


# --- faults of frames


def test_wrong_length(camera: SimulatedCamera) -> None:
    with camera.fault("wrong-length", every=2, delta=3) as fault, ChunkedStream(camera.stream_url) as stream:
        offs = []
        for _ in range(6):
            header, jpeg = stream.frame()
            offs.append(int(LENGTH.search(header)[1]) - len(jpeg))  # type: ignore[index]
        assert offs == [0, 3] * 3
        assert fault.hits >= 3


def test_no_length(camera: SimulatedCamera) -> None:
    with camera.fault("no-length"), ChunkedStream(camera.stream_url) as stream:
        header, jpeg = stream.frame()
        assert header == b"Content-Type: image/jpeg\r\n\r\n"
        assert strip_of(jpeg) is not None


def test_junk_lies_between_picture_and_boundary(camera: SimulatedCamera) -> None:
    with camera.fault("junk", every=1, size=48), ChunkedStream(camera.stream_url) as stream:
        assert stream.chunk().startswith(b"\r\n--")
        for _ in range(3):
            header, jpeg, noise, boundary = (stream.chunk() for _ in range(4))
            assert int(LENGTH.search(header)[1]) == len(jpeg)  # type: ignore[index]
            assert len(noise) == 48
            assert boundary.startswith(b"\r\n--")
            assert record_of(camera, jpeg)


def test_stale_bytes(camera: SimulatedCamera) -> None:
    with camera.fault("stale-bytes", size=80), ChunkedStream(camera.stream_url) as stream:
        header, jpeg = stream.frame()
        assert int(LENGTH.search(header)[1]) == len(jpeg)  # type: ignore[index]
        assert jpeg.endswith(b"\xff\xd9")
        first_end = jpeg.index(b"\xff\xd9") + 2
        assert jpeg[first_end : first_end + 3] == b"\x00" * 3
        assert len(jpeg) - first_end == 80
        assert strip_of(jpeg) is not None
        assert record_of(camera, jpeg)


def test_two_jpegs(camera: SimulatedCamera) -> None:
    with camera.fault("two-jpegs", every=2), ChunkedStream(camera.stream_url) as stream:
        counts = []
        for _ in range(4):
            header, body = stream.frame()
            assert int(LENGTH.search(header)[1]) == len(body)  # type: ignore[index]
            counts.append(pictures_in(body))
        assert counts == [1, 2, 1, 2]
        wait_until(lambda: len(camera.sent) >= 6, what="six pictures on record")
        numbers = [sent.number for sent in camera.sent]
        assert numbers == sorted(set(numbers))
        assert all(pictures_in(sent.jpeg) == 1 for sent in camera.sent)
        assert body == camera.sent[4].jpeg + camera.sent[5].jpeg


def test_corrupt_scan_keeps_its_markers(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        good = stream.frame()[1]
        with camera.fault("corrupt", every=1) as fault:
            wait_until(lambda: fault.hits, what="a corrupt frame")
            for _ in range(3):
                bad = stream.frame()[1]
            assert bad[:2] == b"\xff\xd8"
            assert bad.endswith(b"\xff\xd9")
            assert re.findall(rb"\xff[^\x00]", bad) == re.findall(rb"\xff[^\x00]", good)
            image = np.asarray(Image.open(io.BytesIO(bad)).convert("L")).astype(int)
            reference = np.asarray(Image.open(io.BytesIO(good)).convert("L")).astype(int)
            assert np.abs(image - reference).mean() > 5


@pytest.mark.parametrize(("kind", "start", "end"), [("no-eoi", True, False), ("no-soi", False, True)])
def test_corrupt_markers(camera: SimulatedCamera, kind: str, start: bool, end: bool) -> None:
    with camera.fault("corrupt", every=1, kind=kind), ChunkedStream(camera.stream_url) as stream:
        jpeg = stream.frame()[1]
        assert jpeg.startswith(b"\xff\xd8") is start
        assert jpeg.endswith(b"\xff\xd9") is end


def test_frozen(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
        with camera.fault("frozen") as fault:
            wait_until(lambda: fault.hits > 3, what="some frozen frames")
            for _ in range(3):
                stream.frame()
            assert len({stream.frame()[1] for _ in range(5)}) == 1
        wait_until(lambda: len({sent.jpeg for sent in camera.sent[-3:]}) == 3, what="life again")


def test_cut(camera: SimulatedCamera) -> None:
    with camera.fault("cut", every=3, part=0.5) as fault:
        for _ in range(2):
            with ChunkedStream(camera.stream_url) as stream:
                for _ in range(2):
                    stream.frame()
                rest = stream.rest_until_silent(5.0)
                assert rest.count(b"Content-Type") == 1
                assert not rest.endswith(b"\xff\xd9")
                assert stream.ending(1.0) == "fin"
        assert fault.hits == 2
        assert len(camera.sent) == 4


def test_size_change_mid_stream(camera: SimulatedCamera) -> None:
    with camera.fault("size-change", every=2, to="HVGA"), ChunkedStream(camera.stream_url) as stream:
        sizes = [Image.open(io.BytesIO(stream.frame()[1])).size for _ in range(8)]
    assert sizes.count((320, 240)) == 4
    assert sizes.count((480, 320)) == 4
    assert sizes[0] == (320, 240)
    assert camera.sensor.framesize == "QVGA"


def test_stall_in_the_middle_of_a_frame(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
        with camera.fault("stall") as fault:
            wait_until(lambda: fault.hits, what="the stall")
            stream.seen += stream.rest_until_silent(0.4)
            assert get(camera.url, "/status").status == 200
        for _ in range(5):
            assert strip_of(stream.frame()[1]) is not None


def test_a_stalled_stream_lets_a_leaving_client_go(camera: SimulatedCamera) -> None:
    with camera.fault("stall") as fault:
        with ChunkedStream(camera.stream_url):
            wait_until(lambda: fault.hits, what="the stall")
        with Wire(camera.stream_url) as second:
            second.ask("/")
            assert second.read_past(b"\r\n\r\n")


def test_slow_drips(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
        with camera.fault("slow", size=4, pause=0.05) as fault:
            wait_until(lambda: fault.hits, what="the first drops")
            drops = []
            stream.sock.settimeout(2.0)
            while len(drops) < 6:
                drops.append(len(stream.sock.recv(65536)))
            assert drops[-1] <= 8
        wait_until(lambda: camera.sent.total > 5, what="full speed")


# --- faults of the network


def test_silent_second(camera: SimulatedCamera) -> None:
    with camera.fault("silent-second"):
        with Wire(camera.stream_url) as wire:
            wire.ask("/")
            assert wire.silent(0.5)
            assert get(camera.url, "/status").status == 200
            camera_url = camera.url
        second = Wire(camera.stream_url)
        second.ask("/")
    second.sock.settimeout(5)
    assert second.read_past(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    second.close()
    assert camera_url == camera.url


def test_refuse(camera: SimulatedCamera) -> None:
    url, stream_url = camera.url, camera.stream_url
    with ChunkedStream(stream_url) as stream:
        stream.frame()
        with camera.fault("refuse"):
            for address in (url, stream_url):
                with pytest.raises(ConnectionRefusedError):
                    Wire(address)
            stream.frame()
    assert (camera.url, camera.stream_url) == (url, stream_url)
    assert get(url, "/status").status == 200


def test_vanish(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream, Wire(camera.url) as idle:
        stream.frame()
        idle.get("/status")
        boots = camera.reboots
        with camera.fault("vanish"):
            stream.rest_until_silent(0.3)
            assert stream.silent(0.3)
            idle.ask("/status")
            assert idle.silent(0.3)
            assert_unanswered(camera.url)
            assert_unanswered(camera.stream_url)
        assert get(camera.url, "/status").status == 200
        assert camera.reboots == boots


def assert_unanswered(url: str) -> None:
    """On Linux nothing answers the SYN, as with a device that is gone; elsewhere the connection is silent."""
    try:
        with Wire(url, timeout_s=0.4) as wire:
            assert sys.platform != "linux", "a vanished camera accepted a connection"
            wire.ask("/")
            assert wire.silent(0.4)
    except TimeoutError:
        pass


def test_reboot_fault(camera: SimulatedCamera) -> None:
    assert control(camera, "brightness", 2) == 200
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
        with camera.fault("reboot", seconds=0.4):
            assert_unanswered(camera.url)
            wait_until(lambda: camera.reboots == 1, what="the camera to boot")
            assert json.loads(get(camera.url, "/status").body)["brightness"] == 0
        # From before: no FIN and no RST ever, until the client says something.
        stream.rest_until_silent(0.3)
        assert stream.ending(0.3) == "open"
        stream.ask("/")
        assert stream.ending(2.0) == "reset"
    assert camera.uptime_s < 30


def test_connections_of_before_stay_silent_in_the_next_outage(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream, Wire(camera.stream_url) as waiting:
        stream.frame()
        waiting.ask("/")
        assert waiting.silent(0.2)
        with camera.fault("reboot"):
            pass
        # Who waited for the stream is as unknown to the board as who had it.
        assert waiting.silent(0.3)
        with camera.fault("vanish"):
            stream.rest_until_silent(0.2)
            stream.ask("/")
            assert stream.ending(0.3) == "open"
        waiting.ask("/")
        assert [stream.ending(2.0), waiting.ending(2.0)] == ["reset", "reset"]


def test_reboot_by_control_never_answers() -> None:
    with SimulatedCamera(framesize="QVGA", side_delays=False, boot_s=0.3) as camera:
        assert control(camera, "quality", 30) == 200
        assert control(camera, "save_prefs", "") == 200
        assert control(camera, "brightness", 1) == 200
        with Wire(camera.url) as wire, ChunkedStream(camera.stream_url) as stream:
            wire.ask("/control?var=reboot&val=1")
            stream.frame()  # the stream goes on until the watchdog bites
            assert wire.silent(1.0)
            wait_until(lambda: camera.reboots == 1, timeout_s=10, what="the camera to boot")
            assert wire.ending(0.3) == "open"
        status = json.loads(get(camera.url, "/status").body)
        assert (status["quality"], status["brightness"]) == (30, 0)


def test_autofocus_step_zero_crashes_the_camera(camera: SimulatedCamera) -> None:
    with Wire(camera.url) as wire:
        wire.ask("/control?var=autofocus&val=-100;100;0")
        wait_until(lambda: camera.reboots == 1, what="the camera to boot")


# --- faults of answers


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("trailing-comma", b",}"),
        ("truncated", b'"quality"'),
        ("unescaped", b'"cam_name":"Matchbox "scope""'),
        ("html", b"<html>"),
        ("empty", b"{}"),
        ("unsigned", b'"lamp":4294967295'),
    ],
)
def test_bad_json(camera: SimulatedCamera, kind: str, sign: bytes) -> None:
    with camera.fault("bad-json", kind=kind) as fault:
        answer = get(camera.url, "/status")
        assert answer.header("Content-Type") == "application/json"
        assert sign in answer.body
        assert fault.hits == 1
    json.loads(get(camera.url, "/status").body)


def test_stale_capture(camera: SimulatedCamera) -> None:
    with camera.fault("stale-capture", depth=3):
        assert control(camera, "framesize", 8) == 200
        sizes = [Image.open(io.BytesIO(get(camera.url, "/capture").body)).size for _ in range(5)]
    assert sizes[:3] == [(320, 240)] * 3
    assert sizes[-1] == (640, 480)


# --- when they begin and end


def test_faults_begin_later_and_end_by_themselves(camera: SimulatedCamera) -> None:
    with camera.fault("bad-json", after=0.3, seconds=0.5, kind="empty"):
        assert get(camera.url, "/status").body != b"{}"
        wait_until(lambda: get(camera.url, "/status").body == b"{}", what="the fault")
        wait_until(lambda: get(camera.url, "/status").body != b"{}", what="its end")


def test_a_fault_left_before_it_begins_never_does(camera: SimulatedCamera) -> None:
    with camera.fault("refuse", after=0.2):
        pass
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        assert get(camera.url, "/status").status == 200


def test_faults_from_the_start() -> None:
    with SimulatedCamera(framesize="QVGA", faults=["bad-json:kind=empty"], side_delays=False) as camera:
        assert get(camera.url, "/status").body == b"{}"


def test_several_faults_at_once(camera: SimulatedCamera) -> None:
    with (
        camera.fault("stale-bytes"),
        camera.fault("wrong-length", every=1, delta=1),
        ChunkedStream(camera.stream_url) as stream,
    ):
        header, jpeg = stream.frame()
        assert int(LENGTH.search(header)[1]) == len(jpeg) + 1  # type: ignore[index]
        assert jpeg.count(b"\xff\xd9") == 2


def test_stopping_with_faults_in_force() -> None:
    for name in FAULTS:
        camera = SimulatedCamera(framesize="QVGA", side_delays=False, fps=50, prerender=True).start()
        wire: socket.socket | None = None
        try:
            fault = camera.fault(name)
            if name not in ("refuse", "vanish", "reboot"):
                wire = ChunkedStream(camera.stream_url).sock
            fault.__enter__()
        finally:
            started = time.monotonic()
            camera.stop()
            assert time.monotonic() - started < 1.0
            fault.__exit__(None, None, None)
            if wire is not None:
                wire.close()
