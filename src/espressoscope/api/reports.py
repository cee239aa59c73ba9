"""What a coroutine tells while it works, as a plain iterator on the user's thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from espressoscope.api.runtime import Runtime, acquire_runtime
from espressoscope.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

__all__ = ["Reports"]

_T = TypeVar("_T")
_SLICE_S = 0.1
"""On Windows a waiting lock does not see Ctrl-C."""
_END_TIMEOUT_S = 0.5
MOST_WAITING = 256
"""Reports not yet taken; a worker that tells more is mistaken, and its oldest are let go."""

_log = logging.getLogger(__name__)


class _Box(Generic[_T]):
    """Between the worker, on the loop, and the iterator; refers to neither."""

    def __init__(self) -> None:
        self.problem: CameraError | None = None
        self.over = False
        self._told: deque[_T] = deque(maxlen=MOST_WAITING)
        self._changed = threading.Condition()

    def put(self, report: _T) -> None:
        with self._changed:
            self._told.append(report)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self.over = True
            self._changed.notify()

    def take(self) -> list[_T]:
        """Wait a moment for a report."""
        with self._changed:
            if not self._told and not self.over:
                self._changed.wait(_SLICE_S)
            return [self._told.popleft()] if self._told else []


class Reports(Generic[_T]):
    """Reports as they come: an iterator, and a context manager that ends the work.

    The work begins when this is made. It ends by itself, with `close`, with the ``with`` block, or when
    nobody refers to the iterator any more. Use it from one thread.

    Parameters
    ----------
    work : callable
        Takes the function that it tells its reports to, and gives the coroutine. A CameraError it raises
        comes out of the iterator.
    """

    def __init__(self, work: Callable[[Callable[[_T], None]], Coroutine[None, None, None]]) -> None:
        self._box: _Box[_T] = _Box()
        runtime = acquire_runtime()
        try:
            task = runtime.call(_begin(work(self._box.put), self._box), pending=set())
        except BaseException:
            runtime.release()
            raise
        self._running: tuple[Runtime, asyncio.Task[None]] | None = (runtime, task)
        self._abandoned = weakref.finalize(self, _abandon, runtime, task)
        self._abandoned.atexit = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        """Wait for the next report.

        Raises
        ------
        CameraError
            The work could not be done.
        RuntimeError
            Called on the loop's own thread, or in a forked process.
        """
        try:
            while (running := self._running) is not None:
                problem = running[0].problem()
                if problem is not None:
                    raise RuntimeError(problem)
                over = self._box.over  # looked at first: what is told before the end is in the box by then
                reports = self._box.take()
                if reports:
                    return reports[0]
                if over:
                    self.close()
                    if self._box.problem is not None:
                        raise self._box.problem
        except BaseException:
            self.close()
            raise
        raise StopIteration

    def close(self) -> None:
        """End the work; twice does nothing."""
        running, self._running = self._running, None
        if running is None:
            return
        self._abandoned.detach()
        runtime, task = running
        try:
            if runtime.problem() is None:
                runtime.call(_end(task), pending=set())
        finally:
            runtime.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _begin(work: Coroutine[None, None, None], box: _Box[_T]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(_run(work, box), name="espressoscope-reports")


async def _run(work: Coroutine[None, None, None], box: _Box[_T]) -> None:
    try:
        await work
    except CameraError as error:
        box.problem = error
    except Exception as error:  # noqa: BLE001 (the task ends here; the iterator says why)
        _log.exception("a piece of work failed by a mistake of ours")
        box.problem = CameraError(
            f"it failed ({type(error).__name__})",
            hint="This is a mistake of Espressoscope: please report it with the log",
        )
    finally:
        box.end()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=_END_TIMEOUT_S)


def _abandon(runtime: Runtime, task: asyncio.Task[None]) -> None:
    def end() -> None:
        task.cancel()
        runtime.release()

    # As for an abandoned search: the garbage collector may call from anywhere, so nothing is waited for.
    with contextlib.suppress(RuntimeError):  # the loop has ended
        task.get_loop().call_soon_threadsafe(end)
