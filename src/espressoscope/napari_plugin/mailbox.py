"""From any thread to the one that draws: functions put in are called there, in order."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from qtpy.QtCore import QCoreApplication, QObject, Qt, QTimer, Signal, Slot

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_LETTERS", "Mailbox", "Soon", "application", "delete_soon"]

_log = logging.getLogger(__name__)

MOST_LETTERS: Final = 4096
"""Functions that wait to be called; a thread that draws and is stuck must not fill the memory."""
SLICE_S: Final = 0.012
"""After so many seconds of calling functions the thread that draws sees to everything else first."""


def application() -> QObject | None:
    """Give what owns objects of Qt whose end Python must not decide; None before there is an application.

    Python frees what nobody holds on whichever thread looks for waste, and Qt does not stand that.
    """
    return QCoreApplication.instance()


def delete_soon(thing: QObject) -> None:
    """Have Qt delete an object from the loop of the thread that draws, where this is called."""
    if QCoreApplication.instance() is not None:
        QTimer.singleShot(0, partial(_delete, thing))


def _delete(thing: QObject) -> None:
    with contextlib.suppress(RuntimeError):  # it is deleted already
        thing.deleteLater()


class Soon(QTimer):
    """Calls a function in the next turn of the loop, once, however often that is asked for meanwhile.

    Parameters
    ----------
    parent : QObject
        With its end nothing is called any more.
    call : callable
        A bound method of it.
    """

    def __init__(self, parent: QObject, call: Callable[[], object]) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.timeout.connect(call)

    def ask(self, *_: object) -> None:
        """Have it called."""
        if not self.isActive():
            self.start(0)


class Mailbox(QObject):
    """Calls functions on the thread it was made on; `post` may be called on any.

    Attributes
    ----------
    dropped : int
        Functions let go because too many waited.
    """

    _came = Signal()

    def __init__(self) -> None:
        super().__init__(application())
        self.dropped = 0
        self._letters: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._told = False
        self._closed = False
        self._came.connect(self._read, Qt.ConnectionType.QueuedConnection)

    def post(self, letter: Callable[[], object]) -> None:
        """Have a function called soon; nothing happens after `close`."""
        with self._lock:
            if self._closed:
                return
            if len(self._letters) >= MOST_LETTERS:
                self.dropped += 1
                return
            self._letters.append(letter)
            if self._told:
                return
            self._told = True
            try:
                self._came.emit()
            except RuntimeError:  # Qt has deleted this object: the program ends
                self._closed = True

    def close(self) -> None:
        """Call nothing any more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._letters.clear()
        delete_soon(self)

    @Slot()
    def _read(self) -> None:
        end = time.perf_counter() + SLICE_S
        while True:
            with self._lock:
                if not self._letters:
                    self._told = False
                    return
                letter = self._letters.popleft()
            try:
                letter()
            except Exception:  # noqa: BLE001 (a function of a widget must not end the others)
                _log.exception("a function of the napari plugin failed")
            if time.perf_counter() >= end:
                with self._lock, contextlib.suppress(RuntimeError):  # a letter has ended this object
                    self._told = bool(self._letters)
                    if self._told:
                        self._came.emit()
                return
