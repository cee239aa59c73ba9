"""Frame sets while the cameras deliver: what feeds the aligner from the loop's thread and waits on any other.

The rules of how frames become sets are in `engine/align.py`. Here are the clock, the lock, and the waiting.
The loop's thread never waits for a set to be made: while that happens, which takes about a millisecond for a
hundred cameras, its frames queue before the aligner.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from espressoscope.engine.align import SetAligner
from espressoscope.engine.slot import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.model import Frame, FrameSet

__all__ = ["MOST_QUEUED", "MOST_TOLERANCE_MS", "FrameSets", "SetFeed"]

MOST_QUEUED: Final = 4096
"""Most frames before the aligner; what a hundred cameras at 25 fps deliver in 1.6 s."""
MOST_TOLERANCE_MS: Final = 2000.0
"""Largest tolerance: frames of twice this time are held."""
_MOST_FPS: Final = 1000.0
_SHORTEST_S: Final = 0.001


class FrameSets:
    """Sets of frames of one instant, from cameras that come and go.

    Subscribe the feed that `add` gives to the camera's link; ask with `wait`. All methods may be called from
    any thread, `wait` from one at a time.

    Parameters
    ----------
    tolerance_ms : float
        Most that a frame may be away from its set's instant, up to 2000.
    fps : float, optional
        Sets per second, on average; else as many as the slowest camera that delivers has frames, and at least
        one in 2 s.
    duplicates : bool
        Also use repeated pictures (status ``"duplicate"``), which show an earlier instant.

    Raises
    ------
    ValueError
        `tolerance_ms` or `fps` is out of range.
    """

    def __init__(
        self, *, tolerance_ms: float = 50.0, fps: float | None = None, duplicates: bool = False
    ) -> None:
        if not 0 <= tolerance_ms <= MOST_TOLERANCE_MS:
            raise ValueError(f"tolerance_ms must be 0 to {MOST_TOLERANCE_MS:.0f}, not {tolerance_ms!r}")
        if fps is not None and not (0 < fps <= _MOST_FPS):
            raise ValueError(f"fps must be more than 0, at most {_MOST_FPS:.0f}, not {fps!r}")
        self._aligner = SetAligner(
            tolerance_ns=round(tolerance_ms * 1e6),
            period_ns=None if fps is None else math.ceil(1e9 / fps),
            duplicates=duplicates,
        )
        # Of the aligner. The loop's thread only tries it, so that it never waits; so does `remove`, which the
        # garbage collector may call anywhere, also where this thread has it.
        self._lock = threading.Lock()
        self._feeds: dict[str, SetFeed] = {}  # of the aligner's cameras, and likewise
        self._leaving: deque[SetFeed] = deque()
        self._queue: deque[tuple[SetFeed, Frame]] = deque()
        self._wakeup = Wakeup()
        # From `time.perf_counter_ns` to the clock of the frames, learned from those that came without delay:
        # the system's own clock may have been set since the links were made.
        self._offset_ns = -(1 << 62)
        self._refused = 0

    # ---- cameras --------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras, in the order of the sets."""
        return tuple(name for name, feed in tuple(self._feeds.items()) if not feed.removed)

    def add(self, name: str) -> SetFeed:
        """Take in one more camera; it is part of every set from now on, None until it delivers.

        Returns
        -------
        SetFeed
            For `Link.subscribe`.

        Raises
        ------
        ValueError
            The name is taken.
        """
        with self._lock:
            self._take_out()
            self._aligner.add(name)
            feed = self._feeds[name] = SetFeed(self, name)
        return feed

    def remove(self, feed: SetFeed) -> None:
        """Leave a camera out from now on, without waiting; frames it still puts are ignored.

        Twice does nothing.
        """
        feed.removed = True
        self._leaving.append(feed)
        if self._lock.acquire(blocking=False):  # else who has it, or the next, takes it out
            try:
                self._take_out()
            finally:
                self._lock.release()

    def _take_out(self) -> None:
        while self._leaving:
            feed = self._leaving.popleft()
            if self._feeds.get(feed.name) is feed:
                del self._feeds[feed.name]
                self._aligner.remove(feed.name)

    # ---- figures --------------------------------------------------------------------------------

    @property
    def period_s(self) -> float:
        """Time from set to set at present, in seconds."""
        return self._aligner.period_ns / 1e9

    @property
    def skipped(self) -> int:
        """Sets nobody asked for in time: more than a second late."""
        return self._aligner.skipped

    @property
    def dropped(self) -> int:
        """Frames let go for that, or because a camera had too many waiting."""
        return self._aligner.dropped + self._refused

    @property
    def late(self) -> int:
        """Frames that came when the sets they could have been in were made."""
        return self._aligner.late

    @property
    def repeated(self) -> int:
        """Repeated pictures that were not used."""
        return self._aligner.repeated

    # ---- sets -----------------------------------------------------------------------------------

    def wait(self, ended: Callable[[], bool], timeout_s: float) -> FrameSet | None:
        """Give the next set, waiting at most `timeout_s` seconds or until `ended()`; None without.

        A set that is there already is given also after the end. Every set has at least one frame.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found, due_ns, now_ns = self._ask()
            left_s = deadline - time.monotonic()
            if found is not None or left_s <= 0 or ended():
                return found
            if due_ns is None:
                self._wakeup.wait(lambda: bool(self._queue) or self._begun or ended(), left_s)
            else:
                pause_s = max((due_ns - now_ns) / 1e9, _SHORTEST_S)
                self._wakeup.wait(ended, min(left_s, pause_s))

    def wake(self) -> None:
        """Make who waits look whether it has ended."""
        self._wakeup.notify()

    @property
    def _begun(self) -> bool:
        return self._aligner.due_ns is not None

    def _ask(self) -> tuple[FrameSet | None, int | None, int]:
        with self._lock:
            # Read before the queue is emptied: what was stamped until now is then in it, or just under way.
            now_ns = time.perf_counter_ns() + self._offset_ns
            self._drain()
            found = self._aligner.take(now_ns)
            return found, self._aligner.due_ns, now_ns

    def _put(self, feed: SetFeed, frame: Frame) -> bool:
        """Take a frame on the loop's thread, never waiting; true when it had to be refused."""
        offset_ns = frame.received_ns - time.perf_counter_ns()
        if offset_ns > self._offset_ns:
            self._offset_ns = offset_ns
        queue = self._queue
        if len(queue) >= MOST_QUEUED:
            self._refused += 1
            return True
        begun = self._begun
        queue.append((feed, frame))
        if self._lock.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._lock.release()
        if not begun:
            self._wakeup.notify()
        return False

    def _drain(self) -> None:
        aligner, queue = self._aligner, self._queue
        while queue:
            feed, frame = queue.popleft()
            if not feed.removed and aligner.put(feed.name, frame):
                feed.lost += 1
        self._take_out()


class SetFeed:
    """What one camera's link puts its frames into, on the loop's thread.

    Attributes
    ----------
    name : str
        The camera, as the sets name it.
    lost : int
        How often frames had to go because nobody asked for sets, or too many were waiting.
    removed : bool
        The camera is no longer part of the sets.
    """

    __slots__ = ("_sets", "_told", "lost", "name", "removed")

    def __init__(self, sets: FrameSets, name: str) -> None:
        self.name = name
        self.lost = 0
        self.removed = False
        self._sets = sets
        self._told = 0

    def put(self, frame: Frame) -> bool:
        """Take a frame; never blocks. True when frames of this camera had to go."""
        if self._sets._put(self, frame):
            return True
        if self.lost > self._told:
            self._told += 1
            return True
        return False

    def wake(self) -> None:
        """Make who waits for a set look whether it has ended."""
        self._sets.wake()
