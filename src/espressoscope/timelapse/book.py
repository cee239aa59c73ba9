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
import re
import shutil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from espressoscope.model import Frame
from espressoscope.recording.layout import SLOTS, STATUSES
from espressoscope.recording.log_file import COLUMNS as LOG_COLUMNS
from espressoscope.recording.log_file import LogFile
from espressoscope.recording.repair import repair_segment
from espressoscope.recording.run_folder import LOG_NAME
from espressoscope.recording.segment import Entry, PartlyStored, SegmentWriter
from espressoscope.recording.shapes import Shaper
from espressoscope.recording.stored import Segment, frame_of, segment_paths
from espressoscope.timelapse.ledger import Ledger, Line, cut_torn_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from espressoscope.recording.contents import Entries

__all__ = ["CameraBook", "FolderGone", "Point"]

_MOST_AT_ONCE: Final = 10_000
_SEGMENT_NAME: Final = re.compile(r"(\d+)\.")


class FolderGone(OSError):
    """The run's folder has been deleted or replaced: nothing can be stored any more."""


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
        self._shaper = Shaper()
        self._segment: SegmentWriter | None = None
        self._last_sequence = -1
        self._kept: list[Frame] = []  # of the point at work: what the files have
        self._found: dict[int, Entries] = {}
        self.ledger = Ledger(folder)
        try:
            self._number, stored = self._mend()
            self._log = self._open_log(stored)
        except BaseException:
            self.ledger.close()
            raise

    @property
    def next_point(self) -> int:
        """The first point nothing is known of."""
        return 0 if self.ledger.last is None else self.ledger.last.point + 1

    # ---- where it was left --------------------------------------------------------------------------

    def _mend(self) -> tuple[int, list[tuple[int, Entries]]]:
        """Close what was left open; give the number of the next segment, and what is in the last one.

        That is its number and its table; of all of them, in order, where no line tells how far it had come.
        """
        paths = segment_paths(self.folder)
        numbers = [int(found[1]) for path in paths if (found := _SEGMENT_NAME.match(path.name))]
        stored: list[tuple[int, Entries]] = []
        # Earlier ones were closed before the next was begun, and their points have lines.
        for path in paths if self.ledger.last is None else reversed(paths):
            try:
                segment = Segment(path)
                if not segment.contents.closed:
                    repair_segment(path, self.name, self._software)
                    segment = Segment(path)
            except ValueError:
                continue  # no segment: left as it is, and its number not used again
            stored.append((segment.contents.number, segment.contents.entries))
            if self.ledger.last is not None and len(segment.contents.entries):
                break  # one without frames, begun before a power cut, tells nothing
        tables = [entries for _, entries in stored if len(entries)]
        if tables:
            entries = np.concatenate(tables)
            self._last_sequence = int(entries["sequence"].max())
            self._note_found(entries)
        return max(numbers, default=-1) + 1, stored

    def settle_found(self, due_ns: Callable[[int], int]) -> list[Line]:
        """Write the lines of points whose pictures were found; `due_ns` tells when each was due."""
        lines: list[Line] = []
        for number in sorted(self._found):
            if number < self.next_point + len(lines):
                continue
            lines += [
                Line(each, due_ns(each), "missed", reason="its record was lost")
                for each in range(self.next_point + len(lines), number)
            ]
            pictures = self._found[number]
            lines.append(
                Line(
                    number,
                    due_ns(number),
                    "taken" if len(pictures) >= self._burst else "partial",
                    received_ns=int(pictures["received_ns"][0]),
                    pictures=len(pictures),
                    bytes=int(pictures["bytes"].sum()),
                    width=int(pictures["width"][0]),
                    height=int(pictures["height"][0]),
                    reason="noted after a restart",
                )
            )
        self._found = {}
        return self.ledger.add(lines) if lines else []

    def _note_found(self, entries: Entries) -> None:
        """Find the pictures of points that have no line."""
        whole = (entries["page"] >= 0) | (entries["status"] != STATUSES.index("corrupt"))
        points = entries["sequence"] // self._burst
        late = entries[whole & (points >= self.next_point)]
        self._found = {
            int(point): late[late["sequence"] // self._burst == point]
            for point in np.unique(late["sequence"] // self._burst)
        }

    def _open_log(self, stored: Sequence[tuple[int, Entries]]) -> LogFile:
        """Open `frames.csv`, and add the lines of frames that it does not have."""
        path = self.folder / LOG_NAME
        log = LogFile(self.folder, new=not path.exists())
        try:
            header = ",".join(LOG_COLUMNS)
            text = cut_torn_end(log.file, lambda line: line.count(",") >= len(LOG_COLUMNS) - 1)
            if not text:
                log.file.append([f"{header}\n".encode()])
            last = self._last_logged(path)
            for number, entries in stored:
                for row in entries[entries["sequence"].astype(np.int64) > last]:
                    self._log_row(log, row, number)
            log.flush()
        except BaseException:
            log.close()
            raise
        return log

    def _last_logged(self, path: Path) -> int:
        """Give the highest number among the last lines of `frames.csv`; events stand between them."""
        last = -1
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (1 << 20)))
            for line in file.read().splitlines():
                first = line.partition(b",")[0]
                if first.isdigit():
                    last = max(last, int(first))
        return last

    def _log_row(self, log: LogFile, row: np.void, segment: int) -> None:
        frame = frame_of(row, b"", self.name)
        page = int(row["page"])
        log.frame(
            frame, int(row["lost"]), segment, None if page < 0 else page,
            "noted after a restart", length=int(row["bytes"]),
        )  # fmt: skip

    # ---- what becomes of points ---------------------------------------------------------------------

    def taken(self, point: Point, frames: Sequence[Frame]) -> Line:
        """Store the pictures of a point, then its line; both are on the disk when this returns.

        Raises
        ------
        OSError
            The disk is full, or worse; pictures that were stored stay, and are not stored again.
        """
        self._check_folder()
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
        added = self.ledger.add([self._with_pictures(line, self._kept or fresh)])[0]
        self._kept = []
        return added

    def _with_pictures(self, line: Line, frames: Sequence[Frame]) -> Line:
        damaged = any(frame.status not in ("ok", "duplicate") for frame in frames)
        return line._replace(
            outcome="damaged" if damaged else "taken" if len(frames) >= self._burst else "partial",
            received_ns=frames[0].received_ns,
            pictures=len(frames),
            bytes=sum(len(frame.jpeg) for frame in frames),
            width=frames[0].width,
            height=frames[0].height,
        )

    def _with_kept(self, line: Line) -> Line:
        """Give the line of a point that was given up, with the pictures that were stored of it before."""
        kept = [frame for frame in self._kept if frame.sequence // self._burst == line.point]
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
        self._check_folder()
        lines = [self._with_kept(line) for line in lines]
        self._kept = []
        added = []
        for begin in range(0, len(lines), _MOST_AT_ONCE):
            added += self.ledger.add(lines[begin : begin + _MOST_AT_ONCE])
        return added

    def note(self, time_ns: int, kind: str, text: str) -> None:
        """Write into `frames.csv` what is no frame: changed settings, a clock that was set.

        Raises
        ------
        OSError
        """
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
            if segment is None or other or segment.pages >= SLOTS:
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
            self._kept.append(frame)
            self._log.frame(frame, lost, self._number - 1, page)
        self._settle()
        self._check_folder()

    def _settle(self) -> None:
        """Make pages of what is stored, write its lines, and wait for the disk."""
        segment = self._segment
        if segment is not None:
            segment.link()
            self._log.flush()
            segment.file.sync()
            segment.sync_name()

    def _check_folder(self) -> None:
        segment = self._segment
        if not self.ledger.file.linked or (segment is not None and not segment.file.linked):
            raise FolderGone(errno.ENOENT, "the folder of the run has been deleted or replaced")

    def _begin_segment(self, entry: Entry) -> None:
        self._segment = SegmentWriter(
            self.folder, self._number, self.name, self._run_id, entry, self._software
        )
        self._number += 1

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            self._log.file.sync()
            segment.end()

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
