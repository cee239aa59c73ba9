"""Ctrl-C before a command has begun. Imports next to nothing: until it is in place, Ctrl-C may be lost."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # typing itself takes a while
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["be_ready_to_end", "end_at_once", "end_signals"]


def be_ready_to_end() -> None:
    """Have SIGINT, SIGTERM, SIGHUP and SIGBREAK end this process at once, for as long as nothing has begun.

    Not by an exception: one that comes while modules are imported can be thrown away, by the callbacks of
    weak references that importing sets, or taken for a module that is not there, and the program would go on
    for ever. In a thread other than the main one nothing happens.
    """
    try:
        for number in end_signals():
            signal.signal(number, end_at_once)
    except ValueError:  # not the main thread: signals are not ours
        return


def end_signals() -> Iterator[int]:
    """Give the numbers of the signals that ask a program to end.

    SIGINT is among them even where a shell has switched it off for a job in the background: who sends it to
    such a job means it. A SIGHUP switched off, as by nohup, stays off.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            yield number


def end_at_once(number: int, _frame: FrameType | None = None) -> None:
    """End the process with the exit code that a shell has for this signal; nothing is tidied up."""
    os._exit(128 + number)
