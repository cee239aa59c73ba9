"""Short work that Ctrl-C must not tear apart, such as the making of an event loop or the start of a thread.

KeyboardInterrupt comes in the main thread only, between any two of its steps. In the middle of asyncio's
making of a loop it leaves half of one behind, which nobody can close and which complains when collected.
"""

from __future__ import annotations

import _thread
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["undisturbed"]

_TIMEOUT_S = 10.0


def undisturbed(work: Callable[[], None]) -> None:
    """Do something in a thread of its own, and wait for it.

    Ctrl-C ends the waiting, not the work: what it makes must go where others find it.

    Parameters
    ----------
    work : callable
        Its error is raised here.

    Raises
    ------
    RuntimeError
        No more threads.
    TimeoutError
        It takes longer than 10 s, and goes on.
    """
    outcome: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def do() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 (a thread's boundary: who waits is told)
            outcome.put(error)
        else:
            outcome.put(None)

    thread = threading.Thread(target=do, name="espressoscope-undisturbed", daemon=True)

    def begin() -> None:
        try:
            thread.start()
        except RuntimeError as error:
            outcome.put(error)

    # Thread.start waits for the thread, in steps: not here either.
    _thread.start_new_thread(begin, ())
    try:
        error = outcome.get(timeout=_TIMEOUT_S)
    except queue.Empty:
        raise TimeoutError(f"{work.__qualname__} is not done after {_TIMEOUT_S:.0f} s") from None
    if error is not None:
        raise error
