"""The numbering strip is readable after JPEG, at every size, quality and scale, and never by accident."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from espressoscope.sim import read_strip
from espressoscope.sim.encode import encode
from espressoscope.sim.strip import StripReading, crc8, draw_strip, strip_bits, strip_edges, strip_height
from espressoscope.tables.framesizes import SIZES

SENSOR_SIZES = [name for name, (width, height) in SIZES.items() if width <= 1600 and height <= 1200]


def _noisy(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(width)
    return rng.normal(150, 25, (height, width, 3)).clip(0, 255).astype(np.uint8)


def test_crc_is_the_common_one() -> None:
    assert crc8(b"123456789") == 0xF4  # check value of CRC-8, polynomial 0x07, in every catalogue


def test_bits_are_camera_frame_and_checksum() -> None:
    assert strip_bits(0xA5, 0x1234) == 0xA5123400 | crc8(bytes((0xA5, 0x12, 0x34)))


@pytest.mark.parametrize("width", [32, 96, 160, 176, 400, 640, 800, 1080])
def test_squares_cover_the_width(width: int) -> None:
    edges = strip_edges(width)
    assert (edges[0], edges[-1], len(edges)) == (0, width, 33)
    assert all(abs(right - left - width / 32) < 1 for left, right in pairwise(edges))


@pytest.mark.parametrize("name", SENSOR_SIZES)
@pytest.mark.parametrize("quality", [4, 12, 63])
def test_is_read_after_jpeg_at_every_scale(name: str, quality: int) -> None:
    width, height = SIZES[name]
    image = _noisy(width, height)
    for camera, frame in ((0, 0), (255, 65535), (7, 40961), (170, 21845)):
        draw_strip(image, camera, frame)
        jpeg = encode(Image.fromarray(image), quality)
        for scale in (1, 2, 4, 8):
            if width < 32 * scale:
                continue  # less than a pixel a square
            opened = Image.open(io.BytesIO(jpeg))
            opened.draft("RGB", (width // scale, height // scale))
            small = np.asarray(opened)
            assert small.shape[:2] == (-(-height // scale), -(-width // scale))
            assert read_strip(small) == StripReading(camera, frame), scale
            assert read_strip(small[..., ::-1]) == (camera, frame)
            assert read_strip(np.asarray(opened.convert("L"))) == (camera, frame)


def test_drawn_where_the_contract_says() -> None:
    image = np.full((480, 640, 3), 128, np.uint8)
    draw_strip(image, 0b10000001, 0)
    assert (image[:448] == 128).all()
    assert (image[448:, :20] == 255).all()
    assert (image[448:, 20:140] == 0).all()
    assert (image[448:, 140:160] == 255).all()


def test_gray_pictures_can_be_drawn_on() -> None:
    image = np.zeros((240, 320), np.uint8)
    draw_strip(image, 3, 700)
    assert read_strip(image) == (3, 700)


def test_a_wrong_square_is_noticed() -> None:
    for square in range(32):
        image = np.zeros((480, 640, 3), np.uint8)
        draw_strip(image, 200, 31337)
        foot = image[480 - strip_height(480) :, square * 20 : square * 20 + 20]
        foot[:] = 255 - foot
        assert read_strip(image) is None


@pytest.mark.parametrize(
    "image",
    [
        np.full((480, 640, 3), 128, np.uint8),  # what decoders put where the end is missing
        np.full((480, 640, 3), 255, np.uint8),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((1, 640, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
        np.zeros(5, np.uint8),
    ],
    ids=["gray", "white", "narrow", "one row", "empty", "no picture"],
)
def test_no_strip_is_none(image: np.ndarray) -> None:
    assert read_strip(image) is None
