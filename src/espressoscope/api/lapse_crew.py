"""The threads of a time-lapse: one for each camera, from its first point to its files being closed."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from espressoscope.api.run_facts import facts_of, software

if TYPE_CHECKING:
    from collections.abc import Sequence

    from espressoscope.api.lapse_news import LapseNews
    from espressoscope.api.taker import CameraTaker
    from espressoscope.timelapse.book import CameraBook
    from espressoscope.timelapse.clock import RunClock
    from espressoscope.timelapse.folder import LapseFolder, Plan, PlannedCamera
    from espressoscope.timelapse.walk import Walk

__all__ = ["LapseCrew"]

_TICK_S: Final = 0.2
AGAIN_S: Final = 10.0
"""Between two attempts to open the files of one camera, in seconds."""

_log = logging.getLogger(__name__)


@dataclass
class _Post:
    """One camera, with what it needs once its files are open."""

    place: int
    camera: PlannedCamera
    taker: CameraTaker
    walk: Walk | None = None
    book: CameraBook | None = None
    trouble: OSError | None = None  # why it has none yet


class LapseCrew:
    """Take the points of all cameras, each on a thread of its own.

    Parameters
    ----------
    stop : threading.Event
        Set by whoever wants it to end, and by the crew when its folder is gone.

    Attributes
    ----------
    gone : OSError or None
        Why it ended by itself: the folder has been deleted.
    """

    def __init__(self, stop: threading.Event) -> None:
        self.gone: OSError | None = None
        self._stop = stop
        self._guard = threading.Lock()
        # Not `Thread.is_alive`: a `join` that Ctrl-C interrupts counts the thread as ended (CPython 3.11).
        self._done = threading.Event()
        self._left = 0
        self._begun: list[threading.Thread] = []
        self._posts: list[_Post] = []

    def prepare(
        self,
        folder: LapseFolder,
        plan: Plan,
        takers: Sequence[CameraTaker],
        clock: RunClock,
        news: LapseNews,
        keep_free: int | None,
    ) -> None:
        """Open each camera's files, and see which point is its next.

        A camera whose files cannot be opened costs only itself: the others begin, and it is tried again.

        Raises
        ------
        OSError
            None of them can be opened.
        """
        from espressoscope.recording.run_folder import free_and_floor

        _, floor = free_and_floor(folder.path, keep_free)
        self._open = partial(self._opened, folder, plan, clock, news, floor)
        for place, (camera, taker) in enumerate(zip(plan.cameras, takers, strict=True)):
            post = _Post(place, camera, taker)
            self._posts.append(post)
            try:
                self._open(post)
            except OSError as error:
                post.trouble = error
                why = error.strerror or error
                _log.error("%s: its files in %s cannot be opened: %s", camera.name, folder.path, why)
        troubles = [post.trouble for post in self._posts if post.trouble is not None]
        if troubles and len(troubles) == len(self._posts):
            raise troubles[0]

    def _opened(
        self, folder: LapseFolder, plan: Plan, clock: RunClock, news: LapseNews, floor: int, post: _Post
    ) -> None:
        from espressoscope.timelapse.book import CameraBook
        from espressoscope.timelapse.schedule import Course
        from espressoscope.timelapse.walk import Walk

        camera = post.camera
        home = folder.camera_folder(camera)
        book = CameraBook(camera.name, home, plan.run_id.bytes, software(), plan.schedule.burst, floor)
        news.lines[camera.name] = book.ledger.last
        course = Course(plan.schedule, plan.start_ns, post.place, book.next_point)
        post.walk = Walk(course, book, post.taker, clock, self._stop, partial(news.tell, camera.name))
        post.book = book

    @property
    def unopened(self) -> dict[str, str]:
        """Cameras whose files cannot be opened, and why."""
        return {
            post.camera.name: post.trouble.strerror or str(post.trouble)
            for post in self._posts
            if post.trouble is not None
        }

    def begin(self) -> None:
        """Let all begin."""
        self._left = len(self._posts)
        for post in self._posts:
            thread = threading.Thread(target=self._go, args=(post,), name="espressoscope-lapse", daemon=True)
            self._begun.append(thread)
            thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until all have ended, or the time is over; true when they have."""
        return self._done.wait(timeout)

    def end(self, timeout: float) -> None:
        """Wait until all have ended, and close what had not begun; `stop` is set before."""
        until = time.monotonic() + timeout
        begun = [thread for thread in self._begun if thread.ident is not None]
        for post in self._posts[len(begun) :]:  # interrupted before it had begun
            if post.book is not None:
                with contextlib.suppress(OSError):
                    post.book.close()
        with self._guard:
            self._left -= len(self._posts) - len(begun)
            if self._left <= 0:
                self._done.set()
        while not self._done.wait(_TICK_S) and time.monotonic() < until:
            pass
        for thread in begun:
            thread.join(_TICK_S)

    def facts(self) -> dict[str, dict[str, Any]]:
        """Give what is known of the cameras by now: where they are, how they are set."""
        found = {}
        for post in self._posts:
            info = post.taker.info
            told = found[post.camera.name] = {**({} if info is None else facts_of(info)), **post.taker.place}
            if post.walk is not None and post.walk.settings:
                told["settings"] = post.walk.settings
        return found

    def _ready(self, post: _Post) -> Walk | None:
        """Wait until its files can be opened; None when the end comes first."""
        while post.walk is None:
            if self._stop.wait(AGAIN_S):
                return None
            try:
                self._open(post)
            except OSError as error:
                post.trouble = error
            else:
                post.trouble = None
                _log.warning("%s: its files can be opened again", post.camera.name)
        return post.walk

    def _go(self, post: _Post) -> None:
        """Take one camera's points; on its own thread."""
        from espressoscope.timelapse.book import FolderGone

        name = post.camera.name
        try:
            walk = self._ready(post)
            if walk is not None:
                walk.run()
        except FolderGone as error:
            self.gone = error
            self._stop.set()
        except Exception:  # noqa: BLE001 (a thread's boundary)
            _log.exception("the time-lapse of %s has ended by a mistake of this program", name)
        finally:
            try:
                post.taker.close()
            finally:
                try:
                    if post.book is not None:
                        post.book.close()
                except OSError as error:
                    _log.error("%s: its files could not be closed in order: %s", name, error)
                finally:
                    with self._guard:
                        self._left -= 1
                        if not self._left:
                            self._done.set()
