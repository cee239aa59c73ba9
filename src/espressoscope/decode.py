"""JPEG bytes to arrays: whole or partial, at full size or a fraction, into new memory or the caller's.

The only place that calls simplejpeg (libjpeg-turbo). Keeps nothing, starts nothing: threads may decode side
by side, for libjpeg runs without the GIL. Where a picture ends, and what its header says beyond its size, is
`wire`'s business.
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

__all__ = ["MAX_PIXELS", "MAX_SCANS", "decode"]

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
    if not data.startswith(_SOI):
        # Cameras with a loose cable put junk in front of the picture; `Frame.jpeg` keeps it.
        data = data[max(0, data.find(_SOI)) :]
    try:
        full_height, full_width = _size(data)
    except ValueError as problem:
        raise _error(frame, data, 0, 0, str(problem), _SKIP) from None
    height, width = -(-full_height // scale), -(-full_width // scale)
    image = _destination(out, (height, width) if gray else (height, width, 3))
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


def _destination(out: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray):
        raise ValueError(f"out must be a numpy array of shape {shape}, not {type(out).__name__}")
    if out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f"out must be uint8 of shape {shape}; it is {out.dtype} of shape {out.shape}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(f"out must be a C-contiguous, writable array of shape {shape}")
    return out


def _size(data: bytes) -> tuple[int, int]:
    """Walk the header as far as the first scan; height and width, or ValueError with the reason.

    simplejpeg has a call for this; of whatever is wrong it says "Could not determine subsampling level", and
    it does not tell how many scans are to come.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("it does not begin like a JPEG" if data else "it is empty")
    height = width = components = 0
    one_scan = False
    at, last = 2, len(data) - 10
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
            if not (one_scan and data[at + 4] == components) and data.count(b"\xff\xda") > MAX_SCANS:
                raise ValueError(f"it comes in more than {MAX_SCANS} scans")
            return height, width
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
