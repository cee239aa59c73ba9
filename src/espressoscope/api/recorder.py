"""Recording cameras to disk, from any thread: what `Camera.record` and `Fleet.record` give."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from espressoscope.api.at_exit import close_at_exit
from espressoscope.api.follower import leave_frames, take_frames
from espressoscope.api.record_progress import Patience, RecordProgress, progress_of
from espressoscope.api.run_facts import facts_of, software, values_of
from espressoscope.errors import RecordingError

if TYPE_CHECKING:
    import concurrent.futures
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from espressoscope.api.follower import Follower, Place
    from espressoscope.api.keeper import FrameKeeper
    from espressoscope.api.runtime import Runtime
    from espressoscope.engine.session import CameraSession
    from espressoscope.model import SettingValue
    from espressoscope.recording.kept import LastFrames
    from espressoscope.recording.track import CameraTrack

__all__ = ["RecordProgress", "Recorder"]

_log = logging.getLogger(__name__)
_SLICE_S = 0.2
_LAST_S = 0.1
"""Time for frames that arrived before the end to be handed over."""


class Recorder:
    """A recording under way; use it in ``with``, or end it with `stop`.

    Leaving the ``with`` block waits for the end where one was given (`seconds`, `frames`), otherwise it ends
    the recording. Cameras that lack `frames` and have sent nothing for 15 s are not waited for. Breaks of a
    connection are mended, as in every stream; what is missing is in the log. What the disk refuses ends it in
    order: `wait`, `stop` and leaving the block then raise RecordingError.

    Parameters
    ----------
    path : str or path
        Folder of the run: new, or empty.
    seconds, frames : optional
        When to end; with both, whatever is first. `frames` is for each camera; the seconds count from
        `begin`, or from this call with `before`.
    keep_free : int, optional
        Bytes of the disk to leave free; else 100 MB, or 2 % of a smaller disk.
    owner : object
        Held until this is closed: the camera or fleet, which nobody else needs to hold then.
    followers : set
        Of the camera or fleet.
    only : frozenset of str, optional
        Names of the cameras to record; else every one that joins.
    keeper : FrameKeeper, optional
        Has the frames from before this call.
    before : float
        Seconds of them to begin with.
    runtime : Runtime, optional
        Whose clock the frames' times have.

    Raises
    ------
    RecordingError
        The folder cannot be used, or the system gives no more threads.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        seconds: float | None,
        frames: int | None,
        keep_free: int | None,
        owner: object,
        followers: set[Follower],
        only: frozenset[str] | None = None,
        keeper: FrameKeeper | None = None,
        before: float = 0.0,
        runtime: Runtime | None = None,
    ) -> None:
        asked_ns = time.perf_counter_ns()
        if seconds is not None and not 0 < seconds < math.inf:
            raise ValueError("seconds must be positive")
        if frames is not None and frames < 1:
            raise ValueError("frames must be positive")
        if keep_free is not None and keep_free < 0:
            raise ValueError("keep_free must not be negative")
        from espressoscope.recording.writer import RunWriter  # loads numpy, which other calls need not

        self._frames = frames
        self._only = only
        self._keeper = keeper
        self._asked_ns = asked_ns
        self._before_s = before
        self._lock = threading.RLock()
        self._places: dict[str, Place[CameraTrack]] = {}
        self._known: dict[str, dict[str, SettingValue | None]] = {}
        self._connections: dict[str, tuple[int, int]] = {}
        self._closed = False
        self._ended_s = math.inf  # when it was closed
        self._told = False  # what has ended it early
        self._owner: object | None = owner
        self._followers = followers
        self._runtime = runtime
        # Not by the recording's own threads: what only these refer to, the collector is to find.
        look = weakref.WeakMethod(self._look)
        self._writer = RunWriter(
            path,
            software(),
            keep_free=keep_free,
            on_look=lambda: None if (found := look()) is None else found(),
            wall_offset_ns=None if runtime is None else runtime.wall_offset_ns,
            slept_before_ns=None if runtime is None else runtime.slept_before_ns,
        )
        self._seconds = seconds
        self._end = None if seconds is None else asked_ns / 1e9 + seconds
        self._begun = keeper is not None
        self._patience = Patience()
        followers.add(self)  # from now on it ends in order, with the camera or fleet at the latest
        close_at_exit(self._writer)  # also where the collector has closed this, and waited for nothing
        try:
            self._writer.start()
        except BaseException:  # Ctrl-C too
            self.close()
            raise

    # ---- for Camera and Fleet -----------------------------------------------------------------------

    def begin(self) -> None:
        """Count the seconds from now on: the cameras are recorded; `Camera` and `Fleet` call this."""
        with self._lock:
            self._patience = Patience()
            if self._begun or self._seconds is None:
                return
            self._begun = True
            self._end = time.perf_counter() + self._seconds
            for _, session, track in self._places.values():
                track.until_ns = round(self._end * 1e9) + session.link.wall_offset_ns

    def join(
        self,
        name: str,
        runtime: Runtime,
        session: CameraSession,
        pending: set[concurrent.futures.Future[Any]],
    ) -> None:
        """Record a camera from now on; `Camera` and `Fleet` call this."""
        if self._only is not None and name not in self._only:
            return
        with self._lock:
            if self._closed or name in self._places:
                return
            track = self._writer.tracks.get(name)
            earlier: LastFrames | None = None
            if track is not None:  # it was here before, and its new connection counts from 0
                track.numbering.go_on()
                self._connections.pop(name, None)
                track.note("joined", "the camera is recorded again", self._writer.now_ns)
            else:
                if self._keeper is not None:
                    earlier = self._keeper.of(name)
                settings = self._known[name] = values_of(session.settings())
                try:
                    track = self._writer.add(
                        name, {**facts_of(session.info), **session.told, "settings": settings}
                    )
                except RecordingError:
                    if self._writer.trouble is None:
                        raise
                    return  # the recording has ended, and says itself why
                track.most_frames = self._frames
                if self._end is not None and self._begun:
                    track.until_ns = round(self._end * 1e9) + session.link.wall_offset_ns
            place = self._places[name] = (runtime, session, track)
        try:
            first = None if earlier is None else self._beginning(place, earlier)
            take_frames(runtime, session, track, pending, first)
        except BaseException:
            self.part(name)
            raise
        if self._places.get(name) is not place:  # closed meanwhile, maybe before its frames were taken
            leave_frames([place])

    def _beginning(self, place: Place[CameraTrack], earlier: LastFrames) -> Callable[[], None]:
        """Give what hands over the frames from before the call, and those that came since."""
        _, session, track = place
        asked_ns = self._asked_ns + session.link.wall_offset_ns

        def begin() -> None:
            frames = earlier.since(asked_ns - round(self._before_s * 1e9))
            track.begin([frame for frame in frames if frame.received_ns < asked_ns])
            for frame in frames:
                if frame.received_ns >= asked_ns:
                    track.put(frame)

        track.note("trigger", f"asked for at this time, from {self._before_s:g} s before on", asked_ns)
        return begin

    def part(self, name: str) -> None:
        """Record a camera no more; `Camera` and `Fleet` call this."""
        with self._lock:
            place = self._places.pop(name, None)
        if place is not None:
            leave_frames([place])
            place[2].note("left", "the camera is recorded no more", self._writer.now_ns)

    def _look(self) -> None:
        """Note what has changed beside the frames; on the recording's own thread, about once a second."""
        with self._lock:
            places = dict(self._places)
        for name, (_, session, track) in places.items():
            if not session.reached:
                continue
            connections, restarts = session.link.meter.reconnects, session.link.restarts
            before_that = self._connections.get(name, (connections, restarts))
            if connections > before_that[0]:
                text = "the camera has restarted" if restarts > before_that[1] else "the connection broke"
                track.note("reconnected", f"{text}; pictures come again", self._writer.now_ns)
            self._connections[name] = (connections, restarts)
            now, before = values_of(session.settings()), self._known.get(name, {})
            changed = {key: value for key, value in now.items() if before.get(key) != value}
            if changed:
                self._known[name] = now
                track.note("settings", json.dumps(changed, ensure_ascii=False), self._writer.now_ns)
                if not before:  # it has been reached only now
                    self._writer.describe(name, {**facts_of(session.info), "settings": now})

    # ---- for users ----------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self._writer.path

    @property
    def over(self) -> bool:
        """Whether it has ended, or nothing is missing any more."""
        ended = self._writer.over or self._writer.trouble is not None
        return ended or self._is_reached(time.perf_counter() - _LAST_S)

    def _is_reached(self, at_s: float) -> bool:
        """Whether the frames asked for are there, or at this moment the time asked for was over."""
        if self._end is not None and at_s >= self._end:
            return True
        tracks = tuple(self._writer.tracks.values())
        return self._frames is not None and bool(tracks) and all(track.complete for track in tracks)

    @property
    def frames_written(self) -> int:
        """Frames written, of all cameras."""
        return self._writer.frames_written

    @property
    def frames_dropped(self) -> int:
        """Frames let go because the disk was too slow or full, of all cameras."""
        return self._writer.frames_dropped

    @property
    def progress(self) -> Mapping[str, RecordProgress]:
        """How it is doing, by camera name."""
        with self._lock:
            fps = {name: session.link.stats.fps for name, (_, session, _) in self._places.items()}
        return {name: progress_of(track, fps.get(name, 0.0)) for name, track in self._writer.tracks.items()}

    @property
    def in_vain(self) -> bool:
        """Whether waiting is in vain: no camera has sent anything for 15 s that lacks some of the `frames`.

        Without `frames`, that no camera has sent anything at all; always with a time to end. Ask again and
        again.
        """
        tracks = self._writer.tracks.values()
        silent = self._patience.is_over(tracks)
        return silent and (self._frames is not None or not self.frames_written)

    @property
    def disk_left_s(self) -> float | None:
        """For how many seconds the disk has room at the present rate; None while nothing comes."""
        with self._lock:
            sessions = [session for _, session, _ in self._places.values()]
        rate = sum(session.link.stats.kb_per_s for session in sessions) * 1000
        return self._writer.disk_left_s(rate)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the frames or the time asked for are there; true when they are. It is not ended by that.

        False also when those cameras that lack `frames` have sent nothing for 15 s, and when it was closed
        before, as with its camera or fleet.

        Parameters
        ----------
        timeout : float, optional
            Longest wait in seconds.

        Raises
        ------
        RecordingError
            It has ended early, as long ago as that may be; `stop` need not be called then.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not self.over:
            left = deadline - time.monotonic()
            if left <= 0 or (self._end is None and self._frames is not None and self.in_vain):
                return False
            # Looked at, not told: to tell would cost the loop a wake-up of another thread with every frame.
            time.sleep(min(left, 0.02 if self._frames is not None else _SLICE_S / 2))
        if self._writer.trouble is not None:
            self.close()
            self._told = True
            raise self._writer.trouble
        return self._is_reached(min(self._ended_s, time.perf_counter()))

    def stop(self) -> None:
        """End it: what has come is written, all files are closed. Twice does nothing.

        Raises
        ------
        RecordingError
            The disk was full, or worse; `frames_written` are whole and can be read. Raised once, not after
            `wait` has raised it; also where the camera or fleet was closed before.
        """
        self.close()
        if self._writer.trouble is not None and not self._told:
            self._told = True
            raise self._writer.trouble

    def close(self) -> None:
        """End it without raising; `Camera` and `Fleet` call this when they are closed.

        Where the garbage collector does so, on the loop's thread or one of a recording, it waits for nothing.
        """
        with self._lock:
            if not self._closed:
                self._ended_s = time.perf_counter()
            self._closed = True
            places = list(self._places.values())
            self._places.clear()
        self._writer.stop()
        leave_frames(places)
        self._writer.close(wait=self._runtime is None or not self._runtime.in_loop_thread)
        self._followers.discard(self)
        self._owner = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.close()
            return
        try:
            awaited = (self._end is not None or self._frames is not None) and not self._closed
            if awaited and not self.wait() and not self._closed:
                lacking = [track.name for track in self._writer.tracks.values() if not track.complete]
                _log.warning("%s has not all frames asked for: silent are %s", self.path, ", ".join(lacking))
        finally:
            self.stop()

    def __repr__(self) -> str:
        return (
            f"<Recorder of {len(self._writer.tracks)} cameras to {self.path}: {self.frames_written} frames>"
        )
