"""How many columns and how large tiles, for so many cameras."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Grid", "choose_grid"]

_WIDE, _HIGH = 4, 3
"""The screen a mosaic should fill: napari's canvas, a notebook's cell, a projector are near to it."""


class Grid(NamedTuple):
    """Rows and columns of a mosaic, and its tiles.

    Attributes
    ----------
    rows, columns : int
        Tiles below and beside each other.
    tile : (int, int)
        Height and width of a tile in pixels.
    """

    rows: int
    columns: int
    tile: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the mosaic: height, width, 3."""
        return self.rows * self.tile[0], self.columns * self.tile[1], 3


def choose_grid(count: int, picture: tuple[int, int] = (480, 640), max_width: int = 1920) -> Grid:
    """Choose the grid that shows tiles largest on a 4:3 screen, in a mosaic of at most this width.

    Parameters
    ----------
    count : int
        How many cameras.
    picture : (int, int)
        Height and width of most of their pictures.
    max_width : int
        Most pixels the mosaic may be wide.

    Returns
    -------
    Grid
        Tiles are 1/1, 1/2, 1/4 or 1/8 of the picture, the largest that fits: sizes the JPEG decoder gives by
        itself. Only where even 1/8 is too wide they are smaller.

    Raises
    ------
    ValueError
        The picture or the width has no pixel.
    """
    height, width = picture
    if height < 1 or width < 1 or max_width < 1:
        raise ValueError(f"a picture of {width}x{height} and a mosaic {max_width} wide cannot be shown")
    count = max(1, count)

    def merit(columns: int) -> tuple[float, int, int]:
        rows = -(-count // columns)
        size = min(_WIDE / (columns * width), _HIGH / (rows * height))
        return -size, columns * rows, -columns

    columns = min(range(1, count + 1), key=merit)
    rows = -(-count // columns)
    for scale in (1, 2, 4, 8):
        tile = -(-height // scale), -(-width // scale)
        if columns * tile[1] <= max_width:
            return Grid(rows, columns, tile)
    narrow = max(1, max_width // columns)
    return Grid(rows, columns, (max(1, (2 * height * narrow + width) // (2 * width)), narrow))
