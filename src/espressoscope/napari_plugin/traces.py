"""Sharpness and brightness of every camera over the last minute, measured on the decode threads. No Qt."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from espressoscope import DecodeError
from espressoscope.display import Figures, measure

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from espressoscope import Frame

__all__ = ["MOST_POINTS", "Meter"]

EVERY_S: Final = 0.25
"""From one measurement of a camera to the next, at least: 24 cameras cost a few percent of a core."""
MOST_POINTS: Final = 240
"""Points kept of each camera; the oldest goes."""


class Meter:
    """A tap of `Pictures` that measures.

    Parameters
    ----------
    sharpness : MutableMapping of str to float
        Gets the newest sharpness of each camera.

    Attributes
    ----------
    measured, failed : int
        Pictures that were measured, and that could not be.
    """

    def __init__(self, sharpness: MutableMapping[str, float]) -> None:
        self.measured = 0
        self.failed = 0
        self._sharpness = sharpness
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._points: dict[str, deque[tuple[float, Figures]]] = {}

    def take(self, frame: Frame, picture: Any) -> None:
        """Measure a frame if the last one of its camera is long enough ago; on a decode thread."""
        now = time.monotonic()
        if now < self._next.get(frame.camera, 0.0):
            return
        self._next[frame.camera] = now + EVERY_S
        try:
            figures = measure(frame)
        except (DecodeError, ValueError):
            self.failed += 1
            return
        with self._lock:
            self.measured += 1
            self._points.setdefault(frame.camera, deque(maxlen=MOST_POINTS)).append((now, figures))
        self._sharpness[frame.camera] = figures.sharpness

    def points(self, camera: str) -> list[tuple[float, Figures]]:
        """Give what has been measured of a camera, oldest first, with its monotonic time."""
        with self._lock:
            return list(self._points.get(camera, ()))

    def forget(self, camera: str) -> None:
        """Drop what is kept of a camera."""
        with self._lock:
            self._points.pop(camera, None)
            self._next.pop(camera, None)
        self._sharpness.pop(camera, None)
