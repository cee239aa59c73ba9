"""Figures of one stream, gathered frame by frame at next to no cost and worked out when somebody looks."""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

from espressoscope.model import LinkState, StreamStats

if TYPE_CHECKING:
    from espressoscope.model import Frame

__all__ = ["FROZEN_AFTER", "StreamMeter"]

_WINDOW_NS = 3_000_000_000
_RING = 512
FROZEN_AFTER = 5
"""Identical pictures in a row before a stream counts as frozen. Sensor noise makes two equal JPEGs
practically impossible, so one repetition is a frame sent twice, and several are a camera that hangs."""


class StreamMeter:
    """Counts what a link receives; read from any thread.

    The ring holds (`time.perf_counter_ns`, JPEG bytes) of the newest 512 frames.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self.damaged = 0
        self.reconnects = 0
        self.dropped = 0
        self.repeats = 0
        self.newest: Frame | None = None
        self._ring: deque[tuple[int, int]] = deque(maxlen=_RING)

    def count(self, frame: Frame, now_ns: int) -> None:
        """Count one frame; on the loop's thread."""
        size = len(frame.jpeg)
        self.frames += 1
        self.bytes += size
        self.newest = frame
        self._ring.append((now_ns, size))

    def snapshot(self, state: LinkState, superseded: int) -> StreamStats:
        """Work the figures out; on any thread, no IO."""
        ring = tuple(self._ring)
        now_ns = time.perf_counter_ns()
        newest = self.newest
        recent = [entry for entry in ring if now_ns - entry[0] <= _WINDOW_NS]
        fps = rate = 0.0
        if len(recent) > 1:
            # A ring that is full of recent frames covers less than the window.
            since = recent[0][0]
            span_s = (now_ns - since) / 1e9 if len(recent) < _RING else (recent[-1][0] - since) / 1e9
            span_s = max(span_s, 1e-6)
            fps = (len(recent) - 1) / span_s
            rate = sum(size for _, size in recent[1:]) / 1000 / span_s
        gaps = sorted((later[0] - earlier[0]) / 1e6 for earlier, later in pairwise(ring))
        return StreamStats(
            state=state,
            frames=self.frames,
            bytes=self.bytes,
            fps=round(fps, 2),
            kb_per_s=round(rate, 1),
            age_s=round((now_ns - ring[-1][0]) / 1e9, 3) if ring else None,
            interval_p50_ms=round(gaps[len(gaps) // 2], 2) if gaps else None,
            interval_p99_ms=round(gaps[min(len(gaps) - 1, len(gaps) * 99 // 100)], 2) if gaps else None,
            reconnects=self.reconnects,
            damaged=self.damaged,
            dropped=self.dropped,
            superseded=superseded,
            width=newest.width if newest else 0,
            height=newest.height if newest else 0,
            frozen=self.repeats >= FROZEN_AFTER,
        )
