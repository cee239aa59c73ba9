"""The last seconds kept in memory, from any thread: what `Camera.keep` and `Fleet.keep` give."""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espressoscope.api.follower import leave_frames, take_frames
from espressoscope.recording.kept import MOST_KEPT_BYTES, Allowance, LastFrames

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from espressoscope.api.follower import Follower, Place
    from espressoscope.api.runtime import Runtime
    from espressoscope.engine.session import CameraSession

__all__ = ["FrameKeeper", "KeptFrames", "keeper_among", "keeper_for"]


@dataclass(frozen=True, slots=True)
class KeptFrames:
    """What is kept of one camera.

    Attributes
    ----------
    frames, bytes : int
        How many frames, and how many bytes they are.
    seconds : float
        From the oldest to the newest.
    let_go : int
        Frames that had to go before their time, because there was no more room for them.
    """

    frames: int
    bytes: int
    seconds: float
    let_go: int


class FrameKeeper:
    """The last seconds of a camera, or of all of a fleet's, in memory; use it in ``with``, or `close` it.

    While it is there, ``record(..., before=seconds)`` begins with what came before. It goes on over any
    number of recordings. Damaged frames are kept too.

    Parameters
    ----------
    seconds : float
        How far back.
    max_bytes : int, optional
        Most bytes kept of all cameras together, in equal shares; else 512 MiB.
    followers : set
        Of the camera or fleet.
    """

    def __init__(self, seconds: float, max_bytes: int | None, followers: set[Follower]) -> None:
        self._allowance = Allowance(*_checked(seconds, max_bytes))
        self._seconds = seconds
        self._lock = threading.RLock()
        self._places: dict[str, Place[LastFrames]] = {}
        self._closed = False
        self._followers = followers
        followers.add(self)

    # ---- for Camera and Fleet -----------------------------------------------------------------------

    def change(self, seconds: float, max_bytes: int | None) -> None:
        """Keep more or less from now on; `Camera` and `Fleet` call this."""
        seconds, most = _checked(seconds, max_bytes)
        with self._lock:
            self._seconds = seconds
            self._allowance.max_bytes = most
            self._allowance.span_ns = round(seconds * 1e9)
            self._allowance.divide(len(self._places))

    def join(
        self,
        name: str,
        runtime: Runtime,
        session: CameraSession,
        pending: set[concurrent.futures.Future[Any]],
    ) -> None:
        """Keep a camera's frames from now on; `Camera` and `Fleet` call this."""
        with self._lock:
            if self._closed or name in self._places:
                return
            place = self._places[name] = (runtime, session, LastFrames(self._allowance))
            self._allowance.divide(len(self._places))
        try:
            take_frames(*place, pending)
        except BaseException:
            self.part(name)
            raise
        if self._places.get(name) is not place:  # closed meanwhile, maybe before its frames were taken
            leave_frames([place])

    def part(self, name: str) -> None:
        """Keep nothing of a camera any more; `Fleet` calls this."""
        with self._lock:
            place = self._places.pop(name, None)
            self._allowance.divide(len(self._places))
        if place is not None:
            leave_frames([place])

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Let no frame grow too old meanwhile: folders may take their time to be made."""
        with self._lock:
            self._allowance.holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._allowance.holders -= 1

    def of(self, name: str) -> LastFrames | None:
        """Give what is kept of a camera, if anything; for `Recorder`."""
        with self._lock:
            place = self._places.get(name)
        return None if place is None else place[2]

    # ---- for users ----------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """How far back frames are kept."""
        return self._seconds

    @property
    def max_bytes(self) -> int:
        """Most bytes kept of all cameras together."""
        return self._allowance.max_bytes

    @property
    def kept(self) -> Mapping[str, KeptFrames]:
        """What is kept at this moment, by camera name."""
        with self._lock:
            places = dict(self._places)
        return {
            name: KeptFrames(last.count, last.bytes, last.span_s, last.let_go)
            for name, (_, _, last) in places.items()
        }

    def close(self) -> None:
        """Let all frames go and keep no more; recordings that have begun have theirs. Twice does nothing."""
        with self._lock:
            self._closed = True
            places = list(self._places.values())
            self._places.clear()
        self._followers.discard(self)
        leave_frames(places)

    def __enter__(self) -> FrameKeeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<FrameKeeper of {len(self._places)} cameras: {self._seconds:g} s>"


def _checked(seconds: float, max_bytes: int | None) -> tuple[float, int]:
    if not 0 < seconds < math.inf:
        raise ValueError("seconds must be positive")
    if max_bytes is not None and max_bytes < 1:
        raise ValueError("max_bytes must be positive")
    return seconds, MOST_KEPT_BYTES if max_bytes is None else max_bytes


def keeper_among(followers: Iterable[Follower]) -> FrameKeeper | None:
    """Give the keeper among those that follow a camera or fleet."""
    return next((each for each in tuple(followers) if isinstance(each, FrameKeeper)), None)


@contextlib.contextmanager
def keeper_for(before: float | None, followers: Iterable[Follower]) -> Iterator[FrameKeeper | None]:
    """Give the keeper that has the seconds before a recording, which lets nothing grow too old meanwhile.

    Raises
    ------
    ValueError
        So much is not kept.
    """
    if before is None:
        yield None
        return
    if not 0 <= before < math.inf:
        raise ValueError("before must not be negative")
    keeper = keeper_among(followers)
    if keeper is None:
        raise ValueError(f"before={before:g}: nothing is kept; call keep({before:g}) some time before")
    if before > keeper.seconds:
        raise ValueError(f"before={before:g}: only {keeper.seconds:g} s are kept; call keep({before:g})")
    with keeper.holding():
        yield keeper
