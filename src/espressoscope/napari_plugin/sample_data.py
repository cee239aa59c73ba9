"""Simulated cameras in napari's menu: the plugin can be tried at a desk without hardware."""

from __future__ import annotations

from typing import Any

import napari

from espressoscope.display import Mosaic
from espressoscope.napari_plugin.layers import WAITING
from espressoscope.napari_plugin.widget import LiveWidget

__all__ = ["four_cameras", "one_camera", "open_widget", "plate_of_cameras"]


def one_camera() -> list[tuple[Any, ...]]:
    """Show one simulated camera live."""
    return _simulate(1)


def four_cameras() -> list[tuple[Any, ...]]:
    """Show four simulated cameras live."""
    return _simulate(4)


def plate_of_cameras() -> list[tuple[Any, ...]]:
    """Show 24 simulated cameras live, a plate of 4 x 6 wells."""
    return _simulate(24)


def open_widget(viewer: napari.Viewer) -> LiveWidget:
    """Give the widget of a viewer, opened where it was not."""
    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, LiveWidget) and not widget.session.closed:
            return widget
    _, widget = viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
    assert isinstance(widget, LiveWidget)
    return widget


def _simulate(count: int) -> list[tuple[Any, ...]]:
    viewer = napari.current_viewer()
    if viewer is None:
        raise RuntimeError("simulated cameras are shown live, in a viewer: there is none open")
    open_widget(viewer).session.simulate(count)
    # The layers are the widget's: they live. napari wants one all the same; it goes with the first of those.
    starting = Mosaic([str(index) for index in range(count)], (60, 80)).draw({})
    about = {"name": "Starting simulated cameras…", "rgb": True, "metadata": {"espressoscope": WAITING}}
    return [(starting, about, "image")]
