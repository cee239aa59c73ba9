"""Part bodies to pictures: one, several, cut, stale, junk; and that it stays cheap."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from wire_streams import fake_jpeg

from espressoscope.wire.pictures import PictureReader

if TYPE_CHECKING:
    from pathlib import Path

DHT = b"\xff\xc4\x00\x1f\x00\x00\x01\x05\x01\x01\x01\x01\x01\x01" + bytes(9) + bytes(range(12))


def jpeg(size: int, seed: int = 0, *, tables: bytes = DHT, app: bytes = b"", **pixels: int) -> bytes:
    """A JPEG that can be walked, with Huffman tables as all encoders write them."""
    data = fake_jpeg(max(64, size - len(tables) - len(app)), seed, **pixels)
    at = data.index(b"\xff\xc0")
    return data[:at] + app + tables + data[at:]


def warm(*sizes: int) -> PictureReader:
    """A reader that has seen some single pictures."""
    reader = PictureReader()
    for number, size in enumerate(sizes):
        (picture,) = reader.read(jpeg(size, number))
        assert picture.status == "ok"
    return reader


def test_usual_pictures_are_not_walked() -> None:
    reader = PictureReader()
    rng = random.Random(3)
    for number in range(200):
        data = jpeg(rng.randrange(9000, 11000), number)
        for body in (data, memoryview(bytearray(data))):
            (picture,) = reader.read(body)
            assert picture == (data, 640, 480, "ok")
            assert isinstance(picture.jpeg, bytes)
    assert reader.walked <= 2


@pytest.mark.parametrize("size", [900, 10_000, 34_000, 60_000, 200_000])
def test_two_pictures_in_one_part(size: int) -> None:
    first, second = jpeg(size, 1), jpeg(size * 9 // 10, 2)
    readers = [PictureReader(), warm(size), warm(1000)]
    if len(first + second) <= 65536:
        readers.append(warm(size, size * 2))  # as long as a single one was
    for reader in readers:
        assert reader.read(first + second) == [(first, 640, 480, "ok"), (second, 640, 480, "ok")]
        assert reader.read(first) == [(first, 640, 480, "ok")]


def test_two_pictures_of_half_the_usual_length() -> None:
    reader = warm(20_000, 20_000, 20_000)
    first, second = jpeg(10_000, 1), jpeg(10_000, 2)
    assert [picture.jpeg for picture in reader.read(first + second)] == [first, second]


def test_above_64_kb_half_lengths_are_found_within_32_parts() -> None:
    reader = warm(200_000)
    double = jpeg(100_000, 1) + jpeg(100_000, 2)
    assert 2 in [len(reader.read(double)) for _ in range(32)]


def test_two_pictures_of_different_encoders() -> None:
    first = jpeg(9000, 1)
    second = b"\xff\xd8\xff\xdb" + jpeg(9000, 2, tables=b"")[4:].replace(
        b"\x00\x10JFIF", b"\x00\x10\x00\x00\x00\x00"
    )
    for reader in (PictureReader(), warm(9000), warm(30_000)):
        pictures = reader.read(first + second)
        assert [picture.jpeg for picture in pictures] == [first, second]


def test_many_pictures_with_stale_bytes_between() -> None:
    rng = random.Random(4)
    pieces = [
        jpeg(700, number) + b"\x00\x00" + rng.randbytes(20).replace(b"\xff", b"") for number in range(9)
    ]
    for reader in (PictureReader(), warm(700)):
        pictures = reader.read(b"".join(pieces))
        assert [picture.jpeg for picture in pictures] == pieces
        assert {picture.status for picture in pictures} == {"ok"}


def test_first_of_two_without_an_end() -> None:
    first, second = jpeg(5000, 1)[:-700], jpeg(5000, 2)
    for reader in (PictureReader(), warm(5000), warm(9300)):
        assert [(picture.jpeg, picture.status) for picture in reader.read(first + second)] == [
            (first, "truncated"),
            (second, "ok"),
        ]


def test_second_of_two_without_an_end() -> None:
    first, second = jpeg(5000, 1), jpeg(5000, 2)[:-700]
    for reader in (PictureReader(), warm(5000)):
        assert [picture.status for picture in reader.read(first + second)] == ["ok", "truncated"]


def test_thumbnail_in_exif_is_no_second_picture() -> None:
    thumbnail = jpeg(600, 5, width=32, height=24)
    app = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\x00\x00" + thumbnail
    reader = PictureReader()
    for number in range(40):
        data = jpeg(9000, number, app=app)
        assert reader.read(data) == [(data, 640, 480, "ok")]
    assert reader.walked == 1
    both = jpeg(9000, 1, app=app) + jpeg(9000, 2, app=app)
    assert len(reader.read(both)) == 2


def test_header_that_changes_every_time() -> None:
    # motion writes the time of day into an EXIF segment.
    reader = PictureReader()
    for number in range(20):
        data = jpeg(9000, number, app=b"\xff\xe1\x00\x0c12:00:%04d" % number)
        assert reader.read(data) == [(data, 640, 480, "ok")]


def test_huffman_tables_made_for_each_picture() -> None:
    reader = PictureReader()
    for number in range(30):
        tables = DHT[:20] + random.Random(number).randbytes(len(DHT) - 20)
        data = jpeg(9000, number, tables=tables)
        # Behind the frame header, as libjpeg has them.
        at, sof = data.index(tables), data.index(b"\xff\xc0")
        data = data[:at] + data[sof : sof + 13] + tables + data[sof + 13 :]
        assert reader.read(data) == [(data, 640, 480, "ok")]
    assert reader.walked <= 4


def test_size_change() -> None:
    reader = warm(9000)
    small = jpeg(9000, 1, width=320, height=240)
    assert reader.read(small) == [(small, 320, 240, "ok")]
    assert reader.read(jpeg(9000, 2))[0][1:3] == (640, 480)


@pytest.mark.parametrize(
    "padding",
    [b"\x00", b"\x00" * 300, b"\x00\x00stale\xff\xd9", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x04"],
)
def test_bytes_behind_the_end_stay(padding: bytes) -> None:
    for reader in (PictureReader(), warm(5000)):
        data = jpeg(5000) + padding
        assert reader.read(data) == [(data, 640, 480, "ok")]


def test_missing_end() -> None:
    for reader in (PictureReader(), warm(5000)):
        for data in (jpeg(5000)[:-2], jpeg(5000)[:-1], jpeg(5000)[:300], jpeg(5000)[:-2] + b"\x00" * 50):
            assert reader.read(data) == [(data, 640, 480, "truncated")]


def test_incomplete_part_is_truncated_even_with_an_end() -> None:
    # The bytes that were announced are not all there: stale ones at least are missing.
    for reader in (PictureReader(), warm(5000)):
        assert reader.read(jpeg(5000), complete=False)[0].status == "truncated"
        assert reader.read(jpeg(5000)[:20], complete=False) == [(jpeg(5000)[:20], 0, 0, "truncated")]
        pictures = reader.read(jpeg(5000, 1) + jpeg(5000, 2)[:900], complete=False)
        assert [picture.status for picture in pictures] == ["ok", "truncated"]


def test_junk_in_front_of_the_picture_stays() -> None:
    for reader in (PictureReader(), warm(5000)):
        data = b"junk\x00" + jpeg(5000)
        assert reader.read(data) == [(data, 640, 480, "ok")]


@pytest.mark.parametrize(
    "data", [b"", b"No frames send.", b"\xff\xd8", b"\xff\xd8\xff", bytes(5000), b"\xff\xd8\xff\xd9"]
)
def test_no_picture(data: bytes) -> None:
    for reader in (PictureReader(), warm(5000)):
        assert reader.read(data) == [(data, 0, 0, "corrupt")]


def test_real_device_jpegs_one_by_one_and_in_pairs(shared_fixtures: Path) -> None:
    files = [path.read_bytes() for path in sorted((shared_fixtures / "real-jpegs").iterdir())]
    assert len(files) == 11
    reader = PictureReader()
    for data in files * 3:
        (picture,) = reader.read(data)
        assert (picture.jpeg, picture.status) == (data, "ok")
    for first in files:
        for second in files:
            for seen in (None, first, second, files[0]):
                reader = PictureReader()
                if seen is not None:
                    reader.read(seen)
                assert [(picture.jpeg, picture.status) for picture in reader.read(first + second)] == [
                    (first, "ok"),
                    (second, "ok"),
                ]
