"""A few threads that decode for any number of views; none while there is no view.

How work moves: a view with a frame stands in line (`Crew.ready`) once, however many frames came. A worker
takes the first view of the line, gives it one turn, and puts it back at the end when there is another frame
by then. So no two workers are ever in the same view, and everybody's turn comes.

Waking one particular sleeper costs least here: each worker sleeps on a lock of its own, and the one that went
to sleep last is woken, whose memory is warm. A condition wakes through two locks, and `queue.SimpleQueue`
wakes every sleeper in turn (benchmarked: 2 to 4 times the CPU).
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from espressoscope.decode.view import View, check
from espressoscope.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.model import Frame, Order, Scale

__all__ = ["DecodePool"]

_log = logging.getLogger(__name__)

MOST_WORKERS: Final = 4
"""Most threads unless told otherwise; there are never more than processors."""
HUNG_S: Final = 5.0
"""Seconds in one turn after which a worker is given up for the others, while views wait for their turn."""
_LOOK_EVERY_S: Final = 0.5
_END_S: Final = 0.2
"""Seconds the end waits for sleeping threads, at least."""


class DecodePool:
    """Decodes pictures for views on a few threads of its own.

    Nothing runs until the first `view`, and nothing after the last one is closed.

    Parameters
    ----------
    workers : int, optional
        Number of threads; as many as this process may use processors, at most 4. libjpeg runs without
        Python's lock, so they do decode side by side.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"a decode pool needs at least one worker, not {workers}")
        self.workers = min(MOST_WORKERS, _processors()) if workers is None else workers
        # Reentrant: the garbage collector may close a view from wherever it happens to run.
        self._guard = threading.RLock()
        self._crew: Crew | None = None

    def view(
        self,
        use: Callable[[Frame, NDArray[np.uint8]], object],
        *,
        scale: Scale = 1,
        gray: bool = False,
        order: Order = "RGB",
        partial: bool = False,
    ) -> View:
        """Make a view: frames go in by `View.put`, pictures come out by `use`.

        Parameters
        ----------
        use : callable
            Called on a decode thread with a frame and its picture, (H, W, 3) or with `gray` (H, W) uint8. The
            array is the view's own and used again: it is valid until `use` returns.
        scale : {1, 2, 4, 8}
            Size divisor, done inside the JPEG decoder; `View.scale` changes it.
        gray : bool
            Brightness only; `View.gray` changes it.
        order : {"RGB", "BGR"}
            Channel order of colour pictures.
        partial : bool
            Also show what can be decoded of damaged frames.

        Raises
        ------
        RuntimeError
            The pool runs in the process this one was forked from.
        CameraError
            The system gives no more threads.
        """
        check(scale, order)
        crew = self._crew
        if crew is not None and crew.pid != os.getpid():
            raise RuntimeError("this decode pool ran before a fork: make one in the process that uses it")
        with self._guard:
            crew = self._crew
            if crew is None:
                crew = Crew(self)
                try:
                    for _ in range(self.workers):
                        crew.hire()
                except BaseException:
                    crew.end()
                    raise
                self._crew = crew
            crew.views += 1
        return View(crew, use, scale, gray, order, partial)

    def _part_with(self, crew: Crew) -> None:
        if self._crew is crew:
            self._crew = None


class Crew:
    """The threads of a pool from its first view to its last, and the line of views before them.

    Attributes
    ----------
    ready : deque of View
        Those that have a frame and wait for a worker; each at most once.
    idle : list of Worker
        Those asleep, or about to be; the last one is woken first.
    """

    def __init__(self, pool: DecodePool) -> None:
        self.pid = os.getpid()
        self.views = 0
        self.ready: deque[View] = deque()
        self.idle: list[Worker] = []
        self._pool = pool
        self._guard = pool._guard
        self._workers: list[Worker] = []
        self._hired = 0
        self._look_at = 0.0

    def offer(self, view: View) -> None:
        """Let a view stand in line and wake a worker for it; never blocks."""
        self.ready.append(view)
        # Without a lock, as in `Worker._sleep`: here the view is stored before the sleepers are looked at,
        # there a sleeper stores itself before it looks at the line. One of the two sees the other.
        if self.idle:
            try:
                worker = self.idle.pop()
            except IndexError:
                return  # woken by somebody else, and about to look at the line
            worker.bell.release()
        else:
            self.look()

    def look(self) -> None:
        """Replace workers that do not come back from a turn; called while all are busy."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY_S
        if not self.ready or not self._guard.acquire(blocking=False):
            return
        try:
            hung = [worker for worker in self._workers if now - worker.busy_since > HUNG_S]
        finally:
            self._guard.release()
        for worker in hung:
            _log.warning(
                "a decode thread has been with %r for more than %g s; another one takes its place",
                worker.view,
                HUNG_S,
            )
            self.write_off(worker)

    def hire(self) -> None:
        """Start one more worker.

        Raises
        ------
        CameraError
            The system gives no more threads.
        """
        with self._guard:
            self._hired += 1
            worker = Worker(self, self._hired)
            try:
                worker.start()
            except RuntimeError as error:
                raise CameraError(
                    f"no thread could be started for decoding ({error})",
                    hint="This process holds too many threads: end what it does not need",
                ) from error
            self._workers.append(worker)

    def write_off(self, worker: Worker) -> None:
        """Do without a worker that does not come back, and hire another one; it ends when it does."""
        with self._guard:
            if worker not in self._workers:
                return
            self._workers.remove(worker)
            worker.dismiss()
            if self.views:
                try:
                    self.hire()
                except CameraError as error:
                    _log.warning("%s", error)

    def leave(self, deadline: float) -> None:
        """Count one view less; the last one ends the threads and waits for them."""
        with self._guard:
            self.views -= 1
            if self.views:
                return
            self._pool._part_with(self)
            workers = self.end()
        for worker in workers:
            worker.join(max(deadline - time.monotonic(), _END_S))

    def end(self) -> list[Worker]:
        """Tell all workers to end; give them."""
        with self._guard:
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.dismiss()
        while self.idle:
            try:
                self.idle.pop().bell.release()
            except IndexError:
                break
        return workers


class Worker:
    """One decode thread."""

    def __init__(self, crew: Crew, number: int) -> None:
        self.view: View | None = None
        self.busy_since = math.inf
        self.bell = threading.Lock()
        self.bell.acquire()
        self._crew = crew
        self._dismissed = False
        self._thread = threading.Thread(target=self._run, name=f"espressoscope-decode-{number}", daemon=True)

    def start(self) -> None:
        """Begin; RuntimeError when the system gives no thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for its end; not for its own."""
        if not self.is_current:
            self._thread.join(timeout_s)

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

    def _sleep(self) -> None:
        """Sleep until there is a view in line or the end has come; it comes with the last view."""
        crew = self._crew
        crew.idle.append(self)
        if crew.ready or self.dismissed():
            try:
                crew.idle.remove(self)
            except ValueError:
                pass  # somebody has just taken it to ring the bell: hear it, or it rings next time
            else:
                return
        self.bell.acquire()


def _processors() -> int:
    """Give how many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    else:
        return os.cpu_count() or 1
