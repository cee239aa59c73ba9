"""What is in a segment: from its table when it was closed, else from a walk over its records.

Works on a file that is being written, was cut off, or is damaged. Reads no JPEG. The work is linear in the
size of the file whatever is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from espressoscope.recording.checksum import crc32
from espressoscope.recording.layout import (
    FRAME_LENGTH,
    FRAME_MARK,
    HEADER_SIZE,
    KIND_AT,
    MAGIC,
    PAGE,
    RECORDS_AT,
    WHOLE,
    Kind,
    Shape,
    header_length,
    index_size,
    padded,
    parse_header,
    parse_prologue,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    Read: TypeAlias = Callable[[int, int], bytes]
    """Reads so many bytes, or what there is of them, from an offset."""
    Entries: TypeAlias = NDArray[np.void]

__all__ = ["ENTRY", "Block", "Contents", "read_contents", "shape_of", "walk_contents"]

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

HEADER_DTYPE: Final = np.dtype(
    [
        ("mark", "S8"),
        ("kind", "u1"),
        ("status", "u1"),
        ("flags", "<u2"),
        ("bytes", "<u4"),
        ("received_ns", "<i8"),
        ("device_ns", "<i8"),
        ("sequence", "<u8"),
        ("width", "<u2"),
        ("height", "<u2"),
        ("lost", "<u4"),
        ("crc", "<u4"),
        ("components", "u1"),
        ("across", "u1"),
        ("down", "u1"),
        ("nothing", "u1"),
        ("reserved", "<u4"),
        ("own_crc", "<u4"),
    ]
)
"""The header of a record, as `layout.Header` has it."""

_FIRST_LOOK: Final = 4096
_CHUNK: Final = 1 << 20
"""Bytes read at first, and at most, in search of a whole record; twice as many each time."""


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


def walk_contents(read: Read, size: int) -> Contents | None:
    """Find out what a segment holds as if it had no end: from record to record, with its directories."""
    prologue = parse_prologue(read(RECORDS_AT, 0))
    return None if prologue is None else _Walk(read, size, None).contents(*prologue)


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
    if len(text) != header.length or len(text) % ENTRY.itemsize or crc32(text) != header.crc:
        return None
    entries: Entries = np.frombuffer(text, ENTRY)
    return entries if plausible(entries, size, slots) else None


def shape_of(entry: np.void) -> Shape:
    """Give the shape of a frame in the table."""
    return Shape(*(int(entry[name]) for name in ("width", "height", "components", "across", "down")))


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
        self._heads: list[bytes] = []  # of frames; numpy takes them apart, all at once
        self._places: list[int] = []
        self._blocks = list(before.blocks) if before else []
        self._damaged = before.damaged if before else 0
        self._at = before.end if before else RECORDS_AT
        self._seen = (0, b"")  # what was read last in search of a whole record, and from where

    def contents(self, slots: int, number: int) -> Contents:
        read, size = self._read, self._size
        at = self._frames_in_a_row(self._at)
        end = min(at, size)
        while at + HEADER_SIZE <= size:
            head = read(HEADER_SIZE, at)
            length = header_length(head)
            if length < 0 or at + HEADER_SIZE + length > size:
                at, head = self._next_whole(at + 8)
                if not head:
                    break
                length = self._length(head, at)
                self._damaged += 1
            at += HEADER_SIZE
            kind = head[KIND_AT]
            if kind == Kind.FRAME:
                self._heads.append(head)
                self._places.append(at)
            elif kind == Kind.DIRECTORIES:
                header = parse_header(head)
                assert header is not None
                self._blocks.append(Block(at, header.lost))
            at = self._frames_in_a_row(at + padded(length))
            end = min(at, size)
        entries = self._entries(slots)
        blocks = tuple(self._blocks)
        return Contents(entries, slots, number, False, end, size, blocks, self._damaged)

    def _frames_in_a_row(self, at: int) -> int:
        """Take what are frames for sure, from here on; give where that ends. Nearly all records are such."""
        read, unpack, last = self._read, FRAME_LENGTH.unpack, self._size - HEADER_SIZE
        heads, places = self._heads.append, self._places.append
        while at <= last:
            head = read(HEADER_SIZE, at)
            # One checksum tells that a header is whole, and that all 64 bytes of it are here.
            if crc32(head) != WHOLE or not head.startswith(FRAME_MARK):
                break
            (length,) = unpack(head)
            if length > last - at:
                break
            heads(head)
            at += HEADER_SIZE
            places(at)
            at += (length + 7) & ~7
        return at

    def _length(self, head: bytes, at: int) -> int:
        """Give the length of a whole record's data; -1 when there is no such record here."""
        length = header_length(head)
        return length if at + HEADER_SIZE + length <= self._size else -1

    def _next_whole(self, at: int) -> tuple[int, bytes]:
        """Find the next whole record: where it is and its header, which is empty when there is none."""
        span = _FIRST_LOOK
        while at + HEADER_SIZE <= self._size:
            # What was read for the last damage reaches over the next one, where they are close together.
            start, data = self._seen
            if not start <= at <= start + len(data) - HEADER_SIZE:
                start, data = self._seen = at, self._read(span + HEADER_SIZE - 1, at)
                span = min(2 * span, _CHUNK)
            last = len(data) - HEADER_SIZE
            if last < 0:
                break
            place = data.find(MAGIC, at - start)
            while 0 <= place <= last:
                if (start + place) % 8 == 0:
                    head = data[place : place + HEADER_SIZE]
                    if self._length(head, start + place) >= 0:
                        return start + place, head
                place = data.find(MAGIC, place + 1)
            at = start + last + 1
        return self._size, b""

    def _entries(self, slots: int) -> Entries:
        heads = np.frombuffer(b"".join(self._heads), HEADER_DTYPE)
        entries = np.empty(len(heads), ENTRY)
        entries["offset"] = self._places
        for name in ENTRY.names or ():
            if name not in ("offset", "page"):
                entries[name] = heads[name]
        before = self._before
        first = len(before.pages) if before else 0
        paged = (heads["flags"] & PAGE).astype(bool)
        numbers = np.cumsum(paged, dtype=np.int64) + (first - 1)
        entries["page"] = np.where(paged & (numbers < slots), numbers, -1)
        return entries if before is None else np.concatenate([before.entries, entries])
