"""Every layout of PROTOCOL §1 and §12, on every split, with and without the short cut."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from wire_streams import (
    LAYOUTS,
    B,
    bodies_of,
    chunk,
    every_split,
    fake_jpeg,
    head,
    kinds,
    parse,
    part_head,
    stream,
)

from espressoscope.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

CAPTURES = {
    "esp-idf-httpd-camerawebserver.bin": ([39578, 39051, 39297], False),
    "esp-idf-httpd-matchboxscope.bin": ([39578, 39051, 39297], False),
    "ffmpeg.bin": ([17935, 17937, 17912], False),
    "ustreamer.bin": ([13845, 13845, 13845], True),
}


@pytest.mark.parametrize("name", sorted(CAPTURES))
@pytest.mark.parametrize("short_cut", [True, False])
def test_capture_gives_the_same_frames_on_any_split(
    shared_fixtures: Path, name: str, short_cut: bool
) -> None:
    data = (shared_fixtures / "captures" / name).read_bytes()
    lengths, clean = CAPTURES[name]
    reference = parse(data, short_cut=False)
    bodies = bodies_of(reference)
    assert [len(body) for body in bodies] == lengths
    assert all(body.startswith(b"\xff\xd8\xff") and body.endswith(b"\xff\xd9") for body in bodies)
    assert kinds(reference) == ["head", "part", "part", "part", "end"]
    assert reference[-1] == ("end", clean)
    for body in bodies:
        assert body in data  # none of these captures cuts a picture into chunks
    for cuts in every_split(data):
        if short_cut or len(cuts) < 1000:
            assert parse(data, cuts, short_cut=short_cut) == reference


def test_capture_stamps(shared_fixtures: Path) -> None:
    data = (shared_fixtures / "captures" / "esp-idf-httpd-camerawebserver.bin").read_bytes()
    stamps = [event[4] for event in parse(data) if event[0] == "part"]
    assert stamps == [1795357456512411000, 1795357456612638000, 1795357456712867000]
    data = (shared_fixtures / "captures" / "esp-idf-httpd-matchboxscope.bin").read_bytes()
    assert [event[4] for event in parse(data) if event[0] == "part"] == [None] * 3


@pytest.mark.parametrize("short_cut", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_gives_the_same_frames_on_any_split(layout: str, short_cut: bool) -> None:
    rng = random.Random(layout)
    bodies = [fake_jpeg(rng.choice((80, 950, 1050, 4095, 4200, 9990, 10010)), number) for number in range(9)]
    data = stream(layout, bodies)
    reference = parse(data, short_cut=False)
    assert bodies_of(reference) == bodies
    assert all(event[3] == "image/jpeg" and event[5] for event in reference if event[0] == "part")
    assert "damage" not in kinds(reference)
    for cuts in every_split(data, random_splits=6):
        if short_cut or len(cuts) < 1000:
            assert parse(data, cuts, short_cut=short_cut) == reference


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_in_a_small_buffer(layout: str) -> None:
    # Everything has to be moved to the front all the time, and the buffer replaced by a larger one.
    bodies = [fake_jpeg(size, size) for size in (3000, 2900, 30_000, 31_000, 2800, 90_000, 70)]
    data = stream(layout, bodies)
    small = Limits(buffer=1024, max_line=512, max_head=1024, max_part_head=512)
    reference = parse(data, short_cut=False)
    assert bodies_of(reference) == bodies
    for cuts in ([], range(1, len(data), 333), range(1, len(data), 5000)):
        assert parse(data, cuts, limits=small) == reference


def test_part_with_a_length_comes_with_its_last_byte() -> None:
    # Layout B sends the boundary with the next frame: waiting for it would cost a frame time.
    from wire_streams import Watched

    body = fake_jpeg(5000)
    data = stream("B", [body])
    watched = Watched()
    assert "part" not in kinds(watched.push(data[:-3]))  # the chunk's own line end is not sent yet
    assert kinds(watched.push(data[-3:-2])) == ["part"]


@pytest.mark.parametrize("layout", ["A", "B", "B-stamp", "C", "D", "E", "ustreamer", "padded"])
def test_short_cut_is_taken(layout: str) -> None:
    bodies = [fake_jpeg(5000, number) for number in range(20)]
    data = stream(layout, bodies)
    from wire_streams import Watched

    watched = Watched()
    watched.push(data)
    # Everything but the first gaps was recognised as a whole, so hardly a line was read.
    short_cut = watched.parser._short_cut
    assert short_cut is not None
    assert len(short_cut.shapes) in (1, 2)
    assert short_cut.shapes[0].size < 200


def test_length_that_wins_and_loses_digits() -> None:
    sizes = [9990, 10010, 9980, 65530, 65540, 4090, 4100, 999, 1001, 70, 100_000, 99_990] * 3
    bodies = [fake_jpeg(size, number) for number, size in enumerate(sizes)]
    for layout in ("A", "B-stamp", "C", "D", "ustreamer"):
        data = stream(layout, bodies)
        reference = parse(data, short_cut=False)
        assert bodies_of(reference) == bodies
        assert parse(data) == reference
        assert parse(data, range(0, len(data), 1436)) == reference


def test_text_parts_are_given_out_with_their_type() -> None:
    # ESPHome, when the sensor gives no frame.
    answer = (
        b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary="
        + B
        + b"\r\n\r\n--"
        + B
        + b"\r\n"
        b"Content-Type: text/plain\r\n\r\nNo frames send.\r\n--" + B + b"\r\n"
    )
    jpeg = fake_jpeg(700)
    data = answer + part_head(len(jpeg)) + jpeg + b"\r\n--" + B + b"\r\n"
    for cuts in every_split(data, random_splits=3):
        events = parse(data, cuts)
        assert [(event[3], event[1]) for event in events if event[0] == "part"] == [
            ("text/plain", b"No frames send."),
            ("image/jpeg", jpeg),
        ]
        assert kinds(events) == ["head", "part", "part", "end"]


@pytest.mark.parametrize(
    ("parameter", "line"),
    [
        (b"foo", b"--foo"),
        (b'"foo"', b"--foo"),
        (b"--foo", b"--foo"),
        (b"--foo", b"----foo"),
        (b'"--foo bar"', b"--foo"),
        (b"foo", b"foo"),
        (b"foo", b"--another"),
        (b"b", b"--b"),
        (b"", b"--foo"),
    ],
)
def test_boundary_as_announced_and_as_it_is(parameter: bytes, line: bytes) -> None:
    bodies = [fake_jpeg(900, number) for number in range(4)]
    for separator in (b";boundary=", b"; boundary=", b" ; Boundary = "):
        data = head(b"multipart/x-mixed-replace" + separator + parameter, chunked=False)
        data += b"".join(line + b"\r\n" + part_head(len(body)) + body + b"\r\n" for body in bodies)
        for cuts in every_split(data, random_splits=2):
            events = parse(data, cuts)
            assert bodies_of(events) == bodies
            assert "damage" not in kinds(events)


def test_multipart_without_boundary_parameter_and_without_length() -> None:
    bodies = [fake_jpeg(900, number) for number in range(3)]
    data = head(b"multipart/x-mixed-replace", chunked=False) + b"--x1\r\n"
    data += b"".join(b"Content-Type: image/jpeg\r\n\r\n" + body + b"\r\n--x1\r\n" for body in bodies)
    assert bodies_of(parse(data)) == bodies


def test_blank_lines_between_frames() -> None:
    bodies = [fake_jpeg(900, number) for number in range(4)]
    for blanks in (b"\r\n" * 5, b"\n", b" \r\n", b""):
        data = head(b"multipart/x-mixed-replace; boundary=bb", chunked=False)
        data += b"".join(
            blanks + b"--bb\r\n" + blanks + part_head(len(body)) + body + b"\r\n" for body in bodies
        )
        for cuts in every_split(data, random_splits=2):
            events = parse(data, cuts)
            assert bodies_of(events) == bodies, blanks
            assert "damage" not in kinds(events)


def test_part_without_any_header() -> None:
    bodies = [fake_jpeg(900, number) for number in range(3)]
    data = head(b"multipart/x-mixed-replace; boundary=bb", chunked=False)
    data += b"".join(b"--bb\r\n\r\n" + body + b"\r\n" for body in bodies) + b"--bb--"
    for cuts in every_split(data, random_splits=2):
        events = parse(data, cuts)
        assert bodies_of(events) == bodies
        assert events[-1] == ("end", True)


def test_short_boundary_inside_a_picture_is_none() -> None:
    jpeg = fake_jpeg(500)[:-2] + b"--b--b\n--bx\r\n" + b"\xff\xd9"
    data = head(b"multipart/x-mixed-replace; boundary=b", chunked=False)
    data += (
        b"".join(b"--b\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n" for _ in range(3)) + b"--b\r\n"
    )
    assert bodies_of(parse(data)) == [jpeg] * 3


def test_chunk_extensions_trailers_and_the_end_of_chunks() -> None:
    jpeg = fake_jpeg(500)
    border = b"--bb\r\n"
    payload = border + part_head(len(jpeg)) + jpeg + b"\r\n" + border
    data = head(b"multipart/x-mixed-replace; boundary=bb", chunked=True)
    data += b"000%X ; name=value\r\n%b\r\n" % (len(payload), payload)
    data += b"0\r\nExpires: never\r\nX: y\r\n\r\nignored"
    for cuts in every_split(data, random_splits=3):
        events = parse(data, cuts)
        assert bodies_of(events) == [jpeg]
        assert events[-1] == ("end", True)


def test_closing_boundary_ends_at_once() -> None:
    from wire_streams import Watched

    jpeg = fake_jpeg(500)
    data = stream("C", [jpeg] * 3)
    watched = Watched()
    watched.push(data)
    closing = chunk(b"\r\n--" + B + b"--")
    assert kinds(watched.push(closing[:-2])) == ["end"]  # not even the chunk's line end is needed
    assert watched.push(b"whatever follows is ignored" * 100) == []
    assert watched.parser.end() == []


def test_zero_chunk_between_parts_is_a_clean_end() -> None:
    # MJPEG2SD is the only firmware that does this.
    from wire_streams import Watched

    watched = Watched()
    watched.push(stream("B", [fake_jpeg(500, number) for number in range(5)]))
    assert watched.push(b"0\r\n\r\n") == [("end", True)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_close_in_the_middle_of_a_part(layout: str) -> None:
    bodies = [fake_jpeg(2000, number) for number in range(4)]
    data = stream(layout, bodies)
    cut = data.index(bodies[3][100:400])
    events = parse(data[:cut])
    assert bodies_of(events)[:3] == bodies[:3]
    assert events[-1] == ("end", False)
    assert events[-2][0] == "part"
    assert events[-2][5] is False
    assert bodies[3].startswith(events[-2][1])
    for cuts in every_split(data[:cut], random_splits=3):
        assert parse(data[:cut], cuts) == events
