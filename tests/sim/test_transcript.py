"""Every exchange recorded from Espressif's own esp_http_server, replayed against the simulator."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from sim_clients import ChunkedStream, Wire

from espressoscope.sim import SimulatedCamera
from support import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRANSCRIPT = FIXTURES / "transcripts" / "esp-idf-httpd.json"
EXCHANGES: list[dict[str, Any]] = (
    json.loads(TRANSCRIPT.read_text())["exchanges"] if TRANSCRIPT.is_file() else []
)
STEPWISE = [exchange for exchange in EXCHANGES if "steps" in exchange]
STILL_OPEN_S = 0.2


@pytest.fixture(scope="module")
def camera() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(framesize="QVGA", side_delays=False) as camera:
        yield camera


def base_of(camera: SimulatedCamera, exchange: dict[str, Any]) -> str:
    return camera.url if exchange["port"] == "control" else camera.stream_url


def without_lengths(head: str) -> list[str]:
    """Status line and headers; how long the body is depends on name, settings and picture."""
    return re.sub(r"(Content-Length: )\d+", r"\1N", head).split("\r\n")


@pytest.mark.skipif(not EXCHANGES, reason="shared fixtures absent: no recorded exchanges")
@pytest.mark.parametrize("exchange", STEPWISE, ids=[exchange["name"] for exchange in STEPWISE])
def test_recorded_exchange(camera: SimulatedCamera, exchange: dict[str, Any]) -> None:
    with Wire(base_of(camera, exchange)) as wire:
        for step in exchange["steps"]:
            started = time.monotonic()
            wire.send(step["send"])
            if "chunked" in step["recv"]:
                check_stream(wire, step["recv"])
                return
            answer = wire.answer()
            took_s = time.monotonic() - started
            want_head, _, want_body = step["recv"].partition("\r\n\r\n")
            assert without_lengths(answer.head.decode()[:-4]) == without_lengths(want_head)
            check_body(answer.body, want_body)
            if "autofocus" not in step["send"]:  # the recorded board had no motor to wait for
                assert abs(took_s - step["after_s"]) < 1.5
            wanted = {False: "open"}.get(step["closed"], step["closed"])
            assert wire.ending(STILL_OPEN_S) == wanted
            wire.sock.settimeout(10)


def check_body(body: bytes, wanted: str) -> None:
    if wanted == "<JPEG>":
        assert body[:3] == b"\xff\xd8\xff"
    elif wanted.startswith("{"):
        status = json.loads(body)
        assert status["cam_name"] == "Matchboxscope"
        assert status["lamp"] in (0, 5)
    else:
        assert body == wanted.encode()


def check_stream(wire: Wire, wanted: str) -> None:
    head, _, rest = wanted.partition("\r\n\r\n")
    assert wire.read_past(b"\r\n\r\n").decode()[:-4] == head
    boundary = "24\r\n\r\n--123456789000000000000987654321\r\n\r\n"
    assert rest.startswith(boundary)
    assert wire.read(len(boundary)).decode() == boundary
    header = wire.chunk().decode()
    want_header = rest[len(boundary) :].split("\r\n", 1)[1].split("\r\n\r\n")[0] + "\r\n\r\n"
    assert without_lengths(header) == without_lengths(want_header)
    jpeg = wire.chunk()
    assert len(jpeg) == int(header.split("Content-Length: ")[1])
    assert jpeg[:3] == b"\xff\xd8\xff"
    assert wire.chunk().decode() == "\r\n--123456789000000000000987654321\r\n"


def recorded(name: str) -> list[str]:
    for exchange in EXCHANGES:
        if exchange["name"] == name:
            result: list[str] = exchange["result"]
            return result
    pytest.skip("shared fixtures absent: no recorded exchanges")


def test_second_stream_client() -> None:
    assert recorded("second stream client") == ["no byte in 2 s", "served 0.1 s after the first left"]
    with SimulatedCamera(framesize="QVGA") as camera:
        first = ChunkedStream(camera.stream_url)
        first.frame()
        with Wire(camera.stream_url) as second:
            second.ask("/")
            assert second.silent(2.0)
            second.sock.settimeout(10)
            first.close()
            left = time.monotonic()
            second.read_past(b"\r\n\r\n")
            # 0.1 s on the real one; the rest is the test machine's.
            assert time.monotonic() - left < 1.0


def test_thirteen_idle_connections() -> None:
    wanted = recorded("thirteen idle connections")
    with SimulatedCamera(framesize="QVGA", side_delays=False) as camera:
        wires = [Wire(camera.url) for _ in wanted]
        try:
            for wire in wires:
                wire.ask("/status")
            for wire in wires[: wanted.count("answered")]:
                assert wire.answer().status == 200
            time.sleep(0.3)  # what comes late is found below
            said = []
            for wire in wires[wanted.count("answered") :]:
                said.append("silent" if wire.silent(0.01) else "answered")
            assert wanted == ["answered"] * wanted.count("answered") + said

            assert recorded("the eighth after the first closed") == ["answered"]
            wires[0].close()
            eighth = wires[wanted.count("answered")]
            eighth.sock.settimeout(5)
            assert eighth.answer().status == 200
        finally:
            for wire in wires:
                wire.close()


def chunks_of(data: bytes) -> Iterator[bytes]:
    """Take a chunked body apart; the last chunk may be cut short by the end of the capture."""
    at = 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        assert data[at:end] == b"%x" % size
        yield data[end + 2 : end + 2 + size]
        at = end + 2 + size
        assert data[at : at + 2] in (b"\r\n", b"", b"\r")
        at += 2


def shape_of(part: bytes) -> bytes:
    """A chunk with its lengths, stamps and pictures blanked."""
    if part.startswith(b"\xff\xd8"):
        return b"JPEG"
    return re.sub(rb"(Content-Length: )\d+|(X-Timestamp: )\d+\.\d{6}", rb"\1\2N", part)


@pytest.mark.parametrize("firmware", ["matchboxscope", "camerawebserver"])
def test_stream_equals_capture(shared_fixtures: Path, firmware: str) -> None:
    capture = (shared_fixtures / "captures" / f"esp-idf-httpd-{firmware}.bin").read_bytes()
    head, _, body = capture.partition(b"\r\n\r\n")
    wanted = [shape_of(part) for part in chunks_of(body)][:9]
    with SimulatedCamera(firmware, framesize="QVGA") as camera, ChunkedStream(camera.stream_url) as stream:
        assert stream.head == head + b"\r\n\r\n"
        while stream.seen.count(b"\xff\xd9\r\n") < 4:
            stream.seen += stream.sock.recv(65536)
        got = [shape_of(part) for part in chunks_of(stream.seen)][:9]
        assert got == wanted
        sent = [part for part in chunks_of(stream.seen) if part.startswith(b"\xff\xd8")]
        assert sent[:3] == [record.jpeg for record in camera.sent[:3]]
