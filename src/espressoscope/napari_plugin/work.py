"""Threads for calls that may block, so that the one that draws never does. No Qt here."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_THREADS", "MOST_WAITING", "Workers"]

_log = logging.getLogger(__name__)

MOST_THREADS: Final = 6
"""Calls at once; a camera that does not answer holds one of them for some seconds."""
MOST_WAITING: Final = 256
"""Calls that wait for a thread."""


class _Job(NamedTuple):
    work: Callable[[], None]
    lane: str | None


class Workers:
    """A few daemon threads, started when there is work; work of one lane is done in order, one at a time.

    To start a thread takes until it runs, 5 ms and more where others are busy. So whoever takes work starts
    the next thread: there is one to spare, and `submit` has to start the first one only.

    Parameters
    ----------
    most : int
        Threads at once.
    """

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._lanes: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._started = 0
        self._working = 0
        self._closed = False

    def submit(self, work: Callable[[], None], lane: str | None = None) -> bool:
        """Have something done; false when too much waits already, or after `close`. Never blocks."""
        with self._changed:
            if self._closed or len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(_Job(work, lane))
            self._changed.notify()
            first = not self._started
            self._started += first
        if first:
            self._start()
        return True

    def close(self) -> None:
        """Begin nothing any more; threads end with what they do now. Never blocks."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads after `close`; false when one is still at work."""
        share = timeout_s / max(1, len(self._threads))
        for thread in self._threads:  # one that ends may have started another, which stands behind it
            thread.join(share)
        return not any(thread.is_alive() for thread in self._threads)

    def _start(self) -> None:
        name = f"espressoscope-napari-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        while (job := self._take()) is not None:
            try:
                self._have_a_spare()
                job.work()
            except Exception:  # noqa: BLE001 (a thread boundary)
                _log.exception("a call of the napari plugin failed")
            with self._changed:
                self._working -= 1
                if job.lane is not None:
                    self._lanes.discard(job.lane)
                    self._changed.notify()
            del job  # it may hold a widget

    def _have_a_spare(self) -> None:
        with self._changed:
            more = self._started == self._working and not self._closed and self._started < self._most
            self._started += more
        if more:
            try:
                self._start()
            except RuntimeError:  # the system gives no more threads: these have to do
                _log.warning("no further thread for the napari plugin", exc_info=True)
                with self._changed:
                    self._started -= 1

    def _take(self) -> _Job | None:
        with self._changed:
            while not self._closed:
                for job in self._waiting:
                    if job.lane not in self._lanes:
                        self._waiting.remove(job)
                        if job.lane is not None:
                            self._lanes.add(job.lane)
                        self._working += 1
                        return job
                self._changed.wait()
            return None
