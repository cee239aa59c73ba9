"""Calls that may block, on threads of their own; what they give is delivered on the thread that draws."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar

import espressoscope as es
from espressoscope.napari_plugin.work import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.napari_plugin.mailbox import Mailbox

__all__ = ["MOST_CAMERAS_AT_ONCE", "Calls", "note", "words"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

MOST_CAMERAS_AT_ONCE: Final = 32
"""Calls about single cameras at once; further ones wait for the first to be done."""
_EXPECTED: Final = (es.CameraError, ValueError, KeyError, OSError)
"""Errors that say in their own words what happened."""


class Calls:
    """The calls of one session.

    Parameters
    ----------
    mailbox : Mailbox
        Brings results to the thread that draws.
    busy : callable
        Told true when calls are under way, false when none is any more.
    failed : callable
        Told in words what went wrong, where the caller does not want to know.
    """

    def __init__(
        self, mailbox: Mailbox, busy: Callable[[bool], object], failed: Callable[[str], object]
    ) -> None:
        self._mailbox = mailbox
        self._busy = busy
        self._failed = failed
        self._workers = Workers()
        self._crowd = Workers(MOST_CAMERAS_AT_ONCE)
        self._under_way = 0
        self._closed = False

    def run(
        self,
        work: Callable[[], _T],
        done: Callable[[_T], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
        *,
        lane: str | None = None,
        camera: str | None = None,
        quiet: bool = False,
    ) -> bool:
        """Do something on a thread, and deliver what it gives: see `LiveSession.run`."""
        deliver, complain = _weak(done), _weak(failed) or self.fail

        def job() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
                note(error)
                self._mailbox.post(lambda error=error: self._over(quiet, complain, error))  # type: ignore[misc]
            else:
                self._mailbox.post(lambda: self._over(quiet, deliver, result))

        if self._closed:
            return False
        workers, lane = (self._workers, lane) if camera is None else (self._crowd, camera)
        if not workers.submit(job, lane):
            self._failed("Too many calls wait for cameras already: try again in a moment")
            return False
        if not quiet:
            self._under_way += 1
            if self._under_way == 1:
                self._busy(True)
        return True

    def fail(self, error: Exception) -> None:
        """Tell what went wrong in words."""
        self._failed(words(error))

    def close(self) -> None:
        """Begin nothing any more; never blocks."""
        self._closed = True
        self._workers.close()
        self._crowd.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads after `close`; false when one is still at work."""
        return self._workers.join(timeout_s / 2) and self._crowd.join(timeout_s / 2)

    def _over(self, quiet: bool, deliver: Callable[[Any], object] | None, result: object) -> None:
        if not quiet:
            self._under_way -= 1
            if self._under_way == 0:
                self._busy(False)
        if deliver is not None:
            deliver(result)


def note(error: Exception) -> None:
    """Log an error that is a mistake of ours, with its traceback: `words` asks people for the log."""
    if not isinstance(error, _EXPECTED):
        _log.error("a call of the napari plugin failed", exc_info=error)


def words(error: Exception) -> str:
    """Say what happened and what to try, for people."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, _EXPECTED):
        return str(error)
    return f"{type(error).__name__}: {error} (a mistake of Espressoscope: please report it with the log)"


def _weak(function: Callable[[Any], object] | None) -> Callable[[Any], object] | None:
    """Hold a bound method without keeping its object alive."""
    if function is None or getattr(function, "__self__", None) is None:
        return function
    try:
        method = weakref.WeakMethod(function)
    except TypeError:  # bound, yet not to an object of Python's
        return function

    def call(value: Any) -> object:
        alive = method()
        return None if alive is None else alive(value)

    return call
