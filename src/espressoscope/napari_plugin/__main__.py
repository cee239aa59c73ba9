"""``python -m espressoscope.napari_plugin [CAMERA...|-]``: napari with the widget open, and cameras in it."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Final

import napari
from qtpy.QtWidgets import QApplication

from espressoscope.napari_plugin.sample_data import open_widget

if TYPE_CHECKING:
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["begin", "main"]

END_S: Final = 35.0
"""Longest wait for a recording's files when it ends."""
_WIDE, _HIGH = 1500, 950


def main(cameras: list[str]) -> int:
    """Open napari; returns when it is closed. Ctrl-C and SIGTERM close it in order."""
    signal.signal(signal.SIGTERM, lambda *_: QApplication.quit())
    session: LiveSession | None = None
    with contextlib.suppress(KeyboardInterrupt):
        viewer = napari.Viewer()
        session = begin(viewer, cameras)
        _make_room(viewer)
        napari.run()
    if session is not None:
        session.close()
        session.wait_closed(END_S)
    return 0


def begin(viewer: napari.Viewer, cameras: list[str]) -> LiveSession:
    """Have cameras live in a viewer's widget; without any it looks for them."""
    session = open_widget(viewer).session
    if cameras:
        session.add(cameras)
    else:
        session.find()
    return session


def _make_room(viewer: napari.Viewer) -> None:
    """Let the pictures have room beside the widget: napari's window is small at first."""
    width, height = viewer.window.geometry()[2:]
    screen = QApplication.primaryScreen().availableSize()
    viewer.window.resize(
        max(width, min(_WIDE, screen.width())), max(height, min(_HIGH, int(0.9 * screen.height())))
    )


def _asked(arguments: list[str]) -> list[str]:
    """Give the cameras: the arguments, or for ``-`` a JSON list on stdin, which nobody else can read."""
    return [str(each) for each in json.loads(sys.stdin.read())] if arguments == ["-"] else arguments


if __name__ == "__main__":
    sys.exit(main(_asked(sys.argv[1:])))
