"""What is still open when the program ends is closed then, in order, as files are.

Later it would be too late: the loop's thread no longer runs while the interpreter takes itself apart, and a
`close` from there would wait for it for ever.
"""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from typing import Protocol

__all__ = ["close_at_exit"]

_log = logging.getLogger(__name__)


class _Open(Protocol):
    def close(self) -> None:
        """Let go what it has; twice does nothing."""


# By identity: a fleet is a mapping, and has no hash.
_opened: weakref.WeakValueDictionary[int, _Open] = weakref.WeakValueDictionary()


def close_at_exit(thing: _Open) -> None:
    """Have something closed at the program's end, unless nobody refers to it any more by then.

    Told again it is closed once; that it has been closed by then does no harm.
    """
    _opened[id(thing)] = thing


def _close_all() -> None:
    for thing in reversed(tuple(_opened.values())):
        try:
            thing.close()
        except Exception:  # noqa: BLE001 (the others are to be closed too)
            _log.exception("closing %r at the program's end failed", thing)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):  # what a process made by fork has of them is its parent's
    os.register_at_fork(after_in_child=_opened.clear)
