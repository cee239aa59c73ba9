"""The background thread on which simulated cameras live: one for all of them, gone with the last.

No cameras, no HTTP: only the event loop, the few threads that render pictures, and the count of users.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from espressoscope.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["LoopThread", "acquire_loop", "release_loop"]

_T = TypeVar("_T")

_RENDER_THREADS = 2
_CALL_TIMEOUT_S = 30.0


class Workshop:
    """The threads in which pictures are made; belongs to one event loop.

    Attributes
    ----------
    warming : asyncio.Lock
        Held by who makes pictures beforehand, so that one thread is always left for the others.
    """

    def __init__(self) -> None:
        self.warming = asyncio.Lock()
        self._threads = ThreadPoolExecutor(_RENDER_THREADS, thread_name_prefix="espressoscope-sim-render")
        # All threads now, not at the first picture: what a camera holds does not grow while it is used.
        together = threading.Barrier(_RENDER_THREADS)
        for _ in range(_RENDER_THREADS):
            self._threads.submit(together.wait, 10)

    async def run(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Run a plain function in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def end(self) -> None:
        """Join the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class LoopThread:
    """An event loop in a daemon thread.

    The loop is a selector loop on every system: the servers wait for sockets to become readable without
    reading them, as ``select()`` in esp_http_server does, and Windows' default loop cannot.
    """

    def __init__(self) -> None:
        self.loop = asyncio.SelectorEventLoop()
        self.workshop = Workshop()
        self._thread = threading.Thread(target=self._run, name="espressoscope-sim", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            leftovers = asyncio.all_tasks(self.loop)
            for task in leftovers:
                task.cancel()
            if leftovers:
                self.loop.run_until_complete(asyncio.gather(*leftovers, return_exceptions=True))
        finally:
            self.loop.close()

    def run(self, work: Coroutine[Any, Any, _T], timeout_s: float = _CALL_TIMEOUT_S) -> _T:
        """Run a coroutine on the loop and wait for its result, from any other thread.

        Raises
        ------
        RuntimeError
            Called from the loop's own thread, which would wait for itself.
        TimeoutError
            It takes longer; it is cancelled.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a simulated camera cannot be operated from the simulator's own thread")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout_s)
        except BaseException:  # Ctrl-C, or it takes too long: nobody would end what it goes on to begin
            future.cancel()
            raise

    def call(self, function: Callable[[], _T], timeout_s: float = _CALL_TIMEOUT_S) -> _T:
        """Run a plain function on the loop and wait for its result, from any other thread."""

        async def work() -> _T:
            return function()

        return self.run(work(), timeout_s)

    def end(self) -> None:
        """Stop the loop and join every thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.workshop.end()


_lock = threading.Lock()
_starting = threading.Lock()
_shared: LoopThread | None = None
_users = 0


def acquire_loop() -> LoopThread:
    """Give the shared loop thread, started by the first user; pair with `release_loop`."""
    global _users
    while True:
        with _lock:
            if _shared is not None:
                _users += 1
                return _shared
        undisturbed(_start)


def release_loop() -> None:
    """Give the shared loop thread back; the last user ends it."""
    global _shared, _users
    with _lock:
        _users -= 1
        if _users == 0 and _shared is not None:
            ended, _shared = _shared, None
            ended.end()


def _start() -> None:
    """Start it, unless somebody else has, such as a start whose waiting was interrupted."""
    global _shared
    with _starting:
        if _shared is None:
            _shared = LoopThread()
