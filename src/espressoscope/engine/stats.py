"""Figures of one stream, gathered frame by frame at next to no cost and worked out when somebody looks."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from itertools import pairwise
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

from espressoscope.model import LinkState, StreamStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from espressoscope.model import Frame

__all__ = ["FROZEN_AFTER", "RING", "StreamMeter", "clock_offset_ns", "frame_period_ns"]

_WINDOW_NS = 3_000_000_000
RING = 512
"""Frames of which something is kept."""
FROZEN_AFTER = 5
"""Identical pictures in a row before a stream counts as frozen. Sensor noise makes two equal JPEGs
practically impossible, so one repetition is a frame sent twice, and several are a camera that hangs."""

_COPIES = 4
_MOST_STEPS = 128
_FEWEST_STEPS = 8
_LONGEST_STEP_NS = 10_000_000_000
_MOST_SKIPPED = 4
_TOLERANCE = 0.15
_MOST_MULTIPLE = 6.5
_FITTING = 0.9
_FEWEST_ODD = 6
_CLOCK_LEAP_NS = 8_000_000_000
_EARLIEST_PERCENT = 5
_SURELY_MORE = 1.1


class Kept(NamedTuple):
    """What is kept of the newest frames, oldest first: as many entries in each.

    Attributes
    ----------
    times : list of int
        `time.perf_counter_ns` of each arrival.
    totals : list of int
        JPEG bytes received up to and with each.
    stamps : list of (int or None)
        The camera's own stamps.
    """

    times: list[int]
    totals: list[int]
    stamps: list[int | None]


class StreamMeter:
    """Counts what a link receives; read from any thread while the loop's thread counts.

    Parameters
    ----------
    wall_offset_ns : int
        What to add to `time.perf_counter_ns` for Unix time.

    Attributes
    ----------
    frames, bytes, damaged, reconnects, dropped : int
        As in `StreamStats`.
    repeats : int
        How often the newest picture has come again, byte for byte.
    same_since_ns : int
        `time.perf_counter_ns` of its first arrival, when it has come again.
    newest : Frame or None
        The newest frame, whole or not.
    times, totals, stamps : list
        Rings of what is kept of the newest frames; see `count`.
    """

    def __init__(self, wall_offset_ns: int = 0) -> None:
        self.frames = 0
        self.bytes = 0
        self.damaged = 0
        self.reconnects = 0
        self.dropped = 0
        self.repeats = 0
        self.same_since_ns = 0
        self.newest: Frame | None = None
        self._wall_offset_ns = wall_offset_ns
        # Lists written in a ring: a copy of one is a single step, while a deque cannot be read safely when
        # another thread appends.
        self.times = [0] * RING
        self.totals = [0] * RING
        self.stamps: list[int | None] = [None] * RING

    @property
    def frozen(self) -> bool:
        """Whether the camera keeps sending the same picture."""
        return self.repeats >= FROZEN_AFTER

    def count(self, frame: Frame, now_ns: int) -> None:
        """Count one frame; on the loop's thread.

        `Feed.part` does the same in line.
        """
        at = self.frames
        slot = at % RING
        self.bytes = total = self.bytes + len(frame.jpeg)
        self.times[slot] = now_ns
        self.totals[slot] = total
        self.stamps[slot] = frame.device_ns
        self.newest = frame
        self.frames = at + 1  # last: what is below it is all there

    def kept(self) -> Kept:
        """Give what is kept of the newest frames, at most 512."""
        for _ in range(_COPIES):
            stop = self.frames
            times, totals, stamps = self.times[:], self.totals[:], self.stamps[:]
            # What was written over meanwhile is left out, and so is what may be being written now.
            start = max(0, self.frames + 1 - RING)
            if start < stop or stop == 0:
                break
        if start >= stop:
            return Kept([], [], [])
        begin, end = start % RING, stop % RING
        if begin < end:
            return Kept(times[begin:end], totals[begin:end], stamps[begin:end])
        return Kept(times[begin:] + times[:end], totals[begin:] + totals[:end], stamps[begin:] + stamps[:end])

    def snapshot(self, state: LinkState, superseded: int, sensor_fps: float | None = None) -> StreamStats:
        """Work the figures out; on any thread, no IO.

        Parameters
        ----------
        sensor_fps : float, optional
            The sensor's nominal rate, which holds until stamps tell better, or more frames come.
        """
        times, totals, stamps = self.kept()
        now_ns = time.perf_counter_ns()
        newest = self.newest
        # Nothing here goes through the frames one by one in Python: a fleet's figures are asked for often.
        first = bisect_left(times, now_ns - _WINDOW_NS)
        recent = len(times) - first
        fps = rate = 0.0
        if recent > 1:
            # A ring that is full of recent frames covers less than the window.
            full = first == 0 and self.frames >= RING
            span_s = max(((times[-1] if full else now_ns) - times[first]) / 1e9, 1e-6)
            fps = (recent - 1) / span_s
            rate = (totals[-1] - totals[first]) / 1000 / span_s
        gaps = sorted(map(sub, times[1:], times))
        period_ns = offset_ns = None
        stamped = [stamp for stamp in stamps if stamp is not None]
        if stamped:
            whole = len(stamped) == len(stamps)
            came = (
                times if whole else [at for at, stamp in zip(times, stamps, strict=True) if stamp is not None]
            )
            period_ns = frame_period_ns(stamped)
            offset_ns = clock_offset_ns(came, stamped)
        if period_ns is not None:
            sensor_fps = round(1e9 / period_ns, 2)
        elif sensor_fps is not None and fps > _SURELY_MORE * sensor_fps:
            sensor_fps = round(fps, 2)  # its clock or its driver is not what the table was made of
        return StreamStats(
            state=state,
            frames=self.frames,
            bytes=self.bytes,
            fps=round(fps, 2),
            kb_per_s=round(rate, 1),
            age_s=round((now_ns - times[-1]) / 1e9, 3) if times else None,
            interval_p50_ms=round(gaps[len(gaps) // 2] / 1e6, 2) if gaps else None,
            interval_p99_ms=round(gaps[min(len(gaps) - 1, len(gaps) * 99 // 100)] / 1e6, 2) if gaps else None,
            reconnects=self.reconnects,
            damaged=self.damaged,
            dropped=self.dropped,
            superseded=superseded,
            width=newest.width if newest else 0,
            height=newest.height if newest else 0,
            frozen=self.frozen,
            sensor_fps=sensor_fps,
            clock_offset_s=None if offset_ns is None else round((offset_ns + self._wall_offset_ns) / 1e9, 6),
        )


def frame_period_ns(stamps: Sequence[int]) -> float | None:
    """Tell a sensor's frame period from the stamps of the frames that came.

    Frames that were skipped leave gaps of several periods. So the period is the longest time of which
    (nearly) all gaps are multiples; it need not occur: gaps of two and three periods tell it too. What cannot
    be told is a sensor of which just every second frame comes, with no exception.

    Parameters
    ----------
    stamps : sequence of int
        Nanoseconds, oldest first.

    Returns
    -------
    float or None
        Nanoseconds; None with too few frames. Stamps in no rhythm give the lower quartile of their gaps.
    """
    steps = [later - earlier for earlier, later in pairwise(stamps[-_MOST_STEPS - 1 :])]
    steps = sorted(step for step in steps if 0 < step < _LONGEST_STEP_NS)  # repeats, and reboots
    if len(steps) < _FEWEST_STEPS:
        return None
    usual = steps[len(steps) // 4]
    near = [step for step in steps if step <= _MOST_MULTIPLE * usual]  # jitter adds up in longer ones
    regular = _multiples(near, usual)
    odd = [step for step in near if not _multiples([step], usual)]
    if len(odd) >= _FEWEST_ODD:
        for parts in range(2, _MOST_SKIPPED + 1):
            # Chance would have it that three in ten fit.
            if len(_multiples(odd, usual / parts)) >= _FITTING * len(odd):
                return statistics.median(_multiples(near, usual / parts))
    return statistics.median(regular) if len(regular) > len(near) // 2 else float(usual)


def _multiples(steps: Sequence[int], period: float) -> list[float]:
    """Give the period by each of those steps that are multiples of one, nearly."""
    return [
        step / round(step / period)
        for step in steps
        if step > period / 2 and abs(step / period - round(step / period)) <= _TOLERANCE
    ]


def clock_offset_ns(times: Sequence[int], stamps: Sequence[int]) -> int:
    """Give what to add to a camera's stamps for the clock their arrival was read from.

    A frame arrives later than it was taken, never earlier: those with the least delay tell the offset best.
    The lowest twentieth is left to mistaken stamps. When the camera's clock leaps, because it restarted or
    has been set, what was before does not count.

    Parameters
    ----------
    times, stamps : sequence of int
        When each frame arrived, and its stamp, both in nanoseconds, oldest first; at least one, as many of
        each.
    """
    offsets: list[int] = list(map(sub, times, stamps))
    # A stamp earlier than the one before is a leap however small: boards count from their start.
    steps, drifts = map(sub, stamps[1:], stamps), map(sub, offsets[1:], offsets)
    leaps = [
        number
        for number, (step, drift) in enumerate(zip(steps, drifts, strict=True), 1)
        if step < 0 or not -_CLOCK_LEAP_NS <= drift <= _CLOCK_LEAP_NS
    ]
    offsets = sorted(offsets[leaps[-1] if leaps else 0 :])
    return offsets[len(offsets) * _EARLIEST_PERCENT // 100]
