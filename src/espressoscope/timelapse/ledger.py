"""`points.csv` of one camera: a line for each point, written when it is known what became of it.

Lines are in the order of the points, and none is left out: the last line tells where to go on. What a power
cut has torn at the end of the file is cut off before anything is added; what somebody else has written there
is kept beside it.
"""

from __future__ import annotations

import csv
import os
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.disk import open_plain
from espressoscope.recording.files import GrowingFile, PartlyWritten, read_at
from espressoscope.recording.moments import iso_utc
from espressoscope.timelapse.kept import cut_torn_end, last_whole, untouched
from espressoscope.timelapse.schedule import LATEST_NS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["COLUMNS", "POINTS_NAME", "Ledger", "Line", "last_line", "read_line"]

POINTS_NAME: Final = "points.csv"
COLUMNS: Final = (
    "point", "due_at", "outcome", "began_at", "late_ms", "received_at", "pictures", "bytes", "width",
    "height", "attempts", "taken", "missed", "bytes_total", "due_ns", "reason",
)  # fmt: skip
OUTCOMES: Final = ("taken", "partial", "damaged", "missed")
MOST_REASON: Final = 300
_HEADER: Final = ",".join(COLUMNS) + "\n"


class Line(NamedTuple):
    """What became of one point of one camera.

    Attributes
    ----------
    point : int
    due_ns : int
        When it was due, Unix ns.
    outcome : {"taken", "partial", "damaged", "missed"}
        ``"partial"``: fewer pictures than asked for; ``"damaged"``: pictures that are not whole.
    began_ns : int or None
        When the attempt that succeeded began; None when it was missed, or where that is not known any more.
    received_ns : int or None
        When its first picture had arrived.
    pictures, bytes, width, height : int
    attempts : int
    taken, missed, bytes_total : int
        Points with a picture, and without, and bytes so far, this one included.
    reason : str
        Why it was missed, or is not whole; or that it was noted after a restart.
    """

    point: int
    due_ns: int
    outcome: str
    began_ns: int | None = None
    received_ns: int | None = None
    pictures: int = 0
    bytes: int = 0
    width: int = 0
    height: int = 0
    attempts: int = 0
    taken: int = 0
    missed: int = 0
    bytes_total: int = 0
    reason: str = ""

    @property
    def late_ms(self) -> float | None:
        """Milliseconds from when it was due to `began_ns`; None where there is none."""
        return None if self.began_ns is None else (self.began_ns - self.due_ns) / 1e6

    def text(self) -> str:
        """Give it as it stands in the file."""
        late = self.late_ms
        reason = "".join(c if c.isprintable() else " " for c in self.reason)[:MOST_REASON].replace('"', "'")
        fields = (
            self.point, iso_utc(self.due_ns), self.outcome, _moment(self.began_ns),
            "" if late is None else f"{late:.3f}", _moment(self.received_ns), self.pictures, self.bytes,
            self.width, self.height, self.attempts, self.taken, self.missed, self.bytes_total, self.due_ns,
        )  # fmt: skip
        quoted = f'"{reason}"' if "," in reason or "'" in reason else reason
        return ",".join(map(str, fields)) + f",{quoted}\n"


def _moment(time_ns: int | None) -> str:
    return "" if time_ns is None else iso_utc(time_ns)


def _from_iso(text: str) -> int | None:
    """Read a moment of a line; whole microseconds are what the file has."""
    if not text:
        return None
    base = datetime.fromisoformat(text)
    return int(base.timestamp()) * 1_000_000_000 + base.microsecond * 1000


def read_line(text: str) -> Line | None:
    """Read a line of the file; None for the header, and for one that is torn or damaged."""
    if "\0" in text or not text.endswith("\n"):
        return None
    try:
        row = next(csv.reader([text]), [])
        if len(row) != len(COLUMNS) or row[2] not in OUTCOMES:
            return None
        whole = [int(row[i]) for i in (0, 6, 7, 8, 9, 10, 11, 12, 13, 14)]
        point, pictures, size, width, height, attempts, taken, missed, total, due_ns = whole
        began_ns, received_ns = _from_iso(row[3]), _from_iso(row[5])
    except (ValueError, OverflowError, OSError, csv.Error):  # times that no system knows
        return None
    if point < 0 or not 0 <= due_ns < LATEST_NS or row[1] != iso_utc(due_ns):
        return None
    return Line(
        point, due_ns, row[2], began_ns, received_ns, pictures, size, width, height, attempts, taken, missed,
        total, row[15],
    )  # fmt: skip


class Ledger:
    """The lines of one camera, to be gone on with.

    Parameters
    ----------
    folder : Path
        The camera's.

    Raises
    ------
    OSError

    Attributes
    ----------
    last : Line or None
        The last one.
    trouble : OSError or None
        Why the last lines are not in the file yet.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / POINTS_NAME
        self.file = GrowingFile(path, new=not path.exists())
        self.trouble: OSError | None = None
        self._waiting: list[str] = []
        try:
            text = cut_torn_end(self.file, lambda line: line == _HEADER or read_line(line) is not None)
            self.last = read_line(text) if text else None
            if not text:
                self.file.append([_HEADER.encode()])
        except (OSError, PartlyWritten) as trouble:
            self.file.close()
            raise trouble.error if isinstance(trouble, PartlyWritten) else trouble from None

    def add(self, lines: Sequence[Line]) -> list[Line]:
        """Add lines, with the sums filled in, and wait until they are on the disk.

        What the disk refuses is written with the next ones; `trouble` says why.
        """
        added = []
        for line in lines:
            before = self.last or Line(-1, 0, "missed")
            missed = line.outcome == "missed"
            line = line._replace(
                taken=before.taken + (not missed),
                missed=before.missed + missed,
                bytes_total=before.bytes_total + line.bytes,
            )
            self.last = line
            self._waiting.append(line.text())
            added.append(line)
        self._write()
        return added

    def _write(self) -> None:
        start = self.file.size
        try:
            try:
                self.file.append(["".join(self._waiting).encode()])
            except PartlyWritten as trouble:
                self.file.truncate(start)
                raise trouble.error from trouble
            self._waiting = []
            self.file.sync()
        except OSError as error:
            self.trouble = error
        else:
            self.trouble = None

    def close(self) -> None:
        """Close it; twice does nothing."""
        if self._waiting and self.file.descriptor >= 0 and untouched(self.file):
            self._write()
        self.file.close()


def last_line(folder: Path) -> Line | None:
    """Give the last whole line of a camera's file, without changing anything; None where there is none.

    Raises
    ------
    OSError
    """
    path = folder / POINTS_NAME
    if not path.exists():
        return None
    descriptor = open_plain(path)
    try:
        size = os.fstat(descriptor).st_size

        def read(length: int, offset: int) -> bytes:
            return read_at(descriptor, length, offset)

        text, _ = last_whole(read, size, lambda line: read_line(line) is not None)
    finally:
        os.close(descriptor)
    return read_line(text) if text else None
