"""Bringing `frames.csv` of a run that was killed in order: its last line is ended, missing ones are added."""

from __future__ import annotations

import contextlib
import csv
import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from espressoscope.disk import open_plain
from espressoscope.model import Frame
from espressoscope.recording.layout import NO_TIME
from espressoscope.recording.log_file import COLUMNS, LogFile
from espressoscope.recording.run_folder import LOG_NAME

if TYPE_CHECKING:
    from espressoscope.recording.recorded import Recording

__all__ = ["complete_log"]

_BEHIND: Final = "behind"
_PAGE_COLUMN: Final = COLUMNS.index("page")


def complete_log(recording: Recording) -> int:
    """Add lines of frames that the log does not have; tell how many.

    Raises
    ------
    OSError
        It cannot be read or written.
    """
    path = recording.folder / LOG_NAME
    known: set[str] = set()
    ending = b""
    if path.exists():
        with (
            open(open_plain(path), encoding="utf-8", errors="replace", newline="") as file,
            contextlib.suppress(csv.Error),
        ):
            # A line of its own behind the last tells whether that has left a quote open: a torn note has.
            lines = (line.replace("\0", "") for line in file)
            cells: list[str] = []
            for cells in csv.reader(itertools.chain(lines, [_BEHIND])):
                if len(cells) > _PAGE_COLUMN:
                    known.add(cells[0])
            ending = b"" if cells == [_BEHIND] else b'"\n'
        with open(open_plain(path), "rb") as raw:
            size = raw.seek(0, 2)
            raw.seek(max(0, size - 1))
            if not ending and raw.read(1) not in (b"\n", b""):
                ending = b"\n"
    recording.refresh()
    missing = [row for row in recording.log if str(row["sequence"]) not in known]
    if not missing and not ending:
        return 0
    log = LogFile(recording.folder, new=not path.exists())
    try:
        if ending:
            log.file.append([ending])
        for row in missing:
            device_ns = int(row["device_ns"])
            frame = Frame(
                b"",
                int(row["sequence"]),
                int(row["time"].astype(np.int64)),
                None if device_ns == NO_TIME else device_ns,
                int(row["width"]),
                int(row["height"]),
                recording.name,
                str(row["status"]),  # type: ignore[arg-type]
            )
            page = int(row["page"])
            log.frame(
                frame,
                int(row["gap"]),
                int(row["segment"]),
                None if page < 0 else page,
                "added by repair",
                length=int(row["bytes"]),
            )
        log.flush()
    finally:
        log.close()
    return len(missing)
