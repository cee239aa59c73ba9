"""Markers of real and made JPEGs: size, end, quality."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from wire_streams import fake_jpeg

from espressoscope.wire.jpeg import find_end, find_start, inspect

if TYPE_CHECKING:
    from pathlib import Path

# File name: width, height, quality, end of the picture proper.
REAL = {
    "30C6F730E63C_2864.jpg": (640, 480, 6, 8450),
    "3CE90E8829D4_8859.jpg": (640, 480, 12, 10135),
    "78E36D0B0CA8_8632.jpg": (640, 480, 12, 11114),
    "7C9EBD61134C_1246.jpg": (640, 480, 6, 7347),
    "7C9EBD61134C_8461.jpg": (640, 480, 12, 6643),
    "943CC6130650_7711.jpg": (640, 480, 10, 8069),
    "94B97EE598D8_1078.jpg": (640, 480, 17, 15172),
    "image_11238.jpg": (800, 600, 12, 12027),
    "image_11337.jpg": (800, 600, 12, 11758),
    "image_18137.jpg": (640, 480, 12, 7467),
    "image_1_2256.jpg": (320, 240, 10, 2282),
}
# Annex K, table K.1 and K.2 of ITU-T T.81, as Pillow wants them: row by row.
LUMINANCE = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]  # fmt: skip
CHROMINANCE = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *[99] * 32,
]  # fmt: skip


def pillow_jpeg(width: int = 64, height: int = 48, mode: str = "RGB", **options: object) -> bytes:
    rng = random.Random(1)
    pixels = rng.randbytes(width * height * len(mode))
    file = io.BytesIO()
    Image.frombytes(mode, (width, height), pixels).save(file, "JPEG", **options)  # type: ignore[arg-type]
    return file.getvalue()


def device_tables(quality: int) -> list[list[int]]:
    return [
        [min(255, max(1, int(entry * quality / 16 + 0.5))) for entry in table]
        for table in (LUMINANCE, CHROMINANCE)
    ]


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_device_jpegs(shared_fixtures: Path, name: str) -> None:
    data = (shared_fixtures / "real-jpegs" / name).read_bytes()
    width, height, quality, end = REAL[name]
    info = inspect(data)
    assert (info.width, info.height, info.quality, info.end) == (width, height, quality, end)
    assert info.sampling == ((2, 1), (1, 1), (1, 1))
    assert (info.components, info.start, info.start_of_scan, info.progressive) == (3, 0, 609, False)
    assert find_end(data) == end
    assert data[end - 2 : end] == b"\xff\xd9"
    # The picture ends there for a decoder too, and is the same with and without what is behind it.
    with Image.open(io.BytesIO(data)) as whole, Image.open(io.BytesIO(data[:end])) as cut:
        assert whole.size == (width, height)
        assert whole.tobytes() == cut.tobytes()


def test_stale_bytes_of_real_jpegs_are_recognised(shared_fixtures: Path) -> None:
    stale = [
        name
        for name, (*_, end) in REAL.items()
        if end < (shared_fixtures / "real-jpegs" / name).stat().st_size
    ]
    assert len(stale) == 5
    for name in stale:
        data = (shared_fixtures / "real-jpegs" / name).read_bytes()
        assert data.endswith(b"\xff\xd9")  # the driver took the last marker in its buffer for the end
        assert data[REAL[name][3]] == 0


@pytest.mark.parametrize("quality", [0, 1, 2, 4, 6, 10, 12, 17, 31, 63])
def test_quality_setting_from_the_tables(quality: int) -> None:
    tables = [[max(1, entry) for entry in table] for table in device_tables(quality)]
    assert inspect(pillow_jpeg(qtables=tables, subsampling="4:2:2")).quality == quality
    gray = pillow_jpeg(mode="L", qtables=tables[:1])
    assert (inspect(gray).quality, inspect(gray).components) == (quality, 1)


def test_other_tables_have_no_quality() -> None:
    assert inspect(pillow_jpeg(quality=83)).quality is None
    luminance, chrominance = device_tables(12)
    luminance[40] += 1
    assert inspect(pillow_jpeg(qtables=[luminance, chrominance])).quality is None
    luminance[40] -= 1
    chrominance[3] += 1
    assert inspect(pillow_jpeg(qtables=[luminance, chrominance])).quality is None
    # libjpeg scales the same tables: its 75 is the device's 8.
    assert inspect(pillow_jpeg(quality=75)).quality == 8


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"optimize": True},
        {"restart_marker_blocks": 1},
        {"subsampling": "4:2:0"},
        {"quality": 100},
        {"comment": b"with \xff\xd9 in it \xff\xd8\xff"},
        {"icc_profile": b"\xff\xd9" * 50_000},
    ],
)
def test_end_is_found_whatever_the_encoder(options: dict[str, object]) -> None:
    data = pillow_jpeg(200, 150, **options)
    assert find_end(data) == len(data)
    assert find_end(data + b"\x00" * 20 + b"stale \xff\x01\xff\xd9") == len(data)
    assert find_end(bytearray(data)) == find_end(memoryview(data)) == len(data)
    assert find_end(data[:-2]) is None
    info = inspect(data)
    assert (info.width, info.height, info.end) == (200, 150, len(data))
    assert info.progressive is bool(options.get("progressive"))


def test_exif_thumbnail_is_stepped_over() -> None:
    thumbnail = pillow_jpeg(32, 24)
    exif = b"Exif\x00\x00" + thumbnail
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    data = pillow_jpeg(64, 48)
    data = data[:2] + segment + data[2:]
    info = inspect(data)
    assert (info.width, info.height, info.end) == (64, 48, len(data))


def test_fill_bytes_and_junk_between_segments() -> None:
    data = pillow_jpeg()
    at = data.index(b"\xff\xdb")
    for extra in (b"\xff\xff\xff", b"\x00junk"):
        odd = data[:at] + extra + data[at:]
        assert (inspect(odd).width, inspect(odd).end) == (64, len(odd))
    odd = data[:-2] + b"\xff\xff\xff\xd9"
    assert find_end(odd) == len(odd)


def test_junk_in_front() -> None:
    data = pillow_jpeg()
    for junk in (b"\x00\x00", b"junk \xff\xd8 junk", b"\xff\xd9"):
        assert find_start(junk + data) == len(junk)
        assert find_end(junk + data) == len(junk + data)
        assert inspect(junk + data).start == len(junk)
    assert find_start(b"no picture \xff\xd8") is None


def test_damaged_scan_does_not_hide_the_end() -> None:
    # Corrupt scan data with correct ends (esp32-camera#244): bytes that look like markers and are none.
    data = fake_jpeg(4000)
    for stray in (
        b"\xff\xe5\x80\x00",
        b"\xff\xc4\x00\x05",
        b"\xff\xda\x10\x00",
        b"\xff\x3c",
        b"\xff\xd8\x00",
        b"\xff\xdb",
    ):
        odd = data[:900] + stray + data[900 + len(stray) :]
        assert find_end(odd) == len(odd), stray
    another = data[:900] + fake_jpeg(500)
    assert find_end(another) is None  # another picture begins before this one ends


def test_garbage() -> None:
    rng = random.Random(2)
    for data in (
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xc0\x00\x02",
        b"\xff" * 9,
    ):
        assert find_end(data) is None
        assert inspect(data).width == 0
    good = pillow_jpeg()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 30)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        info = inspect(data)
        assert info.end is None or data[info.end - 2 : info.end] == b"\xff\xd9"
        inspect(data[: rng.randrange(len(data))])
