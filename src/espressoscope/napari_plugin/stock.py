"""Layers made ahead, and taken away later: napari needs 150 to 300 ms for a new one, and to drop an old one.

napari cannot answer meanwhile. So one layer is made when the widget is opened, and waits for the first camera
or the mosaic; layers that go are taken away one at a time, with everything else in between.
"""

from __future__ import annotations

import contextlib
import gc
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QTimer

from espressoscope.napari_plugin.labels import text_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["READY", "Stock"]

_log = logging.getLogger(__name__)

READY: Final = "ready"
"""Metadata of the layer that waits for cameras."""
REST_MS: Final = 20
"""Left to everything else before each layer that is taken away."""
_NAME: Final = "Live cameras"
_WORDS: Final = "No camera yet"
_SIZE: Final = (240, 320)


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
    """

    def __init__(self, session: LiveSession, viewer: Any, ready: Callable[[object], object]) -> None:
        self.ready = False
        self.spare: Any = None
        self._viewer = viewer
        if not session.run(_load, ready, ready, quiet=True):
            self.ready = True

    def make(self) -> None:
        """Make the layer that waits, where there is none."""
        self.ready = True
        if self.spare is None:
            self.spare = self._viewer.add_image(
                _waiting(),
                rgb=True,
                name=_NAME,
                metadata={"espressoscope": READY},
                contrast_limits=(0, 255),
                cache=False,
            )

    def take(self) -> Any:
        """Give the layer that waits, and forget it; None when there is none."""
        layer, self.spare = self.spare, None
        return layer

    def put_back(self, layer: Any) -> None:
        """Have a layer wait that showed cameras."""
        layer.data = _waiting()
        layer.name = _NAME
        layer.metadata = {"espressoscope": READY}
        self.spare = layer

    def remove(self, layers: Iterable[Any]) -> None:
        """Take layers away soon, one at a time; also when this object is gone."""
        queue = [layer for layer in layers if layer is not None]
        if queue:
            QTimer.singleShot(REST_MS, partial(_remove_next, self._viewer, queue))


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


def _remove_next(viewer: Any, queue: list[Any]) -> None:
    layer = queue.pop(0)
    try:
        if layer in viewer.layers:
            with _quick_collection():
                viewer.layers.remove(layer)
    except (RuntimeError, AttributeError, KeyError):  # the window is gone, and parts of it
        _log.debug("a layer could not be taken away", exc_info=True)
        return
    if queue:
        QTimer.singleShot(REST_MS, partial(_remove_next, viewer, queue))


@contextlib.contextmanager
def _quick_collection() -> Any:
    """Spare napari the search of all memory after each layer, 100 to 250 ms; it is done in its time."""
    if gc.get_freeze_count():  # somebody else's
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
