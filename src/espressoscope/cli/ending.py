"""Ctrl-C, and what else asks a program to end, as one thing: first a request, in the end by force."""

import contextlib
import queue
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, ClassVar

from espressoscope.cli.early import end_at_once, end_signals

__all__ = ["Ending"]

_PATIENCE_S = 3.0
"""A second Ctrl-C within this time does not interrupt the tidying up after the first."""
_AGAIN_S = 0.25
"""Until a command that has not taken notice is interrupted again."""
_SLICE_S = 0.2
_LOOK_S = 5.0


class Ending:
    """Turns SIGINT, SIGTERM, SIGHUP and SIGBREAK into KeyboardInterrupt while a command is at work.

    It is raised once, and others within three seconds are only noted: a signal during tidying up must not
    leave things behind. One after that is raised again, and one three seconds later ends the process at once.

    A KeyboardInterrupt is lost where Python throws exceptions away: in ``__del__``, in the callback of a weak
    reference, in a library's C code. So it is raised anew, four times a second, until the command has taken
    notice: it is at its end, has asked for `asked` or called `ask`, or is dealing with the exception.

    Attributes
    ----------
    signal : int or None
        The first signal that came.
    armed : bool
        Whether a signal is raised. Before, it ends the process at once: nothing has begun. Who sets it is
        where the exception is dealt with.
    """

    interrupted: ClassVar[bool] = False
    """Whether any of them has turned a signal into KeyboardInterrupt in this process."""
    _latest: ClassVar["Ending | None"] = None

    def __init__(self) -> None:
        self.signal: int | None = None
        self.armed = False
        # Plain values and SimpleQueue: what has a lock, like Event, must not be touched by a handler. It runs
        # in the middle of whatever its own thread is doing, which may be holding that lock.
        self._asked = False
        self._heeded = False
        self._again = False
        self._over = False
        self._raised = 0
        self._when = 0.0
        self._waiting: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether the end has been asked for; who has been told so is not interrupted by it again."""
        if self._asked:
            self._heeded = True
        return self._asked

    def ask(self) -> None:
        """Ask for the end from within, from any thread."""
        self._asked = self._heeded = True
        self._waiting.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the end is asked for, in slices, so that Windows sees Ctrl-C; say whether it was."""
        end = time.monotonic() + timeout_s
        while not self.asked:
            left = end - time.monotonic()
            if left <= 0:
                return False
            with contextlib.suppress(queue.Empty):
                self._waiting.get(timeout=min(_SLICE_S, left))
        return True

    def begin(self) -> None:
        """Take the signals; `armed` is for the caller to set, as the last thing before the work."""
        if threading.current_thread() is not threading.main_thread():
            return
        Ending._latest = self
        sys.unraisablehook = _without_interrupts
        for number in end_signals():
            self._before[number] = signal.signal(number, self._note)
        with contextlib.suppress(RuntimeError):  # no more threads: the command may still do without
            threading.Thread(target=self._insist, name="espressoscope-ending", daemon=True).start()

    def finish(self) -> None:
        """Give the signals back, at the end of the command; twice does nothing.

        Once one has come, what is left is the interpreter's own end, which the next shall not disturb; one
        three seconds later ends it at once.
        """
        self._over = True
        self._news.put(None)
        for number, handler in self._before.items():
            default = signal.SIG_DFL if handler is None else handler
            signal.signal(number, default if self.signal is None else self._note)
        self._before.clear()

    @classmethod
    def finish_all(cls) -> None:
        """Finish what an interrupt may have kept from being finished."""
        if cls._latest is not None:
            cls._latest.finish()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self.armed:
            end_at_once(number)
        if self._again:  # it is ours
            self._again = False
            if self._unheeded() and not _dealt_with():
                raise KeyboardInterrupt
            return
        now = time.monotonic()
        if self._raised and now - self._when < _PATIENCE_S:
            return
        if self._over or self._raised == 2:
            end_at_once(number)
        self._raised, self._when = self._raised + 1, now
        if self.signal is None:
            self.signal = number
        self._asked, self._heeded = True, False
        Ending.interrupted = True
        self._waiting.put(None)
        self._news.put(None)
        raise KeyboardInterrupt

    def _insist(self) -> None:
        while not self._over:
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=_LOOK_S)
            while self._unheeded():
                time.sleep(_AGAIN_S)  # a signal that is being heeded tells nobody
                if self._unheeded() and self.signal is not None:
                    self._again = True
                    _interrupt_main_thread(self.signal)

    def _unheeded(self) -> bool:
        return self._raised > 0 and not (self._heeded or self._over)


def _dealt_with() -> bool:
    """Whether an interrupt is what the main thread is dealing with now, however deep in its tidying up."""
    error = sys.exc_info()[1]
    for _ in range(100):
        if error is None or isinstance(error, KeyboardInterrupt):
            return error is not None
        error = error.__context__
    return True


def _interrupt_main_thread(number: int) -> None:
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main(signal.Signals(number))
    else:
        # A real signal: it also ends a wait of the system.
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _without_interrupts(what: "sys.UnraisableHookArgs") -> None:
    # It is raised again elsewhere, and nobody wants to read where it could not be.
    if not issubclass(what.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(what)
