"""Whether the program that started this one still lives; told by its process id, never by a pipe."""

import os
import sys

__all__ = ["PARENT_VARIABLE", "Parent"]

PARENT_VARIABLE = "ESPRESSOSCOPE_PARENT_PID"
"""Set by who starts a program of ours: it may have died before that program could ask who its parent is, and
on Windows the interpreter of a virtual environment stands in between."""


if sys.platform == "win32":
    import ctypes

    _SYNCHRONIZE = 0x00100000
    _WAIT_TIMEOUT = 0x102

    def _open_process(pid: int) -> int | None:
        # The handle keeps the id from being given to another process.
        handle = ctypes.windll.kernel32.OpenProcess(_SYNCHRONIZE, False, pid)
        return handle or None

    def _process_runs(handle: int | None) -> bool:
        return handle is not None and ctypes.windll.kernel32.WaitForSingleObject(handle, 0) == _WAIT_TIMEOUT


class Parent:
    """The process whose end is to be ours."""

    def __init__(self) -> None:
        told = os.environ.get(PARENT_VARIABLE, "")
        self.pid = int(told) if told.isdigit() else os.getppid()
        if sys.platform == "win32":
            self._handle = _open_process(self.pid)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        if sys.platform == "win32":
            return _process_runs(self._handle)
        else:
            # A child whose parent ends is given to another at once, so a reused id cannot deceive.
            return os.getppid() == self.pid
