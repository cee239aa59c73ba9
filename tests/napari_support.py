"""What tests of the plugin share."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari


def make_viewer() -> napari.Viewer:
    """Open a viewer on the screen; what its libraries warn of is theirs."""
    import napari

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1500, 1000)
    return viewer
