"""Snapped pictures as layers of napari: a layer each of a few, a stack with a slider of many.

Why: napari takes 230 to 280 ms of the thread that draws to take in a layer (its controls, its shaders), and
65 ms more to paint it the first time; 24 layers stop everything for more than six seconds. To give a layer it
has already a longer array takes 20 ms, however many pictures come with it. So the pictures of one snap of up
to `LAYERS_MOST` cameras become layers, one at a time with pauses in between; those of more cameras are put
behind the others of their size in one stack, whose slider goes to the first of them. The first picture of a
size needs a layer; where there are many cameras, one is made, hidden, when the panel is looked at
(`SnapLayers.prepare`). What is copied is copied on a thread of the session (`Stack.append`).

No picture is ever replaced. Layers stand above the live ones, where they cover none and cannot be taken for
live.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from espressoscope.napari_plugin.framing import fit_view
from espressoscope.napari_plugin.layers import NO_SNAP, match_units
from espressoscope.napari_plugin.mailbox import application, delete_soon
from espressoscope.napari_plugin.snapping import describe
from espressoscope.napari_plugin.stock import remove_soon

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari
    from numpy.typing import NDArray

    from espressoscope.napari_plugin.session import LiveSession
    from espressoscope.napari_plugin.snapping import Snapped

__all__ = ["MOST_BYTES", "SnapLayers", "Stack", "Taken"]

_log = logging.getLogger(__name__)

MOST_BYTES: Final = 2 * 1024**3
"""Of pictures in layers of ours; then none is snapped before layers are removed."""
MOST_STACK_BYTES: Final = 1024**3
"""Of one stack; then another one begins."""
PAUSE_MS: Final = 150
"""Left to everything else between two changes of layers, at least; twice as long as the last one took."""
_ROOM: Final = 8
GAP: Final = 0.02
"""Between snapped and live layers, as a share of the height."""


class Taken(NamedTuple):
    """A picture and its pixels, (H, W, 3) uint8."""

    picture: Snapped
    image: NDArray[np.uint8]


class Stack:
    """Pictures of one size, one behind the other.

    Attributes
    ----------
    shown : (N, H, W, 3) uint8
        What its layer shows; part of an array with room for more.
    entries : list of dict
        What is known of each.
    layer : napari.layers.Image or None
        Its layer.
    told : object
        What the layer was given as data; both are touched by the thread that draws only.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shown: NDArray[np.uint8] = np.empty((0, *shape), np.uint8)
        self.entries: list[dict[str, Any]] = []
        self.layer: Any = None
        self.told: Any = None
        self._room = self.shown

    def append(self, taken: Sequence[Taken]) -> int:
        """Put pictures behind the others; give the place of the first. On a thread of the session."""
        first = len(self.shown)
        wanted = first + len(taken)
        if wanted > len(self._room):
            room = np.empty((max(wanted, 2 * first, _ROOM), *self.shown.shape[1:]), np.uint8)
            room[:first] = self.shown
            self._room = room
        for place, each in enumerate(taken, first):
            self._room[place] = each.image
        self.shown = self._room[:wanted]
        self.entries = [*self.entries, *(_entry(each.picture) for each in taken)]
        return first


class SnapLayers(QObject):
    """Snapped pictures of one widget in a viewer.

    Parameters
    ----------
    session : LiveSession
        Copies on its threads; after its end no layer is made any more.
    viewer : napari.Viewer
        Gets the layers, which stay there when the widget is closed.
    """

    shown = Signal(object)
    """list of Snapped: they have become layers."""

    def __init__(self, session: LiveSession, viewer: napari.Viewer) -> None:
        super().__init__(application())
        self._session = session
        self._viewer: Any = viewer
        self._stacks: dict[tuple[Any, ...], Stack] = {}
        self._copying = 0
        self._spare: Any = None
        self._lefts: dict[tuple[int, float, float], float] = {}
        self._seen: tuple[float, ...] | None = None
        self._queue: deque[tuple[Callable[[], object], int]] = deque()
        self._owed = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._next)

    @property
    def nbytes(self) -> int:
        """Bytes of all snapped pictures in the viewer."""
        return sum(layer.data.nbytes for layer in self._viewer.layers if _is_ours(layer))

    @property
    def idle(self) -> bool:
        """Whether everything put in has become layers."""
        return not (self._queue or self._copying or self._timer.isActive())

    def prepare(self) -> None:
        """Have a layer wait, hidden, for the first stack; twice does nothing."""
        if self._spare is None and not self._stacks:
            self._enqueue(self._make_spare)

    def _make_spare(self) -> None:
        if self._spare is None and not self._stacks:
            selection = self._viewer.layers.selection
            selected = set(selection)
            self._spare = self._viewer.add_image(
                np.zeros((1, 24, 32, 3), np.uint8),
                rgb=True,
                name="Snaps",
                visible=False,
                metadata={"espressoscope": NO_SNAP},
                contrast_limits=(0, 255),
                cache=False,
                axis_labels=("picture", "y", "x"),
            )
            selection.clear()  # napari selects what is new; nobody has asked for this one
            selection.update(selected)
            match_units(self._viewer)

    def put_single(self, taken: Taken, column: int) -> None:
        """Make a layer of a picture soon, in the place of this column's pictures of its size."""
        self._owed += 1
        self._enqueue(lambda: self._add_single(taken, column), 1)

    def put_many(self, taken: Sequence[Taken]) -> None:
        """Put pictures into the stacks of their sizes soon, in this order."""
        self._owed += len(taken)
        groups: dict[tuple[Any, ...], list[Taken]] = {}
        for each in taken:
            groups.setdefault((each.image.shape, each.picture.look.pixel_um), []).append(each)
        for key, group in groups.items():
            stack = self._stack(key, sum(each.image.nbytes for each in group))
            started = self._session.run(
                lambda stack=stack, group=group: (  # type: ignore[misc]
                    stack,
                    group,
                    stack.append(group),
                    stack.shown,
                    stack.entries,
                ),
                self._appended,
                partial(self._not_appended, len(group)),
                lane="snaps",
            )
            self._copying += started
            if not started and not self._session.closed:
                self._lost(len(group), "too much waits to be done already")

    def _not_appended(self, count: int, error: Exception) -> None:
        self._copying -= 1
        self._lost(count, f"{type(error).__name__}: {error}")

    def _lost(self, count: int, why: str) -> None:
        """Say that pictures did not become layers."""
        self._owed -= count
        which = "1 picture" if count == 1 else f"{count} pictures"
        self._session.failed.emit(
            f"No layer was made of {which} ({why}). Save what is in the list, and remove layers to make room"
        )

    def _stack(self, key: tuple[Any, ...], nbytes: int) -> Stack:
        """Give the stack that takes more: not one whose layer is gone or was changed, nor a full one."""
        stack = self._stacks.get(key)
        layer = None if stack is None else stack.layer
        if (
            stack is None
            or (layer is not None and (layer not in self._viewer.layers or layer.data is not stack.told))
            or stack.shown.nbytes + nbytes > MOST_STACK_BYTES
        ):
            stack = self._stacks[key] = Stack(key[0])
        return stack

    def _appended(
        self, what: tuple[Stack, list[Taken], int, NDArray[np.uint8], list[dict[str, Any]]]
    ) -> None:
        self._copying -= 1
        self._enqueue(lambda: self._show_stack(*what), len(what[1]))

    # ---- one change of layers at a time -----------------------------------------------------------------

    def _enqueue(self, change: Callable[[], object], pictures: int = 0) -> None:
        """Have something done to the layers soon, by which so many pictures become some."""
        self._queue.append((change, pictures))
        if not self._timer.isActive():
            self._timer.start(0)

    def _next(self) -> None:
        if not self._queue or self._session.closed:
            return
        began = time.perf_counter()
        change, pictures = self._queue.popleft()
        self._owed -= pictures
        try:
            change()
        except Exception as error:  # noqa: BLE001 (functions of others are called)
            _log.exception("a layer of snapped pictures could not be made or changed")
            self._session.failed.emit(
                f"A layer of snapped pictures is missing or not whole ({type(error).__name__}: {error}). "
                "Save what is in the list, and close other plugins that use these layers"
            )
        finally:  # the others have their turn
            took_ms = round(1000 * (time.perf_counter() - began))
            self._timer.start(max(PAUSE_MS, 2 * took_ms))

    def _add_single(self, taken: Taken, column: int) -> None:
        self._add(taken.image, taken.picture.name, taken.picture, [_entry(taken.picture)], column)
        self.shown.emit([taken.picture])

    def _show_stack(
        self,
        stack: Stack,
        group: list[Taken],
        first: int,
        shown: NDArray[np.uint8],
        entries: list[dict[str, Any]],
    ) -> None:
        layer = stack.layer
        if layer is not None and layer in self._viewer.layers:
            _show_data(layer, shown)
            layer.metadata = {**layer.metadata, "espressoscope": {"snap": True, "pictures": entries}}
        else:
            if layer is not None:  # removed by the user a moment ago: the new ones alone
                shown, entries, first = shown[first:], entries[first:], 0
                self._stacks = {key: each for key, each in self._stacks.items() if each is not stack}
            height, width = shown.shape[1:3]
            stack.layer = self._add(shown, f"Snaps {width} x {height}", group[0].picture, entries)
        stack.told = stack.layer.data
        self.show_at(stack.layer, first)
        self.shown.emit([each.picture for each in group])

    def _add(
        self,
        data: NDArray[np.uint8],
        name: str,
        picture: Snapped,
        entries: list[dict[str, Any]],
        column: int = 0,
    ) -> Any:
        um = picture.look.pixel_um
        each, unit = (1.0, "pixel") if um is None else (um, "um")
        more = data.ndim - 3
        up = -(1 + GAP) * data.shape[-3] * each
        left, is_new = self._left(column, data.shape[-3] * each, data.shape[-2] * each)
        about = {
            "metadata": {"espressoscope": {"snap": True, "pictures": entries}},
            "name": name,
            "scale": (*(1.0,) * more, each, each),
            "translate": (*(0.0,) * more, up, left + each / 2),
            "units": (*("pixel",) * more, unit, unit),
        }
        layer = self._take_spare() if more else None
        if layer is not None:
            for key, value in about.items():
                setattr(layer, key, value)
            _show_data(layer, data)
        else:
            axes = (*("picture",) * more, "y", "x")
            layer = self._viewer.add_image(
                data, rgb=True, contrast_limits=(0, 255), cache=False, axis_labels=axes, **about
            )
        if is_new and self._seen in (None, self._view()):  # its user has not moved the view since
            ours = [each for each in self._viewer.layers if _entries(each) or _is_live(each)]
            fit_view(self._viewer, ours)
            self._seen = self._view()
        return layer

    def _left(self, column: int, height: float, width: float) -> tuple[float, bool]:
        """Give where in the world a picture begins, and whether that is a new place.

        Those of one camera and size stand in the same place; all others to the right of what there is, for
        cameras differ in the size of their pixels, and that may change.
        """
        ours = [layer for layer in self._viewer.layers if _is_ours(layer)]
        if not ours:
            self._lefts.clear()
            self._seen = None
        key = column, height, width
        is_new = key not in self._lefts
        if is_new:
            ends = [float(each.extent.world[1][-1] + each.scale[-1] / 2) for each in ours]
            live = [layer for layer in self._viewer.layers if _is_live(layer)]
            begin = min((float(each.extent.world[0][-1] - each.scale[-1] / 2) for each in live), default=0.0)
            self._lefts[key] = max(ends) + GAP * width if ends else begin
        return self._lefts[key], is_new

    def _view(self) -> tuple[float, ...]:
        camera = self._viewer.scene.camera
        return (round(camera.zoom, 6), *(round(value, 3) for value in camera.center[-2:]))

    def _take_spare(self) -> Any:
        """Give the layer that waits; None where there is none, or its user has removed it."""
        spare, self._spare = self._spare, None
        return spare if spare is not None and spare in self._viewer.layers else None

    def close(self) -> None:
        """Make no layer any more, and take away the one that waits; pictures stay. Twice does nothing."""
        with contextlib.suppress(RuntimeError):  # Qt has deleted it
            self._timer.stop()
        self._queue.clear()
        if self._owed:
            _log.warning("no layer was made of %d snapped pictures: their widget was closed", self._owed)
            self._owed = 0
        spare, self._spare = self._spare, None
        if spare is not None:
            remove_soon(self._viewer, [spare])
        delete_soon(self)

    def show_at(self, layer: Any, place: int) -> None:
        """Move the slider to a picture of a stack."""
        axis = self._viewer.dims.ndim - layer.ndim
        if layer.ndim > 2 and layer in self._viewer.layers:
            # Not by steps: with a recording beside it they are the recording's.
            self._viewer.dims.set_point(axis, float(layer.data_to_world((place, 0, 0))[0]))

    def reveal(self, picture: Snapped) -> bool:
        """Bring a picture to the front, or its stack's slider to it; false when its layer is gone."""
        for layer in reversed(tuple(self._viewer.layers)):
            for place, entry in enumerate(_entries(layer)):
                if entry["jpeg"] is picture.frame.jpeg:
                    layer.visible = True
                    self._viewer.layers.selection.active = layer
                    self.show_at(layer, place)
                    return True
        return False


def _show_data(layer: Any, data: NDArray[np.uint8]) -> None:
    """Have a layer show other data; of one that is hidden napari would not notice that its size changes."""
    layer.visible = True
    layer.data = data


def _entry(picture: Snapped) -> dict[str, Any]:
    return {"picture": picture.name, **describe(picture), "jpeg": picture.frame.jpeg}


def _entries(layer: Any) -> list[dict[str, Any]]:
    ours = layer.metadata.get("espressoscope")
    return ours.get("pictures", []) if isinstance(ours, dict) else []


def _is_live(layer: Any) -> bool:
    about = layer.metadata.get("espressoscope")
    return isinstance(about, dict) and bool(about.get("live"))


def _is_ours(layer: Any) -> bool:
    return bool(_entries(layer))
