"""JPEG bytes to arrays: whole or partial, at full size or a fraction, into new memory or the caller's.

The only place that calls simplejpeg (libjpeg-turbo). Starts nothing, and keeps nothing but the few headers it
has walked last: a stream repeats its own, byte for byte. Threads may decode side by side, for libjpeg runs
without the GIL. Where a picture ends, and what its header says beyond its size, is `wire`'s business.
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

__all__ = ["MAX_PIXELS", "MAX_SCANS", "decode", "decode_again"]

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

MAX_HEADERS: Final = 64
"""Most headers remembered; all are forgotten when another one comes."""

MAX_HEADER_BYTES: Final = 2048
"""Longest header remembered: these cameras' have 623 bytes."""

# Header up to its only scan -> height and width. Walking it costs 3 us alone, and 20 us right after libjpeg
# has had the caches to itself. Shared by all threads: each access is a single step of the interpreter.
_headers: dict[bytes, tuple[int, int]] = {}

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
    frame = frame_or_bytes if isinstance(frame_or_bytes, Frame) else None
    raw = frame_or_bytes.jpeg if isinstance(frame_or_bytes, Frame) else frame_or_bytes
    # simplejpeg would read a strided view as if it were not, and one that changes meanwhile.
    data = raw if isinstance(raw, bytes) else bytes(memoryview(raw))
    return _decode(frame, data, scale, gray, order, partial, out, strict_out=True)


def decode_again(
    frame: Frame,
    image: NDArray[np.uint8] | None,
    scale: Scale,
    gray: bool,
    order: Order,
    partial: bool,
) -> NDArray[np.uint8]:
    """Decode into `image`, made by an earlier call, where it has the right shape, else into a new array.

    Everything else is as with `decode`.
    """
    return _decode(frame, frame.jpeg, scale, gray, order, partial, image, strict_out=False)


def _decode(
    frame: Frame | None,
    data: bytes,
    scale: Scale,
    gray: bool,
    order: Order,
    partial: bool,
    out: NDArray[np.uint8] | None,
    *,
    strict_out: bool,
) -> NDArray[np.uint8]:
    if scale not in (1, 2, 4, 8):
        raise ValueError(f"scale must be 1, 2, 4 or 8, not {scale!r}")
    if order not in ("RGB", "BGR"):
        raise ValueError(f"order must be 'RGB' or 'BGR', not {order!r}")
    if not data.startswith(_SOI):
        # Cameras with a loose cable put junk in front of the picture; `Frame.jpeg` keeps it.
        data = data[max(0, data.find(_SOI)) :]
    try:
        full_height, full_width = _size(data)
    except ValueError as problem:
        raise _error(frame, data, 0, 0, str(problem), _SKIP) from None
    height, width = -(-full_height // scale), -(-full_width // scale)
    shape = (height, width) if gray else (height, width, 3)
    if out is not None and strict_out:
        image = _fitting(out, shape)
    elif out is not None and out.shape == shape:
        image = out
    else:
        image = np.empty(shape, np.uint8)
    try:
        # Of libjpeg's scales (n/8) simplejpeg takes the smallest that gives at least this size: exactly it.
        decoded = simplejpeg.decode_jpeg(
            data,
            "GRAY" if gray else order,
            min_height=height,
            min_width=width,
            buffer=image,
            # Any warning of libjpeg means that pixels are made up: a whole picture has none.
            strict=not partial,
        )
    except (ValueError, KeyError, RuntimeError) as problem:
        hint = _SKIP if partial else _SKIP_OR_PART
        raise _error(frame, data, full_width, full_height, _in_words(problem), hint) from problem
    if decoded.shape[:2] != (height, width):
        raise _error(frame, data, full_width, full_height, "its header contradicts itself", _SKIP)
    return image


def _fitting(out: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Give the caller's array back, or say why it is not the one to decode into."""
    if not isinstance(out, np.ndarray):
        raise ValueError(f"out must be a numpy array of shape {shape}, not {type(out).__name__}")
    if out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f"out must be uint8 of shape {shape}; it is {out.dtype} of shape {out.shape}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(f"out must be a C-contiguous, writable array of shape {shape}")
    return out


def _size(data: bytes) -> tuple[int, int]:
    """Give height and width, or ValueError with the reason why there is nothing to decode."""
    header = data[: data.find(b"\xff\xda", 2, MAX_HEADER_BYTES - _SCAN_HEAD) + _SCAN_HEAD]
    size = _headers.get(header)
    if size is None:
        size, scan_at = _walk(data)
        if scan_at + _SCAN_HEAD == len(header):
            if len(_headers) >= MAX_HEADERS:
                _headers.clear()
            _headers[header] = size
    height, width = size
    if height * width > MAX_PIXELS:
        raise ValueError(f"its header promises {width}x{height} pixels, more than {MAX_PIXELS}")
    return size


def _walk(data: bytes) -> tuple[tuple[int, int], int]:
    """Walk the header as far as the first scan.

    simplejpeg has a call for this; of whatever is wrong it says "Could not determine subsampling level", and
    it does not tell how many scans are to come.

    Returns
    -------
    (int, int)
        Height and width.
    int
        Where the picture's only scan begins: nothing behind the `_SCAN_HEAD` bytes there was looked at. 0
        when there may be several scans.

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
            at += 2 + (data[at + 2] << 8 | data[at + 3])
        elif marker == _START_OF_SCAN:
            if not (height and width):
                raise ValueError("its header gives no size")
            if one_scan and data[at + 4] == components:
                return (height, width), at
            if data.count(b"\xff\xda") > MAX_SCANS:
                raise ValueError(f"it comes in more than {MAX_SCANS} scans")
            return (height, width), 0
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


def _error(frame: Frame | None, data: bytes, width: int, height: int, reason: str, hint: str) -> DecodeError:
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
