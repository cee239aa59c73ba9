"""Pictures into tiles: which scale to decode at, and how the result is fitted, cheaply, in whole numbers.

The JPEG decoder averages when it decodes at a fraction. What is left to a tile's size is a factor below two,
or nothing at all for tiles from `choose_grid`: pixels are left out, none is made up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from espressoscope.model import Scale

__all__ = ["BACKGROUND", "Resizer", "clear_around", "fitted", "scale_for"]

BACKGROUND: Final = 0
"""Gray value where there is no picture: beside one of another shape, and in places without a camera."""


def fitted(height: int, width: int, tile: tuple[int, int]) -> tuple[int, int]:
    """Give the largest size of this picture's proportions that fits into a tile: height and width."""
    tall, wide = tile
    if width * tall >= height * wide:
        return max(1, (2 * height * wide + width) // (2 * width)), wide
    return tall, max(1, (2 * width * tall + height) // (2 * height))


def scale_for(height: int, width: int, tile: tuple[int, int]) -> Scale:
    """Give the largest divisor for the JPEG decoder that still suffices for a tile.

    Parameters
    ----------
    height, width : int
        Of the picture; with an unknown size, 0, the answer is 8.
    tile : (int, int)
        Height and width of the tile.

    Returns
    -------
    {1, 2, 4, 8}
        For `decode`, `Frame.image`, or a view of the decode pool.
    """
    if height < 1 or width < 1:
        return 8
    high, wide = fitted(height, width, tile)
    scales: tuple[Scale, ...] = (8, 4, 2)
    for scale in scales:
        if -(-height // scale) >= high and -(-width // scale) >= wide:
            return scale
    return 1


def clear_around(height: int, width: int, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the part of a tile that a picture of this size takes, in the middle, and clear the rest.

    Parameters
    ----------
    height, width : int
        Of the picture.
    tile : (H, W, 3) uint8
        Part of a mosaic; written to.

    Returns
    -------
    (h, w, 3) uint8
        A view into `tile`.
    """
    high, wide = fitted(height, width, (tile.shape[0], tile.shape[1]))
    top, left = (tile.shape[0] - high) // 2, (tile.shape[1] - wide) // 2
    tile[:top] = BACKGROUND
    tile[top + high :] = BACKGROUND
    tile[top : top + high, :left] = BACKGROUND
    tile[top : top + high, left + wide :] = BACKGROUND
    return tile[top : top + high, left : left + wide]


class Resizer:
    """Brings pictures to a size by leaving pixels out, or repeating them; for one thread at a time.

    Its memory is used again: fresh memory of this size costs more than the work itself.
    """

    def __init__(self) -> None:
        self._memory: dict[str, NDArray[np.uint8]] = {}

    def resize(self, picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Give a picture in another size.

        Parameters
        ----------
        picture : (H, W, 3) or (H, W) uint8
            C-contiguous.
        size : (int, int)
            Height and width wanted. A picture that is a row or a column larger is cut: the decoder rounds up.

        Returns
        -------
        (h, w, 3) or (h, w) uint8
            Valid until the next call, and as long as `picture` is.
        """
        height, width = picture.shape[:2]
        high, wide = size
        if 0 <= height - high <= 1 and 0 <= width - wide <= 1:
            return picture[:high, :wide]
        depth = 1 if picture.ndim == 2 else picture.shape[2]
        rows = self.scratch("rows", (high, width * depth))
        np.take(picture.reshape(height, -1), _nearest(height, high, 1), axis=0, out=rows, mode="clip")
        done = self.scratch("done", (high, wide * depth))
        np.take(rows, _nearest(width, wide, depth), axis=1, out=done, mode="clip")
        return done.reshape(high, wide, *picture.shape[2:])

    def scratch(self, what: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Give memory of this shape, the same for the same word; what was in it is gone."""
        size = shape[0] * shape[1]
        memory = self._memory.get(what)
        if memory is None or memory.size < size:
            memory = self._memory[what] = np.empty(size, np.uint8)
        return memory[:size].reshape(shape)


@lru_cache(maxsize=64)
def _nearest(size: int, wanted: int, depth: int) -> NDArray[np.intp]:
    """Give which of `size` pixels of `depth` bytes are nearest to the middles of `wanted` ones, as bytes."""
    pixels = (2 * np.arange(wanted) + 1) * size // (2 * wanted)
    return (pixels[:, None] * depth + np.arange(depth)).reshape(-1).astype(np.intp)
