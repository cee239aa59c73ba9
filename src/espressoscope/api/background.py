"""A piece of work on the loop, for an iterator on the user's thread."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Self

from espressoscope.api.runtime import Runtime, acquire_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

__all__ = ["SLICE_S", "Background"]

SLICE_S = 0.1
"""One wait of an iterator for its work, s: on Windows a waiting lock does not see Ctrl-C."""
_END_TIMEOUT_S = 0.5


class Background:
    """Work that begins when this is made, and a context manager that ends it.

    It ends by itself, with `close`, with the ``with`` block, or when nobody refers to this any more: a for
    loop left by break or by an error drops its iterator. So the work must not refer to this.

    Parameters
    ----------
    work : callable
        Gives the coroutine, on the loop; that never raises but for being cancelled.
    name : str
        Of the task.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        runtime = acquire_runtime()
        try:
            task = runtime.call(_begin(work, name), pending=set())
        except BaseException:
            runtime.release()
            raise
        self._running: tuple[Runtime, asyncio.Task[None]] | None = (runtime, task)
        self._abandoned = weakref.finalize(self, _abandon, runtime, task)
        self._abandoned.atexit = False

    def is_running(self) -> bool:
        """Whether it has not been closed; raises RuntimeError where nobody can wait for it."""
        running = self._running
        if running is None:
            return False
        problem = running[0].problem()
        if problem is not None:
            raise RuntimeError(problem)
        return True

    def close(self) -> None:
        """End the work; what it told and nobody took is let go. Twice does nothing."""
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


async def _begin(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work(), name=name)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=_END_TIMEOUT_S)


def _abandon(runtime: Runtime, task: asyncio.Task[None]) -> None:
    def end() -> None:
        task.cancel()
        runtime.release()

    # The garbage collector calls at any moment, on any thread, and perhaps while the runtime's lock is held:
    # nothing is waited for here, the loop gives itself back.
    with contextlib.suppress(RuntimeError):  # the loop has ended
        task.get_loop().call_soon_threadsafe(end)
