"""Streams as cameras and servers send them, made here from PROTOCOL §1 and §12, and ways to feed a parser.

Written without the package's own encoders: what is parsed here and what parses it share nothing.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.events import Body, Damage, End, Head, Part
from espressoscope.wire.limits import DEFAULT_LIMITS, Limits
from espressoscope.wire.parser import ResponseParser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from espressoscope.wire.events import Event

B = b"123456789000000000000987654321"
TASMOTA = b"e8b8c539-047d-4777-a985-fbba6edff11e"
LAYOUTS = ("A", "B", "B-stamp", "C", "D", "E", "ffmpeg", "ustreamer", "motion", "node", "no-length", "padded")


def fake_jpeg(size: int, seed: int = 0, width: int = 640, height: int = 480) -> bytes:
    """Make a JPEG that can be walked but not decoded, of at least 60 bytes, FF D9 at its end only."""
    header = (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x01\x00\x00\x00\x00\x00\x00"
        + b"\xff\xc0\x00\x0b\x08"
        + height.to_bytes(2, "big")
        + width.to_bytes(2, "big")
        + b"\x01\x01\x11\x00"
        + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    )
    scan = random.Random(seed).randbytes(max(0, size - len(header) - 2))
    return header + scan.replace(b"\xff", b"\x7f") + b"\xff\xd9"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def head(content_type: bytes, *, chunked: bool, version: bytes = b"1.1") -> bytes:
    return b"HTTP/%b 200 OK\r\nContent-Type: %b\r\n%bAccess-Control-Allow-Origin: *\r\n\r\n" % (
        version,
        content_type,
        b"Transfer-Encoding: chunked\r\n" if chunked else b"",
    )


def part_head(length: int, extra: bytes = b"") -> bytes:
    return b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n%b\r\n" % (length, extra)


def stream(layout: str, bodies: Sequence[bytes]) -> bytes:
    """A whole response in one of `LAYOUTS`; never closed cleanly, as cameras do it."""
    multipart = b"multipart/x-mixed-replace;boundary=" + B
    border = b"\r\n--" + B + b"\r\n"
    if layout == "A":
        pieces = [part for body in bodies for part in (part_head(len(body)), body, border)]
        return head(multipart, chunked=True) + b"".join(map(chunk, pieces))
    if layout in ("B", "B-stamp"):
        pieces = []
        for number, body in enumerate(bodies):
            stamp = (
                b"X-Timestamp: %d.%06d\r\n" % (number + 9, number * 100_000) if layout == "B-stamp" else b""
            )
            pieces += [border, part_head(len(body), stamp), body]
        return head(multipart, chunked=True) + b"".join(map(chunk, pieces))
    if layout == "C":
        pieces = [border] + [part for body in bodies for part in (part_head(len(body)), body, border)]
        return head(multipart, chunked=True) + b"".join(map(chunk, pieces))
    if layout == "D":
        answer = (
            b"HTTP/1.0 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Type: "
            + multipart
            + b"\r\n\r\n--"
            + B
            + b"\r\n"
        )
        return answer + b"".join(part_head(len(body)) + body + border for body in bodies)
    if layout == "E":
        answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=" + TASMOTA + b"\r\n\r\n"
        )
        return answer + b"".join(
            b"--" + TASMOTA + b"\r\n" + part_head(len(body)) + body + b"\r\n" for body in bodies
        )
    if layout == "ffmpeg":
        answer = head(b"application/octet-stream", chunked=True) + chunk(b"--ffmpeg\r\n")
        return answer + b"".join(
            chunk(
                b"Content-type: image/jpeg\r\nContent-length: %d\r\n\r\n%b\r\n--ffmpeg\r\n"
                % (len(body), body)
            )
            for body in bodies
        )
    if layout == "ustreamer":
        answer = (
            b"HTTP/1.0 200 OK\r\nCache-Control: no-store\r\nSet-Cookie: stream_client=0/5; path=/\r\n"
            b"Content-Type: multipart/x-mixed-replace;boundary=boundarydonotcross\r\n\r\n"
            b"--boundarydonotcross\r\n"
        )
        return answer + b"".join(
            part_head(len(body), b"X-Timestamp: 1795357573.%06d\r\n" % number)
            + body
            + b"\r\n--boundarydonotcross\r\n"
            for number, body in enumerate(bodies)
        )
    if layout == "motion":
        payload = b"--BoundaryString\r\n" + b"".join(
            b"Content-type: image/jpeg\r\nContent-Length: %9d\r\n\r\n%b\r\n--BoundaryString\r\n"
            % (len(body), body)
            for body in bodies
        )
        answer = head(b"multipart/x-mixed-replace; boundary=BoundaryString", chunked=True)
        return answer + b"".join(chunk(payload[at : at + 777]) for at in range(0, len(payload), 777))
    if layout == "node":
        pieces = []
        for body in bodies:
            pieces += [b"--nodeboundary\r\n", b"Content-Type: image/jpeg\r\n"]
            pieces += [b"Content-Length: %d\r\n" % len(body), b"\r\n", body, b"\r\n", b"\r\n"]
        answer = head(b'multipart/x-mixed-replace; boundary="nodeboundary"', chunked=True)
        return answer + b"".join(map(chunk, pieces))
    if layout == "no-length":
        pieces = [border]
        for body in bodies:
            pieces += [b"Content-Type: image/jpeg\r\n\r\n", body, border]
        return head(multipart, chunked=True) + b"".join(map(chunk, pieces))
    if layout == "padded":  # MJPEG2SD
        pieces = []
        for body in bodies:
            pieces += [border, b"Content-Type: image/jpeg\r\nContent-Length: %10d\r\n\r\n" % len(body), body]
        return head(multipart, chunked=True) + b"".join(map(chunk, pieces))
    raise AssertionError(layout)


# -- feeding ---------------------------------------------------------------------------------------------


class Watched:
    """A parser whose buffer is looked at after every call."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, short_cut: bool = True) -> None:
        self.parser = ResponseParser(limits, short_cut=short_cut)
        self.limits = limits
        self.largest = 0

    def push(self, data: bytes) -> list[tuple[Any, ...]]:
        """Bytes in, events out in plain form; the body views are read before the next call."""
        found: list[tuple[Any, ...]] = []
        rest = memoryview(data)
        while rest:
            room = self.parser.get_buffer()
            assert len(room) > 0
            assert self.parser.missing >= 1
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest = rest[count:]
            events = self.parser.receive(count)
            found += map(plain, events)
            window = self.parser._window
            self.largest = max(self.largest, len(window.data))
            assert 0 <= window.start <= window.stop <= window.raw <= window.end <= len(window.data)
            assert self.largest <= self.limits.max_buffer
        return found


def plain(event: Event) -> tuple[Any, ...]:
    """An event as a tuple that can be compared; of damage only that it was there, and why."""
    if isinstance(event, Head):
        return ("head", event.version, event.status, event.reason, tuple(event.headers.items()))
    if isinstance(event, Part):
        return (
            "part",
            bytes(event.body),
            tuple(event.headers.items()),
            event.content_type,
            event.device_ns,
            event.complete,
        )
    if isinstance(event, Damage):
        assert len(event.sample) <= 64
        return ("damage", event.reason)
    if isinstance(event, Body):
        return ("body", event.data)
    assert isinstance(event, End)
    return ("end", event.clean)


def parse(
    data: bytes, cuts: Iterable[int] = (), *, limits: Limits = DEFAULT_LIMITS, short_cut: bool = True
) -> list[tuple[Any, ...]]:
    """All events of a whole answer, cut at these places; an error is the last event."""
    watched = Watched(limits, short_cut=short_cut)
    found: list[tuple[Any, ...]] = []
    begin = 0
    try:
        for cut in [*sorted(cuts), len(data)]:
            found += watched.push(data[begin:cut])
            begin = cut
        found += map(plain, watched.parser.end())
        assert watched.parser.end() == []
    except RemoteProtocolError as error:
        found.append(("error", error.message))
    return found


def bodies_of(events: Iterable[tuple[Any, ...]]) -> list[bytes]:
    return [event[1] for event in events if event[0] == "part"]


def kinds(events: Iterable[tuple[Any, ...]]) -> list[str]:
    return [event[0] for event in events]


def random_cuts(size: int, rng: random.Random) -> list[int]:
    """Cuts at random places, few or many."""
    return sorted(rng.randrange(size + 1) for _ in range(rng.choice((1, 3, 10, 60, 400))))


def every_split(data: bytes, *, seed: int = 1, random_splits: int = 12) -> Iterable[Sequence[int]]:
    """Whole, byte by byte, in equal pieces, in random pieces."""
    yield []
    yield list(range(1, len(data)))
    for step in (2, 7, 64, 1436, 5760):
        yield list(range(step, len(data), step))
    rng = random.Random(seed)
    for _ in range(random_splits):
        yield random_cuts(len(data), rng)
