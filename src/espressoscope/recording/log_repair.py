"""Bringing `frames.csv` of a run that was killed in order: its last line is ended, missing ones are added."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

import numpy as np

from espressoscope.disk import open_plain
from espressoscope.model import Frame
from espressoscope.recording.layout import NO_TIME
from espressoscope.recording.log_file import COLUMNS, LogFile
from espressoscope.recording.run_folder import LOG_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.recording.recorded import Recording

__all__ = ["complete_log"]

_BEHIND: Final = "behind"
_ENDS: Final = ("\n", "\r")  # of lines, also where another program has saved the log


def complete_log(recording: Recording) -> int:
    """Add lines of frames that the log does not have; tell how many.

    Raises
    ------
    OSError
        It cannot be read or written.
    """
    path = recording.folder / LOG_NAME
    known, ending = _known(path) if path.exists() else (set[str](), b"")
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


def _known(path: Path) -> tuple[set[str], bytes]:
    """Give the frames of which every CSV reader finds a whole line, and what ends the last line of all.

    A quote that is left open, by a torn note or a bad byte, hides all lines up to the next one. It is
    followed from line to line: those behind it may be more than Python's reader takes as one field.
    """
    known: set[str] = set()
    hidden = False
    line = "\n"
    with open(open_plain(path), encoding="utf-8", errors="replace", newline="") as file:
        for line in file:
            text = line.replace("\0", "")
            # A line of its own behind it tells whether it leaves a quote open.
            try:
                rows = list(csv.reader(['"' + text if hidden else text, _BEHIND]))
            except csv.Error:  # too long for a line of ours
                hidden = False
                continue
            was_hidden, hidden = hidden, rows[-1] != [_BEHIND]
            if was_hidden or hidden or not text.endswith(_ENDS):
                continue
            cells = rows[0]
            # More cells are the user's own; where the line has a hole, they may be those of another one.
            if len(cells) == len(COLUMNS) or (len(cells) > len(COLUMNS) and text == line):
                known.add(cells[0])
    if hidden:
        return known, b'"\n'
    return known, b"" if line.endswith(_ENDS) else b"\n"
