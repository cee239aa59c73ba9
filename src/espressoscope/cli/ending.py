"""Ctrl-C, and what else asks a program to end, as one thing: first a request, in the end by force."""

import signal
import threading
import time
from types import FrameType
from typing import Any, Self

__all__ = ["Ending"]

_PATIENCE_S = 3.0
"""A second Ctrl-C within this time does not interrupt the tidying up after the first."""


class Ending:
    """Turns SIGINT, SIGTERM, SIGHUP and SIGBREAK into KeyboardInterrupt, once; a context manager.

    A signal during tidying up must not leave things behind: after the first, others are only noted for three
    seconds. SIGINT is taken even where a shell has switched it off for a job in the background: who sends it
    to such a job means it. A SIGHUP switched off, as by nohup, stays off.

    Attributes
    ----------
    signal : int or None
        The first signal that came.
    """

    interrupted = False
    """Whether any of them has turned a signal into KeyboardInterrupt in this process."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._asked = threading.Event()
        self._when = 0.0
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether the end has been asked for."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask for the end from within, from any thread."""
        self._asked.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the end is asked for, in slices, so that Windows sees Ctrl-C; say whether it was."""
        end = time.monotonic() + timeout_s
        while not self._asked.wait(min(0.2, max(0.0, end - time.monotonic()))):
            if time.monotonic() >= end:
                return False
        return True

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signal is None:
            self.signal, self._when = number, now
        elif now - self._when < _PATIENCE_S:
            return
        self._asked.set()
        Ending.interrupted = True
        raise KeyboardInterrupt

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
                number = getattr(signal, name, None)
                if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
                    continue
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            # Once one has come, what is left is the interpreter's own end, which the next shall not disturb.
            default = signal.SIG_DFL if handler is None else handler
            signal.signal(number, default if self.signal is None else signal.SIG_IGN)
        self._before.clear()
