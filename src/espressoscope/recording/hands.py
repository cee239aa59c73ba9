"""The two threads of a recording: begun together or not at all, and told apart from those of others."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Final

from espressoscope.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Hands"]

_START_S: Final = 10.0
"""Longest wait, at a recording's end, for threads of it that are being started."""
_END_S: Final = 1.0


class _Hand(threading.Thread):
    """One of them, of whichever recording."""


class Hands:
    """The writer and the keeper of one recording.

    Parameters
    ----------
    write, keep : callable
        What each of them does.
    """

    def __init__(self, write: Callable[[], None], keep: Callable[[], None]) -> None:
        self._pid = os.getpid()
        self._writer = _Hand(target=write, name="espressoscope-writer", daemon=True)
        self._keeper = _Hand(target=keep, name="espressoscope-keeper", daemon=True)
        self._starting = threading.Lock()
        self._forgone = False

    def begin(self) -> None:
        """Start both; does nothing after `forgo`. Ctrl-C ends the waiting for it, not the start.

        Raises
        ------
        OSError
            The system gives no more threads: the keeper may have begun, the writer has not. Or to start them
            takes longer than 10 s, and goes on.
        """
        try:
            undisturbed(self._begin)
        except RuntimeError as error:
            raise OSError(errno.ENOMEM, f"its threads could not be started ({error})") from error

    def _begin(self) -> None:
        with self._starting:
            if not self._forgone:
                self._keeper.start()
                self._writer.start()

    def forgo(self) -> bool:
        """Have the writer never begin; false when it has, is about to, or somebody has said so before."""
        if not self._starting.acquire(timeout=_START_S):
            return False
        try:
            if self._forgone or self._writer.ident is not None:
                return False
            self._forgone = True
            return True
        finally:
            self._starting.release()

    @property
    def elsewhere(self) -> bool:
        """Whether this is a process made by fork: the threads, and the files, are its parent's."""
        return os.getpid() != self._pid

    @staticmethod
    def are_here() -> bool:
        """Tell whether this is a thread of a recording, where the garbage collector may close any of them."""
        return isinstance(threading.current_thread(), _Hand)

    def join_keeper(self, timeout_s: float) -> None:
        """Wait for the keeper; the writer calls this."""
        self._keeper.join(timeout_s)

    def join(self) -> None:
        """Wait a moment for the writer, which has said that it has ended, or never begins."""
        if self._writer.ident is not None:
            self._writer.join(_END_S)
