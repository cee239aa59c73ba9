"""Reading a JPEG's markers: where it ends, how large it is, with which `quality` it was made.

Nothing is decoded. The camera's own JPEGs have SOI, APP0, two DQT, four DHT, SOF0, SOS (PROTOCOL §7), but a
stream may come from anything: EXIF with thumbnails, progressive scans, restart markers, garbage.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["JpegInfo", "find_end", "find_start", "inspect"]

SOI = b"\xff\xd8"
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DHT, _SOI, _EOI, _SOS, _DQT = 0xC4, 0xD8, 0xD9, 0xDA, 0xDB
_STANDALONE = frozenset([0x01, *range(0xD0, 0xD8)])
# In scan data FF is followed by 00 or is a restart marker; anything else ends the scan, or is damage.
_AFTER_SCAN = re.compile(rb"\xff[\xc4\xd8-\xdf\xe0-\xef\xfe]")
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
# Real pictures have about ten segments before the scan, an EXIF with a colour profile a few hundred.
_MOST_SEGMENTS = 2000
_MOST_STRAYS = 2000


class JpegInfo(NamedTuple):
    """What the markers of a JPEG say; fields that could not be found are 0 or None.

    Attributes
    ----------
    width, height : int
        Pixels.
    components : int
        1 for gray, 3 for colour.
    sampling : tuple of (int, int)
        Horizontal and vertical sampling factor per component: ``((2, 1), (1, 1), (1, 1))`` is 4:2:2.
    quality : int or None
        The `quality` setting of an esp32-camera that makes exactly these quantisation tables. Software
        encoders that scale the same standard tables (libjpeg 75 is 8) give a number too; other tables None.
    progressive : bool
        Not a baseline JPEG.
    start : int or None
        Offset of the start-of-image marker; None: there is none.
    start_of_scan : int or None
        Offset of the first start-of-scan marker.
    end : int or None
        Offset just behind the first end-of-image marker after a scan.
    """

    width: int = 0
    height: int = 0
    components: int = 0
    sampling: tuple[tuple[int, int], ...] = ()
    quality: int | None = None
    progressive: bool = False
    start: int | None = None
    start_of_scan: int | None = None
    end: int | None = None


def find_start(data: bytes | bytearray | memoryview) -> int | None:
    """Offset of the start-of-image marker: 0, or behind junk; None when there is none."""
    raw = data if isinstance(data, (bytes, bytearray)) else bytes(data)
    if raw.startswith(SOI):
        return 0
    found = raw.find(b"\xff\xd8\xff")
    return None if found < 0 else found


def find_end(data: bytes | bytearray | memoryview) -> int | None:
    """Offset just behind the first end-of-image marker that ends a scan; None when it is missing.

    Segments are stepped over by their lengths, so that the end of an EXIF thumbnail is not taken for the
    picture's. Another picture beginning inside the scan means that the end of this one is missing.
    Work is linear in the length of `data`.
    """
    raw = data if isinstance(data, (bytes, bytearray)) else bytes(data)
    start = find_start(raw)
    return None if start is None else Walk(raw, start).end


def inspect(data: bytes | bytearray | memoryview) -> JpegInfo:
    """Read what the markers say; never raises, whatever the bytes."""
    raw = data if isinstance(data, (bytes, bytearray)) else bytes(data)
    start = find_start(raw)
    if start is None:
        return JpegInfo()
    walk = Walk(raw, start)
    return JpegInfo(
        width=walk.width,
        height=walk.height,
        components=len(walk.sampling),
        sampling=walk.sampling,
        quality=quality_of(walk.tables),
        progressive=walk.sof > 0xC1,
        start=start,
        start_of_scan=walk.start_of_scan,
        end=walk.end,
    )


class Walk:
    """One walk over the markers of a JPEG; the work behind `inspect`, `find_end` and `pictures`.

    Parameters
    ----------
    data : bytes or bytearray
    start : int
        Offset of the start-of-image marker.

    Attributes
    ----------
    stopped : int
        Where the walk ended: `end`, or where another picture begins, or where it could not go on.
    header : int
        Offset just behind the frame header (SOF), 0 without one.
    huffman : (int, int)
        Offsets of the Huffman tables before the first scan: beginning of the first, end of the last.
    """

    __slots__ = (
        "data",
        "end",
        "header",
        "height",
        "huffman",
        "sampling",
        "sof",
        "start",
        "start_of_scan",
        "stopped",
        "tables",
        "width",
    )

    def __init__(self, data: bytes | bytearray, start: int = 0, *, to_end: bool = True) -> None:
        self.data = data
        self.start = start
        self.width = self.height = self.sof = self.header = 0
        self.sampling: tuple[tuple[int, int], ...] = ()
        self.tables: dict[int, bytes] = {}
        self.huffman = (0, 0)
        self.start_of_scan: int | None = None
        self.end: int | None = None
        self.stopped = start
        self._walk(to_end)

    def _walk(self, to_end: bool) -> None:
        data = self.data
        size = len(data)
        at = self.start + 2
        for _ in range(_MOST_SEGMENTS):
            if at >= size or data[at] != 0xFF:
                # Decoders skip what stands between segments, so do we.
                match = _MARKER.search(data, at)
                if match is None:
                    break
                at = match.start()
            while at < size and data[at] == 0xFF:  # fill bytes
                at += 1
            if at + 1 > size:
                break
            marker = data[at]
            at += 1
            if marker == _EOI:
                if self.start_of_scan is not None:
                    self.end = at
                break
            if marker == _SOI:
                at -= 2
                break
            if marker in _STANDALONE or marker == 0x00:
                continue
            length = int.from_bytes(data[at : at + 2], "big")
            if length < 2 or at + length > size:
                break
            if marker in _SOF:
                self._frame_header(marker, at, length)
            elif marker == _DQT:
                self._tables(at + 2, at + length)
            elif marker == _DHT and self.start_of_scan is None:
                self.huffman = (self.huffman[0] or at - 2, at + length)
            at += length
            if marker == _SOS:
                if self.start_of_scan is None:
                    self.start_of_scan = at - length - 2
                if not to_end:
                    break
                at = self._scan(at)
                if at >= size:
                    break
        self.stopped = min(at, size)

    def _scan(self, at: int) -> int:
        """Step over scan data; give where the marker behind it begins."""
        data = self.data
        size = len(data)
        for _ in range(_MOST_STRAYS):
            match = _AFTER_SCAN.search(data, at)
            if match is None:
                return size
            at = match.start()
            marker = data[at + 1]
            if marker == _EOI or self._is_segment(marker, at + 2):
                return at
            at += 2
        return size

    def _is_segment(self, marker: int, at: int) -> bool:
        """Whether a marker found in scan data is meant: damaged bytes look like one too."""
        data = self.data
        if marker == _SOI:
            return data[at : at + 1] == b"\xff"
        length = int.from_bytes(data[at : at + 2], "big")
        if marker == _SOS:
            return data[at + 2 : at + 3] == bytes([(length - 6) // 2 & 0xFF]) and length in (8, 10, 12, 14)
        behind = data[at + length : at + length + 2]
        return len(behind) == 2 and behind[0] == 0xFF and behind[1] != 0

    def _frame_header(self, marker: int, at: int, length: int) -> None:
        data = self.data
        if length < 8 or self.header:
            return
        self.height = int.from_bytes(data[at + 3 : at + 5], "big")
        self.width = int.from_bytes(data[at + 5 : at + 7], "big")
        count = min(data[at + 7], (length - 8) // 3)
        factors = [data[at + 9 + 3 * i] for i in range(count)]
        self.sampling = tuple((factor >> 4, factor & 15) for factor in factors)
        self.sof = marker
        self.header = at + length

    def _tables(self, at: int, stop: int) -> None:
        data = self.data
        while at < stop:
            precision, number = data[at] >> 4, data[at] & 15
            size = 128 if precision else 64
            if at + 1 + size > stop:
                return
            if not precision:
                self.tables.setdefault(number, bytes(data[at + 1 : at + 65]))
            at += 1 + size


# ITU-T T.81 Annex K, tables K.1 (luminance) and K.2 (chrominance), row by row.
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, *[99] * 32,
)  # fmt: skip
# Figure A.6: the place, row by row, of each entry as it is stored.
_ZIGZAG = (
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,
    7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31,
    39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
)  # fmt: skip


def scaled_table(base: tuple[int, ...], quality: int) -> bytes:
    """Give a quantisation table as an esp32-camera stores it, in zigzag order (PROTOCOL §7)."""
    return bytes(min(max((2 * base[place] * quality + 16) // 32, 1), 255) for place in _ZIGZAG)


def quality_of(tables: dict[int, bytes]) -> int | None:
    """Give the `quality` setting that makes exactly these tables (by number); None when none does."""
    luminance = tables.get(0)
    if luminance is None:
        return None
    # The first entry is quality itself: 16 * q / 16. Only 0 and 1 share it.
    for quality in (luminance[0],) if luminance[0] > 1 else (1, 0):
        if luminance == scaled_table(_LUMINANCE, quality) and (
            1 not in tables or tables[1] == scaled_table(_CHROMINANCE, quality)
        ):
            return quality
    return None
