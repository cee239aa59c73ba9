"""What one layer shows: tiles painted by decode threads, and taken from there by the thread that draws.

Decode threads paint, and write labels, behind a lock into an array nobody sees; `take` copies what is new
into the one that is shown. So a picture is never seen half painted, and the thread that draws only copies.
No Qt and no napari here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from espressoscope.display import Mosaic, TileState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Board"]

LARGE_PIXELS: Final = 400_000
"""Pixels of a tile from which on nobody waits while it is grayed."""
_WELL: Final = (20, 21, 24)
"""A free well."""
_WELL_EDGE: Final = 30  # the tile's height through the width of a free well's edge: seen from afar, too
_BAR: Final = 3
"""What lies below a label is divided by this."""


class Board:
    """Tiles in fixed places, with labels.

    Parameters
    ----------
    names : sequence of str
        The cameras.
    tile : (int, int)
        Height and width of a tile in pixels.
    columns : int
        Tiles beside each other.
    places : Mapping of str to (int, int), optional
        Row and column of cameras that stand on a plate; the others take what is free.
    wells : collection of (int, int), optional
        Row and column of the wells of plates, free or not; free ones are shown as such.

    Attributes
    ----------
    shown : (H, W, 3) uint8
        What the layer shows; touched by `take` only.
    """

    def __init__(
        self,
        names: Sequence[str],
        tile: tuple[int, int],
        columns: int,
        places: Mapping[str, tuple[int, int]] | None = None,
        wells: Collection[tuple[int, int]] = (),
    ) -> None:
        self._mosaic = Mosaic((), tile, columns, 1 + max((row for row, _ in wells), default=-1))
        for name in sorted(names, key=lambda name: name not in (places or {})):
            self._mosaic.add(name, (places or {}).get(name))
        self._lock = threading.Lock()
        self._canvas = self._mosaic.draw({})
        self._show_free(wells)
        self._dirty = set(names)
        self._regions = {name: self._mosaic.region(name) for name in names}
        self._states = dict.fromkeys(names, TileState.NO_SIGNAL)
        self._painted: dict[str, int] = {}
        self._labels: dict[str, NDArray[np.uint8]] = {}
        self._under: dict[str, NDArray[np.uint8]] = {}
        self.shown = self._canvas.copy()

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras, in the order of their places."""
        return self._mosaic.names

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a tile in pixels."""
        return self._mosaic.tile

    @property
    def is_large(self) -> bool:
        """Whether to gray a tile takes long: 40 ms for UXGA."""
        return self.tile[0] * self.tile[1] > LARGE_PIXELS

    @property
    def columns(self) -> int:
        """Tiles beside each other."""
        return self._mosaic.columns

    @property
    def cells(self) -> int:
        """Places there are, taken or free."""
        return self._mosaic.rows * self._mosaic.columns

    @property
    def states(self) -> dict[str, TileState]:
        """What each tile shows."""
        with self._lock:
            return dict(self._states)

    def region(self, name: str) -> tuple[slice, slice]:
        """Give the rows and columns of pixels that are a camera's tile; KeyError when there is none."""
        return self._mosaic.region(name)

    def place(self, name: str) -> tuple[int, int]:
        """Give row and column of a camera; KeyError when there is none."""
        return self._mosaic.place(name)

    def at(self, y: float, x: float) -> str | None:
        """Give the camera whose tile has this pixel; None beside all tiles."""
        return self._mosaic.at(y, x)

    def _show_free(self, wells: Collection[tuple[int, int]]) -> None:
        height, width = self.tile
        edge = -(-height // _WELL_EDGE)
        taken = {self._mosaic.place(name) for name in self._mosaic.names}
        for row, column in set(wells) - taken:
            y, x = row * height, column * width
            self._canvas[y + edge : y + height - edge, x + edge : x + width - edge] = _WELL

    # ---- on any thread --------------------------------------------------------------------------

    def paint(self, name: str, picture: NDArray[np.uint8], state: TileState) -> None:
        """Paint a camera's tile with a new picture; does nothing when it has none here."""
        with self._lock:
            if name in self._regions:
                self._paint(name, picture, state)

    # ---- on the thread that draws ---------------------------------------------------------------

    def inherit(self, before: Board) -> None:
        """Show what another board shows of the same cameras, as it does, until their next pictures come."""
        with before._lock:
            states, names = dict(before._states), set(before.names).intersection(self.names)
            pictures = {name: before._bare(name) for name in names}
        with self._lock:
            for name, picture in pictures.items():
                state = states.get(name, TileState.NO_SIGNAL)
                if state is not TileState.NO_SIGNAL:
                    # What is gray and dim already would become darker with each board.
                    self._mosaic.paint(self._canvas, name, picture, TileState.LIVE)
                    self._set(name, state)

    def judge(self, name: str, state: TileState) -> bool:
        """Show a tile's picture as stale, frozen or lost from now on; true when that changes something.

        What has been grayed does not become live again: only a new picture does that. May be called on any
        thread; nothing else has to wait while a large tile is grayed.
        """
        with self._lock:
            if not self._would_change(name, state):
                return False
            picture, count = self._bare(name), self._painted.get(name)
            if not self.is_large:
                self._paint(name, picture, state)
                return True
        other = Mosaic((name,), self.tile, 1)
        tile = other.draw({})
        other.paint(tile, name, picture, state)
        with self._lock:
            if self._painted.get(name) != count:  # a new picture has come meanwhile
                return False
            self._canvas[self._regions[name]] = tile
            self._set(name, state)
        return True

    def would_change(self, name: str, state: TileState) -> bool:
        """Tell whether `judge` would have something to do."""
        with self._lock:
            return self._would_change(name, state)

    def label(self, name: str, text: NDArray[np.uint8] | None) -> None:
        """Write on a tile, at its top left; `text` is how bright, (h, w)."""
        with self._lock:
            if text is self._labels.get(name):
                return
            under = self._under.pop(name, None)
            if under is not None:
                _corner(self._canvas[self._regions[name]], under)[...] = under
            if text is None:
                del self._labels[name]
            else:
                self._labels[name] = text
                self._write(name)
            self._dirty.add(name)

    def waits(self, visible: Collection[str] | None = None) -> bool:
        """Tell whether `take` would find something new."""
        with self._lock:
            return bool(self._dirty if visible is None else self._dirty.intersection(visible))

    def complete(self, visible: Collection[str] | None = None) -> bool:
        """Tell whether `take` would find something new of every camera."""
        with self._lock:
            return self._dirty.issuperset(
                self._regions if visible is None else self._regions.keys() & visible
            )

    def take(self, visible: Collection[str] | None = None) -> bool:
        """Bring `shown` up to date, where somebody can see it; true when something was new."""
        with self._lock:
            names = tuple(self._dirty if visible is None else self._dirty.intersection(visible))
        for name in names:  # decode threads have their turn in between
            region = self._regions[name]
            with self._lock:
                self._dirty.discard(name)
                self.shown[region] = self._canvas[region]
        return bool(names)

    # ---- with the lock held ---------------------------------------------------------------------

    def _would_change(self, name: str, state: TileState) -> bool:
        shown = self._states.get(name, TileState.NO_SIGNAL)
        # What is gray and dim already would become darker each time.
        if state in (shown, TileState.LIVE) or shown is TileState.NO_SIGNAL:
            return False
        return shown is TileState.LIVE or state is TileState.NO_SIGNAL

    def _paint(self, name: str, picture: NDArray[np.uint8], state: TileState) -> None:
        self._mosaic.paint(self._canvas, name, picture, state)
        self._set(name, self._mosaic.shown[name])

    def _set(self, name: str, state: TileState) -> None:
        """Note what a tile shows now."""
        self._states[name] = state
        self._painted[name] = self._painted.get(name, 0) + 1
        self._write(name)
        self._dirty.add(name)

    def _write(self, name: str) -> None:
        """Write the label of a tile that has none at the moment, and keep what is below it."""
        text = self._labels.get(name)
        if text is None:
            self._under.pop(name, None)
            return
        below = _corner(self._canvas[self._regions[name]], text)
        self._under[name] = below.copy()
        below //= _BAR
        np.maximum(below, text[: below.shape[0], : below.shape[1], None], out=below)

    def _bare(self, name: str) -> NDArray[np.uint8]:
        """Give a copy of a tile as it is without its label."""
        picture = self._canvas[self._regions[name]].copy()
        under = self._under.get(name)
        if under is not None:
            _corner(picture, under)[...] = under
        return picture


def _corner(tile: NDArray[np.uint8], text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the part of a tile that a label takes."""
    return tile[: text.shape[0], : text.shape[1]]
