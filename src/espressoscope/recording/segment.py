"""Writing one segment: frames appended, page directories about each second, and the end put on.

Every moment leaves a file that any TIFF reader opens: the first page is there before the file has its name,
and a block of directories is whole before one write of 8 bytes makes it part of the file. What is not yet
linked is found by a walk over the records.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.disk import patiently, sync_folder
from espressoscope.recording import tiff
from espressoscope.recording.checksum import crc32
from espressoscope.recording.contents import read_contents, shape_of
from espressoscope.recording.files import GrowingFile, PartlyWritten, PlainFile
from espressoscope.recording.layout import (
    FIRST_DIRECTORY,
    HEADER_SIZE,
    MAGIC,
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
    index_size,
    pack_head,
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
    from espressoscope.recording.layout import Shape

__all__ = [
    "SUFFIX",
    "UNPAGED_SUFFIX",
    "Entry",
    "PartlyStored",
    "SegmentWriter",
    "append_directories",
    "append_whole",
    "finish",
]

SUFFIX: Final = ".ome.tif"
UNPAGED_SUFFIX: Final = ".records"
"""A segment of the same layout without any page: frames that no picture could be made of came first."""
_PADDING: Final = tuple(bytes(count) for count in range(8))
_STATUS: Final = {status: place for place, status in enumerate(STATUSES)}
_MOST_LOST: Final = 0xFFFFFFFF


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
    files : type of PlainFile
        How files are written.

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
        self,
        folder: Path,
        number: int,
        camera: str,
        run_id: bytes,
        first: Entry,
        software: str,
        files: type[PlainFile] = GrowingFile,
    ) -> None:
        self.shape = first.shape
        suffix = UNPAGED_SUFFIX if first.shape is None else SUFFIX
        self.path = folder / f"{number:05d}{suffix}"
        self.pages = self.frames = 0
        self._name_synced = False
        self._camera = camera
        self._software = software
        self._files = files
        self._pending: list[tuple[int, int]] = []
        self._linked = 0
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
        self.file = self._make(folder, [bytes(fixed), *self._records([first])])

    def _make(self, folder: Path, parts: list[bytes]) -> PlainFile:
        """Write the beginning under another name first: no file is ever there without its first page."""
        if self.path.exists():
            raise FileExistsError(f"{self.path} is there already")
        early = folder / f".{self.path.name}.new"
        early.unlink(missing_ok=True)
        file = self._files(early, new=True)
        try:
            file.append(parts)
            if not file.movable:
                file.close()
            patiently(lambda: os.rename(early, self.path))
            if not file.movable:
                file = patiently(lambda: self._files(self.path, new=False))
        except (PartlyWritten, OSError) as trouble:
            file.close()
            early.unlink(missing_ok=True)
            raise trouble.error if isinstance(trouble, PartlyWritten) else trouble from None
        file.path = self.path
        return file

    def sync_name(self) -> None:
        """Wait until its name is on the disk, once; its bytes alone would be found by nobody.

        Raises
        ------
        OSError
        """
        if not self._name_synced:
            with contextlib.suppress(FileNotFoundError):  # moved away: its name is somebody else's doing
                sync_folder(self.path.parent)
                sync_folder(self.path.parent.parent)
            self._name_synced = True

    @property
    def full(self) -> bool:
        """Whether there is no room for another page."""
        return self.pages >= SLOTS

    @property
    def unlinked(self) -> int:
        """Pages that other readers do not see yet."""
        return len(self._pending)

    def is_page(self, entry: Entry) -> bool:
        """Whether this frame would be a page here."""
        return entry.shape is not None and entry.shape == self.shape

    def _records(self, entries: Sequence[Entry]) -> list[bytes]:
        """Give header, JPEG, header, JPEG and so on; zeros up to a multiple of 8 stand before a header."""
        parts = []
        fill = b""
        own = self.shape
        for frame, shape, lost in entries:
            jpeg = frame.jpeg
            length = len(jpeg)
            page = PAGE if shape is not None and (shape is own or shape == own) else 0
            width, height, components, across, down = shape or (
                frame.width & 0xFFFF, frame.height & 0xFFFF, 0, 0, 0,
            )  # fmt: skip
            device_ns = frame.device_ns
            head = pack_head(
                MAGIC, 1, _STATUS[frame.status], page, length, frame.received_ns,
                NO_TIME if device_ns is None else device_ns, frame.sequence, width, height,
                lost if lost < _MOST_LOST else _MOST_LOST, crc32(jpeg), components, across, down, 0, 0,
            )  # fmt: skip
            parts.append(fill + head + crc32(head).to_bytes(4, "little"))
            parts.append(jpeg)
            fill = _PADDING[-length % 8]
        parts.append(fill)
        return parts

    def write(self, entries: Sequence[Entry]) -> None:
        """Append frames.

        Raises
        ------
        PartlyStored
            The disk is full, or worse; what is whole is kept.
        """
        start = self.file.size
        try:
            self.file.append(self._records(entries))
        except PartlyWritten as trouble:
            whole, end = self._reached(entries, start, start + trouble.written)
            self._note(entries[:whole], start)
            self.file.truncate(end)
            raise PartlyStored(whole, trouble.error) from trouble
        self._note(entries, start)

    def _reached(self, entries: Sequence[Entry], start: int, end: int) -> tuple[int, int]:
        """Tell how many of these records are whole in a file of this size, and where the last one ends."""
        for place, entry in enumerate(entries):
            after = start + HEADER_SIZE + padded(len(entry.frame.jpeg))
            if after > end:
                return place, start
            start = after
        return len(entries), start

    def _note(self, entries: Sequence[Entry], start: int) -> None:
        at = start + HEADER_SIZE
        own = self.shape
        pending = self._pending
        before = len(pending)
        for frame, shape, _ in entries:
            length = len(frame.jpeg)
            if shape is not None and (shape is own or shape == own):
                pending.append((at, length))
            at += HEADER_SIZE + ((length + 7) & ~7)
        self.frames += len(entries)
        self.pages += len(pending) - before

    def link(self) -> None:
        """Make pages of what has been written.

        Raises
        ------
        OSError
            The disk is full, or worse; the file is as it was.
        """
        if not self._pending:
            return
        assert self._maker is not None
        self._next_at = append_directories(self.file, self._maker, self._pending, self._linked, self._next_at)
        self._linked += len(self._pending)
        self._pending = []

    def end(self) -> None:
        """Link what is left, add OME-XML, table and index, and close the file. Only once.

        Raises
        ------
        OSError
            There is no room for it. The file is closed all the same, and can be read and repaired.
        """
        try:
            self.link()
            contents = read_contents(self.file.read_at, self.file.size)
            if contents is not None:
                finish(self.file, contents, self._camera, self._software)
        finally:
            self.file.close()


def append_directories(
    file: PlainFile,
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
    header = Header(Kind.DIRECTORIES, 0, 0, len(block), 0, 0, first, len(pages), crc32(block[:-8]), NO_SHAPE)
    append_whole(file, [header.pack(), block])
    file.write_at(next_at, at.to_bytes(8, "little"))
    return at + len(block) - 8


def append_whole(file: PlainFile, parts: Sequence[bytes]) -> None:
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


def finish(file: PlainFile, contents: Contents, camera: str, software: str) -> None:
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
        xml = ome_xml(camera, shape_of(pages[0]), pages["received_ns"].tolist(), software)
        xml_at = at + HEADER_SIZE
        parts += _extra(Kind.OME_XML, xml)
        at += HEADER_SIZE + padded(len(xml))
    table = contents.entries.tobytes()
    parts += _extra(Kind.TABLE, table)
    index = shard_index(pages["offset"], pages["bytes"], contents.slots)
    header = Header(
        Kind.INDEX, 0, 0, index_size(contents.slots), at, xml_at, len(pages), 0, crc32(index), NO_SHAPE
    )
    parts += [header.pack(), index]
    append_whole(file, parts)
    if xml_at:
        file.write_at(tiff.FIRST_DESCRIPTION_AT, tiff.description_value(len(xml), xml_at))


def _extra(kind: Kind, data: bytes) -> list[bytes]:
    header = Header(kind, 0, 0, len(data), 0, 0, 0, 0, crc32(data), NO_SHAPE)
    return [header.pack(), data, _PADDING[-len(data) % 8]]
