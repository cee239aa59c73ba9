"""What a command waits for before it begins: Enter, a line from another program, or a signal."""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Trigger"]


class Trigger:
    """Enter on standard input, or SIGUSR1 where there is such a thing; a context manager.

    The end of standard input is no trigger: a command in the background waits for the signal.
    """

    def __init__(self) -> None:
        self._pulled = False  # no Event: its lock may be held where the handler of a second signal sets it
        self._signal: int | None = getattr(signal, "SIGUSR1", None)

    @property
    def pulled(self) -> bool:
        """Whether it has come."""
        return self._pulled

    @property
    def words(self) -> str:
        """How to pull it, for people."""
        return "press Enter" if self._signal is None else f"press Enter, or kill -USR1 {os.getpid()}"

    def __enter__(self) -> Self:
        if self._signal is not None and threading.current_thread() is threading.main_thread():
            signal.signal(self._signal, self._note)
        descriptor = _readable_input()
        if descriptor is not None:
            threading.Thread(
                target=self._read, args=(descriptor,), name="espressoscope-trigger", daemon=True
            ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not back to what it was before: a second signal, a moment late, would end the program.
        if self._signal is not None and threading.current_thread() is threading.main_thread():
            signal.signal(self._signal, signal.SIG_IGN)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._pulled = True

    def _read(self, descriptor: int) -> None:
        # Not sys.stdin: its lock, held by a thread that waits, stops the interpreter from ending.
        with contextlib.suppress(OSError):
            while byte := os.read(descriptor, 1):
                if byte == b"\n":
                    self._pulled = True
                    return


def _readable_input() -> int | None:
    """Give the descriptor of standard input; None without one that may be read."""
    try:
        descriptor = sys.stdin.fileno()
        if sys.platform != "win32" and os.isatty(descriptor) and os.tcgetpgrp(descriptor) != os.getpgrp():
            return None  # a job in the background would be stopped for reading
    except (OSError, ValueError, AttributeError):  # closed, or none at all
        return None
    return descriptor
