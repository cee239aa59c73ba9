"""Time-lapse of cameras, for hours or weeks: the public face, from its preparation to its end."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from espressoscope.api.lapse_crew import LapseCrew
from espressoscope.api.lapse_news import LapseNews
from espressoscope.model import CameraInfo
from espressoscope.timelapse.spans import write_span

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from espressoscope.api.taker import CameraTaker
    from espressoscope.lab.entries import Member
    from espressoscope.timelapse.clock import Clock, RunClock
    from espressoscope.timelapse.folder import LapseFolder
    from espressoscope.timelapse.forecast import Forecast
    from espressoscope.timelapse.ledger import Line
    from espressoscope.timelapse.status import LapseStatus

__all__ = ["TimeLapse", "timelapse_status"]

END_S: Final = 20.0
"""Longest wait for cameras to come to an end when a time-lapse is stopped."""
BEGIN_NS: Final = 200_000_000
"""From the end of the trial to the first point: files are made meanwhile."""
_TICK_S: Final = 0.2
_TELL_S: Final = 5.0

_log = logging.getLogger(__name__)


def timelapse_status(path: str | os.PathLike[str]) -> LapseStatus:
    """Tell what a time-lapse does and what comes next; while it runs, after a crash, and at its end.

    Reads only the ends of a few files, and changes nothing.

    Parameters
    ----------
    path : str or path
        The folder it is stored in.

    Raises
    ------
    RecordingError
        There is none.

    Examples
    --------
    >>> import espressoscope as es
    >>> es.timelapse_status("leaf").next_due_ns  # doctest: +SKIP
    """
    from espressoscope.api.lapse_request import read_path
    from espressoscope.timelapse.status import read_status

    return read_status(read_path(path), time.time_ns())


class TimeLapse:
    """Pictures at fixed times, for hours or weeks, stored as a run that `open_run` opens.

    Point k of camera i is due at ``start + k * every + i * stagger``: delays never add up. A camera that is
    off or slow costs only itself; it is tried again while the point's window lasts, then the point is
    recorded as missed. After a crash, a power cut or `stop`, the same call with the same `path` goes on with
    the same run: nothing is overwritten, no point taken twice, and what has passed meanwhile is recorded as
    missed. docs/timelapse.md has it all.

    Parameters
    ----------
    cameras : iterable of str, CameraInfo or Member
        Anything `Camera` takes.
    every : float or str
        From one point to the next: seconds, or ``"10min"``, ``"1h30"``, ``"2d"``.
    path : str or path
        Folder of the run: new, empty, or that of the same time-lapse.
    count, duration, until : optional
        When to end: after so many points; before so long a time has passed; before a moment (ISO 8601).
        One of them, or none: until it is stopped.
    burst : int
        Pictures of each point, one after the other as fast as the camera sends them.
    lamp : int, optional
        Brightness of the lamp while pictures are taken; it is switched off afterwards, whatever happens.
    settle : float or str
        From the lamp on to the picture.
    stagger : float or str, optional
        From one camera to the next, to spare the radio; else 1 s, less where the interval is short.
    window : float or str, optional
        For how long a point may be late; else half the interval, 10 minutes at most.
    framesize, quality : optional
        Set before the first picture, and again after a camera has restarted.
    on_missed : str, sequence of str or callable, optional
        A command that is run, or a function that is called (camera, list of lines), when points are missed.
    on_point : callable, optional
        Called (camera, line) with what became of each point, on that camera's thread; must return soon.
    keep_free : int, optional
        Bytes of the disk to leave free; else 100 MB, or 2 % of a smaller disk.
    force : bool
        Begin even where the disk will not do, or cameras are too slow for the interval.
    clock : Clock, optional
        For tests.

    Raises
    ------
    ValueError
        Something is out of range; the message tells how to write it.
    ConnectError, UnsupportedError
        One of the cameras is no address, and cannot be a name.
    RecordingError
        The path begins with the home of a user that there is none of.

    Attributes
    ----------
    path : Path
    warnings : list of str
        What `prepare` found that one should know.
    forecast : Forecast or None
        What `prepare` expects of the disk.

    Examples
    --------
    >>> import espressoscope as es
    >>> lapse = es.TimeLapse(["192.168.4.1"], every="10min", count=144, path="leaf")  # doctest: +SKIP
    >>> lapse.run()  # doctest: +SKIP
    """

    def __init__(
        self,
        cameras: str | CameraInfo | Member | Iterable[str | CameraInfo | Member],
        every: float | str,
        *,
        path: str | os.PathLike[str],
        count: int | None = None,
        duration: float | str | None = None,
        until: str | None = None,
        burst: int = 1,
        lamp: int | None = None,
        settle: float | str = 0.5,
        stagger: float | str | None = None,
        window: float | str | None = None,
        framesize: str | None = None,
        quality: int | None = None,
        on_missed: str | Sequence[str] | Callable[[str, list[Line]], object] | None = None,
        on_point: Callable[[str, Line], object] | None = None,
        keep_free: int | None = None,
        force: bool = False,
        clock: Clock | None = None,
    ) -> None:
        from espressoscope.api.lapse_request import read_path, read_request
        from espressoscope.api.roll import card_of
        from espressoscope.lab.entries import Member
        from espressoscope.timelapse.clock import Clock
        from espressoscope.timelapse.hook import words_of

        single = isinstance(cameras, str | CameraInfo | Member)
        self._cameras: list[str | CameraInfo | Member] = [cameras] if single else list(cameras)  # type: ignore[list-item, arg-type]
        cards = [card_of(camera) for camera in self._cameras]
        if len({str(c) if c.address is None or not c.address.host else c.address.url for c in cards}) < len(
            cards
        ):
            raise ValueError("a camera is named twice")
        given = [str(card) for card in cards]
        self.path = read_path(path)
        self.warnings: list[str] = []
        self.forecast: Forecast | None = None
        self._schedule, self._asked = read_request(
            given, every, count, duration, until, burst, lamp, settle, stagger, window, framesize, quality
        )
        self._alarm_words: list[str] | None = None
        if on_missed is not None and not callable(on_missed):
            self._alarm_words = words_of(on_missed)
        self._news = LapseNews(on_point, on_missed if callable(on_missed) else None)
        if keep_free is not None and keep_free < 0:
            raise ValueError("keep_free must not be negative")
        self._keep_free = keep_free
        self._force = force
        self._clock = clock or Clock()
        self._stop = threading.Event()
        self._crew = LapseCrew(self._stop)
        self._folder: LapseFolder | None = None
        self._run_clock: RunClock | None = None
        self._takers: list[CameraTaker] = []
        self._prepared = False

    # ---- before it begins ---------------------------------------------------------------------------

    def prepare(self) -> bool:
        """Get everything ready that `run` needs; true when a run is gone on with, false for a new one.

        For a new one each camera takes its first point once, for trial: whether it answers, how long it
        takes, how large its pictures are.

        Raises
        ------
        RecordingError
            The folder cannot be used, belongs to another schedule, or the disk will not do.
        UnsupportedError
            A camera is too slow for this interval.
        ConnectError, CameraTimeout, RemoteProtocolError
            None of the cameras takes a picture.
        """
        from espressoscope.api.taker import CameraTaker
        from espressoscope.timelapse.clock import RunClock
        from espressoscope.timelapse.folder import LapseFolder, refuse_other
        from espressoscope.timelapse.ledger import last_line

        fresh = False
        with contextlib.suppress(OSError):  # a name too long, no right to look: `LapseFolder` says so
            fresh = not self.path.exists()
        self._folder = folder = LapseFolder(self.path)
        try:
            plan = folder.plan
            reached_ns = 0
            if plan is not None:
                refuse_other(self.path, plan.asked, self._asked)
                self._schedule = plan.schedule
                for camera in plan.cameras:
                    line = None
                    with contextlib.suppress(OSError):  # said when its files are opened
                        line = last_line(self.path / camera.folder)
                    self._news.lines[camera.name] = line
                    if line is not None:
                        reached_ns = max(reached_ns, line.due_ns, line.began_ns or 0)
            self._run_clock = RunClock(self._clock, reached_ns)
            self._takers = [
                CameraTaker(camera, self._schedule, self._run_clock, self._stop) for camera in self._cameras
            ]
            if plan is None:
                self._begin(folder)
            else:
                for taker, camera in zip(self._takers, plan.cameras, strict=True):
                    taker.remember(camera.facts, camera.name)
        except BaseException:
            self._leave()
            if fresh:
                with contextlib.suppress(OSError):
                    self.path.rmdir()  # only when nothing is in it
            raise
        self._prepared = True
        return plan is not None

    def _begin(self, folder: LapseFolder) -> None:
        from espressoscope.api.lapse_trial import judge, try_out, with_end
        from espressoscope.timelapse.folder import Plan, plan_cameras

        assert self._run_clock is not None
        trials = try_out(self._takers, self._schedule, self._stop)
        start_ns = self._run_clock.now_ns() + BEGIN_NS
        schedule = with_end(self._schedule, self._asked["until_ns"], start_ns)
        self.forecast, self.warnings = judge(trials, schedule, self.path, self._keep_free, force=self._force)
        self._schedule = schedule
        cameras = plan_cameras(
            [
                (taker.given, trial.name, trial.facts)
                for taker, trial in zip(self._takers, trials, strict=True)
            ]
        )
        folder.begin(Plan(schedule, cameras, self._asked, start_ns))

    # ---- while it lasts -----------------------------------------------------------------------------

    def run(self) -> LapseStatus:
        """Take the points, until the last one or `stop`; returns when all files are closed.

        Ctrl-C ends it in order: lamps off, files closed. The same call later goes on with it.

        Returns
        -------
        LapseStatus
            How it stands.

        Raises
        ------
        RecordingError
            As for `prepare`, or the folder has been deleted meanwhile.
        CameraError
            The system gives no more threads; the same call later goes on with it.
        RuntimeError
            It has been run already.
        """
        from espressoscope.recording.run_folder import cannot_write
        from espressoscope.timelapse.hook import Alarm

        if self._stop.is_set():
            raise RuntimeError("it has been stopped: make another one to go on with the run")
        if not self._prepared:
            self.prepare()
        folder = self._folder
        if folder is None or folder.plan is None:
            raise RuntimeError("it has been run already: make another one to go on with the run")
        try:
            assert self._run_clock is not None
            self._crew.prepare(
                folder, folder.plan, self._takers, self._run_clock, self._news, self._keep_free
            )
            if self._alarm_words is not None:
                self._news.alarm = Alarm(self._alarm_words, self.path)
            self._write(folder, "running")
            self._crew.begin()
            self._wait(folder)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        finally:
            self._end(folder)
        if self._crew.gone is not None:
            raise cannot_write(self.path, self._crew.gone)
        return self.status()

    def stop(self) -> None:
        """End it, from any thread; `run` returns when all is in order. Twice does nothing."""
        self._stop.set()
        for taker in self._takers:
            taker.interrupt()

    @property
    def unopened(self) -> dict[str, str]:
        """Cameras whose files cannot be opened, and why; the others go on, and these are tried again."""
        return self._crew.unopened

    def close(self) -> None:
        """Let go what `prepare` has taken hold of, where `run` is not to follow; twice does nothing."""
        self._stop.set()
        self._leave()

    def status(self) -> LapseStatus:
        """Tell what it does and what comes next; also before and after it runs.

        Raises
        ------
        RecordingError
            It has not been begun.
        """
        from espressoscope.timelapse.status import read_status

        now_ns = self._clock.now_ns() if self._run_clock is None else self._run_clock.now_ns()
        return read_status(self.path, now_ns, self._keep_free)

    def _wait(self, folder: LapseFolder) -> None:
        tell_at = 0.0
        known = self._crew.facts()
        while not self._crew.wait(_TICK_S) and not self._stop.is_set():
            if time.monotonic() < tell_at:
                continue
            tell_at = time.monotonic() + _TELL_S
            facts = self._crew.facts()
            if facts != known:
                known = facts
                self._write(folder, "running")

    def _write(self, folder: LapseFolder, state: str) -> None:
        from espressoscope.api.run_facts import software

        assert self._run_clock is not None
        try:
            folder.write(state, software(), self._run_clock.now_ns(), self._news.lines, self._crew.facts())
        except OSError as error:
            _log.error("run.json cannot be written: %s", error)  # the points are what counts

    def _end(self, folder: LapseFolder) -> None:
        self.stop()
        self._crew.end(END_S)
        if self._news.alarm is not None:
            self._news.alarm.close()
        plan = folder.plan
        if self._crew.gone is None and folder.gone:  # since the last point, or before the first
            self._crew.gone = FileNotFoundError(errno.ENOENT, "the folder has been deleted or replaced")
        if plan is not None and self._crew.gone is None:
            total = plan.schedule.points
            lines = [self._news.lines.get(camera.name) for camera in plan.cameras]
            over = total is not None and all(line is not None and line.point + 1 >= total for line in lines)
            self._write(folder, "complete" if over else "stopped")
        self._leave()

    def _leave(self) -> None:
        for taker in self._takers:
            taker.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.release()

    def __repr__(self) -> str:
        cameras = len(self._cameras)
        return f"<TimeLapse of {cameras} cameras, every {write_span(self._schedule.every_ns / 1e9)}>"
