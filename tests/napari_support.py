"""What tests of the plugin share."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari

_KEPT: list[Any] = []

WINDOW = (1500, 1000)


def open_screen() -> str:
    """Start an X server for this process, and the application that keeps it; give why there is none."""
    if sys.platform == "linux":
        if shutil.which("Xvfb") is None:
            return "napari needs a screen: Xvfb is not installed (Debian: xvfb)"
        read, write = os.pipe()
        # It ends with this process, however that ends.
        command = ["setpriv", "--pdeathsig", "TERM", "Xvfb", "-displayfd", str(write)]
        command += ["-screen", "0", "1920x1200x24", "+extension", "GLX", "-nolisten", "tcp"]
        os.set_inheritable(write, True)
        quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        os.posix_spawnp("setpriv", command, os.environ, file_actions=quiet)
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            return "Xvfb did not start"
        os.environ["DISPLAY"] = f":{number}"
        os.environ["QT_QPA_PLATFORM"] = "xcb"
    from napari.qt import get_qapp

    _KEPT.append(get_qapp())
    return ""


def make_viewer() -> napari.Viewer:
    """Open a viewer on the screen; what its libraries warn of is theirs."""
    import napari

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*WINDOW)
    # The tests take away layers of every kind, with and without a widget: see `draw_here`.
    viewer.layers.events.removing.connect(partial(_draw_here, viewer))
    return viewer


def _draw_here(viewer: napari.Viewer, event: Any) -> None:
    from espressoscope.napari_plugin.framing import draw_here

    draw_here(viewer)
