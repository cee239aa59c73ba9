"""From cameras, sizes and zoom to boards and places: which pixel of which camera lies where in the world."""

from __future__ import annotations

import math
import threading
import weakref
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from espressoscope.display import choose_grid
from espressoscope.napari_plugin.board import Board
from espressoscope.napari_plugin.layout import arrange, mosaic_scale, scale_at
from espressoscope.napari_plugin.plates import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope import Frame
    from espressoscope.napari_plugin.layers import LiveLayer
    from espressoscope.napari_plugin.pictures import Scale
    from espressoscope.napari_plugin.plates import Plate
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["MOSAIC", "Geometry", "Planned"]

USUAL: Final = (480, 640)
"""Height and width of a picture before the first has come."""
MOSAIC: Final = "mosaic"
"""Key of the layer that shows all cameras."""
QUICK_PIXELS: Final = 200_000
"""A single camera's board of so many pixels is made at once; a larger one on another thread."""
LABEL_SHARE: Final = 14
"""A tile's height through that of its label."""
LABEL_SCREEN_PX: Final = 13
"""Height of a label on the screen, at least, where the tile has room."""


class Planned(NamedTuple):
    """A layer as it should be."""

    board: Board
    geometry: dict[str, Any]


class _Size(NamedTuple):
    """Of a camera's pictures: the full one as it is shown, and the one that came last."""

    full: tuple[int, int]
    came: tuple[int, int]


class _Wanted(NamedTuple):
    """A board that is to be made."""

    names: tuple[str, ...]
    tile: tuple[int, int]
    columns: int
    places: tuple[tuple[str, tuple[int, int]], ...] = ()
    plates: tuple[Plate, ...] = ()


def _make(wanted: _Wanted, before: Sequence[Board]) -> Board:
    wells = [well for plate in wanted.plates for well in plate.wells]
    board = Board(wanted.names, wanted.tile, wanted.columns, dict(wanted.places), wells)
    for each in before:
        board.inherit(each)
    board.take()
    return board


def _make_or_say(wanted: _Wanted, before: Sequence[Board]) -> Board | Exception:
    """Make a board; an error comes back too, so that it can be made anew."""
    try:
        return _make(wanted, before)
    except (ValueError, KeyError, MemoryError) as error:
        return error


class Geometry:
    """Decides sizes and places; told of every picture by decode threads.

    Parameters
    ----------
    session : LiveSession
        Whose cameras.
    made : callable
        A bound method: all boards are there that `plan` had to wait for.

    Attributes
    ----------
    visible : frozenset of str or None
        Cameras of the mosaic that can be seen; None: all.
    """

    def __init__(self, session: LiveSession, made: Callable[[], object]) -> None:
        self.visible: frozenset[str] | None = None
        self._tell_made = weakref.WeakMethod(made)
        self._wanted: dict[str, _Wanted] = {}
        self._made: dict[str, tuple[_Wanted, Board]] = {}
        self._session = session
        self._lock = threading.Lock()
        self._sizes: dict[str, _Size] = {}
        self._scales: dict[str, Scale] = {}
        self._plates: tuple[Plate, ...] = ()  # of the mosaic as it is shown

    # ---- on any thread --------------------------------------------------------------------------

    def note(self, name: str, frame: Frame, picture: NDArray[np.uint8]) -> bool:
        """Note a picture's size; true when the camera's layer has to be made to fit."""
        full = (frame.height, frame.width)
        if self._session.look(name).turns % 2:
            full = (frame.width, frame.height)
        size = _Size(full, (picture.shape[0], picture.shape[1]))
        if self._sizes.get(name) == size:
            return False
        with self._lock:
            self._sizes[name] = size
        return True

    # ---- on the thread that draws ---------------------------------------------------------------

    def forget(self, name: str) -> None:
        """Drop what is known of a camera."""
        self._wanted.pop(name, None)
        self._made.pop(name, None)
        with self._lock:
            self._sizes.pop(name, None)

    def _size(self, name: str) -> _Size:
        return self._sizes.get(name, _Size(USUAL, (USUAL[0] // 2, USUAL[1] // 2)))

    def scale(self, name: str, full: bool) -> Scale:
        """Give the fraction at which a camera's pictures are decoded."""
        return 1 if full else self._scales.get(name, 2)

    def label_height(self, live: LiveLayer, viewer: Any) -> int:
        """Give the height of a label in a tile's pixels."""
        tile, wide = live.board.tile[0], live.board.shown.shape[1]
        on_screen = max(1.0, live.place.width * float(viewer.scene.camera.zoom))
        return int(max(8, min(tile / 4, max(tile / LABEL_SHARE, LABEL_SCREEN_PX * wide / on_screen))))

    def knows(self, names: Sequence[str]) -> bool:
        """Tell whether a picture of each camera has come."""
        return all(name in self._sizes for name in names)

    def plan(
        self,
        singles: Sequence[str],
        mosaic: Sequence[str],
        layers: Mapping[str, LiveLayer],
        viewer: Any,
        *,
        fit: bool = False,
        left: float = 0.0,
    ) -> dict[str, Planned] | None:
        """Give the layers there should be; None while boards are being made on another thread.

        Parameters
        ----------
        singles, mosaic : sequence of str
            Cameras with a layer each, and those that share one.
        layers : Mapping of str to LiveLayer
            What there is; boards that may stay do.
        viewer : napari.Viewer
            Where.
        fit : bool
            All of it will be brought into view then.
        left : float
            Where it begins in the world: to the right of what other widgets show.
        """
        shown = [*singles, *mosaic]
        measured = bool(shown) and all(self._session.look(name).pixel_um for name in shown)
        if mosaic and len({self._session.look(name).pixel_um for name in mosaic}) > 1:
            measured = False
        unit = "um" if measured else "pixel"
        zoom = float(viewer.scene.camera.zoom)
        plan: dict[str, Planned] = {}
        beside = left
        if mosaic:
            um = (self._session.look(mosaic[0]).pixel_um or 1.0) if measured else 1.0
            if fit:
                zoom = self._fitting_zoom(mosaic, um, viewer)
            planned, wide = self._plan_mosaic(mosaic, layers, um, unit, zoom, viewer, fit, left)
            beside += wide
            if planned is not None:
                plan[MOSAIC] = planned
        pixel = {name: (self._session.look(name).pixel_um or 1.0) if measured else 1.0 for name in singles}
        worlds = [
            (self._size(name).full[0] * pixel[name], self._size(name).full[1] * pixel[name])
            for name in singles
        ]
        for name, place in zip(singles, arrange(worlds, beside), strict=True):
            size = self._size(name)
            if not mosaic:
                self._scales[name] = scale_at(size.full[1], size.full[1] * pixel[name] * zoom)
            live = layers.get(name)
            board = live.board if live is not None and live.board.tile == size.came else None
            if board is None:
                board = self._board(name, _Wanted((name,), size.came, 1), layers)
            if board is None:
                continue
            each = pixel[name] * size.full[1] / size.came[1]
            if size.came[0] * each > 1.1 * size.full[0] * pixel[name]:  # a function has made it taller
                each = pixel[name] * size.full[0] / size.came[0]
            plan[name] = Planned(board, _geometry(each, place.y, place.x, unit))
        if len(plan) < len(singles) + bool(mosaic):
            return None
        self._wanted.clear()
        self._made = {key: made for key, made in self._made.items() if key in plan and key not in layers}
        return plan

    def _fitting_zoom(self, names: Sequence[str], um: float, viewer: Any) -> float:
        """Give the zoom at which about all of the mosaic is in view."""
        height, width = self._common_size(names)
        rows, columns = self._cells(names)
        high, wide = (float(value) for value in viewer.canvas.size)
        return 0.95 * min(high / (rows * height * um), wide / (columns * width * um))

    def _cells(self, names: Sequence[str]) -> tuple[int, int]:
        """Give about how many rows and columns a new mosaic of these has; free wells have pixels, too."""
        wells = self._wells(names)
        if not wells:
            grid = choose_grid(len(names), self._common_size(names))
            return grid.rows, grid.columns
        rows, columns = _extent(self._session.plates, wells)
        return rows + math.ceil((len(names) - len(wells)) / columns), columns

    def _common_size(self, names: Sequence[str]) -> tuple[int, int]:
        return Counter(self._size(name).full for name in names).most_common(1)[0][0]

    def _plan_mosaic(
        self,
        names: Sequence[str],
        layers: Mapping[str, LiveLayer],
        um: float,
        unit: str,
        zoom: float,
        viewer: Any,
        fit: bool,
        left: float,
    ) -> tuple[Planned | None, float]:
        live = layers.get(MOSAIC)
        height, width = size = self._common_size(names)
        places = self._wells(names)
        plates = self._session.plates if places else ()
        cells = math.prod(self._cells(names)) if places else len(names)
        scale = mosaic_scale(cells, size, width * um * zoom if live is not None or fit else None)
        tile = -(-height // scale), -(-width // scale)
        board = live.board if live is not None else None
        if (
            board is None
            or board.tile != tile
            or set(board.names) != set(names)
            or any(board.place(name) != place for name, place in places.items())
            or plates != self._plates
            or any(board.place(name)[0] < rows_of(plates) for name in names if name not in places)
        ):
            board = self._new_mosaic(names, tile, size, layers)
            if board is None:
                return None, 0.0
            self._plates = plates
        each = um * width / tile[1]
        self.visible = None if fit else self._seen(board, each, viewer, left)
        for name in names:
            out = self.visible is not None and name not in self.visible
            full = self._size(name).full
            self._scales[name] = 8 if out else scale_at(full[1], tile[1])
        beside = board.columns * width * um * 1.02
        return Planned(board, _geometry(each, 0.0, left, unit)), beside

    def _wells(self, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Give where those cameras stand that are on a plate; the first of those in the same well."""
        known = self._session.places
        first = {known[name]: name for name in reversed(names) if name in known}
        return {name: place for place, name in first.items()}

    def _new_mosaic(
        self,
        names: Sequence[str],
        tile: tuple[int, int],
        size: tuple[int, int],
        layers: Mapping[str, LiveLayer],
    ) -> Board | None:
        """Give a mosaic that has been made, or have it made: that costs up to 100 ms.

        Cameras stay where they are; where there is no room for all, columns and rows are added. Who is in no
        well stands below the plates: in a free well it would seem to belong there.
        """
        wells = self._wells(names)
        before = layers[MOSAIC].board if MOSAIC in layers else None
        plates = self._session.plates if wells else ()
        below, columns = _extent(plates, wells)
        if wells:
            pass  # as wide as the plates
        elif before is not None and len(names) <= before.cells:
            columns = before.columns
        else:
            columns = max(choose_grid(len(names), size).columns, before.columns if before is not None else 1)
        places = dict(wells)
        others = [name for name in names if name not in wells]
        if before is not None and below >= rows_of(self._plates):  # else there would be empty rows on top
            stay = {name: before.place(name) for name in others if name in before.names}
            places.update({n: place for n, place in stay.items() if place[0] >= below and place[1] < columns})
        taken = set(places.values())
        free = (cell for n in count(below * columns) if (cell := divmod(n, columns)) not in taken)
        places.update({name: next(free) for name in others if name not in places})
        return self._board(
            MOSAIC, _Wanted(tuple(names), tile, columns, tuple(sorted(places.items())), plates), layers
        )

    def _board(self, key: str, wanted: _Wanted, layers: Mapping[str, LiveLayer]) -> Board | None:
        """Give a board that has been made, or have it made: UXGA takes up to 300 ms.

        It shows what there is of its cameras already: nothing new comes while the view stands still.
        """
        made = self._made.get(key)
        if made is not None and made[0] == wanted:
            return made[1]
        # What its own layer shows last: that goes before what others show.
        before = [layers[each].board for each in sorted(layers, key=key.__eq__)]
        if len(wanted.names) == 1 and wanted.tile[0] * wanted.tile[1] <= QUICK_PIXELS:
            self._made[key] = wanted, _make(wanted, before)
            return self._made[key][1]
        if self._wanted.get(key) != wanted:
            self._wanted[key] = wanted
            if not self._session.run(
                lambda: (key, wanted, _make_or_say(wanted, before)), self._take_made, quiet=True
            ):
                del self._wanted[key]
                return _make(wanted, before)
        return None

    def _take_made(self, made: tuple[str, _Wanted, Board | Exception]) -> None:
        key, wanted, board = made
        if self._wanted.get(key) != wanted:  # another one is wanted meanwhile
            return
        del self._wanted[key]
        if isinstance(board, Exception):
            self._session.failed.emit(f"the pictures of {key} cannot be shown: {board}")
            return
        self._made[key] = wanted, board
        tell = self._tell_made()
        if tell is not None and not self._wanted:
            tell()

    def _seen(self, board: Board, each: float, viewer: Any, left: float) -> frozenset[str] | None:
        """Tell which tiles are on the canvas; None when all are."""
        camera = viewer.scene.camera
        zoom = float(camera.zoom) * each
        y, x = (float(value) for value in camera.center[-2:])
        middle = [y / each + 0.5, (x - left) / each + 0.5]
        half = [float(value) / zoom / 2 for value in viewer.canvas.size]
        if not all(math.isfinite(value) for value in (*middle, *half)):
            return None
        seen = set()
        for name in board.names:
            rows, columns = board.region(name)
            if (
                rows.start < middle[0] + half[0]
                and rows.stop > middle[0] - half[0]
                and columns.start < middle[1] + half[1]
                and columns.stop > middle[1] - half[1]
            ):
                seen.add(name)
        return None if len(seen) == len(board.names) else frozenset(seen)


def _geometry(each: float, y: float, x: float, unit: str) -> dict[str, Any]:
    # The middle of the first pixel, not its corner, is where a layer begins.
    return {"scale": (each, each), "translate": (y + each / 2, x + each / 2), "units": (unit, unit)}


def _extent(plates: Iterable[Plate], wells: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Give rows and columns that plates take together, with those of cameras that stand beyond them."""
    rows = max((row for row, _ in wells.values()), default=-1)
    columns = max((column for _, column in wells.values()), default=-1)
    return max(rows_of(plates), 1 + rows), max(1 + columns, *(plate.columns for plate in plates), 0)
