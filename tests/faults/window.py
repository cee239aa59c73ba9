"""napari with the widget and the cameras named, which writes what it shows of each as JSON lines.

``state``, ``message`` and ``drops`` are what its table says, ``tile`` what is made of the picture. It ends
when its standard input does.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import sys
import threading
import time
import warnings
from typing import Any, Final

LINES_S: Final = 0.25
_LEAST_S: Final = 0.002


def main(urls: list[str]) -> int:
    """Open a screen where there is none, and show."""
    from napari_support import make_viewer, open_screen

    if "DISPLAY" not in os.environ and (problem := open_screen()):
        print(problem, file=sys.stderr)
        return 1
    ending = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ending.set()), daemon=True).start()

    viewer = make_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
    widget.session.add(urls)
    from qtpy.QtWidgets import QApplication

    next_lines = 0.0
    while not ending.is_set():
        QApplication.processEvents()
        if time.monotonic() > next_lines:
            next_lines = time.monotonic() + LINES_S
            tell(widget)
        time.sleep(_LEAST_S)
    session = widget.session
    viewer.window.remove_dock_widget(widget)
    ended = session.wait_closed(10)
    end = time.monotonic() + 10
    while viewer.layers and time.monotonic() < end:
        QApplication.processEvents()
    ended = ended and not viewer.layers
    viewer.close()
    del viewer, widget
    gc.collect()
    for _ in range(20):
        QApplication.processEvents()
    return 0 if ended else 1


def tell(widget: Any) -> None:
    """Write a line for each camera."""
    table = widget.table.cameras
    for name in widget.session.names:
        written = {
            "camera": name,
            "state": table.text(name, 1),
            "tile": str(widget.screen.judging.state(name)),
            "message": table.text(name, 7),
            "frames": time.monotonic_ns(),  # its table does not count them
            "drops": int(table.text(name, 5) or 0),
        }
        print(json.dumps(written), flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what napari's libraries warn of is theirs
        code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # All of ours has ended. Python takes Qt's objects away in no order, which now and then crashes in Qt.
    os._exit(code)
