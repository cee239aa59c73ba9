"""Layers made ahead, and taken away later: napari needs 150 to 300 ms for a new one, and to drop an old one.

napari cannot answer meanwhile. So one layer is made when the widget is opened, and waits for the first camera
or the mosaic; layers that go are taken away one at a time, with everything else in between.

With each layer that goes napari searches all memory, 100 to 250 ms: what the layer has on the graphics card
has to go then and there, on this thread. That must not be spared, only made short: what was there before the
widget (`settle`) needs no search. Everything made later is found and freed as ever.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QTimer

from espressoscope.napari_plugin.framing import draw_here
from espressoscope.napari_plugin.labels import text_mask
from espressoscope.napari_plugin.layers import READY, match_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["Stock", "remove_soon"]

_log = logging.getLogger(__name__)

REST_MS: Final = 20
"""Left to everything else before each layer that is taken away."""
_NAME: Final = "Live cameras"
_WORDS: Final = "No camera yet"
_SIZE: Final = (240, 320)


class _Memory:
    """What is spared napari's search of memory while widgets are open; touched by the thread that draws."""

    def __init__(self) -> None:
        self._users = 0
        self._ours = False
        self._old: weakref.WeakSet[Any] = weakref.WeakSet()

    def settle(self, viewer: Any) -> None:
        """Spare everything there is now; what is waste already is freed first."""
        self._users += 1
        if self._users == 1 and not gc.get_freeze_count():  # else somebody else's
            gc.collect()
            gc.freeze()
            self._ours = True
        if self._ours:
            self._old.update(viewer.layers)

    def is_old(self, layer: Any) -> bool:
        """Tell whether a layer was there already."""
        return self._ours and layer in self._old

    def thaw(self) -> None:
        """Spare nothing any more until the next widget settles."""
        if self._ours:
            self._ours = False
            gc.unfreeze()
            self._old.clear()

    def release(self) -> None:
        """Undo one `settle`; nothing is spared any more: it may have been a widget opened before another."""
        self._users -= 1
        self.thaw()


_memory: Final = _Memory()


class Stock:
    """The layer that waits, and those that are to go.

    Parameters
    ----------
    session : LiveSession
        Has what napari needs loaded on a thread of its own.
    viewer : napari.Viewer
        Whose layers.
    ready : callable
        Called when layers may be made; to be held weakly, so a bound method.
    left : callable
        Gives where in the world the layer that waits begins.
    """

    def __init__(
        self,
        session: LiveSession,
        viewer: Any,
        ready: Callable[[object], object],
        left: Callable[[], float],
    ) -> None:
        self.ready = False
        self.spare: Any = None
        self._viewer = viewer
        self._left = left
        self._settled = self._closed = False
        viewer.layers.events.removing.connect(self._going)
        if not session.run(_load, ready, ready, quiet=True):
            self.ready = True

    def make(self) -> None:
        """Make the layer that waits, where there is none; `ready` tells when it is there."""
        if self._closed:
            return
        if not self._settled:  # everything else has its turn in between
            self._settled = True
            _memory.settle(self._viewer)
            QTimer.singleShot(REST_MS, self.make)
            return
        self.ready = True
        if self.spare is None:
            self.spare = self._viewer.add_image(
                _waiting(),
                rgb=True,
                name=_NAME,
                metadata={"espressoscope": READY},
                contrast_limits=(0, 255),
                cache=False,
                translate=(0.0, self._left()),
            )
            match_units(self._viewer)

    def take(self) -> Any:
        """Give the layer that waits, and forget it; None when there is none, or its user has removed it."""
        layer, self.spare = self.spare, None
        return layer if layer is not None and layer in self._viewer.layers else None

    def put_back(self, layer: Any) -> None:
        """Have a layer wait that showed cameras."""
        layer.data = _waiting()
        layer.name = _NAME
        layer.metadata = {"espressoscope": READY}
        self.spare = layer
        match_units(self._viewer)

    def remove(self, layers: Iterable[Any]) -> None:
        """Take layers away soon, one at a time; also when this object is gone."""
        remove_soon(self._viewer, [layer for layer in layers if layer is not None])

    def close(self, layers: Iterable[Any]) -> None:
        """Take these layers away, and the one that waits, and let memory be as it was. Twice does nothing."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(ValueError, RuntimeError):  # the window is gone
            self._viewer.layers.events.removing.disconnect(self._going)
        queue = [layer for layer in (self.take(), *layers) if layer is not None]
        remove_soon(self._viewer, queue, _memory.release if self._settled else None)

    def _going(self, event: Any) -> None:
        """Have what a layer leaves freed where it was drawn, also what was there before the widget."""
        draw_here(self._viewer)
        if self._settled and _memory.is_old(self._viewer.layers[event.index]):
            _memory.thaw()


def _load() -> None:
    """Load the largest library that napari loads with the first image, on a thread where nobody waits for it.

    No more than that: making a layer here would set up napari's units on two threads at once, which fails.
    """
    try:
        from napari.utils._xarray_utils import _check_xarray
    except ImportError:  # another napari
        return
    _check_xarray(np.zeros(1))


def _waiting() -> NDArray[np.uint8]:
    picture = np.zeros((*_SIZE, 3), np.uint8)
    text = text_mask(_WORDS, 24)[:, : _SIZE[1]] // 2
    top, left = (_SIZE[0] - text.shape[0]) // 2, (_SIZE[1] - text.shape[1]) // 2
    picture[top : top + text.shape[0], left : left + text.shape[1]] = text[..., None]
    return picture


def remove_soon(viewer: Any, layers: list[Any], then: Callable[[], object] | None = None) -> None:
    """Take layers away in a moment, one at a time, and call `then`; those that are gone do no harm."""
    if layers or then is not None:
        QTimer.singleShot(REST_MS, partial(_remove_next, viewer, layers, then))


def _is_open(viewer: Any) -> bool:
    try:
        viewer.window.geometry()
    except (AttributeError, RuntimeError):  # the window is gone, or parts of it
        return False
    return True


def _remove_next(viewer: Any, queue: list[Any], then: Callable[[], object] | None) -> None:
    try:
        if queue and (layer := queue.pop(0)) in viewer.layers:
            draw_here(viewer)
            layer.visible = (
                False  # where another listener raises the canvas may keep it: it must not look live
            )
            viewer.layers.remove(layer)
            match_units(viewer)
    except Exception:  # noqa: BLE001 (functions of others are called)
        if _is_open(viewer):
            _log.exception("a layer was not taken away in order; does another plugin listen to layers?")
        else:
            queue.clear()
    if queue:
        remove_soon(viewer, queue, then)
    elif then is not None:
        then()
