"""Snapped pictures on their way to files: one after the other, and told together what became of them."""

from __future__ import annotations

import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from espressoscope.napari_plugin.picture_writer import Job, PictureWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from espressoscope.napari_plugin.picture_files import Kind
    from espressoscope.napari_plugin.picture_writer import Saved
    from espressoscope.napari_plugin.report import Report
    from espressoscope.napari_plugin.session import LiveSession
    from espressoscope.napari_plugin.snapping import Snapped

__all__ = ["SnapFiles"]

_REFUSED = "too many pictures wait already, or no thread is to be had: save it again in a moment"


class SnapFiles(QObject):
    """Has pictures written to files, also those that wait when its widget is closed, and counts them.

    Parameters
    ----------
    session : LiveSession
        Brings here what became of them.
    report : Report
        Gets those that were not saved, each with the reason.
    most : int
        Pictures that wait; further ones are reported as not saved.
    """

    saved = Signal(object, object)
    """Snapped and Path: this picture is in this file."""
    said = Signal(str, bool)
    """What it does or has done, and whether something is wrong."""

    def __init__(self, session: LiveSession, report: Report, most: int, parent: QObject) -> None:
        super().__init__(parent)
        self._report = report
        self._most = most
        self._waiting: deque[Job] = deque()
        self._wanted = self._good = self._over = 0
        self._title = self._problem = ""
        told = weakref.WeakMethod(self._written)  # they may be written long after their panel
        self._writer = PictureWriter(
            lambda saved: session.post(lambda: _tell(told, saved)), lambda: session.closed
        )

    def write(self, pictures: Iterable[Snapped], folder: Path, kind: Kind) -> None:
        """Write pictures into a folder; one that waits to be written there is not written twice."""
        if not self._waiting:
            self._wanted = self._good = self._over = 0
            if self._title and self._report.title == self._title:
                self._report.hide()
            self._title = f"Save at {time.strftime('%H:%M:%S')}, not saved:"
        known = {(id(job.picture), job.folder, job.kind) for job in self._waiting}
        for picture in pictures:
            if (id(picture), folder, kind) in known:
                continue
            self._wanted += 1
            job = Job(picture, folder, kind)
            if len(self._waiting) < self._most and self._writer.put(job):
                self._waiting.append(job)
            else:
                self._fail(picture, _REFUSED)
        self._say(folder)

    def _say(self, folder: Path) -> None:
        """Say how far it is; the last one was, or was to be, in this folder."""
        if self._waiting:
            self.said.emit(f"Saving {self._over + 1} of {self._wanted} …", False)
        elif self._good == self._wanted:
            self.said.emit(f"Saved in {folder}", False)
        elif self._good:
            self.said.emit(f"{self._good} of {self._wanted} saved in {folder}", True)
        else:
            several = f"None of {self._wanted} saved: " if self._wanted > 1 else ""
            self.said.emit(several + self._problem, True)

    def _written(self, saved: Saved) -> None:
        folder = self._waiting.popleft().folder
        if saved.path is None:
            self._fail(saved.picture, saved.problem)
        else:
            self._good += 1
            self._over += 1
            self.saved.emit(saved.picture, saved.path)
        self._say(folder)

    def _fail(self, picture: Snapped, problem: str) -> None:
        self._over += 1
        self._problem = problem
        self._report.begin(self._title)
        self._report.put(picture.name, problem, bad=True)


def _tell(told: weakref.WeakMethod[Any], saved: Saved) -> None:
    method = told()
    if method is not None:
        method(saved)
