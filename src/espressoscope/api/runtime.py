"""The one asyncio loop behind every synchronous call, in one daemon thread, counted by its users.

It starts with the first open camera or search and ends with the last. A call from the loop's own thread would
wait
for itself and raises RuntimeError; a process made by fork has no such thread and gets a clear error.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Runtime", "acquire_runtime"]

_T = TypeVar("_T")
_SLICE_S = 0.2
"""Longest uninterrupted wait: on Windows a waiting lock does not see Ctrl-C."""
_END_TIMEOUT_S = 1.0

_guard = threading.Lock()
_current: Runtime | None = None


class Runtime:
    """A running loop in its thread; made by `acquire_runtime`, given back by `release`."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._users = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="espressoscope-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=_END_TIMEOUT_S / 2))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

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
            Cancelled from another thread.
        """
        problem = self.problem()
        if problem is not None:
            coroutine.close()
            raise RuntimeError(problem)
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        pending.add(future)
        try:
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
        if os.getpid() != self._pid or self._loop.is_closed():
            coroutine.close()
            return
        asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def problem(self) -> str | None:
        """Say why no call can be made from here; None when one can."""
        if os.getpid() != self._pid:
            return "this camera was opened before a fork: open cameras in the process that uses them"
        if threading.current_thread() is self._thread:
            return "a synchronous call from the loop's own thread would wait for itself for ever"
        return None

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
        self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(_END_TIMEOUT_S)

    def _take(self) -> Runtime:
        self._users += 1
        return self

    @property
    def usable(self) -> bool:
        """Whether this process may still use it."""
        return os.getpid() == self._pid and self._thread.is_alive()


def acquire_runtime() -> Runtime:
    """Get the loop, started when it does not run yet; each call must be matched by a `Runtime.release`."""
    global _current
    with _guard:
        if _current is None or not _current.usable:
            _current = Runtime()
        return _current._take()
