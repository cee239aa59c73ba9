"""What is on disk of one camera of a time-lapse: pictures in segments, and what became of each point.

The order of writing is what makes a crash harmless: the pictures first, on the disk, then the line of the
point. Pictures are numbered ``point * burst + number``, so that the files themselves tell which point a
picture belongs to; one that is there without its line gets it when the book is opened again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from espressoscope.disk import is_elsewhere
from espressoscope.model import Frame
from espressoscope.recording.files import GrowingFile
from espressoscope.recording.layout import SLOTS, STATUSES
from espressoscope.recording.log_file import LogFile
from espressoscope.recording.run_folder import LOG_NAME
from espressoscope.recording.segment import Entry, PartlyStored, SegmentWriter
from espressoscope.recording.shapes import Shaper
from espressoscope.recording.stored import frame_of
from espressoscope.recording.track import MOST_STORED
from espressoscope.timelapse.found import find_segments
from espressoscope.timelapse.kept import cut_torn_end, is_log_line, untouched
from espressoscope.timelapse.ledger import Ledger, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from espressoscope.recording.contents import Entries
    from espressoscope.timelapse.found import Found

__all__ = ["CameraBook", "FolderGone", "Point"]


_MOST_DIGITS: Final = 18
"""Of a frame's number in `frames.csv`; others are none of ours, and Python refuses to read very long ones."""


class FolderGone(OSError):
    """The run's folder, or files in it, are deleted, replaced or changed: nothing goes into what is open."""


class Point(NamedTuple):
    """A point that was worked on.

    Attributes
    ----------
    number : int
    due_ns, began_ns : int
        When it was due, and when the attempt that succeeded began.
    attempts : int
        Attempts made, that one included.
    """

    number: int
    due_ns: int
    began_ns: int
    attempts: int


class _Picture(NamedTuple):
    """A stored picture, as far as the line of its point tells of it."""

    sequence: int
    status: str
    received_ns: int
    bytes: int
    width: int
    height: int


def _most_frames(segment: SegmentWriter) -> int:
    """Tell how many frames a segment may have, pages or not: as many as in any other recording."""
    return SLOTS if segment.shape is None else MOST_STORED


def _last_logged(path: Path) -> int:
    """Give the highest number among the last lines of `frames.csv`, or -1; events stand between them."""
    last = -1
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 20)))
        for line in file.read().splitlines():
            first = line.partition(b",")[0]
            if first.isdigit() and len(first) <= _MOST_DIGITS:
                last = max(last, int(first))
    return last


class CameraBook:
    """Writes one camera's part of a run, and knows where it was left.

    Opening it brings in order what the last program left behind.

    Parameters
    ----------
    name : str
        The camera's.
    folder : Path
        Its own, made already.
    run_id : bytes
        The run's UUID.
    software : str
        Name and version.
    burst : int
        Pictures of a point.
    keep_free : int
        Bytes of the disk to leave free.

    Raises
    ------
    OSError

    Attributes
    ----------
    ledger : Ledger
    """

    def __init__(
        self, name: str, folder: Path, run_id: bytes, software: str, burst: int, keep_free: int
    ) -> None:
        self.name = name
        self.folder = folder
        self._run_id = run_id
        self._software = software
        self._burst = burst
        self._keep_free = keep_free
        self._own = folder.stat()
        self._shaper = Shaper()
        self._segment: SegmentWriter | None = None
        self._last_sequence = -1
        self._kept: list[_Picture] = []  # of the point at work: what the files have
        self._found: dict[int, _Picture] = {}  # of points that have no line, by their numbers
        self.ledger = Ledger(folder)
        try:
            logged = self._cut_log()
            known = min(self.next_point * burst, logged + 1)
            found = find_segments(folder, run_id, name, software, known)
            self._number = found.next_number
            self._note_found([entries for _, entries in found.tables])
            self._log = self._open_log(found, logged)
        except BaseException:
            self.ledger.close()
            raise

    @property
    def next_point(self) -> int:
        """The first point nothing is known of."""
        return 0 if self.ledger.last is None else self.ledger.last.point + 1

    # ---- where it was left --------------------------------------------------------------------------

    def _cut_log(self) -> int:
        """Cut off the torn end of `frames.csv`; give the number of its last frame, or -1."""
        path = self.folder / LOG_NAME
        if not path.exists():
            return -1
        with contextlib.closing(GrowingFile(path, new=False)) as file:
            cut_torn_end(file, is_log_line)
        return _last_logged(path)

    def settle_found(self, due_ns: Callable[[int], int]) -> list[Line]:
        """Write the lines of points whose pictures were found; `due_ns` tells when each was due.

        They are what `taken` would have written, as far as it is known any more.
        """
        lines: list[Line] = []
        found = [self._found[sequence] for sequence in sorted(self._found)]
        for number, pictures in groupby(found, lambda picture: picture.sequence // self._burst):
            lines += [
                Line(each, due_ns(each), "missed", reason="its record was lost")
                for each in range(self.next_point + len(lines), number)
            ]
            line = Line(number, due_ns(number), "missed", reason="noted after a restart")
            lines.append(self._with_pictures(line, list(pictures)))
        self._found = {}
        return self.ledger.add(lines) if lines else []

    def _note_found(self, tables: Sequence[Entries]) -> None:
        """Find the pictures of points that have no line, damaged ones too: their numbers are used."""
        for entries in tables:
            self._last_sequence = max(self._last_sequence, int(entries["sequence"].max()))
            late = entries[entries["sequence"] // self._burst >= self.next_point]
            for sequence, status, *rest in late[list(_Picture._fields)].tolist():
                picture = _Picture(sequence, STATUSES[status % len(STATUSES)], *rest)
                self._found.setdefault(sequence, picture)

    def _open_log(self, found: Found, last: int) -> LogFile:
        """Open `frames.csv`, and add the lines of frames that it does not have: those after the last."""
        log = LogFile(self.folder, new=not (self.folder / LOG_NAME).exists())
        try:
            for number, entries in found.tables:
                for row in entries[entries["sequence"].astype(np.int64) > last]:
                    self._log_row(log, row, number)
                last = max(last, int(entries["sequence"].max()))  # a copy has the same once more
            log.flush()
        except BaseException:
            log.close()
            raise
        return log

    def _log_row(self, log: LogFile, row: np.void, segment: int) -> None:
        frame = frame_of(row, b"", self.name)
        page = int(row["page"])
        log.frame(
            frame, int(row["lost"]), segment, None if page < 0 else page,
            "noted after a restart", length=int(row["bytes"]),
        )  # fmt: skip

    # ---- what becomes of points ---------------------------------------------------------------------

    def crowded(self) -> bool:
        """Tell whether the disk has less room than is to be left, or still refuses lines that wait for it.

        Raises
        ------
        OSError
        """
        self.check_folder()
        if self.ledger.trouble is not None:
            self.ledger.add([])  # those that wait
        return self.ledger.trouble is not None or shutil.disk_usage(self.folder).free < self._keep_free

    def taken(self, point: Point, frames: Sequence[Frame]) -> Line:
        """Store the pictures of a point, then its line; both are on the disk when this returns.

        Only after `settle_found`, and only for points that have no line.

        Raises
        ------
        OSError
            The disk is full, or worse; pictures that were stored stay, and are not stored again.
        """
        self.check_folder()
        if shutil.disk_usage(self.folder).free < self._keep_free:
            raise OSError(errno.ENOSPC, "the disk is nearly full")
        first = point.number * self._burst
        if self._kept and self._kept[0].sequence < first:
            self._kept = []
        fresh = [
            Frame(
                frame.jpeg, first + place, frame.received_ns, frame.device_ns, frame.width, frame.height,
                self.name, frame.status,
            )
            for place, frame in enumerate(frames[: self._burst])
        ]  # fmt: skip
        self._store([frame for frame in fresh if frame.sequence > self._last_sequence])
        line = Line(point.number, point.due_ns, "missed", point.began_ns, attempts=point.attempts)
        # Not the pictures of this attempt where an earlier one has stored some.
        added = self.ledger.add([self._with_pictures(line, self._kept)])[0]
        self._kept = []
        return added

    def _with_pictures(self, line: Line, pictures: Sequence[_Picture]) -> Line:
        damaged = any(picture.status not in ("ok", "duplicate") for picture in pictures)
        return line._replace(
            outcome="damaged" if damaged else "taken" if len(pictures) >= self._burst else "partial",
            received_ns=pictures[0].received_ns,
            pictures=len(pictures),
            bytes=sum(picture.bytes for picture in pictures),
            width=pictures[0].width,
            height=pictures[0].height,
        )

    def _with_kept(self, line: Line) -> Line:
        """Give the line of a point that was given up, with the pictures that were stored of it before."""
        kept = [picture for picture in self._kept if picture.sequence // self._burst == line.point]
        if not kept:
            return line
        with contextlib.suppress(OSError):  # they are in the file; on the disk as soon as it takes them
            self._settle()
        return self._with_pictures(line, kept)

    def missed(self, lines: Sequence[Line]) -> list[Line]:
        """Write the lines of points that were given up: missed, or what was stored of them before.

        Raises
        ------
        FolderGone
        """
        self.check_folder()
        lines = [self._with_kept(line) for line in lines]
        self._kept = []
        return self.ledger.add(lines)

    def note(self, time_ns: int, kind: str, text: str) -> None:
        """Write into `frames.csv` what is no frame: changed settings, a clock that was set.

        Raises
        ------
        FolderGone
            It is not noted.
        OSError
            It is written as soon as the disk takes it.
        """
        self.check_folder()
        self._log.event(time_ns, kind, text)
        self._log.flush()

    def note_settings(self, time_ns: int, changed: dict[str, Any]) -> None:
        """Write settings that have changed.

        Raises
        ------
        OSError
        """
        self.note(time_ns, "settings", json.dumps(changed, ensure_ascii=False))

    def _store(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            lost = max(0, frame.sequence - self._last_sequence - 1)
            entry = Entry(frame, self._shaper.shape_of(frame), lost)
            segment = self._segment
            other = segment is not None and entry.shape is not None and entry.shape != segment.shape
            if segment is None or other or segment.full or segment.frames >= _most_frames(segment):
                self._end_segment()
                self._begin_segment(entry)
                page: int | None = None if entry.shape is None else 0
            else:
                page = segment.pages if segment.is_page(entry) else None
                try:
                    segment.write([entry])
                except PartlyStored as trouble:
                    raise trouble.error from trouble
            self._last_sequence = frame.sequence
            size = len(frame.jpeg)
            self._kept.append(
                _Picture(frame.sequence, frame.status, frame.received_ns, size, frame.width, frame.height)
            )
            self._log.frame(frame, lost, self._number - 1, page)
        self._settle()
        self.check_folder()

    def _settle(self) -> None:
        """Make pages of what is stored, write its lines, and wait for the disk."""
        segment = self._segment
        if segment is not None:
            segment.link()
            self._log.flush()
            segment.file.sync()
            segment.sync_name()

    def check_folder(self) -> None:
        """Raise `FolderGone` where what is open has not its name any more, or others have written into it."""
        files = [self.ledger.file, self._log.file, *([self._segment.file] if self._segment else [])]
        # Not by the files alone: they stay the same where the folder gets another name.
        if not all(map(untouched, files)) or is_elsewhere(self.folder, self._own):
            raise FolderGone(errno.ENOENT, "files have been deleted, replaced or changed")

    def _begin_segment(self, entry: Entry) -> None:
        self._segment = SegmentWriter(
            self.folder, self._number, self.name, self._run_id, entry, self._software
        )
        self._number += 1

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        self._log.file.sync()
        if untouched(segment.file):
            segment.end()
        else:  # the next opening does what can be done
            segment.file.close()

    def close(self) -> None:
        """Close all files in order; twice does nothing.

        Raises
        ------
        OSError
            Something could not be written; the next opening brings it in order.
        """
        try:
            self._end_segment()
        finally:
            self._log.close()
            self.ledger.close()
