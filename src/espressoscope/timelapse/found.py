"""What earlier programs have left of a camera's pictures: closed where they were not, read as far as need be.

In a camera's folder there may also be copies of segments, and segments of other runs, put there by hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.disk import open_plain
from espressoscope.recording.layout import PROLOGUE, PROLOGUE_AT
from espressoscope.recording.repair import repair_segment
from espressoscope.recording.segment import SUFFIX, UNPAGED_SUFFIX
from espressoscope.recording.stored import Segment, segment_paths

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.recording.contents import Entries

__all__ = ["Found", "find_segments"]

# Seven digits are more segments than there will ever be, and fewer than there are in a date.
_OWN_NAME: Final = re.compile(
    rf"([0-9]{{5}}|[1-9][0-9]{{5,6}})({re.escape(SUFFIX)}|{re.escape(UNPAGED_SUFFIX)})"
)
_RUN_ID_AT: Final = PROLOGUE_AT + PROLOGUE.size - 16


class Found(NamedTuple):
    """What there is.

    Attributes
    ----------
    next_number : int
        Of the next segment; no file has it.
    tables : list of (int, array of ENTRY)
        Of segments with frames, in order: number and table.
    """

    next_number: int
    tables: list[tuple[int, Entries]]


def find_segments(folder: Path, run_id: bytes, camera: str, software: str, known: int) -> Found:
    """Close the segments that were left open, and read those that may have frames from a number on.

    Parameters
    ----------
    folder : Path
        The camera's.
    run_id : bytes
        Segments of other runs are left alone.
    camera, software : str
        As for `repair_segment`.
    known : int
        All is known of frames with lower numbers. Those of earlier segments are lower still, and what is
        closed before the next is begun needs no look: from the last one back to the first that has one.

    Raises
    ------
    OSError
    """
    paths = {path: _own_number(path) for path in segment_paths(folder)}
    tables = []
    # Those of other names come last: they are copies.
    for path in sorted(paths, key=paths.__getitem__, reverse=True):
        if not _is_of(path, run_id):
            continue
        try:
            segment = Segment(path)
            own = segment.contents.number == paths[path]
            if own and not segment.contents.closed:
                repair_segment(path, camera, software)
                segment = Segment(path)
        except ValueError:
            continue  # no segment: left as it is, and its number not used again
        entries = segment.contents.entries
        if len(entries):  # one without, begun before a power cut, tells nothing
            tables.append((segment.contents.number, entries))
            if own and int(entries["sequence"].min()) < known:
                break
    return Found(max(paths.values(), default=-1) + 1, sorted(tables, key=lambda table: table[0]))


def _own_number(path: Path) -> int:
    """Give the number that its name tells; -1 for names that no segment of ours is given."""
    found = _OWN_NAME.fullmatch(path.name)
    return -1 if found is None else int(found[1])


def _is_of(path: Path, run_id: bytes) -> bool:
    """Tell whether a segment is of this run."""
    with open(open_plain(path), "rb") as file:
        file.seek(_RUN_ID_AT)
        return file.read(16) == run_id
