"""The numbering strip at a simulated picture's foot: which camera, which frame, proven by a checksum.

Height H/15, 32 squares each W/32 wide, white = 1, black = 0, from the left: 8 bits camera, 16 bits frame,
8 bits CRC-8, each most significant bit first. The checksum is CRC-8 with polynomial 0x07 (x^8 + x^2 + x +
1), initial value 0, no reflection, no final XOR, over the three bytes camera, frame high, frame low.
Boundaries fall on the nearest whole pixel. The strip is drawn last, after mirroring and effects, so it
can always be read.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StripReading", "crc8", "draw_strip", "read_strip", "strip_bits", "strip_edges", "strip_height"]

SQUARES = 32
_DARK, _BRIGHT = 112, 144


class StripReading(NamedTuple):
    """What a strip says.

    Attributes
    ----------
    camera : int
        0 to 255.
    frame : int
        0 to 65535; counts on from 0 after that.
    """

    camera: int
    frame: int


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1) ^ (0x107 if byte & 0x80 else 0)
    return byte


_CRC = tuple(_crc_of_byte(byte) for byte in range(256))


def crc8(data: bytes) -> int:
    """Give the CRC-8 of some bytes: polynomial 0x07, initial value 0."""
    crc = 0
    for byte in data:
        crc = _CRC[crc ^ byte]
    return crc


def strip_bits(camera: int, frame: int) -> int:
    """Give the strip's 32 bits, the leftmost square in the most significant bit."""
    payload = bytes((camera & 0xFF, frame >> 8 & 0xFF, frame & 0xFF))
    return int.from_bytes(payload, "big") << 8 | crc8(payload)


def strip_height(height: int) -> int:
    """Rows the strip takes at the foot of a picture of this height."""
    return round(height / 15)


@lru_cache(maxsize=64)
def strip_edges(width: int) -> tuple[int, ...]:
    """Columns at which squares begin, and the width at the end: 33 numbers."""
    return tuple(round(index * width / SQUARES) for index in range(SQUARES + 1))


@lru_cache(maxsize=64)
def _square_of_column(width: int) -> NDArray[np.intp]:
    return np.repeat(np.arange(SQUARES), np.diff(strip_edges(width)))


def strip_row(width: int, camera: int, frame: int) -> NDArray[np.uint8]:
    """Give one row of the strip, (W,) uint8, 0 or 255."""
    bits = strip_bits(camera, frame)
    squares = np.array([255 if bits >> (31 - index) & 1 else 0 for index in range(SQUARES)], np.uint8)
    return squares[_square_of_column(width)]


def draw_strip(image: NDArray[np.uint8], camera: int, frame: int) -> None:
    """Draw the strip into an (H, W, 3) or (H, W) uint8 picture, in place."""
    row = strip_row(image.shape[1], camera, frame)
    image[image.shape[0] - strip_height(image.shape[0]) :] = row if image.ndim == 2 else row[:, None]


def read_strip(image: NDArray[np.uint8]) -> StripReading | None:
    """Read the strip of a decoded picture, also one decoded at 1/2, 1/4 or 1/8 of its size.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8
        Colour order does not matter.

    Returns
    -------
    StripReading or None
        None when there is no strip, or its checksum does not fit: damaged, cut or mirrored pictures. An all
        black foot reads as camera 0, frame 0, whose checksum is 0 as well.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or image.shape[0] < 2 or image.shape[1] < SQUARES:
        return None
    height, width = image.shape[:2]
    # Away from the strip's upper edge and the picture's last row, where ringing and padding blur it.
    rows = height / 15
    band = image[int(height - 0.75 * rows) : max(int(np.ceil(height - 0.25 * rows)), 1)]
    profile = band.mean(axis=tuple(axis for axis in range(band.ndim) if axis != 1))
    # Mean over the middle half of each square, part pixels included: squares may be less than a pixel apart.
    steps = np.concatenate(([0.0], np.cumsum(profile)))
    left = (np.arange(SQUARES) + 0.25) * width / SQUARES
    right = (np.arange(SQUARES) + 0.75) * width / SQUARES
    where = np.arange(width + 1)
    levels = (np.interp(right, where, steps) - np.interp(left, where, steps)) / (right - left)
    # The gray that decoders put where a picture ends early is neither.
    if ((levels > _DARK) & (levels < _BRIGHT)).any():
        return None
    bits = 0
    for level in levels:
        bits = bits << 1 | int(level >= _BRIGHT)
    payload = (bits >> 8).to_bytes(3, "big")
    if crc8(payload) != bits & 0xFF:
        return None
    return StripReading(payload[0], int.from_bytes(payload[1:], "big"))
