"""The bytes of a segment: what stands where, as numbers and structs. No IO.

A segment is a BigTIFF file: a fixed part of 1024 bytes, then one record after the other, each of a header of
64 bytes and its data, each beginning at a multiple of 8. Frames are records, and so are blocks of page
directories and what is added at the end. docs/recording-format.md tells it in full.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.recording.checksum import crc32

if TYPE_CHECKING:
    from espressoscope.model import FrameStatus

__all__ = [
    "FIRST_DIRECTORY",
    "FIRST_LINK",
    "FRAME_LENGTH",
    "FRAME_MARK",
    "HEADER_SIZE",
    "KIND_AT",
    "MAGIC",
    "NO_TIME",
    "PAGE",
    "RECORDS_AT",
    "SLOTS",
    "STATUSES",
    "WHOLE",
    "Header",
    "Kind",
    "Shape",
    "header_length",
    "index_size",
    "pack_head",
    "padded",
    "parse_header",
]

SLOTS: Final = 10_000
"""Pages a segment has room for."""
MOST_SLOTS: Final = 100_000
"""What a file may say of that, to be believed: the index at its end has room for all."""
FIRST_LINK: Final = 8
"""Where a BigTIFF says at which offset its first directory is."""
PROLOGUE_AT: Final = 16
FIRST_DIRECTORY: Final = 512
TEXTS_AT: Final = 832
RECORDS_AT: Final = 1024

TIFF_HEAD: Final = b"II" + struct.pack("<HHH", 43, 8, 0)
PROLOGUE_MAGIC: Final = b"\x89ESPSEG\n"
# Magic, version, slots, number of the segment, nothing, made at (Unix ns), the run's UUID; then a CRC-32.
PROLOGUE: Final = struct.Struct("<8sIIIIq16s")
VERSION: Final = 1

MAGIC: Final = b"\x89ESPREC\n"
_HEADER: Final = struct.Struct("<8sBBHIqqQHHIIBBBBI")
_CRC: Final = struct.Struct("<I")
_LENGTH_AND_CRC: Final = struct.Struct("<12xI44xI")
FRAME_LENGTH: Final = struct.Struct("<12xI48x")
"""Takes the length of the data out of a header."""
WHOLE: Final = 0x2144DF1C
"""CRC-32 of any bytes that end with their own CRC-32, as a whole header does."""
KIND_AT: Final = 8
HEADER_SIZE: Final = _HEADER.size + _CRC.size
NO_TIME: Final = -(1 << 63)
"""In place of the camera's time, where it told none."""
PAGE: Final = 1
"""Flag of a frame that is a page of the TIFF; others are in the log only."""

STATUSES: Final[tuple[FrameStatus, ...]] = ("ok", "truncated", "corrupt", "duplicate")


class Kind(IntEnum):
    """What a record holds."""

    FRAME = 1
    DIRECTORIES = 2
    OME_XML = 3
    TABLE = 4
    INDEX = 5
    TORN = 6


class Shape(NamedTuple):
    """What pages of one segment have in common: size, components, subsampling of the colours."""

    width: int
    height: int
    components: int
    across: int
    down: int


class Header(NamedTuple):
    """The header of a record.

    Attributes
    ----------
    kind : int
    status : int
        Place in `STATUSES`.
    flags : int
    length : int
        Bytes of data behind the header, padding not counted.
    received_ns, device_ns, sequence, lost : int
        Of a frame; `device_ns` is `NO_TIME` where there is none, `lost` the number of frames that are missing
        before this one. Other kinds use them in their own ways.
    crc : int
        CRC-32 of the data.
    shape : Shape
        Of a frame.
    """

    kind: int
    status: int
    flags: int
    length: int
    received_ns: int
    device_ns: int
    sequence: int
    lost: int
    crc: int
    shape: Shape

    def pack(self) -> bytes:
        """Give the 64 bytes."""
        width, height, components, across, down = self.shape
        head = _HEADER.pack(
            MAGIC, self.kind, self.status, self.flags, self.length, self.received_ns, self.device_ns,
            self.sequence, width, height, self.lost, self.crc, components, across, down, 0, 0,
        )  # fmt: skip
        return head + _CRC.pack(crc32(head))


FRAME_MARK: Final = MAGIC + bytes([Kind.FRAME])
"""What the header of a frame begins with."""
NO_SHAPE: Final = Shape(0, 0, 0, 0, 0)

pack_head: Final = _HEADER.pack
"""Packs a header but for its own checksum: what `Header.pack` does, for the one place that is hot."""


def parse_header(data: bytes, at: int = 0) -> Header | None:
    """Read a header; None when these bytes are none, or damaged."""
    head = data[at : at + _HEADER.size]
    end = at + HEADER_SIZE
    if not head.startswith(MAGIC) or len(data) < end:
        return None
    if _CRC.unpack_from(data, at + _HEADER.size)[0] != crc32(head):
        return None
    (_, kind, status, flags, length, received, device, sequence, width, height, lost, crc, *rest) = (
        _HEADER.unpack(head)
    )
    shape = Shape(width, height, rest[0], rest[1], rest[2])
    return Header(kind, status, flags, length, received, device, sequence, lost, crc, shape)


def header_length(head: bytes) -> int:
    """Give the length of the data that 64 bytes of a header tell of; -1 when they are none, or damaged."""
    if head[: len(MAGIC)] != MAGIC or len(head) != HEADER_SIZE:
        return -1
    length, crc = _LENGTH_AND_CRC.unpack(head)
    found: int = length
    return found if crc == crc32(head[: _HEADER.size]) else -1


def padded(length: int) -> int:
    """Give the length with what is added to reach a multiple of 8."""
    return (length + 7) & ~7


def index_size(slots: int) -> int:
    """Give the bytes of a Zarr shard index of so many slots."""
    return 16 * slots + 4


def pack_prologue(number: int, made_ns: int, run_id: bytes) -> bytes:
    """Give what stands at `PROLOGUE_AT`."""
    head = PROLOGUE.pack(PROLOGUE_MAGIC, VERSION, SLOTS, number, 0, made_ns, run_id)
    return head + _CRC.pack(crc32(head))


def parse_prologue(data: bytes) -> tuple[int, int] | None:
    """Give slots and number of a segment from its fixed part; None when it is no segment of ours."""
    head = data[PROLOGUE_AT : PROLOGUE_AT + PROLOGUE.size]
    if len(data) < RECORDS_AT or not head.startswith(PROLOGUE_MAGIC):
        return None
    if _CRC.unpack_from(data, PROLOGUE_AT + PROLOGUE.size)[0] != crc32(head):
        return None
    _, version, slots, number, *_ = PROLOGUE.unpack(head)
    return (slots, number) if version == VERSION and 0 < slots <= MOST_SLOTS else None
