"""The threads of a time-lapse: one for each camera, from its first point to its files being closed."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from espressoscope.api.lapse_news import LapseNews
    from espressoscope.api.taker import CameraTaker
    from espressoscope.timelapse.book import CameraBook
    from espressoscope.timelapse.clock import RunClock
    from espressoscope.timelapse.folder import LapseFolder, Plan
    from espressoscope.timelapse.walk import Walk

__all__ = ["LapseCrew"]

_TICK_S: Final = 0.2

_log = logging.getLogger(__name__)


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
        self._posts: list[tuple[Walk, CameraTaker, CameraBook]] = []

    def prepare(
        self,
        folder: LapseFolder,
        plan: Plan,
        takers: Sequence[CameraTaker],
        clock: RunClock,
        news: LapseNews,
        keep_free: int | None,
    ) -> None:
        """Open each camera's files, and see which point is its next."""
        import shutil

        from espressoscope.api.recorder import software
        from espressoscope.recording.writer import free_space_floor
        from espressoscope.timelapse.book import CameraBook
        from espressoscope.timelapse.schedule import Course
        from espressoscope.timelapse.walk import Walk

        total = shutil.disk_usage(folder.path).total
        floor = free_space_floor(total) if keep_free is None else keep_free
        for place, (camera, taker) in enumerate(zip(plan.cameras, takers, strict=True)):
            book = CameraBook(
                camera.name,
                folder.camera_folder(camera),
                plan.run_id.bytes,
                software(),
                plan.schedule.burst,
                floor,
            )
            news.lines[camera.name] = book.ledger.last
            course = Course(plan.schedule, plan.start_ns, place, book.next_point)
            walk = Walk(course, book, taker, clock, self._stop, partial(news.tell, camera.name))
            self._posts.append((walk, taker, book))

    def begin(self) -> None:
        """Let all begin."""
        self._left = len(self._posts)
        for post in self._posts:
            thread = threading.Thread(target=self._go, args=post, name="espressoscope-lapse", daemon=True)
            self._begun.append(thread)
            thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until all have ended, or the time is over; true when they have."""
        return self._done.wait(timeout)

    def end(self, timeout: float) -> None:
        """Wait until all have ended, and close what had not begun; `stop` is set before."""
        until = time.monotonic() + timeout
        begun = [thread for thread in self._begun if thread.ident is not None]
        for _, _, book in self._posts[len(begun) :]:  # interrupted before it had begun
            with contextlib.suppress(OSError):
                book.close()
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
        for walk, taker, book in self._posts:
            info = None if taker.info is None else taker.info.shown
            keys = () if info is None else ("url", "stream_url", "mac", "firmware")
            found[book.name] = {**{key: getattr(info, key) for key in keys}, **taker.place}
            if walk.settings:
                found[book.name]["settings"] = walk.settings
        return found

    def _go(self, walk: Walk, taker: CameraTaker, book: CameraBook) -> None:
        """Take one camera's points; on its own thread."""
        from espressoscope.timelapse.book import FolderGone

        try:
            walk.run()
        except FolderGone as error:
            self.gone = error
            self._stop.set()
        except Exception:  # noqa: BLE001 (a thread's boundary)
            _log.exception("the time-lapse of %s has ended by a mistake of this program", book.name)
        finally:
            try:
                taker.close()
            finally:
                try:
                    book.close()
                except OSError as error:
                    _log.error("%s: its files could not be closed in order: %s", book.name, error)
                finally:
                    with self._guard:
                        self._left -= 1
                        if not self._left:
                            self._done.set()
