"""Writing a run: one thread that writes the frames of all cameras, one that sees to everything slow.

The writer's thread gathers what has come ten times a second and hands it to the system. The keeper's
thread waits for the disk (`fdatasync`, about once a second), ends full segments, watches free space, and
whether the run's folder is still there. What goes wrong stops the whole recording in order: files are closed
whole, with the room that was kept back for it, and the error tells what is missing.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import threading
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from espressoscope.recording.files import GrowingFile
from espressoscope.recording.frame_clock import FrameClock
from espressoscope.recording.hands import Hands
from espressoscope.recording.held_folder import HeldFolder
from espressoscope.recording.run_folder import cannot_write, make_run_folder, safe_folder_name
from espressoscope.recording.run_json import RunJson
from espressoscope.recording.track import CameraTrack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from espressoscope.errors import RecordingError
    from espressoscope.recording.files import PlainFile
    from espressoscope.recording.segment import SegmentWriter

__all__ = ["RunWriter"]

_log = logging.getLogger(__name__)

_GATHER_S: Final = 0.1
"""Between two looks at what has come: frames that are written together cost less."""
_KEEP_S: Final = 1.0
"""Between two waits for the disk."""
END_S: Final = 30.0
"""Longest wait for the disk when a recording ends, in seconds."""


class RunWriter:
    """Writes one run; frames go in through the tracks that `add` gives.

    Parameters
    ----------
    path : str or path
        The run's folder: new, or empty.
    software : str
        Name and version.
    keep_free : int, optional
        Bytes of the disk to leave free; else 100 MB, or 2 % of a smaller disk.
    on_look : callable, optional
        Called about once a second on the keeper's thread, to note what has changed.
    files : type of PlainFile
        How files are written.
    wall_offset_ns : int, optional
        Unix time at which `time.perf_counter_ns` was zero, as the frames' times have it; else read now.
    slept_before_ns : int, optional
        For how long this computer had slept when that was read.
    system_clock : callable
        Gives Unix nanoseconds; may be set, and jump, at any time.

    Raises
    ------
    RecordingError
        The folder has something in it, or cannot be written.

    Attributes
    ----------
    path : Path
    run_id : UUID
    tracks : dict of str to CameraTrack
        By the camera's name.
    trouble : RecordingError or None
        Why it has ended early.
    free_bytes : int
        Of the disk, at the last look.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        software: str,
        *,
        keep_free: int | None = None,
        on_look: Callable[[], None] | None = None,
        files: type[PlainFile] = GrowingFile,
        wall_offset_ns: int | None = None,
        slept_before_ns: int | None = None,
        system_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path: Path = make_run_folder(path)
        self.run_id = uuid.uuid4()
        self.tracks: dict[str, CameraTrack] = {}
        self.trouble: RecordingError | None = None
        self.free_bytes = 0
        self._software = software
        self._on_look = on_look
        self._files = files
        self._changing = threading.Lock()  # of `tracks`, and of what is known of cameras
        self._ending = False  # no more cameras
        self._clock = FrameClock(wall_offset_ns, system_clock, slept_before_ns)
        self._to_end: deque[SegmentWriter] = deque()
        self._stop = threading.Event()
        self._stop_keeping = threading.Event()
        self._ended = threading.Event()
        self._hands = Hands(self._write, self._keep)
        try:
            self._held = HeldFolder(self.path, keep_free)
            self._json = RunJson(self._held, {"run_id": str(self.run_id), "software": software}, self._clock)
            try:
                self.free_bytes, self._floor = self._held.free_bytes, self._held.floor
                self._write_json()
            except BaseException:  # Ctrl-C too: what has not begun leaves nothing that looks like a run
                self._held.undo()
                raise
        except OSError as error:
            raise cannot_write(self.path, error) from error

    # ---- before and while it runs -------------------------------------------------------------------

    def add(self, name: str, facts: Mapping[str, Any] | None = None) -> CameraTrack:
        """Take a camera in.

        Parameters
        ----------
        name : str
            Unique in this run.
        facts : mapping, optional
            For `run.json`: what is known of it.

        Raises
        ------
        RecordingError
            Its folder cannot be made, or the recording is ending.
        """
        with self._changing:
            return self._add(name, facts or {})

    def _add(self, name: str, facts: Mapping[str, Any]) -> CameraTrack:
        if self._ending:
            raise self.trouble or cannot_write(self.path, OSError(errno.EIO, "this recording has ended"))
        before = self._json.cameras
        folder_name = safe_folder_name(name, [entry["folder"] for entry in before.values()])
        folder = self.path / folder_name
        track = None
        try:
            self._held.check()
            folder.mkdir()
            track = CameraTrack(
                name, folder, self.run_id.bytes, self._software, self._to_end.append, self._files
            )
            self._json.cameras = {**before, name: {"name": name, "folder": folder_name, **facts}}
            self._write_json(sync=False)  # a hundred cameras would wait a hundred times
            self._held.reserve.grow(sum(each.reserve_bytes for each in (*self.tracks.values(), track)))
        except OSError as error:
            self._json.cameras = before
            if track is not None:
                track.log.close()
            raise cannot_write(folder, error) from error
        if self._clock.behind is not None:
            track.note("clock", self._clock.behind, self.now_ns)
        self.tracks = {**self.tracks, name: track}
        return track

    def start(self) -> None:
        """Begin to write.

        Raises
        ------
        RecordingError
            The system gives no more threads: nothing is left that looks like a run.
        """
        if self._clock.behind is not None:
            _log.warning("%s: %s", self.path, self._clock.behind)
        try:
            self._hands.begin()
        except OSError as error:
            self.stop()  # whichever of them has begun, or still does
            self._stop_keeping.set()
            if self._hands.forgo():
                self._held.undo()
                self._ended.set()
            raise cannot_write(self.path, error) from error

    def describe(self, name: str, facts: Mapping[str, Any]) -> None:
        """Add to what `run.json` tells of a camera."""
        with self._changing:
            known = self._json.cameras
            self._json.cameras = {**known, name: {**known[name], **facts}}
        with contextlib.suppress(OSError):  # told again at the end, and what is wrong with the disk comes out
            self._write_json()

    @property
    def now_ns(self) -> int:
        """Unix time by the clock of the frames, which is never set."""
        return self._clock.now_ns

    @property
    def frames_written(self) -> int:
        """Frames written, of all cameras."""
        return sum(track.frames_written for track in self.tracks.values())

    @property
    def frames_dropped(self) -> int:
        """Frames let go, of all cameras."""
        return sum(track.dropped for track in self.tracks.values())

    @property
    def over(self) -> bool:
        """Whether all files are closed, or are those of the process that this one was forked from."""
        return self._ended.is_set() or self._hands.elsewhere

    def disk_left_s(self, bytes_per_s: float) -> float | None:
        """Tell for how long the disk has room at this rate; None without one."""
        left = self.free_bytes - self._floor
        return max(0.0, left / bytes_per_s) if bytes_per_s > 0 else None

    # ---- its end ------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Take no more frames, and let what is waiting be written; does not wait for it."""
        if self._hands.elsewhere:
            return
        for track in self.tracks.values():
            track.closed = True
        self._stop.set()

    def close(self, *, wait: bool = True) -> None:
        """Stop, and wait until all files are closed in order; twice does nothing.

        Trouble is in `trouble`, not raised. In a process made by fork it does nothing.

        Parameters
        ----------
        wait : bool
            False: the writer's thread ends it when it comes to it. So it is on the threads of any recording,
            where the garbage collector may call this: they wait for nobody.
        """
        self.stop()
        if self.over:
            return
        if self._hands.forgo():
            self._finish()
        elif wait and not self._hands.are_here():
            if self._ended.wait(END_S):
                self._hands.join()
            else:
                self._fail(OSError(errno.EIO, f"the disk does not answer for {END_S:g} s"))

    # ---- the writer's thread ------------------------------------------------------------------------

    def _write(self) -> None:
        try:
            while self._pass():
                pass
        except OSError as error:
            self._fail(error)
        except Exception:  # noqa: BLE001 (a thread's boundary)
            _log.exception("a recording has ended by a mistake of this program")
            self._fail(_mistake())
        if self.trouble is not None:
            for track in self.tracks.values():
                track.abandon()
            self.trouble.frames_written = self.frames_written
            self.trouble.frames_dropped = self.frames_dropped
        self._stop_keeping.set()
        self._hands.join_keeper(END_S)
        self._finish()

    def _finish(self) -> None:
        """Close all files in order, in the room that was kept back for it; goes on after whatever fails."""
        with self._changing:
            self._ending = True
        tracks = tuple(self.tracks.values())
        try:
            self._do(self._held.reserve.free)
            for track in tracks:
                self._do(track.end)
            self._do(self._end_segments)
            self._tell_of_given_up()
            for track in tracks:
                with contextlib.suppress(OSError):
                    track.log.file.sync()
                track.log.close()
            self._json.state = "closed" if self.trouble is None else "ended early"
            self._do(self._write_json)
        finally:
            self._held.release()
            self._ended.set()

    def _do(self, step: Callable[[], None]) -> None:
        """Do one step of the end; what fails is told in the end, and holds up none of the others."""
        try:
            step()
        except OSError as error:
            self._fail(error)
        except Exception:  # noqa: BLE001 (a thread's boundary)
            _log.exception("a recording's end was disturbed by a mistake of this program")
            self._fail(_mistake())

    def _pass(self) -> bool:
        """Write what has come; false when that was all."""
        stopping = self._stop.is_set()
        tracks = self.tracks.values()
        for track in tracks:
            self._write_track(track)
        if tracks and all(track.trouble is not None for track in tracks):
            raise _mistake()
        if stopping or self.trouble is not None:
            return False
        self._held.reserve.grow(sum([track.reserve_bytes for track in tracks]))
        self._stop.wait(_GATHER_S)
        return True

    def _write_track(self, track: CameraTrack) -> None:
        """Write what has come of one camera; a mistake of this program ends the recording of that one."""
        if track.trouble is None:
            try:
                track.write()
                return
            except OSError:
                raise
            except Exception:  # noqa: BLE001 (told as the camera's trouble, and in the end)
                _log.exception("%s: nothing more of %s is written", self.path, track.name)
                track.trouble = _mistake().strerror
        track.abandon()

    def _tell_of_given_up(self) -> None:
        names = ", ".join(track.name for track in self.tracks.values() if track.trouble is not None)
        if names and self.trouble is None:
            self._fail(OSError(errno.EIO, f"not all of {names}: {_mistake().strerror}"))

    # ---- the keeper's thread ------------------------------------------------------------------------

    def _keep(self) -> None:
        try:
            while not self._stop_keeping.wait(_KEEP_S):
                self._end_segments()
                for track in self.tracks.values():
                    track.sync()
                self._json.settle(self.tracks, self.trouble)
                self._look()
        except OSError as error:
            self._fail(error)
        except Exception:  # noqa: BLE001 (a thread's boundary)
            _log.exception("the keeper of a recording has ended by a mistake of this program")
            self._fail(_mistake())

    def _end_segments(self) -> None:
        while self._to_end:
            self._do(functools.partial(_end, self._to_end.popleft()))

    def _look(self) -> None:
        self.free_bytes = self._held.look(self._floor)
        self._look_at_clock()
        if self._on_look is not None:
            self._on_look()

    def _look_at_clock(self) -> None:
        """Mark where the system's clock has been set: times here go on as if it had not."""
        step = self._clock.step()
        if step is not None:
            text, now_ns = f"{step}; the times of frames go on as before", self.now_ns
            _log.warning("%s: %s", self.path, text)
            for track in self.tracks.values():
                track.note("clock", text, now_ns)

    # ---- both ---------------------------------------------------------------------------------------

    def _fail(self, error: OSError) -> None:
        if self.trouble is None:
            self.trouble = cannot_write(
                self.path, error, written=self.frames_written, dropped=self.frames_dropped
            )
            _log.error("%s", self.trouble)
        self._stop.set()

    def _write_json(self, *, sync: bool = True) -> None:
        self._json.write(self.tracks, self.trouble, sync=sync)


def _end(segment: SegmentWriter) -> None:
    segment.file.sync()
    segment.end()
    segment.sync_name()


def _mistake() -> OSError:
    return OSError(errno.EIO, "this program made a mistake; its log tells more")
