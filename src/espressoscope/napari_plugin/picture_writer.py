"""Pictures to files, one after the other, on a thread of its own, to the end: also of widget and program.

Nobody may be left to look at a widget then: what becomes of them is in the log. No Qt here.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.napari_plugin.calls import note, words
from espressoscope.napari_plugin.picture_files import save
from espressoscope.napari_plugin.run_names import default_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from espressoscope.napari_plugin.picture_files import Kind
    from espressoscope.napari_plugin.snapping import Snapped

__all__ = ["Job", "PictureWriter", "Saved"]

_log = logging.getLogger(__name__)

END_S: Final = 30.0
"""Longest wait, in seconds, for pictures that are not saved yet when the program ends."""
_NAMED: Final = 3


class Job(NamedTuple):
    """A picture, and where it goes as what."""

    picture: Snapped
    folder: Path
    kind: Kind


class Saved(NamedTuple):
    """What became of it: its file, or the problem."""

    picture: Snapped
    path: Path | None
    problem: str


class PictureWriter:
    """Writes what is put in, in that order; its thread lives as long as there is something to write.

    Parameters
    ----------
    tell : callable
        Gets a `Saved` for each picture, on the thread.
    closed : callable
        Tells whether the widget has been closed: then nobody is told, and the log has it.
    """

    def __init__(self, tell: Callable[[Saved], object], closed: Callable[[], bool]) -> None:
        self._tell = tell
        self._closed = closed
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._pid = os.getpid()

    def put(self, job: Job) -> bool:
        """Have a picture written; false where the system gives no thread. Never blocks."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="espressoscope-napari-files", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    _log.warning("no thread to save pictures", exc_info=True)
                    return False
                self._thread = thread
                # The thread is not waited for when Python ends; the pictures are.
                atexit.register(self._end_with_program)
            self._jobs.append(job)
        return True

    def _run(self) -> None:
        good = 0
        bad: list[Saved] = []
        while True:
            with self._lock:
                job = self._jobs[0] if self._jobs else None
                if job is None:
                    self._thread = None
                    atexit.unregister(self._end_with_program)
                    break
            saved = _write(job)
            with self._lock:
                if not self._jobs:  # the program has ended meanwhile, and says so
                    return
                self._jobs.popleft()
            if not (self._ending or self._closed()):
                self._tell(saved)
            elif saved.path is None:
                bad.append(saved)
            else:
                good += 1
        if good:
            _log.info("pictures saved after their widget was closed: %d", good)
        if bad:
            _say_lost([each.picture for each in bad], bad[-1].problem)

    def _end_with_program(self) -> None:
        self._ending = True  # nobody reads what is told from now on
        thread = self._thread
        if thread is None or os.getpid() != self._pid:  # a process made by fork: they are its parent's
            return
        why = "the program was ended by force"
        try:
            _log.info("the program ends when its pictures are saved: %d are not yet", len(self._jobs))
            thread.join(END_S)
            why = f"the program has ended, and the disk has taken more than {END_S:.0f} s"
        finally:
            with self._lock:
                lost = [job.picture for job in self._jobs]
                self._jobs.clear()
            if lost:
                _say_lost(lost, why)


def _say_lost(pictures: list[Snapped], why: str) -> None:
    names = ", ".join(each.name for each in pictures[:_NAMED]) + (" …" if len(pictures) > _NAMED else "")
    which = "1 picture was" if len(pictures) == 1 else f"{len(pictures)} pictures were"
    _log.error("%s not saved (%s): %s", which, names, why)


def _write(job: Job) -> Saved:
    if job.folder.is_relative_to(default_folder()):  # elsewhere its disk may have been taken away
        with contextlib.suppress(OSError):  # `save` says what is wrong
            job.folder.mkdir(parents=True, exist_ok=True)
    try:
        return Saved(job.picture, save(job.picture, job.folder, job.kind), "")
    except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
        note(error)
        return Saved(job.picture, None, words(error))
