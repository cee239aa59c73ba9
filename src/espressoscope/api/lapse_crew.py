"""The threads of a time-lapse: one for each camera, from its first point to its files being closed."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from espressoscope.api.run_facts import facts_of, software
from espressoscope.undisturbed import undisturbed

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

_GONE: Final = "the folder of the run has been deleted or replaced"
_log = logging.getLogger(__name__)


@dataclass
class _Post:
    """One camera, with what it needs once its files are open."""

    place: int
    camera: PlannedCamera
    taker: CameraTaker
    over_ns: int | None  # when the window of its last point is over
    walk: Walk | None = None
    book: CameraBook | None = None
    trouble: OSError | None = None  # why it has none yet
    wait: bool = True  # before its files are tried next
    lost_at: float = -math.inf  # when files it had open were replaced, in seconds
    jumps: int = 0  # steps of the clock that stand in its files


class LapseCrew:
    """Take the points of all cameras, each on a thread of its own.

    Parameters
    ----------
    stop : threading.Event
        Set by whoever wants it to end, and by the crew when its folder is gone: not when only files of one
        camera have been replaced, as editors do that save; those are opened anew.

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
        self._ending = False
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

        A camera whose files cannot be opened costs only itself: the others begin, and it is tried again until
        the window of its last point is over.

        Raises
        ------
        OSError
            None of them can be opened.
        """
        from espressoscope.recording.run_folder import free_and_floor

        _, floor = free_and_floor(folder.path, keep_free)
        self._now_ns = clock.now_ns
        self._folder = folder
        self._open = partial(self._opened, folder, plan, clock, news, floor)
        for place, (camera, taker) in enumerate(zip(plan.cameras, takers, strict=True)):
            post = _Post(place, camera, taker, plan.schedule.over_ns(plan.start_ns, place))
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
        from espressoscope.recording.run_folder import LOG_NAME
        from espressoscope.timelapse.book import CameraBook, FolderGone
        from espressoscope.timelapse.kept import refuse_links
        from espressoscope.timelapse.ledger import POINTS_NAME
        from espressoscope.timelapse.schedule import Course
        from espressoscope.timelapse.walk import Walk

        if folder.gone:  # its place is not to be filled anew
            raise FolderGone(errno.ENOENT, _GONE)
        camera = post.camera
        if post.lost_at > -math.inf and not (folder.path / camera.folder).is_dir():
            # Nor is this: it would tell that all its points were missed.
            raise FileNotFoundError(errno.ENOENT, "its folder has been deleted or moved; put it back")
        home = folder.camera_folder(camera)
        refuse_links(home, (POINTS_NAME, LOG_NAME))
        book = CameraBook(camera.name, home, plan.run_id.bytes, software(), plan.schedule.burst, floor)
        news.lines[camera.name] = book.ledger.last
        course = Course(plan.schedule, plan.start_ns, post.place, book.next_point)
        walk = Walk(course, book, post.taker, clock, self._stop, partial(news.tell, camera.name))
        walk.jumps_noted = post.jumps
        post.walk, post.book = walk, book

    @property
    def unopened(self) -> dict[str, str]:
        """Cameras whose files cannot be opened, and why."""
        return {
            post.camera.name: post.trouble.strerror or str(post.trouble)
            for post in self._posts
            if post.trouble is not None
        }

    def begin(self) -> None:
        """Let all begin; after an error or Ctrl-C some have, and `end` is to follow.

        Raises
        ------
        RecordingError
            The system gives no more threads.
        """
        self._left = len(self._posts)
        try:
            undisturbed(self._begin)
        except (OSError, RuntimeError) as error:
            from espressoscope.api.lapse_trial import no_threads

            raise no_threads(error) from error

    def _begin(self) -> None:
        for post in self._posts:
            thread = threading.Thread(target=self._go, args=(post,), name="espressoscope-lapse", daemon=True)
            with self._guard:  # `end` may be there already: Ctrl-C does not wait for this
                if self._ending:
                    return
                thread.start()
                self._begun.append(thread)

    def wait(self, timeout: float) -> bool:
        """Wait until all have ended, or the time is over; true when they have."""
        return self._done.wait(timeout)

    def end(self, timeout: float) -> None:
        """Wait until all have ended, and close what had not begun; `stop` is set before."""
        until = time.monotonic() + timeout
        with self._guard:
            if not self._ending:
                self._ending = True  # no more begin
                self._left -= len(self._posts) - len(self._begun)
            if self._left <= 0:
                self._done.set()
        for post in self._posts[len(self._begun) :]:  # interrupted before it had begun
            if post.book is not None:
                with contextlib.suppress(OSError):
                    post.book.close()
        while not self._done.wait(_TICK_S) and time.monotonic() < until:
            pass
        for thread in self._begun:
            thread.join(_TICK_S)

    def facts(self) -> dict[str, dict[str, Any]]:
        """Give what is known of the cameras by now: where they are, how they are set."""
        found = {}
        for post in self._posts:
            info = post.taker.info
            told = found[post.camera.name] = {**({} if info is None else facts_of(info)), **post.taker.told}
            walk = post.walk
            if walk is not None and walk.settings:
                told["settings"] = walk.settings
        return found

    def _ready(self, post: _Post) -> Walk | None:
        """Wait until its files can be opened; None when the end comes first.

        Raises
        ------
        FolderGone
        """
        from espressoscope.timelapse.book import FolderGone

        while post.walk is None:
            post.taker.tidy()  # an earlier program may have been killed with the lamp on
            left_s = math.inf if post.over_ns is None else (post.over_ns - self._now_ns()) / 1e9
            if post.wait and left_s <= 0:
                _log.error(
                    "%s: its files could not be opened before its last point was over", post.camera.name
                )
                return None
            if post.wait and self._stop.wait(min(AGAIN_S, left_s)):
                return None
            post.wait = True
            try:
                self._open(post)
            except FolderGone:
                raise
            except OSError as error:
                post.trouble = error
            else:
                post.trouble = None
                _log.warning("%s: its files can be opened again", post.camera.name)
        return post.walk

    def _walk(self, post: _Post) -> None:
        """Go through its schedule; with files opened anew where others have replaced them.

        Raises
        ------
        FolderGone
            It is the run's folder that is gone.
        """
        from espressoscope.timelapse.book import FolderGone

        while (walk := self._ready(post)) is not None:
            try:
                walk.run()
            except FolderGone as error:
                if self._folder.gone:
                    raise FolderGone(errno.ENOENT, _GONE) from error
                post.jumps = walk.jumps_noted
                self._lose(post, error)
            else:
                return

    def _lose(self, post: _Post, error: OSError) -> None:
        """Let go files of one camera that have been deleted, replaced or changed."""
        name = post.camera.name
        _log.warning(
            "%s: its files have been deleted, replaced or changed by another program; opening them anew",
            name,
        )
        book, post.book, post.walk, post.trouble = post.book, None, None, error
        now = time.monotonic()
        post.wait, post.lost_at = now - post.lost_at < AGAIN_S, now  # at once, but not over and over
        if book is not None:
            try:
                book.close()
            except OSError as trouble:
                _log.error("%s: its files could not be closed in order: %s", name, trouble)

    def _go(self, post: _Post) -> None:
        """Take one camera's points; on its own thread."""
        from espressoscope.timelapse.book import FolderGone

        name = post.camera.name
        try:
            self._walk(post)
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
