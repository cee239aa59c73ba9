"""The gap between two pictures, learned: what it recognises, and what it must not."""

from __future__ import annotations

import pytest
from wire_streams import B, bodies_of, chunk, every_split, fake_jpeg, head, kinds, parse, part_head

from espressoscope.wire.events import PartHead
from espressoscope.wire.headers import Headers
from espressoscope.wire.shape import Shape

BORDER = b"\r\n--" + B + b"\r\n"
HEAD = PartHead(Headers([("Content-Type", "image/jpeg"), ("Content-Length", "19022")]))
CHUNKED = [
    (True, b"\r\n"),
    (True, b"24\r\n"),
    (False, b"\r\n"),
    (False, BORDER[2:]),
    (True, b"\r\n"),
    (True, b"33\r\n"),
    (False, b"Content-Type: image/jpeg\r\n"),
    (False, b"Content-Length: 19022\r\n"),
    (False, b"\r\n"),
    (True, b"\r\n"),
    (True, b"4a4e\r\n"),
]


def joined(trace: list[tuple[bool, bytes]]) -> bytes:
    return b"".join(line for _, line in trace)


def test_recognises_the_gap_with_other_numbers() -> None:
    shape = Shape.learn(CHUNKED, HEAD, 19022, 0)
    assert shape is not None
    gap = joined(CHUNKED)
    assert (shape.size, shape.after) == (len(gap), 0)
    assert gap.startswith(shape.prefix)
    for length in (10_000, 19_022, 65_535):
        other = gap.replace(b"19022", b"%d" % length).replace(b"4a4e", b"%x" % length)
        assert shape.match(bytearray(b"xx" + other + b"yy"), 2, 2 + len(other)) == (length, None)
        assert shape.match(bytearray(other), 0, len(other) - 1) == (-1, None)  # not all there


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"4a4e", b"4a4f"),  # the chunk is not the picture
        (b"4a4e", b"4A4E"),  # the same, but never seen so
        (b"4a4e", b"+4a4"),
        (b"4a4e\r\n", b"04a4e\r\n"),
        (b"19022", b"19 22"),
        (b"19022", b" 1902"),
        (b"19022", b"1902\r"),
        (b"19022", b"+1902"),
        (b"19022", b"1_902"),
        (b"19022", b"01902"),
        (b"19022\r\n\r\n\r\n4a4e", b"9022\r\n\r\n\r\n233e"),
        (b"\r\n33\r\n", b"\r\n32\r\n"),
        (B, B[1:] + b"9"),
        (b"image/jpeg", b"image/jpe\n"),
    ],
)
def test_refuses_everything_else(old: bytes, new: bytes) -> None:
    shape = Shape.learn(CHUNKED, HEAD, 19022, 0)
    assert shape is not None
    gap = joined(CHUNKED)
    assert old in gap
    other = bytearray(gap.replace(old, new) + b"\r\n" * 10)
    assert shape.match(other, 0, len(other)) == (-1, None)


def test_time_stamps_are_digits_and_a_point() -> None:
    trace = [*CHUNKED[:8], (False, b"X-Timestamp: 12.345678\r\n"), *CHUNKED[8:]]
    trace[5] = (True, b"4b\r\n")
    shape = Shape.learn(trace, HEAD, 19022, 0)
    assert shape is not None
    gap = joined(trace)
    for stamp, expected in ((b"99.000000", b"99.000000"), (b"9.0000000", b"9.0000000")):
        other = bytearray(gap.replace(b"12.345678", stamp))
        assert shape.match(other, 0, len(other)) == (19022, expected)
    for stamp in (b"123456789", b"12.34.678", b"\r\nX: y\r\n", b"12.34567 ", b"-2.345678", b".12345678"):
        other = bytearray(gap.replace(b"12.345678", stamp.ljust(9)))
        assert shape.match(other, 0, len(other)) == (-1, None)


@pytest.mark.parametrize("seconds", [b"1795357573", b"9223372036"])
@pytest.mark.parametrize("decimals", [b".000000", b".0", b".999999999"])
def test_a_time_that_no_clock_can_show_is_none(seconds: bytes, decimals: bytes) -> None:
    data = head(b"multipart/x-mixed-replace;boundary=" + B, chunked=False)
    body = fake_jpeg(900, 1)
    for stamp in [seconds + decimals] * 4 + [b"9" + seconds + decimals] * 4:  # the shape is learned, too
        data += BORDER + part_head(len(body), b"X-Timestamp: " + stamp + b"\r\n") + body
    times = [event[4] for event in parse(data + BORDER) if event[0] == "part"]
    exact = int(seconds) * 10**9 + int(decimals[1:].ljust(9, b"0"))
    assert times == [exact if exact < 2**63 else None] * 4 + [None] * 4


@pytest.mark.parametrize(
    ("trace", "after"),
    [
        (CHUNKED, 5),  # five bytes behind the picture, but none before the next chunk
        (CHUNKED[2:4] + CHUNKED[6:9], 3),  # no chunk header at all, yet bytes of a chunk behind
        (CHUNKED[:7] + CHUNKED[8:], 0),  # no length
        ([*CHUNKED[:9], (False, b"Content-Length: 19022\r\n"), *CHUNKED[9:]], 0),  # two
        ([*CHUNKED[:1], (True, b"0024\r\n"), *CHUNKED[2:]], 0),
        ([*CHUNKED[:1], (True, b"24;x=y\r\n"), *CHUNKED[2:]], 0),
        ([*CHUNKED[:1], (True, b"23\r\n"), *CHUNKED[2:]], 0),  # does not add up
        ([*CHUNKED[:10], (True, b"4a4d\r\n")], 0),
        ([(True, b"\n"), *CHUNKED[1:]], 0),
        ([], 0),
    ],
)
def test_learns_nothing_from_what_may_not_come_again(trace: list[tuple[bool, bytes]], after: int) -> None:
    assert Shape.learn(trace, HEAD, 19022, after) is None


def test_shapes_compare_by_what_they_recognise() -> None:
    one, same = Shape.learn(CHUNKED, HEAD, 19022, 0), Shape.learn(CHUNKED, HEAD, 19022, 0)
    longer = [
        (frame, line.replace(b"19022", b"119022").replace(b"4a4e", b"1d0ee").replace(b"33", b"34"))
        for frame, line in CHUNKED
    ]
    other = Shape.learn(longer, HEAD, 119022, 0)
    assert one is not None
    assert same is not None
    assert other is not None
    assert one.same_as(same)
    assert not one.same_as(other)


def test_lines_that_run_over_chunk_ends() -> None:
    bodies = [fake_jpeg(900 + number, number) for number in range(6)]
    for cut in range(1, 60, 7):
        data = head(b"multipart/x-mixed-replace;boundary=" + B, chunked=True)
        for body in bodies:
            text = BORDER + part_head(len(body))
            data += chunk(text[:cut]) + chunk(text[cut:]) + chunk(body)
        for cuts in every_split(data, random_splits=1):
            assert bodies_of(parse(data, cuts)) == bodies


def test_upper_case_and_extra_digits_in_chunk_sizes() -> None:
    bodies = [fake_jpeg(3000 + 111 * number, number) for number in range(8)]
    for form in (b"%X\r\n%b\r\n", b"%05x\r\n%b\r\n", b"%x;ext\r\n%b\r\n"):
        data = head(b"multipart/x-mixed-replace;boundary=" + B, chunked=True)
        for body in bodies:
            for piece in (BORDER, part_head(len(body)), body):
                data += form % (len(piece), piece)
        for cuts in every_split(data, random_splits=1):
            assert bodies_of(parse(data, cuts)) == bodies


def test_header_values_with_percent_signs() -> None:
    bodies = [fake_jpeg(900 + number, number) for number in range(6)]
    data = head(b"multipart/x-mixed-replace;boundary=a%db%s", chunked=False)
    for body in bodies:
        data += b"--a%db%s\r\n" + part_head(len(body), b"X-Odd: 100%d %% %x\r\n") + body + b"\r\n"
    assert bodies_of(parse(data)) == bodies
    assert parse(data) == parse(data, short_cut=False)


def test_stream_of_known_length() -> None:
    bodies = [fake_jpeg(900, number) for number in range(4)]
    parts = b"".join(b"--x\r\n" + part_head(len(body)) + body + b"\r\n" for body in bodies)
    data = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\n"
    data += b"Content-Length: %d\r\n\r\n" % len(parts) + parts + b"ignored"
    for cuts in every_split(data, random_splits=2):
        events = parse(data, cuts)
        assert bodies_of(events) == bodies
        assert events[-1] == ("end", True)


def test_folded_part_header_and_no_boundary_at_all() -> None:
    jpeg = fake_jpeg(700)
    data = head(b"multipart/x-mixed-replace", chunked=False)
    data += b"Content-Type: image/jpeg;\r\n charset=none\r\n\r\n" + jpeg
    events = parse(data)
    assert events[1][2] == (("Content-Type", "image/jpeg; charset=none"),)
    assert events[1][1] == jpeg
    assert events[1][5] is False  # nothing says that this is all
    broken = head(b"multipart/x-mixed-replace", chunked=True) + b"zz\r\n"
    assert kinds(parse(broken)) == ["head", "error"] or kinds(parse(broken)) == ["error"]


def test_part_in_words() -> None:
    from espressoscope.wire.parser import ResponseParser

    data = head(b"multipart/x-mixed-replace;boundary=" + B, chunked=False) + part_head(300) + fake_jpeg(200)
    parser = ResponseParser()
    parser.feed(data)
    part, end = parser.end()
    assert repr(part) == "<Part image/jpeg, 200 bytes, incomplete>"
    assert repr(end) == "<End unclean>"
    assert isinstance(part.body, bytes)  # type: ignore[union-attr]
