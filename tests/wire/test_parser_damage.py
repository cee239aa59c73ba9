"""Streams that are out of step: counted, and right again at the next boundary."""

from __future__ import annotations

import random

import pytest
from wire_streams import (
    LAYOUTS,
    B,
    Watched,
    bodies_of,
    chunk,
    every_split,
    fake_jpeg,
    head,
    kinds,
    parse,
    random_cuts,
    stream,
)

BORDER = b"\r\n--" + B + b"\r\n"


def unchunked(parts: list[tuple[bytes, bytes]]) -> bytes:
    """Layout D of (length as announced, body) pairs."""
    data = head(b"multipart/x-mixed-replace;boundary=" + B, chunked=False) + b"--" + B + b"\r\n"
    for length, body in parts:
        data += b"Content-Type: image/jpeg\r\nContent-Length: " + length + b"\r\n\r\n" + body + BORDER
    return data


def chunked(parts: list[tuple[bytes, bytes]]) -> bytes:
    """Layout C of (length as announced, body) pairs: B, headers and body each a chunk."""
    data = head(b"multipart/x-mixed-replace;boundary=" + B, chunked=True) + chunk(BORDER)
    for length, body in parts:
        announced = b"Content-Type: image/jpeg\r\nContent-Length: " + length + b"\r\n\r\n"
        data += chunk(announced) + chunk(body) + chunk(BORDER)
    return data


def same_on_any_split(data: bytes, random_splits: int = 4) -> list[tuple[object, ...]]:
    reference = parse(data, short_cut=False)
    for cuts in every_split(data, random_splits=random_splits):
        assert parse(data, cuts) == reference
    return reference


@pytest.mark.parametrize("form", [unchunked, chunked])
@pytest.mark.parametrize("off", [1, 2, 3, 4, 10, 33, 34, 35, 36, 37, 60, 100, 700, 1500])
@pytest.mark.parametrize("which", [0, 2])
def test_length_too_large(form: object, off: int, which: int) -> None:
    bodies = [fake_jpeg(1200, number) for number in range(6)]
    parts = [(b"%d" % (len(body) + off * (number == which)), body) for number, body in enumerate(bodies)]
    events = same_on_any_split(form(parts), random_splits=1)  # type: ignore[operator]
    found = bodies_of(events)
    assert kinds(events).count("damage") == 1
    # The damaged picture is all there, bytes of the boundary behind it at most; every other one is untouched.
    assert found[which].startswith(bodies[which])
    assert len(found[which]) <= len(bodies[which]) + min(off, len(BORDER))
    assert found[:which] == bodies[:which]
    assert found[which + 1 :] == bodies[which + 1 :]


@pytest.mark.parametrize("form", [unchunked, chunked])
@pytest.mark.parametrize("off", [1, 2, 30, 600, 1199])
def test_length_too_small(form: object, off: int) -> None:
    bodies = [fake_jpeg(1200, number) for number in range(6)]
    parts = [(b"%d" % (len(body) - off * (number == 3)), body) for number, body in enumerate(bodies)]
    events = same_on_any_split(form(parts), random_splits=1)  # type: ignore[operator]
    assert kinds(events).count("damage") == 1
    assert bodies_of(events) == [*bodies[:3], bodies[3][:-off], *bodies[4:]]


def test_vlc_says_two_too_many_in_its_first_part() -> None:
    bodies = [fake_jpeg(1200, number) for number in range(4)]
    border = b"--7b3cc56e5f51db803f790dad720ed50a"
    data = (
        b"HTTP/1.0 200 OK\r\nContent-type: multipart/x-mixed-replace;boundary="
        + border[2:]
        + b"\r\nCache-Control: no-cache\r\n\r\n"
    )
    for number, body in enumerate(bodies):
        length = len(body) + 2 * (number == 0)
        data += (
            border + b"\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % length + body + b"\r\n"
        )
    events = same_on_any_split(data)
    assert bodies_of(events) == [bodies[0] + b"\r\n", *bodies[1:]]
    assert kinds(events) == ["head", "part", "damage", "part", "part", "part", "end"]


def test_length_far_too_large_does_not_swallow_the_stream() -> None:
    # Ten megabytes announced in a stream of small pictures: nobody waits for them.
    bodies = [fake_jpeg(1200, number) for number in range(6)]
    data = unchunked(
        [(b"10000000" if number == 2 else b"%d" % len(body), body) for number, body in enumerate(bodies)]
    )
    events = same_on_any_split(data)
    assert bodies_of(events) == bodies
    assert kinds(events).count("damage") == 1
    watched = Watched()
    reached = data.index(b"10000000") + 1300 + len(BORDER)
    assert len(bodies_of(watched.push(data[:reached]))) == 3  # at once, not with the tenth megabyte


@pytest.mark.parametrize(
    "length",
    [
        b"-5",
        b"abc",
        b"",
        b"+700",
        b"7_0",
        b"0x20",
        b"1e3",
        b"99999999999",
        b"9" * 40,
        b"12\r\nContent-Length: 13",
    ],
)
@pytest.mark.parametrize("form", [unchunked, chunked])
def test_unusable_length(form: object, length: bytes) -> None:
    bodies = [fake_jpeg(700, number) for number in range(4)]
    parts = [(length if number == 1 else b"%d" % len(body), body) for number, body in enumerate(bodies)]
    events = same_on_any_split(form(parts), random_splits=1)  # type: ignore[operator]
    assert bodies_of(events) == [bodies[0], *bodies[2:]]
    assert kinds(events).count("damage") == 1


def test_lengths_that_agree_are_one() -> None:
    bodies = [fake_jpeg(700, number) for number in range(3)]
    data = unchunked([(b"%d\r\nContent-Length: %d" % (len(body), len(body)), body) for body in bodies])
    assert bodies_of(same_on_any_split(data)) == bodies


@pytest.mark.parametrize(
    "junk", [b"\x00\xffjunk", b"Junk line\r\n", b"\r\n--" + B[:-1] + b"\r\n", b"x" * 9000]
)
@pytest.mark.parametrize("layout", ["C", "D"])
def test_junk_between_parts(layout: str, junk: bytes) -> None:
    bodies = [fake_jpeg(900, number) for number in range(6)]
    form = {"C": chunked, "D": unchunked}[layout]
    parts = [(b"%d" % len(body), body + junk * (number == 2)) for number, body in enumerate(bodies)]
    events = same_on_any_split(form(parts), random_splits=2)
    assert bodies_of(events) == bodies
    assert kinds(events).count("damage") == 1


def test_junk_on_the_wire_between_chunks() -> None:
    # Not even the chunk structure holds: found again by a chunk header in front of a boundary.
    bodies = [fake_jpeg(900, number) for number in range(8)]
    data = stream("C", bodies)
    for junk in (b"\x00" * 100, b"junk", b"zz\r\n", b"ffffffffffffffff\r\n", b"\r\n\r\n"):
        at = data.index(bodies[3]) + len(bodies[3])
        events = same_on_any_split(data[:at] + junk + data[at:], random_splits=2)
        assert bodies_of(events) == bodies, junk
        assert kinds(events).count("damage") == 1


def test_ffmpeg_chunks_out_of_step() -> None:
    # Here the chunk header stands behind the boundary; the nearest boundary is cut in two by the wrong chunk
    # end, so the picture behind it goes too.
    bodies = [fake_jpeg(900, number) for number in range(8)]
    data = stream("ffmpeg", bodies)
    at = data.index(bodies[3]) + 400
    events = same_on_any_split(data[:at] + b"lost?" + data[at:], random_splits=2)
    found = bodies_of(events)
    assert found[:3] == bodies[:3]
    assert found[-3:] == bodies[-3:]
    assert "damage" in kinds(events)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_lost_inside_a_part(layout: str) -> None:
    bodies = [fake_jpeg(1200, number) for number in range(8)]
    data = stream(layout, bodies)
    at = data.index(bodies[3][640:700])
    for lost in (1, 100, 500):
        found = bodies_of(same_on_any_split(data[:at] + data[at + lost :], random_splits=1))
        assert found[:3] == bodies[:3]
        assert found.count(bodies[3]) == 0
        if layout in ("D", "E", "ustreamer"):
            assert found[4:] == bodies[4:]
        elif layout != "motion":  # its chunk headers stand nowhere near a boundary
            # Where a chunk is short, the boundary it swallows from the next is good for nothing.
            assert found[-3:] == bodies[5:]


def test_headers_without_end() -> None:
    bodies = [fake_jpeg(900, number) for number in range(4)]
    for bad in (b"X: y\r\n" * 500, b"X: " + b"y" * 20_000 + b"\r\n", b"no colon here\r\n"):
        data = unchunked([(b"%d" % len(body), body) for body in bodies])
        at = data.index(bodies[1]) - len(b"\r\n\r\n")
        events = same_on_any_split(data[:at] + b"\r\n" + bad + data[at + 2 :], random_splits=1)
        assert bodies_of(events) == [bodies[0], *bodies[2:]], bad[:20]
        assert kinds(events).count("damage") == 1


def test_part_without_length_over_the_limit() -> None:
    from espressoscope.wire.limits import Limits

    small = Limits(max_part=4000, buffer=2000)
    bodies = [fake_jpeg(900), fake_jpeg(4000, 1), fake_jpeg(4001, 2), fake_jpeg(30_000, 3), fake_jpeg(900, 4)]
    data = stream("no-length", bodies)
    reference = parse(data, limits=small, short_cut=False)
    assert bodies_of(reference) == [bodies[0], bodies[1], bodies[4]]
    assert kinds(reference).count("damage") == 2
    for cuts in every_split(data, random_splits=3):
        assert parse(data, cuts, limits=small) == reference


def test_garbage_without_a_boundary_is_an_error() -> None:
    data = head(b"multipart/x-mixed-replace", chunked=False) + b"garbage garbage"
    assert kinds(parse(data)) == ["error"]  # a boundary was never told


def test_damage_tells_where_and_what() -> None:
    from espressoscope.wire.events import Damage
    from espressoscope.wire.parser import ResponseParser

    bodies = [fake_jpeg(900, number) for number in range(3)]
    data = unchunked([(b"%d" % len(body), body) for body in bodies])
    at = data.index(bodies[1]) + len(bodies[1])
    events = ResponseParser().feed(data[:at] + b"JUNK" + data[at:])
    (damage,) = [event for event in events if isinstance(event, Damage)]
    assert damage.offset == at
    assert damage.sample.startswith(b"JUNK\r\n--" + B)
    assert "boundary" in damage.reason
    assert "JUNK" in repr(damage)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_damage_is_the_same_on_any_split(layout: str) -> None:
    rng = random.Random(layout)
    bodies = [fake_jpeg(rng.randrange(70, 900), number) for number in range(6)]
    data = stream(layout, bodies)
    for number in range(40):
        damaged = mutate(data, rng)
        reference = parse(damaged, short_cut=False)
        splits = [[], random_cuts(len(damaged), rng), range(61, len(damaged), 61)]
        if number % 8 == 0:
            splits.append(range(1, len(damaged)))
        found = [parse(damaged, cuts) for cuts in splits]
        found.append(parse(damaged, random_cuts(len(damaged), rng), short_cut=False))
        for events in found:
            if reference[-1][0] == "error":
                assert events[-1] == reference[-1]
            else:
                assert events == reference


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Damage a stream in one to three places behind its head: bytes changed, lost, added, repeated."""
    first = data.index(b"\r\n\r\n") + 4
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(first, len(data))
        if rng.random() < 0.6:
            # Most bytes are scan data, where nothing can happen: rather hit what stands around them.
            near = [data.rfind(mark, first, at) for mark in (b"Content-", b"--", b"\r\n", b"\xff\xd9")]
            at = max(first, min(len(data) - 1, max(near) + rng.randrange(-6, 24)))
        count = rng.choice((1, 1, 2, 5, 40, 400))
        data = rng.choice(
            (
                data[:at] + rng.randbytes(count) + data[at + count :],
                data[:at] + data[at + count :],
                data[:at] + rng.choice((b"0", b"\r\n", b"--", b"9", b"\xff\xd9", b" ")) + data[at:],
                data[:at] + data[max(first, at - count) : at] + data[at:],
                data[:at] + rng.choice((b"0", b"7", b"f", b"-", b"\r", b"\n")) + data[at + 1 :],
            )
        )
    return data
