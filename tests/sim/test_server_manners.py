"""Manners of the imitated HTTP servers beyond the recorded exchanges."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from sim_clients import ChunkedStream, Wire, control, get

from espressoscope.sim import SimulatedCamera
from espressoscope.sim.request import BadRequest, RequestReader, query_value
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def camera() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(framesize="QVGA", side_delays=False) as camera:
        yield camera


# --- the query


@pytest.mark.parametrize(
    ("query", "key", "found"),
    [
        ("var=quality&val=10", "val", "10"),
        ("VAR=quality&Val=10", "var", "quality"),
        ("val=1&val=2", "val", "1"),
        ("val=%2D1+x", "val", "%2D1+x"),
        ("val=", "val", ""),
        ("val=" + "1" * 31, "val", "1" * 31),
        ("val=" + "1" * 32, "val", None),
        ("val=" + "1" * 32 + "&val=1", "val", None),
        ("value=1", "val", None),
        ("val", "val", None),
        ("flag&val=3", "val", None),  # the key is then "flag&val"
        ("", "val", None),
        ("val=-100;100;5", "val", "-100;100;5"),
    ],
)
def test_query_is_read_as_the_firmware_reads_it(query: str, key: str, found: str | None) -> None:
    assert query_value(query, key) == found


# --- the request


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"G\r\n", 400),
        (b"GET\r\n", 400),
        (b"GET status HTTP/1.1\r\n\r\n", None),  # letters begin a scheme: no such path, later
        (b"GET ?x HTTP/1.1\r\n\r\n", 400),
        (b"GET /status HTTQ/1.1\r\n\r\n", 400),
        (b"GET /status HTTP/2.0\r\n\r\n", 505),
        (b"GET /status\r\n\r\n", 505),
        (b"GET /status HTTP/" + b"1" * 5000 + b".1\r\n\r\n", 400),
        (b"GET /status HTTP/1." + b"1" * 300, 400),
        (b"GET /status HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nContent-Length: two\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 400),
        (b"GET /" + b"a" * 511 + b" HTTP/1.1\r\n\r\n", None),
        (b"GET /" + b"a" * 512 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 980 + b"\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 1100 + b"\r\n\r\n", 431),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", None),
        (b"GET / HTTP/1.1\n\n", None),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 128])
def test_requests_are_judged_in_any_pieces(request_bytes: bytes, status: int | None, size: int) -> None:
    reader = RequestReader()
    pieces = [request_bytes[at : at + size] for at in range(0, len(request_bytes), size)]
    if status is None:
        assert [request for piece in pieces if (request := reader.feed(piece)) is not None]
        return
    with pytest.raises(BadRequest) as caught:
        feed_all(reader, pieces)
    assert caught.value.status == status


def feed_all(reader: RequestReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


def test_oversized_headers(camera: SimulatedCamera) -> None:
    with Wire(camera.url) as wire:
        wire.send("GET /status HTTP/1.1\r\nX: " + "a" * 1100 + "\r\n\r\n")
        answer = wire.answer()
        assert answer.lines[0] == "HTTP/1.1 431 Request Header Fields Too Large"
        assert answer.body == b"Header fields are too long"
        assert wire.ending(2.0) in ("fin", "reset")


def test_a_body_nobody_wanted_is_read_away(camera: SimulatedCamera) -> None:
    with Wire(camera.url) as wire:
        wire.send(b"GET /status HTTP/1.1\r\nContent-Length: 400\r\n\r\n" + b"x" * 400)
        assert wire.answer().status == 200
        assert wire.get("/status").status == 200


def test_absolute_uri_and_fragment(camera: SimulatedCamera) -> None:
    with Wire(camera.url) as wire:
        assert wire.get("http://cam/status").status == 200
        assert wire.get("/status#there").status == 200
        assert wire.get("/status?x=1").status == 200


def test_pipelined_request_waits_for_the_next_event(camera: SimulatedCamera) -> None:
    """Its bytes lie in the server's own buffer, and select() looks at sockets only."""
    with Wire(camera.url) as wire:
        wire.send("GET /status HTTP/1.1\r\n\r\nGET /info HTTP/1.1\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.silent(0.5)
        assert get(camera.url, "/status").status == 200
        wire.sock.settimeout(5)
        assert wire.answer().status == 404


def test_half_a_request_blocks_the_port_for_everybody() -> None:
    with SimulatedCamera(framesize="QVGA", side_delays=False) as camera, Wire(camera.url) as half:
        half.send("GET /sta")
        wait_until(lambda: half.seen == b"", what="nothing")
        with Wire(camera.url) as other:
            asked = time.monotonic()
            other.ask("/status")
            # The stream port is another task.
            assert get(camera.stream_url.rstrip("/"), "/info").status == 200
            assert other.silent(1.0)
            other.sock.settimeout(10)
            assert other.answer().status == 200
            assert time.monotonic() - asked > 3.5
        assert half.answer().status == 408
        assert half.ending(1.0) == "fin"


def test_control_goes_on_while_streaming(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
        assert control(camera, "quality", 20) == 200
        assert b'"quality":20' in get(camera.url, "/status").body
        assert control(camera, "quality", 12) == 200
        stream.frame()


def test_stalled_reader_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with (
        SimulatedCamera(framesize="VGA", fps=200, send_timeout_s=0.3, prerender=True) as camera,
        Wire(camera.stream_url) as stalled,
        Wire(camera.stream_url) as waiting,
    ):
        stalled.ask("/")
        waiting.ask("/")
        wait_until(lambda: len(camera.sent) > 0, what="a frame for the first reader")
        # The first never reads: buffers fill, two send timeouts pass, the second is served.
        waiting.sock.settimeout(20)
        assert waiting.read_past(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    assert not caplog.records


def test_client_that_closes_only_its_half_is_still_served(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        stream.sock.shutdown(socket.SHUT_WR)
        numbers = {stream.frame()[1] for _ in range(5)}
        assert len(numbers) == 5


def test_stop_leaves_the_stream_open_and_silent(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream, Wire(camera.stream_url) as next_one:
        stream.frame()
        next_one.ask("/")
        assert get(camera.url, "/stop").status == 200
        stream.rest_until_silent(0.5)
        assert stream.ending(0.5) == "open"  # no closing chunk, no FIN
        # The task is free again, and the next client is served.
        next_one.sock.settimeout(5)
        assert next_one.read_past(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_http_1_0_gets_a_chunked_stream_all_the_same(camera: SimulatedCamera) -> None:
    with Wire(camera.stream_url) as wire:
        wire.send("GET / HTTP/1.0\r\n\r\n")
        head = wire.read_past(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Transfer-Encoding: chunked" in head


def test_esphome_makes_room_for_the_newest_idle_client() -> None:
    with (
        SimulatedCamera("esphome", framesize="QVGA") as camera,
        Wire(camera.url) as idle,
        Wire(camera.url) as second,
    ):
        second.send("GET /nothing HTTP/1.1\r\n\r\n")
        assert second.answer().status == 404
        assert idle.ending(2.0) in ("fin", "reset")


def test_requests_are_remembered_as_they_came(camera: SimulatedCamera) -> None:
    get(camera.url, "/control?var=autofocus&val=0;0;5")
    get(camera.url, "/control?var=lamp&val=%35")
    assert camera.requests[-2:] == [
        "GET /control?var=autofocus&val=0;0;5 HTTP/1.1",
        "GET /control?var=lamp&val=%35 HTTP/1.1",
    ]
