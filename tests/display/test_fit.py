"""Pictures into tiles: the scale they are decoded at, and what is left to do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressoscope.display import scale_for
from espressoscope.display.fit import BACKGROUND, Resizer, clear_around, fitted

sizes = st.integers(1, 1700)
tiles = st.tuples(st.integers(1, 700), st.integers(1, 700))


@pytest.mark.parametrize(
    ("size", "tile", "scale"),
    [
        ((480, 640), (480, 640), 1),
        ((480, 640), (240, 320), 2),
        ((480, 640), (120, 160), 4),
        ((480, 640), (60, 80), 8),
        ((480, 640), (10, 10), 8),
        ((480, 640), (241, 321), 1),
        ((480, 640), (240, 3200), 2),
        ((481, 641), (240, 320), 2),
        ((1200, 1600), (240, 320), 4),
        ((720, 1280), (240, 320), 4),
        ((120, 160), (240, 320), 1),
        ((0, 0), (240, 320), 8),
    ],
)
def test_the_scale_is_the_smallest_that_suffices(
    size: tuple[int, int], tile: tuple[int, int], scale: int
) -> None:
    assert scale_for(*size, tile) == scale


@given(sizes, sizes, tiles)
def test_a_fitted_picture_fills_the_tile_in_its_proportions(
    height: int, width: int, tile: tuple[int, int]
) -> None:
    high, wide = fitted(height, width, tile)
    assert (high == tile[0] and wide <= tile[1]) or (wide == tile[1] and high <= tile[0])
    # As near to the picture's proportions as whole pixels allow.
    assert high == 1 or wide == 1 or abs(high * width - wide * height) <= max(height, width) / 2 + 1
    scale = scale_for(height, width, tile)
    if scale > 1:
        assert -(-height // scale) >= high
        assert -(-width // scale) >= wide


@given(sizes, sizes, tiles)
def test_around_a_picture_all_is_cleared(height: int, width: int, tile: tuple[int, int]) -> None:
    canvas = np.full((*tile, 3), 200, np.uint8)
    inner = clear_around(height, width, canvas)
    assert inner.shape == (*fitted(height, width, tile), 3)
    assert (inner == 200).all()
    inner[...] = BACKGROUND
    assert (canvas == BACKGROUND).all()


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.booleans())
def test_resizing_takes_the_nearest_pixels(height: int, width: int, high: int, wide: int, gray: bool) -> None:
    shape = (height, width) if gray else (height, width, 3)
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    small = Resizer().resize(picture, (high, wide))
    assert small.shape == (high, wide, *shape[2:])
    if 0 <= height - high <= 1 and 0 <= width - wide <= 1:
        rows, columns = np.arange(high), np.arange(wide)
    else:
        rows = np.array([int((y + 0.5) * height / high) for y in range(high)])
        columns = np.array([int((x + 0.5) * width / wide) for x in range(wide)])
    assert (small == picture[rows[:, None], columns]).all()


def test_memory_is_used_again() -> None:
    resizer = Resizer()
    picture = np.zeros((300, 400, 3), np.uint8)
    first = resizer.resize(picture, (240, 320))
    assert np.shares_memory(first, resizer.resize(picture, (240, 320)))
    assert np.shares_memory(first, resizer.resize(picture, (100, 100))[:1])
