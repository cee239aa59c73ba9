"""Writing one segment: frames appended, page directories about each second, and the end put on.

Every moment leaves a file that any TIFF reader opens: the first page is there before the file has its name,
and a block of directories is whole before one write of 8 bytes makes it part of the file. What is not yet
linked is found by a walk over the records.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.recording import tiff
from espressoscope.recording.contents import read_contents
from espressoscope.recording.files import GrowingFile, PartlyWritten, read_at
from espressoscope.recording.layout import (
    FIRST_DIRECTORY,
    HEADER_SIZE,
    NO_SHAPE,
    NO_TIME,
    PAGE,
    PROLOGUE_AT,
    RECORDS_AT,
    SLOTS,
    STATUSES,
    TEXTS_AT,
    TIFF_HEAD,
    Header,
    Kind,
    Shape,
    index_size,
    pack_prologue,
    padded,
)
from espressoscope.recording.omexml import ome_xml
from espressoscope.recording.shard import shard_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from espressoscope.model import Frame
    from espressoscope.recording.contents import Contents

__all__ = ["SUFFIX", "UNPAGED_SUFFIX", "Entry", "PartlyStored", "SegmentWriter", "finish"]

SUFFIX: Final = ".ome.tif"
UNPAGED_SUFFIX: Final = ".records"
"""A segment of the same layout without any page: frames that no picture could be made of came first."""
_LINK_S: Final = 1.0
"""Longest time between blocks of directories, in seconds."""
_PADDING: Final = tuple(bytes(count) for count in range(8))
_STATUS: Final = {status: place for place, status in enumerate(STATUSES)}
_NEVER: Final = float("-inf")


class Entry(NamedTuple):
    """A frame to be stored.

    Attributes
    ----------
    frame : Frame
    shape : Shape or None
        As its JPEG says; None when it cannot be a page.
    lost : int
        Frames that are missing before it.
    """

    frame: Frame
    shape: Shape | None
    lost: int


class PartlyStored(Exception):
    """Not all frames could be written; the file ends with the last whole one.

    Attributes
    ----------
    stored : int
        How many of them are in the file.
    error : OSError
        What the system said.
    """

    def __init__(self, stored: int, error: OSError) -> None:
        super().__init__(str(error))
        self.stored = stored
        self.error = error


class SegmentWriter:
    """One segment of one camera, from its first frame to its end.

    Parameters
    ----------
    folder : Path
        The camera's.
    number : int
        Of the segment.
    camera : str
        The camera's name.
    run_id : bytes
        The run's UUID.
    first : Entry
        With a shape, it becomes the first page and all pages have this shape; without, there are no pages.
    software : str
        Name and version.

    Raises
    ------
    OSError
        Nothing is left of it then.

    Attributes
    ----------
    path : Path
    shape : Shape or None
        Of its pages.
    pages, frames : int
        Pages in it, frames in it.
    """

    def __init__(
        self, folder: Path, number: int, camera: str, run_id: bytes, first: Entry, software: str
    ) -> None:
        self.shape = first.shape
        suffix = UNPAGED_SUFFIX if first.shape is None else SUFFIX
        self.path = folder / f"{number:05d}{suffix}"
        self.pages = self.frames = 0
        self._camera = camera
        self._software = software
        self._pending: list[tuple[int, int]] = []
        self._linked = 0
        self._linked_at = _NEVER
        self._next_at = tiff.FIRST_NEXT_AT
        self._maker: tiff.DirectoryMaker | None = None
        fixed = bytearray(RECORDS_AT)
        prologue = pack_prologue(number, time.time_ns(), run_id)
        texts = tiff.first_texts(software)
        fixed[PROLOGUE_AT : PROLOGUE_AT + len(prologue)] = prologue
        fixed[TEXTS_AT : TEXTS_AT + len(texts)] = texts
        link = 0
        if first.shape is not None:
            self._maker = tiff.DirectoryMaker(first.shape)
            length = len(first.frame.jpeg)
            directory = self._maker.first(RECORDS_AT + HEADER_SIZE, length, software)
            fixed[FIRST_DIRECTORY : FIRST_DIRECTORY + len(directory)] = directory
            link = FIRST_DIRECTORY
            self.pages = self._linked = 1
        fixed[: len(TIFF_HEAD) + 8] = TIFF_HEAD + link.to_bytes(8, "little")
        self.frames = 1
        self.file = self._make(folder, [bytes(fixed), *self._record(first)])
        self._linked_at = time.monotonic()

    def _make(self, folder: Path, parts: list[bytes]) -> GrowingFile:
        """Write the beginning under another name first: no file is ever there without its first page."""
        if self.path.exists():
            raise FileExistsError(f"{self.path} is there already")
        early = folder / f".{self.path.name}.new"
        early.unlink(missing_ok=True)
        file = GrowingFile(early, new=True)
        try:
            file.append(parts)
            if sys.platform == "win32":  # an open file cannot be renamed
                file.close()
            os.rename(early, self.path)
            if sys.platform == "win32":
                file = GrowingFile(self.path, new=False)
        except (PartlyWritten, OSError) as trouble:
            file.close()
            early.unlink(missing_ok=True)
            raise trouble.error if isinstance(trouble, PartlyWritten) else trouble from None
        file.path = self.path
        return file

    @property
    def full(self) -> bool:
        """Whether there is no room for another page."""
        return self.pages >= SLOTS

    def is_page(self, entry: Entry) -> bool:
        """Whether this frame would be a page here."""
        return entry.shape is not None and entry.shape == self.shape

    def _record(self, entry: Entry) -> tuple[bytes, bytes, bytes]:
        frame = entry.frame
        jpeg = frame.jpeg
        length = len(jpeg)
        page = self.is_page(entry)
        shape = entry.shape or NO_SHAPE._replace(width=frame.width & 0xFFFF, height=frame.height & 0xFFFF)
        device_ns = NO_TIME if frame.device_ns is None else frame.device_ns
        header = Header(
            Kind.FRAME, _STATUS[frame.status], PAGE if page else 0, length, frame.received_ns, device_ns,
            frame.sequence, min(entry.lost, 0xFFFFFFFF), zlib.crc32(jpeg), shape,
        )  # fmt: skip
        return header.pack(), jpeg, _PADDING[-length % 8]

    def write(self, entries: Sequence[Entry]) -> None:
        """Append frames.

        Raises
        ------
        PartlyStored
            The disk is full, or worse; what is whole is kept.
        """
        start = at = self.file.size
        parts: list[bytes] = []
        placed = []
        for entry in entries:
            record = self._record(entry)
            parts += record
            placed.append((at + HEADER_SIZE, len(record[1]), self.is_page(entry)))
            at += HEADER_SIZE + padded(len(record[1]))
        try:
            self.file.append(parts)
        except PartlyWritten as trouble:
            reached = start + trouble.written
            whole = [place for place in placed if place[0] + padded(place[1]) <= reached]
            self._note(whole)
            end = whole[-1][0] + padded(whole[-1][1]) if whole else start
            self.file.truncate(end)
            raise PartlyStored(len(whole), trouble.error) from trouble
        self._note(placed)

    def _note(self, placed: Sequence[tuple[int, int, bool]]) -> None:
        self.frames += len(placed)
        pages = [(offset, length) for offset, length, page in placed if page]
        self.pages += len(pages)
        self._pending += pages

    def link(self, now: float, *, at_once: bool = False) -> None:
        """Make pages of what has been written, when the last time is a second ago, or at once.

        Raises
        ------
        OSError
            The disk is full, or worse; the file is as it was.
        """
        if not self._pending or not (at_once or now - self._linked_at >= _LINK_S):
            return
        assert self._maker is not None
        self._next_at = append_directories(self.file, self._maker, self._pending, self._linked, self._next_at)
        self._linked += len(self._pending)
        self._pending = []
        self._linked_at = now

    def end(self) -> None:
        """Link what is left, add OME-XML, table and index, and close the file. Only once.

        Raises
        ------
        OSError
            There is no room for it. The file is closed all the same, and can be read and repaired.
        """
        try:
            self.link(0.0, at_once=True)
            contents = read_contents(
                lambda length, offset: read_at(self.file.descriptor, length, offset), self.file.size
            )
            if contents is not None:
                finish(self.file, contents, self._camera, self._software)
        finally:
            self.file.close()


def append_directories(
    file: GrowingFile,
    maker: tiff.DirectoryMaker,
    pages: Sequence[tuple[int, int]],
    first: int,
    next_at: int,
) -> int:
    """Append a block of directories and link it; give where the next one is to be linked.

    Parameters
    ----------
    pages : sequence of (int, int)
        Offset and length of each page's JPEG.
    first : int
        Number of the first of them.
    next_at : int
        Where the last directory there is has its link.
    """
    start = file.size
    at = start + HEADER_SIZE
    block = maker.block(pages, at)
    # The last link changes later, and is no part of the checksum.
    header = Header(
        Kind.DIRECTORIES, 0, 0, len(block), 0, 0, first, len(pages), zlib.crc32(block[:-8]), NO_SHAPE
    )
    append_whole(file, [header.pack(), block])
    file.write_at(next_at, at.to_bytes(8, "little"))
    return at + len(block) - 8


def append_whole(file: GrowingFile, parts: Sequence[bytes]) -> None:
    """Append all of it, or nothing.

    Raises
    ------
    OSError
    """
    start = file.size
    try:
        file.append(parts)
    except PartlyWritten as trouble:
        file.truncate(start)
        raise trouble.error from trouble


def finish(file: GrowingFile, contents: Contents, camera: str, software: str) -> None:
    """Put the end on a segment all pages of which are linked: OME-XML, table, index.

    Raises
    ------
    OSError
        There is no room for all of it.
    """
    start = file.size
    pages = contents.pages
    parts: list[bytes] = [bytes(-start % 8)]
    at = start + len(parts[0])
    xml_at = 0
    if len(pages):
        first = pages[0]
        shape = Shape(*(int(first[name]) for name in ("width", "height", "components", "across", "down")))
        xml = ome_xml(camera, shape, pages["received_ns"].tolist(), software)
        xml_at = at + HEADER_SIZE
        parts += _extra(Kind.OME_XML, xml)
        at += HEADER_SIZE + padded(len(xml))
    table = contents.entries.tobytes()
    parts += _extra(Kind.TABLE, table)
    index = shard_index(pages["offset"], pages["bytes"], contents.slots)
    header = Header(
        Kind.INDEX, 0, 0, index_size(contents.slots), at, xml_at, len(pages), 0, zlib.crc32(index), NO_SHAPE
    )
    parts += [header.pack(), index]
    append_whole(file, parts)
    if xml_at:
        file.write_at(tiff.FIRST_DESCRIPTION_AT, tiff.description_value(len(xml), xml_at))


def _extra(kind: Kind, data: bytes) -> list[bytes]:
    header = Header(kind, 0, 0, len(data), 0, 0, 0, 0, zlib.crc32(data), NO_SHAPE)
    return [header.pack(), data, _PADDING[-len(data) % 8]]
