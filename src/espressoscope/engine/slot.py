"""Where frames wait for their consumers: the latest slot and the bounded in-order subscription.

Both are filled on the loop's thread, which must never wait, and emptied on any other; `NextFrame` is for work
on the loop itself. A put costs no lock
while nobody waits: the frame is stored first and the list of waiters read after it, a waiter joins the list
first and looks for the frame after, so one of the two always sees the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.model import Frame

__all__ = ["Consumer", "LatestSlot", "NextFrame", "Subscription", "Wakeup"]

_SLICE_S = 0.2
"""Longest uninterrupted wait: on Windows a lock that is waited for does not see Ctrl-C."""


class Consumer(Protocol):
    """Whoever takes all frames of a link; called on the loop's thread, and must return at once."""

    def put(self, frame: Frame) -> bool:
        """Take a frame, damaged ones too; true when an older one was lost for it."""

    def wake(self) -> None:
        """Take note that the link has ended."""


class Wakeup:
    """Wakes whoever waits, and costs its notifier nothing while nobody does.

    Each waiter sleeps on a lock of its own, and whoever takes that from the list releases it, once. A
    condition does the same with a second lock and twice as many calls, on caches that sleeping has emptied.
    """

    def __init__(self) -> None:
        self._waiters: list[threading.Lock] = []

    def notify(self) -> None:
        """Wake every waiter; from any thread."""
        waiters = self._waiters
        while waiters:
            try:
                bell = waiters.pop()
            except IndexError:
                return  # the waiter has just taken it back
            bell.release()

    def wait(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `ready()` is true or the time is up; give its last answer."""
        if ready():
            return True
        deadline = time.monotonic() + timeout_s
        while True:
            # A new one each time: one that was taken from the list may be released late.
            bell = threading.Lock()
            bell.acquire()
            self._waiters.append(bell)
            rung = False
            try:
                if ready():
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                rung = bell.acquire(timeout=min(left, _SLICE_S))
            finally:
                if not rung:
                    with contextlib.suppress(ValueError):  # just being rung
                        self._waiters.remove(bell)
            if rung and ready():
                return True


class LatestSlot:
    """The newest whole frame; a newer one replaces it.

    Attributes
    ----------
    frame : Frame or None
        The newest one.
    superseded : int
        Frames replaced before anybody took them.
    """

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.superseded = 0
        self._untaken = False
        self._wakeup = Wakeup()

    def put(self, frame: Frame) -> None:
        """Store the newest frame; never blocks."""
        if self._untaken:
            self.superseded += 1
        self.frame = frame
        self._untaken = True
        if self._wakeup._waiters:  # hardly ever: spares a call for each frame
            self._wakeup.notify()

    def wake(self) -> None:
        """Make waiters look again, because the link has ended."""
        self._wakeup.notify()

    def wait(
        self, fits: Callable[[Frame], bool], ended: Callable[[], bool], timeout_s: float
    ) -> Frame | None:
        """Wait for a newest frame that fits, at most `timeout_s` seconds or until `ended()`; None without."""

        def ready() -> bool:
            frame = self.frame
            return (frame is not None and fits(frame)) or ended()

        self._wakeup.wait(ready, timeout_s)
        frame = self.frame
        if frame is None or not fits(frame):
            return None
        self._untaken = False
        return frame


class Subscription:
    """Frames in order for one consumer; when it is too slow the oldest are dropped, and counted.

    Parameters
    ----------
    capacity : int
        Most frames that wait.
    damaged : bool
        Also give truncated and corrupt frames.

    Attributes
    ----------
    dropped : int
        Frames let go because the consumer was too slow.
    """

    def __init__(self, capacity: int, *, damaged: bool = False) -> None:
        self.dropped = 0
        self.damaged = damaged
        self._capacity = capacity
        self._frames: deque[Frame] = deque()
        self._wakeup = Wakeup()

    def put(self, frame: Frame) -> bool:
        """Append a frame; never blocks. True when the oldest had to go for it."""
        if frame.status in ("truncated", "corrupt") and not self.damaged:
            return False
        frames = self._frames
        frames.append(frame)
        full = len(frames) > self._capacity
        if full:
            try:
                frames.popleft()
            except IndexError:
                full = False  # the consumer has just taken it
            else:
                self.dropped += 1
        if self._wakeup._waiters:  # a call less for frames that pile up
            self._wakeup.notify()
        return full

    def wake(self) -> None:
        """Make the consumer look again, because the link has ended."""
        self._wakeup.notify()

    def wait(self, ended: Callable[[], bool], timeout_s: float) -> Frame | None:
        """Take the oldest frame, waiting at most `timeout_s` seconds or until `ended()`; None without."""
        frames = self._frames
        self._wakeup.wait(lambda: bool(frames) or ended(), timeout_s)
        try:
            return frames.popleft()
        except IndexError:
            return None


class NextFrame:
    """Takes one whole frame, for who waits on the loop's thread.

    Attributes
    ----------
    frame : Future of Frame
        Done with the first whole frame.
    """

    def __init__(self) -> None:
        self.frame: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

    def put(self, frame: Frame) -> bool:
        """Take a frame."""
        if frame.status in ("ok", "duplicate") and not self.frame.done():
            self.frame.set_result(frame)
        return False

    def wake(self) -> None:
        """Go on waiting: a link that has ended may be started again, and the caller bounds the wait."""
