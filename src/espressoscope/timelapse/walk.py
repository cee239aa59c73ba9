"""One camera's way through its schedule: wait, take, store, and on to the next point.

Each camera has a thread of its own that runs this, so a camera that is off, slow or dead costs only itself.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from espressoscope.errors import CameraError
from espressoscope.timelapse.book import FolderGone, Point
from espressoscope.timelapse.ledger import Line
from espressoscope.timelapse.schedule import Missed, Over, Take, Wait

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from espressoscope.model import Frame
    from espressoscope.timelapse.book import CameraBook
    from espressoscope.timelapse.clock import RunClock
    from espressoscope.timelapse.schedule import Course

__all__ = ["Taker", "Taking", "Walk"]

SLICE_S: Final = 1.0
"""Longest wait before the clock is looked at again."""

MOST_AT_ONCE: Final = 10_000
"""Most points that are found missed in one step."""

_log = logging.getLogger(__name__)


class Taking(NamedTuple):
    """What an attempt gave.

    Attributes
    ----------
    frames : sequence of Frame
        With `received_ns` in the time of the run.
    settings : dict
        The camera's settings as it told them; empty when it tells none.
    """

    frames: Sequence[Frame]
    settings: dict[str, Any]


class Taker(Protocol):
    """Takes the pictures of one camera."""

    def take(self, deadline_ns: int) -> Taking:
        """Take the pictures of one point, with the lamp off again afterwards.

        Called on the camera's own thread. `deadline_ns`, in the time of the run, is when no further attempt
        will be made; the call bounds itself.

        Raises
        ------
        CameraError
            There are none; another attempt may follow.
        """
        ...

    def tidy(self) -> None:
        """See to it that the lamp is off, where that is not certain.

        Called at the start, between points and at the end.
        """
        ...


class Walk:
    """Goes through the schedule of one camera.

    Parameters
    ----------
    course : Course
        Where it stands.
    book : CameraBook
        Where everything is written.
    taker : Taker
    clock : RunClock
    stop : threading.Event
        Ends it between two steps.
    tell : callable
        Called with the lines written, as they are written; of points missed with 10,000 at most.

    Attributes
    ----------
    jumps_noted : int
        Steps of the clock that stand in the files.
    """

    def __init__(
        self,
        course: Course,
        book: CameraBook,
        taker: Taker,
        clock: RunClock,
        stop: threading.Event,
        tell: Callable[[list[Line]], None],
    ) -> None:
        self._course = course
        self._book = book
        self._taker = taker
        self._clock = clock
        self._stop = stop
        self._tell = tell
        self._settings: dict[str, Any] = {}
        self.jumps_noted = 0

    @property
    def settings(self) -> dict[str, Any]:
        """The camera's settings as last told."""
        return self._settings

    def run(self) -> bool:
        """Go on until all points are dealt with, or `stop` is set; true for the former.

        Raises
        ------
        FolderGone
            There is no folder to write to any more.
        """
        self._taker.tidy()  # an earlier program may have been killed with the lamp on
        found = self._book.settle_found(self._course.due_ns)
        if found:
            self._tell(found)
            self._course.settled(found[-1].point, self._clock.now_ns())
        while not self._stop.is_set():
            now_ns = self._clock.now_ns()
            match self._course.next(now_ns):
                case Over():
                    self._taker.tidy()
                    return True
                case Wait(until_ns):
                    self._wait(until_ns)
                case Missed() as missed:
                    self._miss(missed)
                case Take() as take:
                    self._take(take, now_ns)
        return False

    def _wait(self, until_ns: int) -> None:
        self._taker.tidy()
        self._note_jumps()
        left_s = (until_ns - self._clock.now_ns()) / 1e9
        if left_s > 0:
            self._clock.clock.sleep(min(left_s, SLICE_S), self._stop)

    def _take(self, take: Take, began_ns: int) -> None:
        self._book.check_folder()  # first: a picture that cannot be stored is taken in vain
        course = self._course
        point = Point(take.point, take.due_ns, began_ns, course.attempts + 1)
        jumps = len(self._clock.jumps)
        try:
            taking = self._taker.take(take.give_up_ns)
            self._note_settings(taking.settings)
            line = self._book.taken(point, taking.frames)
        except FolderGone:
            raise
        except CameraError as error:
            if not self._stop.is_set():  # then it was broken off: nothing is known of this point
                course.failed(self._clock.now_ns(), error.message)
        except OSError as error:
            _log.error("%s: point %d cannot be stored: %s", self._book.name, take.point, error)
            course.failed(self._clock.now_ns(), f"it cannot be stored: {error.strerror or error}")
        except Exception:  # noqa: BLE001 - one camera's boundary: the next point may be well
            _log.exception("%s: point %d failed by a mistake of this program", self._book.name, take.point)
            course.failed(self._clock.now_ns(), "a mistake of this program; its log tells more")
        else:
            # What a clock that was set meanwhile passes over was not kept waiting by the camera.
            now_ns = self._clock.now_ns()
            course.settled(take.point, now_ns, kept=len(self._clock.jumps) == jumps)
            self._tell([line])

    def _miss(self, missed: Missed) -> None:
        """Write what was missed, in steps: it may be millions of points, and take longer than a stop may."""
        course = self._course
        for first in range(missed.first, missed.last + 1, MOST_AT_ONCE):
            lines = [
                Line(point, course.due_ns(point), "missed", attempts=course.attempts, reason=missed.reason)
                for point in range(first, min(first + MOST_AT_ONCE, missed.last + 1))
            ]
            # A few lines are what tells of a full disk; as many as these could be what fills it.
            if len(lines) == MOST_AT_ONCE:
                self._wait_for_room(missed.last - first + 1)
                if self._stop.is_set():
                    return
            self._tell(self._book.missed(lines))
            if self._stop.is_set():
                return  # the lines tell where to go on
        course.settled(missed.last, self._clock.now_ns())

    def _wait_for_room(self, points: int) -> None:
        """Wait until the disk has room for many lines, or `stop` is set."""
        told = False
        while not self._stop.is_set():
            try:
                if not self._book.crowded():
                    return
            except FolderGone:
                raise
            except OSError as error:  # writing tells of it, too, and nothing is lost by that
                _log.error("%s: its disk does not tell its room: %s", self._book.name, error)
                return
            if not told:
                told = True
                _log.error(
                    "%s: %d missed points wait to be noted: the disk is nearly full", self._book.name, points
                )
            self._taker.tidy()
            self._clock.clock.sleep(SLICE_S, self._stop)

    def _note_settings(self, settings: dict[str, Any]) -> None:
        changed = {key: value for key, value in settings.items() if self._settings.get(key) != value}
        if changed:
            # First: what a full disk does not take now waits in memory, once, and not at each attempt anew.
            self._settings = {**self._settings, **changed}
            self._book.note_settings(self._clock.now_ns(), changed)

    def _note_jumps(self) -> None:
        for when_ns, step_ns in self._clock.jumps[self.jumps_noted :]:
            try:
                self._book.note(when_ns, "clock", f"the system's clock was set by {step_ns / 1e9:+.1f} s")
            except FolderGone:
                raise
            except OSError as error:
                _log.error("%s: a note cannot be written: %s", self._book.name, error)
            self.jumps_noted += 1
