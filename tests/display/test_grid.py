"""How many columns, and how large tiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressoscope.display import Grid, choose_grid


@pytest.mark.parametrize(
    ("count", "rows", "columns", "tile"),
    [
        (0, 1, 1, (480, 640)),
        (1, 1, 1, (480, 640)),
        (2, 1, 2, (480, 640)),
        (3, 2, 2, (480, 640)),
        (4, 2, 2, (480, 640)),
        (6, 2, 3, (480, 640)),
        (12, 3, 4, (240, 320)),
        (24, 5, 5, (240, 320)),
        (100, 10, 10, (120, 160)),
        (200, 14, 15, (60, 80)),
    ],
)
def test_vga_cameras_fill_a_screen(count: int, rows: int, columns: int, tile: tuple[int, int]) -> None:
    assert choose_grid(count) == Grid(rows, columns, tile)


def test_the_pictures_shape_decides_too() -> None:
    assert choose_grid(4, picture=(720, 1280)) == Grid(2, 2, (360, 640))
    assert choose_grid(2, picture=(240, 1000)) == Grid(2, 1, (240, 1000))
    assert choose_grid(2, picture=(1600, 1200)) == Grid(1, 2, (800, 600))


@given(st.integers(1, 300), st.integers(1, 2000), st.integers(1, 2000), st.integers(100, 4000))
def test_every_camera_has_a_place_and_no_row_is_empty(
    count: int, height: int, width: int, max_width: int
) -> None:
    grid = choose_grid(count, (height, width), max_width)
    assert grid.rows * grid.columns >= count > (grid.rows - 1) * grid.columns
    assert min(grid.tile) >= 1
    assert grid.shape[1] <= max(max_width, grid.columns)


@pytest.mark.parametrize(("picture", "max_width"), [((0, 640), 1920), ((480, 0), 1920), ((480, 640), 0)])
def test_nothing_to_show_is_refused(picture: tuple[int, int], max_width: int) -> None:
    with pytest.raises(ValueError, match="cannot be shown"):
        choose_grid(4, picture, max_width)
