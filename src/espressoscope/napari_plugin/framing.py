"""The canvas: layers brought into view whatever else the viewer shows, and OpenGL turned to it."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["draw_here", "fit_view"]

MARGIN: Final = 0.05
"""Left free around them, as a share of the canvas."""


def fit_view(viewer: Any, layers: Sequence[Any]) -> None:
    """Move and zoom so that these layers fill the canvas; does nothing without any.

    napari's own `fit_to_view` fails for layers of fewer dimensions than another one of the viewer has.
    """
    if not layers:
        return
    if viewer.dims.ndisplay != 2:
        viewer.fit_to_view()
        return
    axes = list(viewer.dims.displayed)
    lows, highs = [], []
    for layer in layers:
        missing = viewer.dims.ndim - layer.ndim
        mine = [axis - missing for axis in axes if axis >= missing]
        half = np.abs(np.asarray(layer.scale)) / 2
        world = layer.extent.world
        lows.append([0.0] * (2 - len(mine)) + [world[0][axis] - half[axis] for axis in mine])
        highs.append([0.0] * (2 - len(mine)) + [world[1][axis] + half[axis] for axis in mine])
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    viewer.scene.camera.center = tuple(float(value) for value in (low + high) / 2)
    size = np.maximum(high - low, 1e-9)
    viewer.scene.camera.zoom = float((1 - MARGIN) * np.min(np.asarray(viewer.canvas.size) / size))


def draw_here(viewer: Any) -> None:
    """Make the canvas what OpenGL draws to; to be called before a layer is taken away.

    napari then has the graphics card free what the layer had, at once, wherever OpenGL happens to be: mostly
    with Qt, which has just put the window together. The canvas does not learn of what is freed there, and
    draws with it: the program crashes in glDrawArrays.
    """
    # Another napari, or a window that is gone. No public way leads to the canvas, and napari says so aloud.
    with contextlib.suppress(AttributeError, RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        viewer.window._qt_viewer.canvas._scene_canvas.set_current()
