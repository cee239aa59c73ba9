"""napari, opened as a program of its own: whether it can be, with which cameras, and its end."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["INSTALL", "NoWindow", "open_napari", "why_no_window"]

INSTALL = 'pip install "espressoscope[napari]" PyQt6'
"""What brings napari, and a Qt; any Qt that napari takes will do."""
END_S = 40.0
"""Longest wait for napari's end when this program is to end: a recording may wait for a slow disk."""

_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_PLATFORMS = {"win32": "windows", "darwin": "cocoa"}  # what Qt draws with where nothing else is asked


class NoWindow(NamedTuple):
    """Why there is no window, and what to try."""

    reason: str
    hint: str


def why_no_window(env: Mapping[str, str] = os.environ) -> NoWindow | None:
    """Say why napari cannot be opened here; None when nothing speaks against it."""
    if not _installed("napari") or not _installed("qtpy"):
        return NoWindow("napari is not installed here", f"Install it, and a Qt: {INSTALL}")
    if not any(map(_installed, _BINDINGS)):
        return NoWindow("napari is here, but no Qt, which draws its window", "Install one: pip install PyQt6")
    platform = env.get("QT_QPA_PLATFORM") or _PLATFORMS.get(sys.platform, "xcb")
    if not platform.startswith(("xcb", "wayland")):
        return None
    if not (env.get("DISPLAY") or env.get("WAYLAND_DISPLAY")):
        return NoWindow("there is no screen here to open a window on", "Run it where you have a desktop")
    return None


def open_napari(cameras: Sequence[str]) -> int:
    """Open napari with cameras in it; without any it looks for them. Returns its exit code when it is closed.

    A program of its own: the command line does not know the plugin, and Qt wants the main thread. When this
    program is interrupted napari ends in order, recordings included.
    """
    command = [sys.executable, "-m", "espressoscope.napari_plugin", "-"]
    # What libraries print is for people: on stdout nothing stands but answers for programs.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.__stderr__)
    try:
        # Not as arguments: everybody on this computer can read those, and addresses may have passwords.
        assert process.stdin is not None
        with contextlib.suppress(OSError), process.stdin as pipe:  # it may end before it has read them
            pipe.write(json.dumps(list(cameras)).encode())
        return process.wait()
    except BaseException:
        # Ctrl-C reaches it too, but whoever sends a signal to this program alone means both. Windows knows
        # no request to end but Ctrl-C.
        if sys.platform != "win32":
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # in the middle of what no signal ends
                process.wait(END_S)
        raise


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
