"""``python -m espressoscope.napari_plugin [CAMERA...]``: napari with the widget open, and cameras in it."""

from __future__ import annotations

import sys

import napari

from espressoscope.napari_plugin.sample_data import open_widget

__all__ = ["main"]


def main(cameras: list[str]) -> int:
    """Open napari; returns when it is closed."""
    viewer = napari.Viewer()
    session = open_widget(viewer).session
    if cameras:
        session.add(cameras)
    else:
        session.find()
    del session
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
