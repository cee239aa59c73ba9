"""The last seconds of one camera in memory, for recordings that begin before somebody starts them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from espressoscope.model import Frame

__all__ = ["MOST_KEPT_BYTES", "Allowance", "LastFrames"]

MOST_KEPT_BYTES: Final = 512 * 2**20
"""Most bytes kept of all cameras together, unless told otherwise."""


class Allowance:
    """How much of each camera is kept; read with every frame, so a change holds from the next one on.

    Parameters
    ----------
    seconds : float
        How far back.
    max_bytes : int
        Of all cameras together.

    Attributes
    ----------
    span_ns : int
    share : int
        Bytes of each camera.
    holders : int
        While there are any, no frame is too old.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.span_ns = round(seconds * 1e9)
        self.share = max_bytes
        self.holders = 0

    def divide(self, cameras: int) -> None:
        """Give each of so many cameras an equal share."""
        self.share = self.max_bytes // max(1, cameras)


class LastFrames:
    """Keeps the newest frames of one camera, a `Consumer`.

    Parameters
    ----------
    allowance : Allowance
        How much; shared with other cameras.

    Attributes
    ----------
    bytes : int
        Of the frames that are kept.
    let_go : int
        Frames that had to go before their time, because they took too much room.
    """

    def __init__(self, allowance: Allowance) -> None:
        self.bytes = self.let_go = 0
        self._allowance = allowance
        self._frames: deque[Frame] = deque()

    def put(self, frame: Frame) -> bool:
        """Keep a frame, and let go what is too old or too much; on the loop's thread."""
        frames, allowance = self._frames, self._allowance
        frames.append(frame)
        self.bytes += len(frame.jpeg)
        oldest_ns = frame.received_ns - allowance.span_ns
        while frames[0].received_ns < oldest_ns and not allowance.holders:
            self.bytes -= len(frames.popleft().jpeg)
        while self.bytes > allowance.share:
            self.bytes -= len(frames.popleft().jpeg)
            self.let_go += 1
        return False

    def wake(self) -> None:
        """Take note that the link has ended: it may start again."""

    def since(self, time_ns: int) -> list[Frame]:
        """Give the frames received at this time or later, oldest first; on the loop's thread."""
        return [frame for frame in self._frames if frame.received_ns >= time_ns]

    def clear(self) -> None:
        """Let all go; on the loop's thread."""
        self._frames.clear()
        self.bytes = 0

    @property
    def count(self) -> int:
        """How many there are; on any thread."""
        return len(self._frames)

    @property
    def span_s(self) -> float:
        """Seconds from the oldest to the newest; on any thread."""
        try:
            return (self._frames[-1].received_ns - self._frames[0].received_ns) / 1e9
        except IndexError:
            return 0.0
