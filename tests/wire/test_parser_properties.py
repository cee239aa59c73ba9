"""The invariant, as hypothesis sees it.

Any bytes, on any split, end in events or `RemoteProtocolError`; never another exception, never more memory
than the limits, never more work than so much a byte. (`Watched` looks at the buffer after every call.)
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_streams import (
    LAYOUTS,
    B,
    Watched,
    bodies_of,
    chunk,
    fake_jpeg,
    head,
    kinds,
    parse,
    part_head,
    stream,
)

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.jpeg import find_end, inspect
from espressoscope.wire.limits import Limits
from espressoscope.wire.parser import ResponseParser
from espressoscope.wire.pictures import PictureReader

TINY = Limits(
    max_head=400, max_headers=8, max_line=120, max_part_head=200, max_part=3000, max_body=3000, buffer=256
)

MANY = max(160, settings.default.max_examples)  # more with ESPRESSOSCOPE_THOROUGH

# Bytes that mean something to a parser, so that hypothesis finds its way beyond the first line.
TOKENS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 404 Not Found\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"Content-Type: multipart/x-mixed-replace;boundary=bb\r\n",
        b"Content-Type: multipart/x-mixed-replace\r\n",
        b"Content-Type: application/octet-stream\r\n",
        b"Content-Type: image/jpeg\r\n",
        b"Content-Length: 7\r\n",
        b"Content-Length: 60\r\n",
        b"Content-Length: 100\r\n",
        b"Content-Length: 2999\r\n",
        b"Content-Length: 4000\r\n",
        b"Content-Length: x\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X-Timestamp: 1.000001\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"--bb\r\n",
        b"--bb--",
        b"\r\n--bb\r\n",
        b"--",
        b"-",
        b"0\r\n\r\n",
        b"6\r\n--bb\r\n\r\n",
        b"8\r\n\r\n--bb\r\n\r\n",
        b"3c\r\n" + fake_jpeg(60) + b"\r\n",
        fake_jpeg(60),
        fake_jpeg(100),
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"ffffffff\r\n",
        b" : \r\n",
    ]
)
BYTES = st.lists(st.one_of(TOKENS, st.binary(max_size=40)), max_size=40).map(b"".join)
STARTS = st.sampled_from(
    [
        b"",
        head(b"multipart/x-mixed-replace;boundary=bb", chunked=False),
        head(b"multipart/x-mixed-replace;boundary=bb", chunked=True),
        head(b"multipart/x-mixed-replace", chunked=False),
        head(b"application/octet-stream", chunked=False),
        head(b"text/html", chunked=True),
        stream("B", [fake_jpeg(100, number) for number in range(3)]),
        stream("C", [fake_jpeg(100, number) for number in range(3)]),
        stream("E", [fake_jpeg(100, number) for number in range(3)]),
    ]
)


@given(start=STARTS, rest=BYTES, cuts=st.lists(st.integers(0, 4000), max_size=12), small=st.booleans())
@settings(deadline=None, max_examples=MANY)
@example(start=b"", rest=b"", cuts=[], small=True)
@example(
    start=head(b"multipart/x-mixed-replace;boundary=bb", chunked=False),
    rest=fake_jpeg(60) + b"--bb\r\n",
    cuts=[],
    small=False,
)
def test_any_bytes_end_in_events_or_a_protocol_error(
    start: bytes, rest: bytes, cuts: list[int], small: bool
) -> None:
    data = start + rest
    limits = TINY if small else Limits()
    reference = parse(data, limits=limits, short_cut=False)
    assert kinds(reference)[-1] in ("end", "error")
    assert kinds(reference).count("end") <= 1
    for pieces in ([], [cut for cut in cuts if cut < len(data)], range(1, min(len(data), 1200))):
        for short_cut in (True, False):
            found = parse(data, pieces, limits=limits, short_cut=short_cut)
            if reference[-1][0] == "error":
                assert found[-1] == reference[-1]
            else:
                assert found == reference


@given(
    layout=st.sampled_from(LAYOUTS),
    sizes=st.lists(st.integers(60, 3000), max_size=12),
    cuts=st.lists(st.integers(0, 40_000), max_size=20),
    small=st.booleans(),
)
@settings(deadline=None, max_examples=max(80, MANY // 2))
def test_valid_streams_give_their_pictures(
    layout: str, sizes: list[int], cuts: list[int], small: bool
) -> None:
    bodies = [fake_jpeg(size, number) for number, size in enumerate(sizes)]
    data = stream(layout, bodies)
    limits = TINY if small else Limits()
    events = parse(data, [cut for cut in cuts if cut < len(data)], limits=limits)
    assert bodies_of(events) == bodies
    assert "damage" not in kinds(events)


@given(
    layout=st.sampled_from(LAYOUTS),
    where=st.floats(0, 1),
    damage=st.one_of(st.integers(1, 300), st.binary(min_size=1, max_size=200)),
    step=st.integers(1, 3000),
)
@settings(deadline=None, max_examples=max(80, MANY // 2))
def test_damage_in_one_place_costs_no_more_than_its_neighbours(
    layout: str, where: float, damage: int | bytes, step: int
) -> None:
    bodies = [fake_jpeg(400, number) for number in range(12)]
    data = stream(layout, bodies)
    # Somewhere from the third picture to the fifth.
    first, last = data.index(bodies[2]) + 1, data.index(bodies[5][10:300])
    at = first + int(where * (last - first))
    broken = data[:at] + (data[at + damage :] if isinstance(damage, int) else damage + data[at:])
    events = parse(broken, range(step, len(broken), step))
    found = bodies_of(events)
    assert found[:2] == bodies[:2]
    if layout == "motion":  # its chunks hide the boundaries: it may not find back in so short a stream
        return
    if events[-1] == ("end", True):
        return  # the damage looked like the end of the answer
    assert found[-5:] == bodies[-5:]
    if found != bodies:
        damaged = [event for event in events if event[0] == "part" and event[1] not in bodies]
        assert "damage" in kinds(events) or damaged


@given(st.binary(max_size=400), st.binary(max_size=200))
@settings(deadline=None, max_examples=MANY)
def test_any_bytes_are_pictures_of_some_kind(junk: bytes, tail: bytes) -> None:
    for data in (
        junk,
        fake_jpeg(200)[:60] + junk,
        fake_jpeg(200) + junk,
        fake_jpeg(90) + junk + fake_jpeg(80) + tail,
    ):
        inspect(data)
        end = find_end(data)
        assert end is None or data[end - 2 : end] == b"\xff\xd9"
        for complete in (True, False):
            pictures = PictureReader().read(data, complete)
            assert b"".join(picture.jpeg for picture in pictures) == data
            assert pictures
            assert complete or pictures[-1].status != "ok"


# -- work ------------------------------------------------------------------------------------------------


class CountingBytes(bytearray):
    """A buffer that counts how many bytes it is searched for."""

    searched = 0

    def find(self, sub: Any, start: Any = 0, stop: Any = None) -> int:
        found = super().find(sub, start, len(self) if stop is None else stop)
        end = found + len(sub) if found >= 0 else (len(self) if stop is None else stop)
        self.searched += max(0, end - start)
        return found


def work(data: bytes, step: int) -> tuple[int, int, int]:
    """Python calls made, bytes moved, bytes searched for parsing these bytes in pieces of `step`."""
    parser = ResponseParser(Limits(buffer=1 << 20, max_part=1 << 19))
    counting = CountingBytes(len(parser._window.data))
    parser._window.data = counting
    parser._window.view = memoryview(counting)
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            parser.get_buffer()[: len(piece)] = piece
            parser.receive(len(piece))
    except RemoteProtocolError:
        pass
    finally:
        sys.setprofile(None)
    window = parser._window
    assert window.data is counting
    return calls, window.moved, counting.searched


def endless(what: str, size: int) -> bytes:
    """Streams made to be expensive."""
    multipart = head(b"multipart/x-mixed-replace;boundary=bb", chunked=False)
    opened = multipart + b"--bb\r\nContent-Type: image/jpeg\r\n"
    long_boundary = head(b"multipart/x-mixed-replace;boundary=" + B, chunked=False)
    return {
        "body without length": opened + b"\r\n" + b"x" * size,
        "false boundaries": opened + b"\r\n" + b"\n--bb" * (size // 5),
        "beginnings of boundaries": opened + b"\r\n" + b"\n--b" * (size // 4),
        "length not believed": opened + b"Content-Length: 500000\r\n\r\n" + b"x" * size,
        "long line between parts": multipart + b"-" * size,
        "blank lines": multipart + b"\r\n" * (size // 2),
        "lost": long_boundary + b"\x00" * size,
        "lost among beginnings": long_boundary + b"\x00" + b"\r\n--" * (size // 4),
        "tiny chunks": head(b"multipart/x-mixed-replace;boundary=" + B, chunked=True)
        + chunk(b"--" + B + b"\r\nContent-Type: image/jpeg\r\n\r\n")
        + b"1\r\nx\r\n" * (size // 6),
        "broken chunks": head(b"multipart/x-mixed-replace;boundary=" + B, chunked=True) + b"zz" + b"x" * size,
        "broken chunks and boundaries": head(b"multipart/x-mixed-replace;boundary=bb", chunked=True)
        + b"zz"
        + b"--bb" * (size // 4),
        "chunk extensions": head(b"text/html", chunked=True)
        + (b"1;" + b"e" * 60 + b"\r\nx\r\n") * (size // 67),
        "empty parts": multipart + b"--bb\r\nContent-Length: 0\r\n\r\n" * (size // 27),
        "parts of a byte": multipart + b"--bb\r\nContent-Length: 1\r\n\r\nx\r\n" * (size // 30),
        "parts of nothing": multipart + b"--bb\r\nX: y\r\n\r\n\r\n" * (size // 15),
        "small parts": multipart + (b"--bb\r\n" + part_head(60) + fake_jpeg(60) + b"\r\n") * (size // 120),
        "pictures": stream("C", [fake_jpeg(1000, number) for number in range(max(1, size // 1100))]),
    }[what]


WORST = (
    "body without length",
    "false boundaries",
    "beginnings of boundaries",
    "length not believed",
    "long line between parts",
    "blank lines",
    "lost",
    "lost among beginnings",
    "tiny chunks",
    "broken chunks",
    "broken chunks and boundaries",
    "chunk extensions",
    "empty parts",
    "parts of a byte",
    "parts of nothing",
    "small parts",
    "pictures",
)


@pytest.mark.parametrize("step", [1, 50, 5000])
@pytest.mark.parametrize("what", WORST)
def test_work_is_so_much_a_byte(what: str, step: int) -> None:
    data = endless(what, 9000 if step == 1 else 36_000)
    calls, moved, searched = work(data, step)
    assert calls <= 150 * len(data)
    assert moved <= 3 * len(data)
    # The last bytes may be the beginning of a boundary: they are searched again with the next piece.
    assert searched <= 80 * len(data)


@pytest.mark.parametrize("layout", ["motion", "node", "C", "D"])
@pytest.mark.parametrize("step", [1, 97, 1436, 100_000])
def test_bytes_are_moved_at_most_twice(layout: str, step: int) -> None:
    data = stream(layout, [fake_jpeg(3000, number) for number in range(8)])
    watched = Watched(Limits(buffer=4096, max_part=20_000))
    for at in range(0, len(data), step):
        watched.push(data[at : at + step])
    assert watched.parser._window.moved <= 2 * len(data)


def test_a_picture_that_is_one_chunk_is_never_moved() -> None:
    data = stream("C", [fake_jpeg(3000, number) for number in range(50)])
    watched = Watched()
    for at in range(0, len(data), 1436):
        watched.push(data[at : at + 1436])
    # Only beginnings of lines at the ends of the pieces are.
    assert watched.parser._window.moved < 50 * 40


def test_pictures_that_come_one_by_one_arrive_where_the_last_one_did() -> None:
    jpegs = [fake_jpeg(20_000, number) for number in range(30)]
    data = stream("C", jpegs)
    ends = [len(stream("C", jpegs[:count])) for count in range(1, len(jpegs) + 1)]
    watched = Watched()
    furthest = at = 0
    for end in ends:
        while at < end:
            watched.push(data[at : min(at + 1436, end)])
            at = min(at + 1436, end)
            furthest = max(furthest, watched.parser._window.end)
    assert furthest < 3 * 20_000
    assert watched.parser._window.moved < len(jpegs) * 200


@pytest.mark.parametrize(
    "unit",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x02",
        b"\xff\xd8\xff\xe0\x00\x08\xff\xd8",
        b"\xff\xda\x00\x08",
        b"\xff\xe0\x00\x02",
        b"\xff",
        b"\xff\x00",
        b"\xff\xc4\x00\x02",
        b"\xff\xd9",
        fake_jpeg(60),
        fake_jpeg(60)[:-2],
        fake_jpeg(60)[:40],
    ],
)
def test_work_on_pictures_is_so_much_a_byte(unit: bytes) -> None:
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    for begin in (b"", fake_jpeg(60), fake_jpeg(60)[:-2]):
        data = begin + unit * (40_000 // len(unit))
        calls = 0
        sys.setprofile(count)
        try:
            PictureReader().read(data)
        finally:
            sys.setprofile(None)
        assert calls <= 6 * len(data)
