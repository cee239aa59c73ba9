"""The one asyncio loop behind every synchronous call, in one daemon thread, counted by its users.

It starts with the first open camera or search and ends with the last. A call from the loop's own thread would
wait for itself and raises RuntimeError; a process made by fork has no such thread and gets a clear error.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from espressoscope.errors import CameraError
from espressoscope.recording.frame_clock import slept_ns
from espressoscope.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Runtime", "acquire_runtime"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_SLICE_S = 0.2
"""Longest uninterrupted wait: on Windows a waiting lock does not see Ctrl-C."""
_END_TIMEOUT_S = 1.0

# Reentrant: a collected camera gives its loop back from wherever the garbage collector happens to run.
_guard = threading.RLock()
_starting = threading.Lock()
_current: Runtime | None = None


class _Call(Generic[_T]):
    """A coroutine on its way to the loop, and the future that somebody may wait for.

    `asyncio.run_coroutine_threadsafe` gives a future that stays undone for ever when the loop ends before it
    took the coroutine, and lets asyncio complain about the error of a cancelled call.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _T], under_way: set[_Call[Any]]
    ) -> None:
        self.future: concurrent.futures.Future[_T] = concurrent.futures.Future()
        self._loop = loop
        self._coroutine: Coroutine[Any, Any, _T] | None = coroutine
        self._under_way = under_way
        under_way.add(self)

    def send(self) -> None:
        """Hand it to the loop; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._begin)
        except RuntimeError:  # it has been closed
            self.drop()

    def _begin(self) -> None:
        if self.future.cancelled():
            self.drop()
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is None:
            return
        task = self._loop.create_task(coroutine)
        task.add_done_callback(self._ended)
        self.future.add_done_callback(lambda future: self._cancel(task) if future.cancelled() else None)

    def drop(self) -> None:
        """Let go a call that the loop can no longer take or finish."""
        self._under_way.discard(self)
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is not None:
            coroutine.close()
        self.future.cancel()

    def _cancel(self, task: asyncio.Task[_T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and the task with it
            self._loop.call_soon_threadsafe(task.cancel)

    def _ended(self, task: asyncio.Task[_T]) -> None:
        self._under_way.discard(self)
        if task.cancelled():
            self.future.cancel()
            return
        error = task.exception()
        if not self.future.set_running_or_notify_cancel():
            if error is not None:
                _log.debug("a call that nobody waits for any more ended with %r", error)
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())


class Runtime:
    """A running loop in its thread; made by `acquire_runtime`, given back by `release`.

    Attributes
    ----------
    wall_offset_ns : int
        Unix time at which `time.perf_counter_ns` was zero, read once for all cameras: their frames' times can
        be compared, whatever becomes of the system's clock.
    slept_before_ns : int
        For how long this computer had slept then, in nanoseconds.
    """

    def __init__(self) -> None:
        self.wall_offset_ns = time.time_ns() - time.perf_counter_ns()
        self.slept_before_ns = slept_ns()
        self._pid = os.getpid()
        self._users = 0
        self._loop = asyncio.new_event_loop()
        self._calls: set[_Call[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="espressoscope-loop", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads
            self._loop.close()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            # The second time for what answers the first with cleaning up, as a camera whose size is restored.
            for _ in range(2):
                tasks = asyncio.all_tasks(self._loop)
                for task in tasks:
                    task.cancel()
                if tasks:
                    self._loop.run_until_complete(asyncio.wait(tasks, timeout=_END_TIMEOUT_S / 4))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            # Whoever adds a call after this finds the loop closed.
            for call in tuple(self._calls):
                call.drop()

    def call(self, coroutine: Coroutine[Any, Any, _T], *, pending: set[concurrent.futures.Future[Any]]) -> _T:
        """Run a coroutine on the loop and wait for its result.

        Parameters
        ----------
        coroutine : Coroutine
            Must bound its own waits.
        pending : set of Future
            Holds the call while it runs, so that it can be cancelled from another thread.

        Raises
        ------
        RuntimeError
            Called from the loop's own thread, or in a forked process.
        concurrent.futures.CancelledError
            Cancelled from another thread, or the loop has ended.
        """
        problem = self.problem()
        if problem is not None:
            coroutine.close()
            raise RuntimeError(problem)
        call = _Call(self._loop, coroutine, self._calls)
        future = call.future
        pending.add(future)
        try:
            call.send()
            while True:
                try:
                    return future.result(_SLICE_S)
                except concurrent.futures.TimeoutError:
                    if future.done():
                        return future.result()
        except BaseException:
            future.cancel()
            raise
        finally:
            pending.discard(future)

    def post(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the loop and forget it; from any thread, for clean-up that nobody waits for."""
        if os.getpid() != self._pid or sys.is_finalizing():
            coroutine.close()
            return
        _Call(self._loop, coroutine, self._calls).send()

    def problem(self) -> str | None:
        """Say why no call can be made from here; None when one can."""
        if os.getpid() != self._pid:
            return "this camera was opened before a fork: open cameras in the process that uses them"
        if self.in_loop_thread:
            return "a synchronous call from the loop's own thread would wait for itself for ever"
        if sys.is_finalizing():  # and has frozen the loop's thread
            return "the program is ending: cameras can no longer be used"
        return None

    @property
    def in_loop_thread(self) -> bool:
        """Whether this is called on the loop's own thread, as by the garbage collector."""
        return threading.current_thread() is self._thread

    def release(self) -> None:
        """Give the loop back; the last one ends it and waits for its thread, at most 1 s."""
        global _current
        if os.getpid() != self._pid:
            return
        with _guard:
            self._users -= 1
            if self._users > 0:
                return
            if _current is self:
                _current = None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        if not self.in_loop_thread and not sys.is_finalizing():
            self._thread.join(_END_TIMEOUT_S)

    def _take(self) -> bool:
        """Count one more user; false when the last one has just left."""
        self._users += 1
        return _current is self

    @property
    def usable(self) -> bool:
        """Whether this process may still use it."""
        return os.getpid() == self._pid and self._thread.is_alive()


def acquire_runtime() -> Runtime:
    """Get the loop, started when it does not run yet; each call must be matched by a `Runtime.release`.

    Raises
    ------
    CameraError
        The system gives no more files or threads.
    """
    while True:
        with _guard:
            runtime = _current
            if runtime is not None and runtime.usable and runtime._take():
                return runtime
        # Not under the guard: the garbage collector may run there and give a loop back.
        try:
            undisturbed(_start)
        except (OSError, RuntimeError) as error:
            raise CameraError(
                f"no event loop could be started ({error})",
                hint="This process holds too many files or threads: close what it does not need",
            ) from error


def _start() -> None:
    """Start the loop, unless somebody else has, such as a start whose waiting was interrupted."""
    global _current
    with _starting:
        runtime = _current
        if runtime is None or not runtime.usable:
            _current = Runtime()
