"""Recordings as arrays on one axis of time, decoded when napari looks: a camera alone, or many side by side.

A picture is decoded at the size that is shown, and of many cameras only those that can be seen. Where a
camera has no picture at an instant its place is dark, with a cross.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

import espressoscope as es
from espressoscope.display import Mosaic, scale_for
from espressoscope.display.fit import Resizer, clear_around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["RunArray", "Track", "levels"]

_SCALES: Final = (1, 2, 4, 8)
_SMALLEST: Final = 512
"""Width below which there is no coarser level."""


class Track(NamedTuple):
    """A camera's frames on the axis, and its place.

    Attributes
    ----------
    frames : sequence of Frame
    at : (N,) int64
        Which of them it shows at each instant; -1: none.
    row, column : int
    """

    frames: Sequence[es.Frame]
    at: NDArray[np.int64]
    row: int = 0
    column: int = 0


class RunArray:
    """What behaves as an array (N, Y, X, 3) uint8: cameras side by side at N instants.

    Parameters
    ----------
    tracks : sequence of Track
    size : (int, int)
        Height and width of a tile; pictures of another size are fitted into it.
    rows, columns : int
        Of the grid.

    Attributes
    ----------
    shape, dtype, ndim, size
        As of an array.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self, tracks: Sequence[Track], tile: tuple[int, int], rows: int = 1, columns: int = 1
    ) -> None:
        self._tracks = tuple(tracks)
        self._tile = tile
        self.shape = (len(self._tracks[0].at), rows * tile[0], columns * tile[1], 3)
        self.size = math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("these are recorded pictures: an array of them is always a new one")
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            place = key.index(Ellipsis)
            key = (*key[:place], *[slice(None)] * (5 - len(key)), *key[place + 1 :])
        key += (slice(None),) * (4 - len(key))
        first, rest = key[0], key[1:]
        instants: Any = np.arange(self.shape[0])[first]
        # What is cut out is not decoded; what else is asked of a picture, numpy does.
        if all(isinstance(each, slice) and each.step in (None, 1) for each in rest[:2]):
            y, x = (range(length)[each] for each, length in zip(rest, self.shape[1:3], strict=False))
            rest = (slice(None), slice(None), rest[2])
        else:
            y, x = range(self.shape[1]), range(self.shape[2])
        if np.ndim(instants) == 0:
            one: NDArray[np.uint8] = self._picture(operator.index(instants), y, x)[rest]
            return one
        many = np.empty((len(instants), len(y), len(x), 3), np.uint8)
        for number, instant in enumerate(instants.tolist()):
            many[number] = self._picture(instant, y, x)
        found: NDArray[np.uint8] = many[(slice(None), *rest)]
        return found

    def _picture(self, instant: int, y: range, x: range) -> NDArray[np.uint8]:
        """Give a cutting of the picture of one instant."""
        high, wide = self._tile
        if len(self._tracks) == 1 and self.shape[1:3] == self._tile:
            picture = np.empty((high, wide, 3), np.uint8)
            _paint(self._tracks[0], instant, picture)
            return picture[y.start : y.stop, x.start : x.stop]
        cutting = np.zeros((len(y), len(x), 3), np.uint8)
        if not cutting.size:
            return cutting
        tile = np.empty((high, wide, 3), np.uint8)
        for track in self._tracks:
            top, left = track.row * high, track.column * wide
            rows = slice(max(top, y.start), min(top + high, y.stop))
            columns = slice(max(left, x.start), min(left + wide, x.stop))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            _paint(track, instant, tile)
            cutting[
                rows.start - y.start : rows.stop - y.start, columns.start - x.start : columns.stop - x.start
            ] = tile[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        return cutting


def levels(tracks: Sequence[Track], picture: tuple[int, int], rows: int, columns: int) -> list[RunArray]:
    """Give the same cameras at full size, a half, a quarter, and so on as far as that is of use."""
    found: list[RunArray] = []
    for scale in _SCALES:
        tile = -(-picture[0] // scale), -(-picture[1] // scale)
        if not found or columns * tile[1] >= _SMALLEST:
            found.append(RunArray(tracks, tile, rows, columns))
    return found


def _paint(track: Track, instant: int, tile: NDArray[np.uint8]) -> None:
    """Put what a camera shows at an instant into its tile."""
    number = int(track.at[instant])
    if number >= 0:
        frame = track.frames[number]
        size = (tile.shape[0], tile.shape[1])
        try:
            if (frame.height, frame.width) == size:
                frame.image(out=tile, partial=True)
            else:
                scale = scale_for(frame.height, frame.width, size)
                picture = frame.image(scale, partial=True)
                inner = clear_around(frame.height, frame.width, tile)
                inner[...] = Resizer().resize(picture, (inner.shape[0], inner.shape[1]))
        except (es.DecodeError, ValueError):
            pass
        else:
            return
    tile[...] = _no_picture(tile.shape[0], tile.shape[1])


@lru_cache(maxsize=16)
def _no_picture(height: int, width: int) -> NDArray[np.uint8]:
    return Mosaic([""], (height, width)).draw({})
