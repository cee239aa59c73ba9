"""A spliced JPEG is the picture above and the right strip below, for every decoder."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from espressoscope.sim.encode import EOI, encode
from espressoscope.sim.pictures import PictureSource
from espressoscope.sim.sensor import Sensor
from espressoscope.sim.splice import can_splice, cut_top, number
from espressoscope.sim.strip import draw_strip, read_strip, strip_height
from espressoscope.tables.framesizes import SIZES

SPLICED = ["QQVGA", "240X240", "QVGA", "VGA", "SVGA", "HD", "UXGA"]


def _source(width: int, height: int, spread: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(60, 200, width)[None, :, None] + np.array([20, 0, -30])
    return (ramp + rng.normal(0, spread, (height, width, 3))).clip(0, 255).astype(np.uint8)


def test_which_sizes_can_be_spliced() -> None:
    within = [name for name, (width, height) in SIZES.items() if width <= 1600 and height <= 1200]
    assert [name for name in within if can_splice(*SIZES[name])] == SPLICED


@pytest.mark.parametrize("name", SPLICED)
@pytest.mark.parametrize(("quality", "spread"), [(0, 60), (4, 20), (12, 3), (63, 40)])
def test_equals_encoding_the_whole_picture(name: str, quality: int, spread: float) -> None:
    width, height = SIZES[name]
    image = _source(width, height, spread)
    top = cut_top(Image.fromarray(image), quality)
    for camera, frame in ((0, 0), (255, 65535), (85, 43690)):
        spliced = number(top, camera, frame)
        draw_strip(image, camera, frame)
        whole = encode(Image.fromarray(image), quality)
        assert spliced[:623] == whole[:623]
        ours, theirs = (simplejpeg.decode_jpeg(jpeg, strict=True).astype(int) for jpeg in (spliced, whole))
        above = height - strip_height(height)
        if quality:
            assert np.array_equal(ours[:above], theirs[:above])
        assert np.abs(ours[above:] - theirs[above:]).max() <= max(3, 2 * quality)
        assert read_strip(ours.astype(np.uint8)) == (camera, frame)


@pytest.mark.parametrize("seed", range(20))
def test_full_noise_with_fine_tables_is_joined_at_the_right_bit(seed: int) -> None:
    # Every coefficient is there, the last one too: the corner without an end of block has to be noticed.
    image = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    jpeg = number(cut_top(Image.fromarray(image), 1), 9, seed)
    assert read_strip(simplejpeg.decode_jpeg(jpeg, strict=True)) == (9, seed)


def test_is_an_ordinary_jpeg() -> None:
    jpeg = number(cut_top(Image.fromarray(_source(640, 480, 8)), 12), 1, 2)
    scan = jpeg[623:]
    assert scan.endswith(EOI)
    assert b"\xff" not in scan[:-2].replace(b"\xff\x00", b""), "no marker inside the scan"
    opened = Image.open(io.BytesIO(jpeg))
    opened.load()  # Pillow complains about truncated data
    assert (opened.size, opened.info.get("progressive")) == ((640, 480), None)


def test_numbers_follow_each_other_to_the_last_and_begin_anew() -> None:
    sensor = Sensor(framesize="QVGA")
    pictures = PictureSource(sensor, 300, 5, prerender=True)
    for frame in (*range(40), 255, 256, 257, 511, 32767, 65534, 65535):
        assert read_strip(simplejpeg.decode_jpeg(pictures.render(frame))) == (300 % 256, frame)
    assert pictures.render(65536) == pictures.render(0)
