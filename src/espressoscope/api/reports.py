"""What a coroutine tells while it works, as a plain iterator on the user's thread."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from espressoscope.api.background import SLICE_S, Background
from espressoscope.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Reports"]

_T = TypeVar("_T")
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
                self._changed.wait(SLICE_S)
            return [self._told.popleft()] if self._told else []


class Reports(Background, Generic[_T]):
    """Reports as they come: an iterator, and a context manager that ends the work. Use it from one thread.

    Parameters
    ----------
    work : callable
        Takes the function that it tells its reports to, and gives the coroutine. A CameraError it raises
        comes out of the iterator.
    """

    def __init__(self, work: Callable[[Callable[[_T], None]], Coroutine[None, None, None]]) -> None:
        box: _Box[_T] = _Box()
        self._box = box
        super().__init__(lambda: _run(work, box), "espressoscope-reports")

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
            while self.is_running():
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


async def _run(work: Callable[[Callable[[_T], None]], Coroutine[None, None, None]], box: _Box[_T]) -> None:
    try:
        await work(box.put)
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
