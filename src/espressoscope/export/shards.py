"""The pictures of an OME-Zarr: shards that are segments of the recording, or JPEGs put into shards of ours.

A closed segment ends with the index of a Zarr shard. Where every segment of a stretch but the last is full,
the same files are the array: a hard link costs no time and no room.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import numpy as np

from espressoscope.recording.layout import SLOTS, index_size
from espressoscope.recording.shard import shard_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from espressoscope.export.chosen import Chosen, Stretch
    from espressoscope.model import Frame
    from espressoscope.recording.stored import Segment

__all__ = ["OWN_SLOTS", "link_shards", "linkable", "write_shards"]

OWN_SLOTS: Final = 1000
"""Pictures in a shard of ours; readers read its whole index for each picture."""


def shard_path(folder: Path, number: int) -> Path:
    """Give where Zarr looks for a shard of an array (t, c, y, x)."""
    return folder / "c" / str(number) / "0" / "0" / "0"


def linkable(chosen: Chosen, stretch: Stretch) -> list[Segment] | None:
    """Give the segments that are the shards of a stretch; None where the JPEGs must be copied."""
    rows = chosen.log[stretch.places]
    segments = {segment.contents.number: segment for segment in chosen.recording.segments}
    if len(segments) < len(chosen.recording.segments):
        return None  # of which of two with one number a row tells is not known
    numbers = np.unique(rows["segment"]).tolist()
    found: list[Segment] = []
    taken = 0
    for number in numbers:
        segment = segments[number]
        pages = segment.contents.pages
        part = rows[taken : taken + len(pages)]
        whole = (
            segment.contents.closed
            and segment.contents.slots == SLOTS
            and len(part) == len(pages)
            and bool((part["segment"] == number).all())
            and bool((part["page"] == np.arange(len(pages))).all())
            and (len(pages) == SLOTS or number == numbers[-1])
        )
        if not whole or not _ends_with_index(segment):
            return None
        found.append(segment)
        taken += len(pages)
    return found if taken == len(rows) else None


def _ends_with_index(segment: Segment) -> bool:
    """Whether its last bytes are the index they should be; a damaged one would lead anywhere."""
    pages = segment.contents.pages
    wanted = shard_index(pages["offset"], pages["bytes"], SLOTS)
    try:
        with segment.path.open("rb") as file:
            file.seek(-index_size(SLOTS), os.SEEK_END)
            return file.read() == wanted
    except OSError:
        return False


def link_shards(folder: Path, segments: list[Segment]) -> bool:
    """Give segments a second name as shards; False, and nothing there, where the system has no such links."""
    try:
        for number, segment in enumerate(segments):
            path = shard_path(folder, number)
            path.parent.mkdir(parents=True)
            os.link(segment.path.resolve(), path)
    except OSError:  # another disk, a system without hard links, a file of somebody else's
        shutil.rmtree(folder / "c", ignore_errors=True)
        return False
    return True


def write_shards(folder: Path, chosen: Chosen, stretch: Stretch, on_frame: Callable[[Frame], None]) -> None:
    """Copy the JPEGs of a stretch into shards of `OWN_SLOTS`.

    Raises
    ------
    OSError
    """
    for number, start in enumerate(range(0, len(stretch.places), OWN_SLOTS)):
        places = stretch.places[start : start + OWN_SLOTS]
        offsets = np.zeros(len(places), np.uint64)
        lengths = np.zeros(len(places), np.uint32)
        path = shard_path(folder, number)
        path.parent.mkdir(parents=True)
        at = 0
        with path.open("xb", buffering=1 << 20) as file:
            for slot, frame in enumerate(chosen.frames(places)):
                file.write(frame.jpeg)
                offsets[slot], lengths[slot] = at, len(frame.jpeg)
                at += len(frame.jpeg)
                on_frame(frame)
            file.write(shard_index(offsets, lengths, OWN_SLOTS))
