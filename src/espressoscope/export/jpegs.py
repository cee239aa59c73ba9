"""A folder of JPEGs for each camera, every one as it was sent, and a table of them."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING, Any, Final

from espressoscope.recording.layout import NO_TIME
from espressoscope.recording.log_file import COLUMNS
from espressoscope.recording.moments import iso_utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from espressoscope.export.chosen import Chosen
    from espressoscope.model import Frame

__all__ = ["EVENTS_NAME", "TABLE_NAME", "file_name", "write_jpegs"]

TABLE_NAME: Final = "frames.csv"
EVENTS_NAME: Final = "events.csv"
_DAMAGED: Final = ("truncated", "corrupt")


def file_name(sequence: int, received_ns: int, status: str) -> str:
    """Name a picture by its time (UTC) and number; broken ones say so. In order of time when sorted.

    Examples
    --------
    >>> file_name(17, 1_700_000_000_123_456_789, "truncated")
    '20231114T221320.123456Z_00000017_truncated.jpg'
    """
    when = iso_utc(received_ns).replace("-", "").replace(":", "")
    mark = f"_{status}" if status in _DAMAGED else ""
    return f"{when}_{sequence:08d}{mark}.jpg"


def write_jpegs(folder: Path, chosen: Chosen, on_frame: Callable[[Frame], None]) -> int:
    """Write every chosen frame of a camera, also broken ones, and the table; give how many there are.

    Parameters
    ----------
    folder : Path
        Its own, made already.
    chosen : Chosen
    on_frame : callable
        Called after each.

    Raises
    ------
    OSError
    """
    with (folder / TABLE_NAME).open("x", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", *COLUMNS))
        for place in chosen.places.tolist():
            frame = chosen.frame(place)
            name = _write(folder, frame)
            table.writerow((name, *_row(chosen, place, frame)))
            on_frame(frame)
    _write_events(folder, chosen)
    return len(chosen.places)


def _write(folder: Path, frame: Frame) -> str:
    name = file_name(frame.sequence, frame.received_ns, frame.status)
    stem, number = name.removesuffix(".jpg"), 1
    while True:
        path = folder / name
        try:
            with path.open("xb") as file:
                file.write(frame.jpeg)
        except FileExistsError:  # two of one number, time and status: only a damaged file has that
            number += 1
            name = f"{stem}-{number}.jpg"
            continue
        os.utime(path, ns=(frame.received_ns, frame.received_ns))
        return name


def _row(chosen: Chosen, place: int, frame: Frame) -> tuple[Any, ...]:
    row = chosen.log[place]
    page, device_ns = int(row["page"]), int(row["device_ns"])
    stray = page < 0 and frame.status not in _DAMAGED
    return (
        frame.sequence, frame.received_ns, iso_utc(frame.received_ns),
        "" if device_ns == NO_TIME else device_ns, len(frame.jpeg), frame.width, frame.height,
        frame.status, int(row["gap"]), int(row["segment"]),
        "" if page < 0 else page, "other size" if stray else "",
    )  # fmt: skip


def _write_events(folder: Path, chosen: Chosen) -> None:
    """Write what the log has beside frames: changed settings and the like."""
    events = chosen.recording.events
    if not events:
        return
    with (folder / EVENTS_NAME).open("x", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("received_at", "event", "note"))
        for event in events:
            table.writerow((event["received_at"], event["status"], event["note"]))
