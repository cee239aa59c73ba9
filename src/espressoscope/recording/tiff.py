"""Page directories of a BigTIFF: one strip a page, which is the whole JPEG. No IO.

Tags must match the JPEG's own frame header: with wrong ones Pillow and OpenCV fail. There are no private
tags, because libtiff warns of them on every page. A directory has an even number of entries, so that the link
to the next one, its last 8 bytes, lies at a multiple of 8 and is written in one piece.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from espressoscope.recording.layout import FIRST_DIRECTORY, TEXTS_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from espressoscope.recording.layout import Shape

__all__ = [
    "DIRECTORY_SIZE",
    "FIRST_DESCRIPTION_AT",
    "FIRST_NEXT_AT",
    "DirectoryMaker",
    "description_value",
    "first_texts",
    "place_of",
]

_SHORT, _LONG, _ASCII, _LONG8 = 3, 4, 2, 16
_ENTRY: Final = struct.Struct("<HHQ8s")
_PAIR: Final = struct.Struct("<QQ")
_LINK: Final = struct.Struct("<Q")
_ENTRIES = 12
DIRECTORY_SIZE: Final = 8 + 20 * _ENTRIES + 8
"""Bytes of each directory but the first."""
_FIRST_ENTRIES = 14
FIRST_NEXT_AT: Final = FIRST_DIRECTORY + 8 + 20 * _FIRST_ENTRIES
"""Where the first directory says at which offset the second is."""
_DESCRIPTION_PLACE = 6  # of its entry among those of the first directory
FIRST_DESCRIPTION_AT: Final = FIRST_DIRECTORY + 8 + 20 * _DESCRIPTION_PLACE + 4
"""Where the first directory has length and offset of its ImageDescription."""

_UNFINISHED = b"Espressoscope recording, not closed yet\0"
_SOFTWARE_AT = TEXTS_AT + 64
_MOST_SOFTWARE = 60


def _shorts(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values).ljust(8, b"\0")


def _long(value: int) -> bytes:
    return struct.pack("<Q", value)


def first_texts(software: str) -> bytes:
    """Give what stands at `TEXTS_AT`: the texts that the first directory points to."""
    name = software.encode("ascii", "replace")[:_MOST_SOFTWARE] + b"\0"
    return _UNFINISHED.ljust(64, b"\0") + name.ljust(64, b"\0")


def description_value(length: int, offset: int) -> bytes:
    """Give what makes the first directory point to another ImageDescription."""
    return _PAIR.pack(length, offset)


def place_of(first: bytes) -> bytes:
    """Give all entries of the first directory but its texts, which stand elsewhere in the end."""
    entries = [first[8 + 20 * place : 28 + 20 * place] for place in range(_FIRST_ENTRIES)]
    return b"".join(entry for entry in entries if struct.unpack_from("<H", entry)[0] not in (270, 305))


class DirectoryMaker:
    """Makes the page directories of one segment.

    Parameters
    ----------
    shape : Shape
        Of all its pages.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        entries = self._entries()
        template = struct.pack("<Q", len(entries)) + b"".join(entries)
        tags = [struct.unpack_from("<H", entry)[0] for entry in entries]
        offset_at = 8 + 20 * tags.index(273) + 12
        length_at = 8 + 20 * tags.index(279) + 12
        # What differs from page to page is offset, length and link.
        self._pieces = (template[:offset_at], template[offset_at + 8 : length_at], template[length_at + 8 :])
        sizes = tuple(map(len, self._pieces))
        self._directory = struct.Struct(f"<{sizes[0]}sQ{sizes[1]}sQ{sizes[2]}sQ")

    def _entries(self) -> list[bytes]:
        shape = self._shape
        colour = shape.components == 3
        bits = _shorts(*([8] * shape.components))
        found = [
            _ENTRY.pack(254, _LONG, 1, _long(0)),  # NewSubfileType
            _ENTRY.pack(256, _LONG, 1, _long(shape.width)),
            _ENTRY.pack(257, _LONG, 1, _long(shape.height)),
            _ENTRY.pack(258, _SHORT, shape.components, bits),  # BitsPerSample
            _ENTRY.pack(259, _SHORT, 1, _shorts(7)),  # Compression: JPEG
            _ENTRY.pack(
                262, _SHORT, 1, _shorts(6 if colour else 1)
            ),  # PhotometricInterpretation: YCbCr, gray
            _ENTRY.pack(273, _LONG8, 1, bytes(8)),  # StripOffsets
            _ENTRY.pack(277, _SHORT, 1, _shorts(shape.components)),  # SamplesPerPixel
            _ENTRY.pack(278, _LONG, 1, _long(shape.height)),  # RowsPerStrip
            _ENTRY.pack(279, _LONG8, 1, bytes(8)),  # StripByteCounts
            _ENTRY.pack(284, _SHORT, 1, _shorts(1)),  # PlanarConfiguration: samples side by side
        ]
        if colour:
            found.append(_ENTRY.pack(530, _SHORT, 2, _shorts(shape.across, shape.down)))  # YCbCrSubSampling
        else:
            found.append(_ENTRY.pack(339, _SHORT, 1, _shorts(1)))  # SampleFormat: unsigned
        return found

    def first(self, offset: int, length: int, software: str) -> bytes:
        """Give the directory of the first page, which stands in the fixed part."""
        entries = self._entries()
        # In the order of the tags: 270 ImageDescription and 305 Software.
        entries.insert(_DESCRIPTION_PLACE, _ENTRY.pack(270, _ASCII, len(_UNFINISHED), _long(TEXTS_AT)))
        name_length = min(len(software), _MOST_SOFTWARE) + 1
        entries.insert(-1, _ENTRY.pack(305, _ASCII, max(name_length, 9), _long(_SOFTWARE_AT)))
        page = bytearray(struct.pack("<Q", len(entries)) + b"".join(entries) + bytes(8))
        tags = [struct.unpack_from("<H", entry)[0] for entry in entries]
        _LINK.pack_into(page, 8 + 20 * tags.index(273) + 12, offset)
        _LINK.pack_into(page, 8 + 20 * tags.index(279) + 12, length)
        return bytes(page)

    def block(self, pages: Sequence[tuple[int, int]], at: int) -> bytes:
        """Give the directories of several pages, linked among themselves; the last link is 0.

        Parameters
        ----------
        pages : sequence of (int, int)
            Offset and length of each JPEG.
        at : int
            Where the block will stand.
        """
        pack = self._directory.pack
        before, between, behind = self._pieces
        found = []
        for offset, length in pages:
            at += DIRECTORY_SIZE
            found.append(pack(before, offset, between, length, behind, at))
        found[-1] = found[-1][:-8] + bytes(8)
        return b"".join(found)
