"""The threads of a decode pool, and the line of views before them.

How work moves: a view with a frame stands in line (`Crew.ready`) once, however many frames came. A worker
takes the first view of the line, gives it one turn, and puts it back at the end when there is another frame
by then. So no two workers are ever in the same view, and everybody's turn comes.

Each worker sleeps on a lock of its own (`Worker.bell`), and the one that fell asleep last is woken: its
memory is warm. That is one change of threads a frame, and 11 to 16 us of CPU. `queue.SimpleQueue` wakes every
sleeper in turn, two more changes; a condition or a semaphore of Python's takes a second lock.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from espressoscope.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from espressoscope.decode.view import View

__all__ = ["Crew", "Worker", "ending_here"]

_log = logging.getLogger(__name__)

HUNG_S: Final = 5.0
"""Seconds in one turn after which a worker is given up for the others, while views wait for their turn."""
_LOOK_EVERY_S: Final = 0.5
_TRY_AGAIN_S: Final = 10.0
"""Seconds between two attempts to start a thread when the system gives none."""
_END_S: Final = 0.2
"""Seconds the end waits for sleeping threads, at least."""
_SLICE_S: Final = 0.05

_here = threading.local()


@contextlib.contextmanager
def ending_here(whose: object) -> Iterator[None]:
    """Tell, where this is called from inside a `use`, whose end it waits for.

    Who ends the same meanwhile, with `close_all`, does not wait for that `use`: they would wait for each
    other.
    """
    worker: Worker | None = getattr(_here, "worker", None)
    if worker is None:
        yield
        return
    before, worker.ending = worker.ending, whose
    try:
        yield
    finally:
        worker.ending = before


class Crew:
    """The threads of a pool from its first view to its last, and the line of views before them.

    Parameters
    ----------
    size : int
        How many workers are to be on duty.
    guard : RLock
        Held while views and workers are counted; the pool's, so that no view joins a crew that ends.

    Attributes
    ----------
    ready : deque of View
        Those that have a frame and wait for a worker; each at most once.
    idle : list of Worker
        Those asleep, or about to be; the last one is woken first.
    views : int
        Those not closed yet; when the last one is, the crew is `over`.
    """

    def __init__(self, size: int, guard: threading.RLock) -> None:
        self.pid = os.getpid()
        self.views = 0
        self.over = False
        self.ready: deque[View] = deque()
        self.idle: list[Worker] = []
        self._size = size
        self._guard = guard
        self._workers: list[Worker] = []
        self._hired = 0
        self._look_at = 0.0

    def offer(self, view: View) -> None:
        """Let a view stand in line and wake a worker for it; never blocks."""
        self.ready.append(view)
        if not self.wake():
            self.look()

    def wake(self) -> bool:
        """Wake the worker that went to sleep last; false when all are awake.

        Without a lock, as in `Worker._sleep`: here the view is stored before the sleepers are looked at,
        there a sleeper stores itself before it looks at the line. One of the two sees the other.
        """
        if not self.idle:
            return False
        try:
            worker = self.idle.pop()
        except IndexError:
            return False  # woken by somebody else
        worker.bell.release()
        return True

    def look(self) -> None:
        """Replace workers that do not come back from a turn; called while all are busy."""
        if self.over:
            self.ready.clear()  # nobody comes any more
            return
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY_S
        if not self.ready or not self._guard.acquire(blocking=False):
            return
        try:
            for worker in [each for each in self._workers if now - each.busy_since > HUNG_S]:
                view = worker.view
                if view is not None and not view.given_up:
                    view.given_up = True
                    _log.warning(
                        "%r has held up a decode thread for more than %g s: give it less to do; "
                        "another thread takes over (said once)",
                        view,
                        HUNG_S,
                    )
                self.write_off(worker)
            if len(self._workers) < self._size:
                self._refill()
        finally:
            self._guard.release()

    def start(self) -> None:
        """Start as many workers as there are to be.

        Raises
        ------
        CameraError
            The system gives not even one thread.
        """
        with self._guard:
            try:
                while len(self._workers) < self._size:
                    self._hired += 1
                    worker = Worker(self, self._hired)
                    worker.start()
                    self._workers.append(worker)
            except RuntimeError as error:
                self._look_at = time.monotonic() + _TRY_AGAIN_S
                if not self._workers:
                    raise CameraError(
                        f"no thread could be started for decoding ({error})",
                        hint="This process holds too many threads: end what it does not need",
                    ) from error
                _log.warning("only %d of %d decode threads: %s", len(self._workers), self._size, error)
            except BaseException:  # Ctrl-C
                self.end()
                raise

    def write_off(self, worker: Worker) -> None:
        """Do without a worker that does not come back, and start another one; it ends when it does."""
        with self._guard:
            if worker not in self._workers:
                return
            self._workers.remove(worker)
            worker.dismiss()
            try:
                self.idle.remove(worker)
            except ValueError:
                pass
            else:  # it has come back just now
                worker.bell.release()
            self._refill()

    def _refill(self) -> None:
        if not self.over:
            try:
                self.start()
            except CameraError as error:
                _log.warning("%s", error)

    def leave(self, deadline: float, whose: object = None) -> None:
        """Count one view less; the last one ends the threads and waits for them."""
        with self._guard:
            self.views -= 1
            if self.views:
                return
            workers = self.end()
        for worker in workers:
            worker.join(max(deadline, time.monotonic() + _END_S), whose)

    def end(self) -> list[Worker]:
        """Tell all workers to end; give them."""
        with self._guard:
            self.over = True
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.dismiss()
        while self.wake():
            pass
        self.ready.clear()  # closed views, which nobody is to keep
        return workers


class Worker:
    """One decode thread."""

    def __init__(self, crew: Crew, number: int) -> None:
        self.view: View | None = None
        self.ending: object = None
        self.busy_since = math.inf
        self.bell = threading.Lock()
        self.bell.acquire()
        self._crew = crew
        self._dismissed = False
        self._thread = threading.Thread(target=self._run, name=f"espressoscope-decode-{number}", daemon=True)

    def start(self) -> None:
        """Begin; RuntimeError when the system gives no thread."""
        self._thread.start()

    def join(self, deadline: float, whose: object) -> None:
        """Wait for its end; not for its own, nor when it waits for the end of the same."""
        while self._thread.is_alive() and not self.is_current and not self.waits_for(whose):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._thread.join(min(left, _SLICE_S))

    def waits_for(self, whose: object) -> bool:
        """Whether its `use` is waiting for this to end."""
        return whose is not None and self.ending is whose

    def dismiss(self) -> None:
        """Let it end when it is out of its turn; one asleep must be woken besides."""
        self._dismissed = True

    def dismissed(self) -> bool:
        """Whether it is to end."""
        return self._dismissed

    @property
    def is_current(self) -> bool:
        """Whether this is called on it."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        crew = self._crew
        ready = crew.ready
        _here.worker = self
        while not self.dismissed():
            try:
                view = ready.popleft()
            except IndexError:
                self._sleep()
                continue
            self.view = view
            self.busy_since = time.monotonic()
            again = view.turn(self)
            self.busy_since = math.inf
            self.view = None
            if again and not self.dismissed():
                ready.append(view)  # nobody need be woken: this worker goes on
            elif again:
                crew.offer(view)
            del view
        if crew.over:
            ready.clear()  # what it has just put back, which nobody is to keep
        elif ready:
            crew.wake()  # it may have been woken for what is in line now

    def _sleep(self) -> None:
        """Sleep until there is a view in line or the end has come; it comes with the last view."""
        crew = self._crew
        crew.idle.append(self)
        if crew.ready or self.dismissed():
            try:
                crew.idle.remove(self)
            except ValueError:
                pass  # somebody has just taken it out, and is about to ring
            else:
                return
        self.bell.acquire()
