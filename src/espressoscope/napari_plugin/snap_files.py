"""Snapped pictures on their way to files: one after the other, and told together what became of them."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtCore import QObject, Signal

from espressoscope.napari_plugin.calls import note, words
from espressoscope.napari_plugin.picture_files import save
from espressoscope.napari_plugin.run_names import default_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from espressoscope.napari_plugin.picture_files import Kind
    from espressoscope.napari_plugin.report import Report
    from espressoscope.napari_plugin.session import LiveSession
    from espressoscope.napari_plugin.snapping import Snapped

__all__ = ["SnapFiles"]

_REFUSED = "too many calls wait already: save it again in a moment"


class _Job(NamedTuple):
    picture: Snapped
    folder: Path
    kind: Kind


class _Saved(NamedTuple):
    picture: Snapped
    path: Path | None
    problem: str


class SnapFiles(QObject):
    """Writes pictures to files on a thread of the session.

    Only one of them waits for a thread at any time: hundreds would leave no room for other calls.

    Parameters
    ----------
    session : LiveSession
        Whose threads.
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
        self._session = session
        self._report = report
        self._most = most
        self._waiting: deque[_Job] = deque()
        self._job: _Job | None = None
        self._wanted = self._good = self._over = 0
        self._title = self._problem = ""

    def write(self, pictures: Iterable[Snapped], folder: Path, kind: Kind) -> None:
        """Write pictures into a folder; one that waits to be written there is not written twice."""
        if self._job is None:
            self._wanted = self._good = self._over = 0
            if self._title and self._report.title == self._title:
                self._report.hide()
            self._title = f"Save at {time.strftime('%H:%M:%S')}, not saved:"
        known = {(id(job.picture), job.folder, job.kind) for job in (self._job, *self._waiting) if job}
        for picture in pictures:
            if (id(picture), folder, kind) in known:
                continue
            self._wanted += 1
            if len(self._waiting) < self._most:
                self._waiting.append(_Job(picture, folder, kind))
            else:
                self._fail(picture, _REFUSED)
        if self._job is None:
            self._next(folder)

    def _next(self, folder: Path) -> None:
        """Have the next one written; the last one was, or was to be, in this folder."""
        self._job = None
        while self._waiting:
            job = self._waiting.popleft()
            if self._session.run(_saving(job), self._written, lane="files of snaps"):
                self._job = job
                self.said.emit(f"Saving {self._over + 1} of {self._wanted} …", False)
                return
            self._fail(job.picture, _REFUSED)
            while self._waiting:  # nor would they be taken
                self._fail(self._waiting.popleft().picture, _REFUSED)
        if self._good == self._wanted:
            self.said.emit(f"Saved in {folder}", False)
        elif self._good:
            self.said.emit(f"{self._good} of {self._wanted} saved in {folder}", True)
        else:
            several = f"None of {self._wanted} saved: " if self._wanted > 1 else ""
            self.said.emit(several + self._problem, True)

    def _written(self, saved: _Saved) -> None:
        folder = self._job.folder if self._job is not None else Path()
        if saved.path is None:
            self._fail(saved.picture, saved.problem)
        else:
            self._good += 1
            self._over += 1
            self.saved.emit(saved.picture, saved.path)
        self._next(folder)

    def _fail(self, picture: Snapped, problem: str) -> None:
        self._over += 1
        self._problem = problem
        self._report.begin(self._title)
        self._report.put(picture.name, problem, bad=True)


def _saving(job: _Job) -> Any:
    """Give what writes one, on a thread of the session."""

    def work() -> _Saved:
        if job.folder.is_relative_to(default_folder()):  # elsewhere its disk may have been taken away
            with contextlib.suppress(OSError):  # `save` says what is wrong
                job.folder.mkdir(parents=True, exist_ok=True)
        try:
            return _Saved(job.picture, save(job.picture, job.folder, job.kind), "")
        except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
            note(error)
            return _Saved(job.picture, None, words(error))

    return work
