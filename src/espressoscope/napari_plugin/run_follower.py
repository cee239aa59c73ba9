"""A recording from its start to its end, on a thread of its own: starting and ending one waits for disks.

It ends in order however it ends: when it was asked to, when the frames or the time are there, when the disk
refuses, when the cameras are let go with the widget, and with the program. No Qt here.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.napari_plugin.calls import note, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import espressoscope as es

__all__ = ["LEFT", "CameraFigures", "RunFigures", "RunFollower"]

_log = logging.getLogger(__name__)

LEFT: Final = "was removed: recorded up to here"
"""What is said of a camera that has left while a run goes on."""
FIGURES_S: Final = 0.5
"""From one set of figures to the next, in seconds."""
_SLICE_S: Final = 0.05


class CameraFigures(NamedTuple):
    """How the recording of one camera is doing: `progress`, and what its stream does now."""

    progress: es.RecordProgress
    fps: float
    state: str
    message: str


class RunFigures(NamedTuple):
    """How a recording is doing.

    Attributes
    ----------
    path : Path
        Of the run; None before it has begun.
    cameras : Mapping of str to CameraFigures
    seconds : float
        Since it began.
    disk_left_s : float or None
        For how long the disk has room at the present rate.
    over : bool
        It has ended.
    trouble : str
        Why it has ended early, or never begun; "" otherwise.
    """

    path: Path | None
    cameras: Mapping[str, CameraFigures]
    seconds: float
    disk_left_s: float | None
    over: bool
    trouble: str

    @property
    def frames(self) -> int:
        """Frames written, of all cameras."""
        return sum(each.progress.frames_written for each in self.cameras.values())

    @property
    def megabytes(self) -> float:
        """Of all cameras."""
        return sum(each.progress.bytes_written for each in self.cameras.values()) / 1e6

    @property
    def missing(self) -> int:
        """Frames that never came, or were let go because the disk was too slow."""
        return sum(each.progress.missing + each.progress.dropped for each in self.cameras.values())


class RunFollower:
    """Starts a recording and follows it; `stop` ends it.

    Parameters
    ----------
    fleet : Fleet
        Whose cameras.
    start : callable
        Begins the recording; called on the thread.
    tell : callable
        Gets the figures about twice a second, and those of the end, on the thread.
    closed : callable
        Tells whether the widget has been closed.
    """

    def __init__(
        self,
        fleet: es.Fleet,
        start: Callable[[], es.Recorder],
        tell: Callable[[RunFigures], object],
        closed: Callable[[], bool],
    ) -> None:
        self._fleet = fleet
        self._start = start
        self._tell = tell
        self._closed = closed
        self._stop = threading.Event()
        self._recorder: es.Recorder | None = None
        self._began = time.monotonic()
        self._last: RunFigures | None = None
        self._thread = threading.Thread(target=self._run, name="espressoscope-napari-record", daemon=True)
        # The thread is not waited for when Python ends; the recording is.
        atexit.register(self._end_with_program)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; returns at once, and twice does nothing."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait until all files are closed; false when they are not yet."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _end_with_program(self) -> None:
        self._stop.set()
        recorder = self._recorder
        if recorder is not None:
            recorder.close()
            self._thread.join(1.0)  # it says what there is

    def _run(self) -> None:
        trouble = ""
        try:
            recorder = self._recorder = self._start()
            self._began = time.monotonic()
            try:
                self._follow(recorder)
            finally:
                recorder.stop()
        except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
            note(error)
            trouble = words(error)
        finally:
            atexit.unregister(self._end_with_program)
        last = self._figures(over=True, trouble=trouble)
        self._say(last)
        self._tell(last)

    def _follow(self, recorder: es.Recorder) -> None:
        next_s = time.monotonic()
        while not (recorder.over or self._stop.is_set() or self._closed()):
            if time.monotonic() >= next_s:
                next_s += FIGURES_S
                self._tell(self._figures())
            self._stop.wait(_SLICE_S)

    def _figures(self, *, over: bool = False, trouble: str = "") -> RunFigures:
        recorder = self._recorder
        seconds = time.monotonic() - self._began
        if recorder is None:
            return RunFigures(None, {}, 0.0, None, over, trouble)
        stats, messages = self._fleet.stats(), self._fleet.messages()
        before = {} if self._last is None else self._last.cameras
        cameras = {}
        for name, progress in recorder.progress.items():
            now = stats.get(name)
            if now is not None and not over:
                cameras[name] = CameraFigures(progress, now.fps, str(now.state), messages.get(name, ""))
            elif not over:
                cameras[name] = CameraFigures(progress, 0.0, "", LEFT)
            else:
                last = before.get(name)
                rate = progress.frames_written / seconds if seconds > 0 else 0.0
                cameras[name] = CameraFigures(progress, rate, "", "" if last is None else last.message)
        left_s = None if over else recorder.disk_left_s
        self._last = RunFigures(recorder.path, cameras, seconds, left_s, over, trouble)
        return self._last

    def _say(self, last: RunFigures) -> None:
        """Leave a line in the log: nobody may be left to look at a widget."""
        if last.path is None:
            return
        what = f"{last.frames} frames of {len(last.cameras)} cameras are in {last.path}"
        if last.trouble:
            _log.error("a recording has ended early: %s; %s", last.trouble, what)
        elif self._closed() and not self._stop.is_set():
            _log.warning("a recording was ended because its widget was closed: %s", what)
        else:
            _log.info("a recording has ended: %s", what)
