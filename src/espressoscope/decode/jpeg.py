"""JPEG bytes to arrays: whole or partial, at full size or a fraction, into new memory or the caller's.

The only place that calls simplejpeg (libjpeg-turbo). Starts nothing, and keeps nothing but the header it has
walked last: a stream repeats its own, byte for byte. Threads may decode side by side, for libjpeg runs
without the GIL. Where a picture ends, and what its header says beyond its size, is `wire`'s business.

Each step of Python here costs several times its usual price, for libjpeg has just had the caches to itself.
So what is known from the last picture is not worked out again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import simplejpeg

from espressoscope.errors import DecodeError
from espressoscope.model import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from espressoscope.model import Order, Scale

__all__ = ["MAX_PIXELS", "MAX_SCANS", "Decoder", "decode"]

MAX_PIXELS: Final = 64_000_000
"""Largest picture decoded, at any scale: twelve times what the largest of these sensors delivers. A header
may promise 4 gigapixels in 600 bytes, and would be given the memory for it."""

MAX_SCANS: Final = 64
"""Most scans of a progressive picture; ordinary ones have ten, and a hostile one a million of a few bytes
each, every one of them a pass over the whole picture. These cameras send a single scan."""

# Markers of ITU-T T.81, table B.1. Starts of frames carry the size; among them lie DHT, JPG and DAC.
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
_FILL: Final = 0xFF
# Nothing but a length and what it counts: tables, restart interval, application data, comments.
_PLAIN: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE})
# Not even a length: TEM, RST0 to RST7.
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# Far more than any header has; ends the walk through one made of nothing but fill bytes.
_MAX_SEGMENTS: Final = 1000
# What is read of the segment that starts a scan: marker, length, number of components, and a few more that
# every scan has.
_SCAN_HEAD: Final = 10

MAX_HEADER_BYTES: Final = 2048
"""Longest header remembered: these cameras' have 623 bytes."""

# A header as far as the start of its only scan; height; width.
_Known = tuple[bytes, int, int]
_UNKNOWN: Final[_Known] = (b"no picture begins like this", 0, 0)
# Shared by all threads, and replaced in a single step.
_last: _Known = _UNKNOWN

_SKIP_OR_PART = (
    "Skip it, or take what there is with partial=True; "
    "if it happens often, try a smaller framesize or a larger quality number"
)
_SKIP = "Skip it: not even a part of it can be shown"

_SOI = b"\xff\xd8\xff"


def decode(
    frame_or_bytes: Frame | bytes | bytearray | memoryview,
    *,
    scale: Scale = 1,
    gray: bool = False,
    order: Order = "RGB",
    out: NDArray[np.uint8] | None = None,
    partial: bool = False,
) -> NDArray[np.uint8]:
    """Decode one JPEG; `Frame.image` is this.

    Bytes before the first start-of-image marker and behind the first end-of-image marker are not looked
    at. A picture without Huffman tables, as Motion-JPEG allows, is decoded with the standard ones. CMYK
    pictures come out as RGB or gray.

    Parameters
    ----------
    frame_or_bytes : Frame, bytes, bytearray or memoryview
        The picture; a frame's errors name its camera and number.
    scale : {1, 2, 4, 8}
        Size divisor, done inside the JPEG decoder: the result is ``ceil((H, W) / scale)``.
    gray : bool
        Brightness only, (H, W) uint8.
    order : {"RGB", "BGR"}
        Channel order of a colour result.
    out : (H, W, 3) or (H, W) uint8 array, optional
        Decode into this array, which must be C-contiguous and of exactly the result's shape. After a
        `DecodeError` its content is undefined.
    partial : bool
        Give what can be decoded of a damaged picture, the rest gray, instead of raising.

    Returns
    -------
    (H, W, 3) uint8, or (H, W) uint8 with `gray`
        `out` itself where it was given.

    Raises
    ------
    DecodeError
        The bytes are no whole JPEG, and `partial` is false; or there is no header to decode any part with; or
        the picture is larger than `MAX_PIXELS` or in more than `MAX_SCANS` scans.
    ValueError
        `scale`, `order` or `out` do not fit.
    """
    if scale not in (1, 2, 4, 8):
        raise ValueError(f"scale must be 1, 2, 4 or 8, not {scale!r}")
    if order not in ("RGB", "BGR"):
        raise ValueError(f"order must be 'RGB' or 'BGR', not {order!r}")
    frame = frame_or_bytes if isinstance(frame_or_bytes, Frame) else None
    raw = frame_or_bytes.jpeg if isinstance(frame_or_bytes, Frame) else frame_or_bytes
    # simplejpeg would read a strided view as if it were not, and one that changes meanwhile.
    data = raw if isinstance(raw, bytes) else bytes(memoryview(raw))
    global _last
    known = _last
    new = not data.startswith(known[0])
    if new:
        data = _from_start(data)
        known = _known(data, frame)
    _, full_height, full_width = known
    height, width = -(-full_height // scale), -(-full_width // scale)
    shape = (height, width) if gray else (height, width, 3)
    image = np.empty(shape, np.uint8) if out is None else _fitting(out, shape)
    _fill(image, data, "GRAY" if gray else order, height, width, partial, frame, new)
    if new and known[0] is not _UNKNOWN[0]:
        _last = known
    return image


class Decoder:
    """Decodes the pictures of one camera, one after the other, into an array of its own.

    The array is a new one when size, scale or colour have changed. One thread at a time.

    Parameters
    ----------
    order : {"RGB", "BGR"}
        Channel order of colour pictures.
    partial : bool
        Give what can be decoded of damaged pictures.
    """

    def __init__(self, order: Order = "RGB", partial: bool = False) -> None:
        self._order = order
        self._partial = partial
        self._image: NDArray[np.uint8] = np.empty(0, np.uint8)
        # What the last picture was like, and what that means for libjpeg.
        self._header = _UNKNOWN[0]
        self._scale: Scale = 1
        self._gray = False
        self._space: str = order
        self._height = self._width = 0

    def decode(self, frame: Frame, scale: Scale, gray: bool) -> NDArray[np.uint8]:
        """Decode one picture as `decode` does; the array is valid until the next call."""
        data = frame.jpeg
        if data.startswith(self._header) and scale == self._scale and gray is self._gray:
            image = self._image
            _fill(image, data, self._space, self._height, self._width, self._partial, frame, False)
            return image
        data = _from_start(data)
        header, height, width = _known(data, frame)
        height, width = -(-height // scale), -(-width // scale)
        shape: tuple[int, ...] = (height, width) if gray else (height, width, 3)
        if self._image.shape != shape:
            self._image = np.empty(shape, np.uint8)
        self._header = _UNKNOWN[0]
        self._space = "GRAY" if gray else self._order
        _fill(self._image, data, self._space, height, width, self._partial, frame, True)
        self._header, self._height, self._width = header, height, width
        self._scale, self._gray = scale, gray
        return self._image


def _fill(
    image: NDArray[np.uint8],
    data: bytes,
    space: str,
    height: int,
    width: int,
    partial: bool,
    frame: Frame | None,
    new: bool,
) -> None:
    """Have libjpeg decode into an array of exactly the size that its scale gives.

    With `new` that size is checked: a header that has given it before does so again.
    """
    try:
        # Of libjpeg's scales (n/8) simplejpeg takes the smallest that gives at least this size: exactly it.
        decoded = simplejpeg.decode_jpeg(
            data,
            space,
            min_height=height,
            min_width=width,
            buffer=image,
            # Any warning of libjpeg means that pixels are made up: a whole picture has none.
            strict=not partial,
        )
    except (ValueError, KeyError, RuntimeError) as problem:
        hint = _SKIP if partial else _SKIP_OR_PART
        raise _error(frame, data, _walk(data), _in_words(problem), hint) from problem
    if new and decoded.shape[:2] != (height, width):
        raise _error(frame, data, _walk(data), "its header contradicts itself", _SKIP)


def _from_start(data: bytes) -> bytes:
    """Leave out what stands before the picture: cameras with a loose cable put junk there."""
    return data if data.startswith(_SOI) else data[max(0, data.find(_SOI)) :]


def _fitting(out: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Give the caller's array back, or say why it is not the one to decode into."""
    if not isinstance(out, np.ndarray):
        raise ValueError(f"out must be a numpy array of shape {shape}, not {type(out).__name__}")
    if out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f"out must be uint8 of shape {shape}; it is {out.dtype} of shape {out.shape}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(f"out must be a C-contiguous, writable array of shape {shape}")
    return out


def _known(data: bytes, frame: Frame | None) -> _Known:
    """Give what the header tells; DecodeError when it is of no use."""
    try:
        return _walk(data)
    except ValueError as problem:
        raise _error(frame, data, _UNKNOWN, str(problem), _SKIP) from None


def _walk(data: bytes) -> _Known:
    """Walk the header as far as the first scan.

    simplejpeg has a call for this; of whatever is wrong it says "Could not determine subsampling level", and
    it does not tell how many scans are to come.

    Returns
    -------
    bytes
        All that was looked at: whatever begins like this has the same size. `_UNKNOWN`'s where that does not
        hold, or is too long to be kept.
    int, int
        Height and width.

    Raises
    ------
    ValueError
        With the reason why there is nothing to decode.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("it does not begin like a JPEG" if data else "it is empty")
    height = width = components = 0
    one_scan = False
    at, last = 2, len(data) - _SCAN_HEAD
    for _ in range(_MAX_SEGMENTS):
        if at > last:
            raise ValueError("it ends within its header")
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker in _PLAIN:
            at += 2 + (data[at + 2] << 8 | data[at + 3])
        elif marker in _START_OF_FRAME:
            height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
            components = data[at + 9]
            one_scan = marker in (0xC0, 0xC1)
            if height * width > MAX_PIXELS:
                raise ValueError(f"its header promises {width}x{height} pixels, more than {MAX_PIXELS}")
            at += 2 + (data[at + 2] << 8 | data[at + 3])
        elif marker == _START_OF_SCAN:
            if not (height and width):
                raise ValueError("its header gives no size")
            end = at + _SCAN_HEAD
            if one_scan and data[at + 4] == components:
                return (data[:end] if end <= MAX_HEADER_BYTES else _UNKNOWN[0]), height, width
            if data.count(b"\xff\xda") > MAX_SCANS:
                raise ValueError(f"it comes in more than {MAX_SCANS} scans")
            return _UNKNOWN[0], height, width
        elif marker == _FILL:
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            break
    raise ValueError("its header is corrupt")


def _in_words(problem: Exception) -> str:
    text = str(problem)
    if text.startswith("Premature end"):
        return "it is cut off before its end"
    if text.startswith("Corrupt JPEG data"):
        return f"its picture data are corrupt (libjpeg: {text})"
    return f"libjpeg says: {text}"


def _error(frame: Frame | None, data: bytes, known: _Known, reason: str, hint: str) -> DecodeError:
    _, height, width = known
    what = "this JPEG" if frame is None else f"frame {frame.sequence}"
    size = f"{width}x{height}, " if width and height else ""
    return DecodeError(
        f"{what} ({size}{len(data)} bytes) cannot be decoded: {reason}",
        sequence=None if frame is None else frame.sequence,
        nbytes=len(data),
        width=width,
        height=height,
        camera=(frame.camera or None) if frame is not None else None,
        hint=hint,
    )
