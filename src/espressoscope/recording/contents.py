"""What is in a segment: from its table when it was closed, else from a walk over its records.

Works on a file that is being written, was cut off, or is damaged. Reads no JPEG. The work is linear in the
size of the file whatever is in it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from espressoscope.recording.layout import (
    HEADER_SIZE,
    MAGIC,
    PAGE,
    RECORDS_AT,
    Kind,
    index_size,
    padded,
    parse_header,
    parse_prologue,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from espressoscope.recording.layout import Header

    Read: TypeAlias = Callable[[int, int], bytes]
    """Reads so many bytes, or what there is of them, from an offset."""
    Entries: TypeAlias = NDArray[np.void]

__all__ = ["ENTRY", "Block", "Contents", "read_contents"]

ENTRY: Final = np.dtype(
    [
        ("offset", "<u8"),  # of the JPEG; its record begins 64 bytes before
        ("received_ns", "<i8"),
        ("device_ns", "<i8"),
        ("sequence", "<u8"),
        ("bytes", "<u4"),
        ("lost", "<u4"),
        ("page", "<i4"),  # -1: in the log only
        ("width", "<u2"),
        ("height", "<u2"),
        ("components", "u1"),
        ("across", "u1"),
        ("down", "u1"),
        ("status", "u1"),
        ("crc", "<u4"),
    ]
)
"""A stored frame, as in the table of a closed segment."""

_CHUNK: Final = 1 << 20


class Block(NamedTuple):
    """A block of page directories: where it begins, how many there are."""

    offset: int
    pages: int


class Contents(NamedTuple):
    """What a segment holds.

    Attributes
    ----------
    entries : array of ENTRY
        Every stored frame in the order of the file.
    slots, number : int
        Pages it has room for; which segment of its camera it is.
    closed : bool
        It was closed in order.
    end : int
        Offset behind the last whole record.
    size : int
        Bytes it had when it was looked at.
    blocks : tuple of Block
        Directories found; empty for a closed one.
    damaged : int
        Stretches that hold no whole record, where one should be.
    """

    entries: Entries
    slots: int
    number: int
    closed: bool
    end: int
    size: int
    blocks: tuple[Block, ...] = ()
    damaged: int = 0

    @property
    def pages(self) -> Entries:
        """The frames that are pages."""
        found: Entries = self.entries[self.entries["page"] >= 0]
        return found


def read_contents(read: Read, size: int, before: Contents | None = None) -> Contents | None:
    """Find out what a segment holds.

    Parameters
    ----------
    read : callable
        Of length and offset.
    size : int
        Bytes the file has.
    before : Contents, optional
        What it held when it was looked at before; only what came since is read then.

    Returns
    -------
    Contents or None
        None: this is no segment of ours.
    """
    prologue = parse_prologue(read(RECORDS_AT, 0))
    if prologue is None:
        return None
    slots, number = prologue
    entries = _from_table(read, size, slots)
    if entries is not None:
        return Contents(entries, slots, number, True, size, size)
    if before is not None and (before.closed or before.size > size):
        before = None
    return _Walk(read, size, before).contents(slots, number)


def _from_table(read: Read, size: int, slots: int) -> Entries | None:
    length = index_size(slots)
    at = size - length - HEADER_SIZE
    if at < RECORDS_AT:
        return None
    closing = parse_header(read(HEADER_SIZE, at))
    if closing is None or closing.kind != Kind.INDEX or closing.length != length:
        return None
    place = closing.received_ns
    if not RECORDS_AT <= place < at:
        return None
    header = parse_header(read(HEADER_SIZE, place))
    if header is None or header.kind != Kind.TABLE or place + HEADER_SIZE + header.length > at:
        return None
    text = read(header.length, place + HEADER_SIZE)
    if len(text) != header.length or len(text) % ENTRY.itemsize or zlib.crc32(text) != header.crc:
        return None
    entries: Entries = np.frombuffer(text, ENTRY)
    return entries if plausible(entries, size, slots) else None


def plausible(entries: Entries, size: int, slots: int) -> bool:
    """Whether every entry lies within the file, and pages are numbered."""
    offsets = entries["offset"]
    inside = (offsets >= RECORDS_AT + HEADER_SIZE) & (offsets < size) & (entries["bytes"] <= size)
    if not inside.all() or (offsets + entries["bytes"] > size).any():
        return False
    pages = entries["page"][entries["page"] >= 0]
    return len(pages) <= slots and bool((pages == np.arange(len(pages))).all())


class _Walk:
    """From record to record, and over what is damaged to the next whole one."""

    def __init__(self, read: Read, size: int, before: Contents | None) -> None:
        self._read = read
        self._size = size
        self._before = before
        self._rows: list[tuple[int, ...]] = []
        self._blocks = list(before.blocks) if before else []
        self._pages = len(before.pages) if before else 0
        self._damaged = before.damaged if before else 0
        self._at = before.end if before else RECORDS_AT

    def contents(self, slots: int, number: int) -> Contents:
        end = self._at
        while self._at + HEADER_SIZE <= self._size:
            header = self._header(self._at)
            if header is None:
                self._at, header = self._next_whole(self._at + 8)
                if header is None:
                    break
                self._damaged += 1
            self._take(header, slots)
            self._at += HEADER_SIZE + padded(header.length)
            end = min(self._at, self._size)
        entries = np.array(self._rows, ENTRY) if self._rows else np.empty(0, ENTRY)
        if self._before is not None:
            entries = np.concatenate([self._before.entries, entries])
        blocks = tuple(self._blocks)
        return Contents(entries, slots, number, False, end, self._size, blocks, self._damaged)

    def _header(self, at: int, data: bytes = b"", place: int = 0) -> Header | None:
        """Give the header of a whole record; None when there is none."""
        header = parse_header(data or self._read(HEADER_SIZE, at), place)
        return None if header is None or at + HEADER_SIZE + header.length > self._size else header

    def _next_whole(self, at: int) -> tuple[int, Header | None]:
        while at + HEADER_SIZE <= self._size:
            # Chunks overlap by a header, so that each is looked at in one piece.
            data = self._read(_CHUNK + HEADER_SIZE, at)
            place = data.find(MAGIC)
            while 0 <= place < _CHUNK:
                if (at + place) % 8 == 0:
                    header = self._header(at + place, data, place)
                    if header is not None:
                        return at + place, header
                place = data.find(MAGIC, place + 1)
            if len(data) <= HEADER_SIZE:
                break
            at += _CHUNK
        return self._size, None

    def _take(self, header: Header, slots: int) -> None:
        data_at = self._at + HEADER_SIZE
        if header.kind == Kind.FRAME:
            page = -1
            if header.flags & PAGE and self._pages < slots:
                page = self._pages
                self._pages += 1
            shape = header.shape
            row = (data_at, header.received_ns, header.device_ns, header.sequence, header.length, header.lost,
                   page, shape.width, shape.height, shape.components, shape.across, shape.down,
                   header.status, header.crc)  # fmt: skip
            self._rows.append(row)
        elif header.kind == Kind.DIRECTORIES:
            self._blocks.append(Block(data_at, header.lost))
