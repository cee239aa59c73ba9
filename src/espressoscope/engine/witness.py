"""Which size of picture surely belongs to the framesize a camera now reports.

The pair of the two teaches the numbering, so a frame that was under way when the size changed must not count:
640x480 beside the index of XGA reads as VGA under another numbering.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from espressoscope.engine.link import STALL_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from espressoscope.engine.link import Link

__all__ = ["SizeWitness"]

_OLD_FRAMES = 3
"""Frames of the old size that may follow a change: one on its way and two in the device's buffers."""
_TRUSTED_AFTER_NS = 1_000_000_000


class SizeWitness:
    """Remembers when the size was changed, and the size of the newest flushed capture.

    Parameters
    ----------
    link : Link
        Its frames count too.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._changes_under_way = 0
        self._changed_ns = 0
        self._first_sequence = 0
        self._captured: tuple[int, int] | None = None

    def note_change(self) -> None:
        """Take note that the size may be another one from now on."""
        self._changed_ns = time.perf_counter_ns()
        self._first_sequence = self._link.sequence + _OLD_FRAMES
        self._captured = None

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Trust nothing during the block, nor what began before its end."""
        self._changes_under_way += 1
        try:
            yield
        finally:
            self._changes_under_way -= 1
            self.note_change()

    def note_capture(self, width: int, height: int) -> None:
        """Take note of a single picture that is surely fresh."""
        if width and not self._changes_under_way:
            self._captured = (width, height)

    def size(self) -> tuple[int, int] | None:
        """Give width and height of a picture surely taken under the present framesize, or None."""
        if self._changes_under_way:
            return None
        frame = self._link.latest.frame
        if (
            frame is not None
            and frame.width
            and frame.sequence >= self._first_sequence
            and frame.received_ns > self._link.wall_ns(self._changed_ns) + _TRUSTED_AFTER_NS
            and self._link.age_s(frame) <= STALL_S
        ):
            return frame.width, frame.height
        return self._captured
