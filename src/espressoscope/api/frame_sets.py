"""Time-aligned frames of a whole fleet, as an iterator."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from espressoscope.api.follower import leave_frames, take_frames
from espressoscope.api.stream import check_waiting
from espressoscope.errors import CameraTimeout

if TYPE_CHECKING:
    import concurrent.futures
    from types import TracebackType

    from espressoscope.api.follower import Follower
    from espressoscope.api.runtime import Runtime
    from espressoscope.engine.session import CameraSession
    from espressoscope.engine.sets import FrameSets, SetFeed
    from espressoscope.model import FrameSet

__all__ = ["FrameSetStream"]


class FrameSetStream:
    """What `Fleet.sets` gives: an iterator over `FrameSet`, which can also be closed, or used in ``with``.

    Instants are strictly increasing. A consumer that is slower than the cameras finds the sets of the last
    second in order; older ones are skipped, and counted. Ends when the fleet is closed, which it holds until
    then. For one thread.
    """

    def __init__(
        self, owner: object, runtime: Runtime, sets: FrameSets, timeout_s: float, followers: set[Follower]
    ) -> None:
        self._owner: object | None = owner
        self._runtime = runtime
        self._sets = sets
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._feeds: dict[str, tuple[CameraSession, SetFeed]] = {}
        self._closed = False
        self._followers = followers
        followers.add(self)

    # ---- for Fleet ----------------------------------------------------------------------------------

    def join(
        self,
        name: str,
        runtime: Runtime,
        session: CameraSession,
        pending: set[concurrent.futures.Future[Any]],
    ) -> None:
        """Take a camera in; it is None in the sets until it delivers. `Fleet` calls this."""
        with self._lock:
            if self._closed or name in self._feeds:
                return
            feed = self._sets.add(name)
            self._feeds[name] = (session, feed)
        # One that cannot stream stays in the sets all the same, None in each.
        take_frames(runtime, session, feed, pending)
        if feed.removed:  # closed meanwhile, maybe before its frames were taken
            self._let_go([(session, feed)])

    def part(self, name: str) -> None:
        """Let a camera go; `Fleet` calls this."""
        with self._lock:
            place = self._feeds.pop(name, None)
        if place is not None:
            self._let_go([place])

    def _let_go(self, places: list[tuple[CameraSession, SetFeed]]) -> None:
        for _, feed in places:
            self._sets.remove(feed)
        leave_frames([(self._runtime, session, feed) for session, feed in places])

    # ---- for users ----------------------------------------------------------------------------------

    @property
    def skipped(self) -> int:
        """Sets that were not taken in time: more than a second late."""
        return self._sets.skipped

    @property
    def dropped(self) -> int:
        """Frames let go for that, or because a camera had too many waiting."""
        return self._sets.dropped

    @property
    def late(self) -> int:
        """Frames that arrived when the sets they could have been in had been made."""
        return self._sets.late

    @property
    def repeated(self) -> int:
        """Repeated pictures, which show an earlier instant, and were not used."""
        return self._sets.repeated

    @property
    def period_s(self) -> float:
        """Seconds from set to set at present."""
        return self._sets.period_s

    def __iter__(self) -> FrameSetStream:
        return self

    def __next__(self) -> FrameSet:
        """Give the next set; at least one camera has a frame in it.

        Raises
        ------
        CameraTimeout
            No camera delivered anything for `timeout` seconds; may be asked again.
        RuntimeError
            Called on the loop's own thread, or in a forked process.
        """
        if self._closed:
            raise StopIteration
        check_waiting(self._runtime)
        found = self._sets.wait(lambda: self._closed, self._timeout_s)
        if found is not None:
            return found
        if self._closed:
            raise StopIteration
        raise CameraTimeout(
            f"not one of {len(self._feeds)} cameras delivered a frame for {self._timeout_s:g} s",
            phase="stream",
            timeout_s=self._timeout_s,
            hint="The fleet's messages() tell what is wrong with each",
        )

    def close(self) -> None:
        """Take frames no more; from another thread it also ends the wait for the next set.

        Twice does nothing.
        """
        with self._lock:
            self._closed = True
            places = list(self._feeds.values())
            self._feeds.clear()
        self._sets.wake()
        if places:
            self._let_go(places)
        self._followers.discard(self)
        self._owner = None

    def __enter__(self) -> FrameSetStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
