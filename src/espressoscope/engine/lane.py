"""The frames of one camera that may still become part of a set, and the rate at which they come."""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from espressoscope.model import Frame

__all__ = ["LANE_BYTES", "LANE_FRAMES", "LONG_AGO_NS", "Lane"]

LANE_FRAMES: Final = 512
"""Most frames of one camera that wait; five seconds at 100 fps. Only one that floods has so many."""
LANE_BYTES: Final = 32 * 2**20
"""Most bytes of these; a camera that sends monsters costs its own frames."""
LONG_AGO_NS: Final = -(1 << 62)
"""Earlier than any frame."""

_RATE_S: Final = 4.0
_RATE_TIMES: Final = 64
"""Frames of the last seconds that tell a camera's rate; five, when these are less."""
_FEW_TIMES: Final = 5
_RATE_STEP: Final = 8
_SILENT_INTERVALS: Final = 3
_SILENT_S: Final = 1.0
"""A camera delivers unless its newest frame is older than this and than so many of its intervals."""

_SECOND: Final = 1_000_000_000
_SILENT_NS: Final = int(_SILENT_S * _SECOND)

_time_of = attrgetter("received_ns")


class Lane:
    """Frames of one camera that may still become part of a set, in the order of their times."""

    __slots__ = ("bytes", "frames", "given_ns", "times")

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.bytes = 0
        self.given_ns = LONG_AGO_NS
        self.times: deque[int] = deque(maxlen=_RATE_TIMES)

    def note(self, time_ns: int) -> None:
        """Remember when a frame came, for the rate."""
        times = self.times
        if times and time_ns <= times[-1]:
            return
        if len(times) > 1 and time_ns - times[-1] > _SILENT_NS and self.interval_ns(time_ns) is None:
            times.clear()  # back from the dead: the time between is not its interval
        times.append(time_ns)

    def interval_ns(self, now_ns: int) -> int | None:
        """Time between frames of the last seconds; None while unknown, or when the camera has fallen silent.

        The lower quartile of means over several frames: neither a pause, nor lost frames, nor frames that
        come in pairs tell on it.
        """
        since_ns = now_ns - int(_RATE_S * _SECOND)
        few = len(self.times) - _FEW_TIMES
        times = [time_ns for i, time_ns in enumerate(self.times) if time_ns >= since_ns or i >= few]
        if len(times) < 2:
            return None
        step = max(1, min(_RATE_STEP, len(times) // 2))
        means = sorted((times[i] - times[i - step]) // step for i in range(step, len(times)))
        interval = means[len(means) // 4]
        silent_ns = max(_SILENT_INTERVALS * interval, _SILENT_NS)
        return None if now_ns - times[-1] > silent_ns else max(interval, 1)

    def append(self, frame: Frame) -> None:
        """Take in a frame, in the order of times."""
        frames = self.frames
        frames.append(frame)
        self.bytes += len(frame.jpeg)
        if len(frames) > 1 and frames[-2].received_ns > frame.received_ns:
            self.frames = deque(sorted(frames, key=_time_of))

    def prune(self, first_ns: int) -> int:
        """Let go what is older than that; tell how many."""
        count = 0
        while self.frames and self.frames[0].received_ns < first_ns:
            self._pop()
            count += 1
        return count

    def shed(self) -> int:
        """Let the oldest go as far as the ceilings ask; tell how many."""
        count = 0
        while len(self.frames) > LANE_FRAMES or (self.bytes > LANE_BYTES and len(self.frames) > 1):
            self._pop()
            count += 1
        return count

    def give(self, instant_ns: int, tolerance_ns: int) -> Frame | None:
        """Take out the frame nearest to an instant; older ones go, no later set could want them."""
        frames = self.frames
        if not frames:
            return None
        nearest = min(frames, key=lambda frame: abs(frame.received_ns - instant_ns))
        if abs(nearest.received_ns - instant_ns) > tolerance_ns:
            return None
        self.given_ns = nearest.received_ns
        self.prune(self.given_ns + 1)
        return nearest

    def _pop(self) -> None:
        self.bytes -= len(self.frames.popleft().jpeg)
