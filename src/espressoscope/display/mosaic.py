"""The mosaic: many cameras in one array, each in its place, and never a stale picture as live.

Only pixels here: names, ages and everything else with letters is for whoever shows the array, who learns from
`Mosaic.region` where, and from `Mosaic.shown` what.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from math import floor, prod
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from espressoscope.decode import Decoder
from espressoscope.display.fit import BACKGROUND, Resizer, clear_around, scale_for
from espressoscope.display.grid import choose_grid
from espressoscope.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from espressoscope.model import Frame

__all__ = ["MAX_PIXELS", "Mosaic", "TileState"]

MAX_PIXELS: Final = 64_000_000
"""Largest mosaic: 192 MB."""

_DARK: Final = (28, 28, 28)
_CROSS: Final = (120, 44, 44)
_CROSS_WIDTH: Final = 60  # the tile's height through the thickness of a line
_ICE: Final = 72  # added to the blue of a frozen picture


class TileState(StrEnum):
    """What a tile shows."""

    LIVE = "live"
    """The picture in its colours."""
    STALE = "stale"
    """The camera's last picture, gray and dim: it is too old to be shown as live."""
    FROZEN = "frozen"
    """Its picture, gray, dim and bluish: the camera sends the same one again and again."""
    NO_SIGNAL = "no signal"
    """Dark, with a cross: there is no picture, or none that can be decoded."""


@dataclass(slots=True)
class _Tile:
    """A camera's place, and the picture it was given last, decoded."""

    row: int
    column: int
    frame: Frame | None = None
    gray: bool = False
    decodable: bool = False
    image: NDArray[np.uint8] | None = field(default=None, repr=False)
    decoder: Decoder = field(default_factory=Decoder, repr=False)


class _Layout(NamedTuple):
    """Never changed, only replaced: whoever reads it needs no lock."""

    tiles: dict[str, _Tile]
    rows: int


class Mosaic:
    """Many cameras in one picture; a camera keeps its place whatever the others do.

    `draw` and `paint` work in memory of the mosaic: one thread at a time does, others wait. Cameras may be
    added and removed by any thread meanwhile, and all else may be asked, without waiting for that.

    Parameters
    ----------
    names : iterable of str
        The cameras, from left to right and then down.
    tile : (int, int)
        Height and width of each tile in pixels.
    columns : int, optional
        Tiles beside each other, for good; else as many as `choose_grid` gives for these cameras.
    rows : int
        Tiles below each other, at least.

    Attributes
    ----------
    undecodable : int
        Pictures that could not be decoded and left their tile without signal.

    Raises
    ------
    ValueError
        Two cameras have the same name, or the mosaic would have no pixels or more than `MAX_PIXELS`.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        tile: tuple[int, int] = (240, 320),
        columns: int | None = None,
        rows: int = 0,
    ) -> None:
        height, width = tile
        names = list(names)
        if height < 1 or width < 1 or (columns is not None and columns < 1):
            raise ValueError(f"tiles of {width}x{height} in {columns} columns cannot be shown")
        self.undecodable = 0
        self._tile = (int(height), int(width))
        self._columns = columns or choose_grid(len(names), self._tile).columns
        self._layout = _Layout({}, rows)
        if prod(self.shape[:2]) > MAX_PIXELS:
            raise ValueError(f"a mosaic of {rows} rows is larger than {MAX_PIXELS} pixels")
        self._changing = threading.Lock()
        self._drawing = threading.Lock()
        self._resizer = Resizer()
        self._shown: dict[str, TileState] = {}
        self._no_signal = _no_signal(*self._tile)
        for name in names:
            self.add(name)

    # ---- places ---------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras, in the order of their places."""
        tiles = self._layout.tiles
        return tuple(sorted(tiles, key=lambda name: (tiles[name].row, tiles[name].column)))

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of each tile in pixels."""
        return self._tile

    @property
    def columns(self) -> int:
        """Tiles beside each other."""
        return self._columns

    @property
    def rows(self) -> int:
        """Tiles below each other: at least one, and never fewer than there have been."""
        return max(1, self._layout.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the array that `draw` gives: height, width, 3."""
        return self._shape_of(self._layout.rows)

    def add(self, name: str, place: tuple[int, int] | None = None) -> tuple[int, int]:
        """Give a camera a place: the first free one, in a new row when there is none.

        Parameters
        ----------
        name : str
            The camera.
        place : (int, int), optional
            Row and column it should have, for cameras of a plate; rows are added as needed.

        Returns
        -------
        (int, int)
            Row and column it has.

        Raises
        ------
        ValueError
            The name or the place is taken, the place has no such column, or the mosaic would be too large.
        """
        with self._changing:
            tiles, rows = self._layout
            taken = {(tile.row, tile.column): owner for owner, tile in tiles.items()}
            if name in tiles:
                raise ValueError(f"{name!r} is in this mosaic already")
            if place is None:
                cells = (divmod(cell, self._columns) for cell in range(len(tiles) + 1))
                place = next(cell for cell in cells if cell not in taken)
            row, column = place
            if not (row >= 0 and 0 <= column < self._columns):
                raise ValueError(f"{place} is no place in a mosaic of {self._columns} columns")
            if place in taken:
                raise ValueError(f"{place} is the place of {taken[place]!r}")
            rows = max(rows, row + 1)
            height, width, _ = self._shape_of(rows)
            if height * width > MAX_PIXELS:
                raise ValueError(f"a mosaic of {width}x{height} pixels is larger than {MAX_PIXELS} pixels")
            self._layout = _Layout({**tiles, name: _Tile(row, column)}, rows)
            return row, column

    def remove(self, name: str) -> None:
        """Free a camera's place; the others keep theirs. KeyError when there is none of that name."""
        with self._changing:
            tiles, rows = self._layout
            tiles = dict(tiles)
            del tiles[name]
            self._layout = _Layout(tiles, rows)

    def place(self, name: str) -> tuple[int, int]:
        """Give row and column of a camera; KeyError when there is none of that name."""
        tile = self._layout.tiles[name]
        return tile.row, tile.column

    def region(self, name: str) -> tuple[slice, slice]:
        """Give the rows and columns of pixels that are a camera's tile; KeyError when there is none."""
        return self._region(*self.place(name))

    def at(self, y: float, x: float) -> str | None:
        """Give the camera whose tile has this pixel; None beside all tiles."""
        row, column = floor(y / self._tile[0]), floor(x / self._tile[1])
        tiles = self._layout.tiles
        return next((name for name, tile in tiles.items() if (tile.row, tile.column) == (row, column)), None)

    def _shape_of(self, rows: int) -> tuple[int, int, int]:
        return max(1, rows) * self._tile[0], self._columns * self._tile[1], 3

    def _region(self, row: int, column: int) -> tuple[slice, slice]:
        height, width = self._tile
        return slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)

    # ---- pictures -------------------------------------------------------------------------------

    @property
    def shown(self) -> dict[str, TileState]:
        """What each tile showed after the last `draw` or `paint`, by camera."""
        return dict(self._shown)

    def draw(
        self,
        frames: Mapping[str, Frame | None],
        out: NDArray[np.uint8] | None = None,
        *,
        states: Mapping[str, TileState] | None = None,
    ) -> NDArray[np.uint8]:
        """Draw all tiles, each frame decoded at the size that suffices.

        A frame that was drawn the last time too is not decoded again.

        Parameters
        ----------
        frames : Mapping of str to Frame or None
            The picture of each camera; without one, or with one that cannot be decoded, its tile says
            NO_SIGNAL. Cameras that are not in the mosaic are not drawn.
        out : (H, W, 3) uint8 array, optional
            Draw into this array, all of it, when it still has the mosaic's `shape`; a camera added in a new
            row changes that.
        states : Mapping of str to TileState, optional
            How to show pictures; LIVE where nothing is said.

        Returns
        -------
        (H, W, 3) uint8, RGB
            `out` where it had the right shape, else a new array.

        Raises
        ------
        ValueError
            `out` is no writable array of uint8.
        """
        with self._drawing:
            tiles, rows = self._layout
            canvas = self._canvas(out, self._shape_of(rows))
            used = {(tile.row, tile.column) for tile in tiles.values()}
            for cell in np.ndindex(max(1, rows), self._columns):
                if cell not in used:
                    canvas[self._region(*cell)] = BACKGROUND
            shown = {}
            for name, tile in tiles.items():
                frame = frames.get(name)
                state = states.get(name, TileState.LIVE) if states is not None else TileState.LIVE
                image = None
                if frame is not None and state is not TileState.NO_SIGNAL:
                    image = self._decoded(tile, frame, gray=state is not TileState.LIVE)
                shown[name] = self._show(canvas[self._region(tile.row, tile.column)], image, state)
            self._shown = shown
            return canvas

    def paint(
        self,
        out: NDArray[np.uint8],
        name: str,
        picture: NDArray[np.uint8] | None,
        state: TileState = TileState.LIVE,
    ) -> None:
        """Draw one tile from a picture that is decoded already, by a view of the decode pool for example.

        Parameters
        ----------
        out : (H, W, 3) uint8
            The mosaic, as `draw` gave it.
        name : str
            The camera.
        picture : (h, w, 3) or (h, w) uint8 or None
            Of any size, best decoded at `scale_for` of it; RGB or gray. None: NO_SIGNAL.
        state : TileState
            How to show it.

        Raises
        ------
        KeyError
            There is no camera of that name.
        ValueError
            The camera's place lies outside of `out`, because it was added after `out` was drawn.
        """
        with self._drawing:
            region = out[self.region(name)]
            if region.shape != (*self._tile, 3):
                raise ValueError(f"an array of shape {out.shape} has no place for {name!r}: draw a new one")
            self._shown = {**self._shown, name: self._show(region, picture, state)}

    def _canvas(self, out: NDArray[np.uint8] | None, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        if out is None:
            return np.empty(shape, np.uint8)
        if not isinstance(out, np.ndarray):
            raise ValueError(f"out must be a numpy array, not {type(out).__name__}")
        if out.dtype != np.uint8 or not out.flags.writeable:
            raise ValueError("out must be a writable array of uint8")
        return out if out.shape == shape else np.empty(shape, np.uint8)

    def _decoded(self, tile: _Tile, frame: Frame, *, gray: bool) -> NDArray[np.uint8] | None:
        if frame is not tile.frame or gray != tile.gray:
            tile.frame, tile.gray, tile.decodable = frame, gray, False
            scale = scale_for(frame.height, frame.width, self._tile)
            try:
                tile.image = tile.decoder.decode(frame, scale, gray)
            except DecodeError:
                self.undecodable += 1
            else:
                tile.decodable = True
        return tile.image if tile.decodable else None

    def _show(
        self, region: NDArray[np.uint8], picture: NDArray[np.uint8] | None, state: TileState
    ) -> TileState:
        if picture is None or state is TileState.NO_SIGNAL:
            region[...] = self._no_signal
            return TileState.NO_SIGNAL
        inner = clear_around(picture.shape[0], picture.shape[1], region)
        small = self._resizer.resize(np.ascontiguousarray(picture), (inner.shape[0], inner.shape[1]))
        if state is TileState.LIVE:
            if small.ndim == 3:
                inner[...] = small
            else:
                for channel in range(3):
                    inner[..., channel] = small
            return state
        dim, spare = (
            self._resizer.scratch(use, (small.shape[0], small.shape[1])) for use in ("dim", "spare")
        )
        _dim_gray(small, dim, spare)
        for channel in range(3):
            inner[..., channel] = dim
        if state is TileState.FROZEN:
            np.add(dim, _ICE, out=inner[..., 2])
        return state


def _dim_gray(picture: NDArray[np.uint8], out: NDArray[np.uint8], spare: NDArray[np.uint8]) -> None:
    """Write half the brightness of a picture into `out`, in bytes only: UXGA has many pixels."""
    if picture.ndim == 2:
        np.right_shift(picture, 1, out=out)
        return
    np.right_shift(picture[..., 1], 2, out=out)
    for channel in (0, 2):
        np.right_shift(picture[..., channel], 3, out=spare)
        np.add(out, spare, out=out)


def _no_signal(height: int, width: int) -> NDArray[np.uint8]:
    """Draw the tile of a camera without a picture: dark, with a cross from corner to corner."""
    tile = np.empty((height, width, 3), np.uint8)
    tile[0] = _DARK
    tile[1:] = tile[0]
    half = max(1.0, height / _CROSS_WIDTH) / height
    middle = (np.arange(height) + 0.5) / height
    first = np.clip(np.ceil((middle - half) * width - 0.5), 0, width).astype(int).tolist()
    last = np.clip(np.floor((middle + half) * width - 0.5) + 1, 0, width).astype(int).tolist()
    for row, start, stop in zip(tile, first, last, strict=True):
        row[start:stop] = _CROSS
        row[width - stop : width - start] = _CROSS
    return tile
