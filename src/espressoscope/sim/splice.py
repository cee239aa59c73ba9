"""Numbering a JPEG that is already encoded: the picture above the strip is kept, the strip is coded anew.

The entropy-coded data of a baseline JPEG is one run of bits without any mark inside, row of blocks after
row of blocks, each block's mean coded as the difference from the one before. So where the strip begins at a
row of blocks, what stands above it can be kept as bits and the strip's few bits appended, without encoding
the picture again. The result is an ordinary JPEG: no restart markers, nothing the real device would not send.

Strip squares are black or white and the same in every row, so a block of the strip is one of 256 patterns.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from espressoscope.sim.encode import EOI, ZIGZAG, encode_scan, header, quantisation
from espressoscope.sim.huffman import (
    AC_CHROMA,
    AC_LUMA,
    DC_CHROMA,
    DC_LUMA,
    BitReader,
    Bits,
    ac_bits,
    dc_bits,
)
from espressoscope.sim.strip import strip_bits, strip_edges, strip_height

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL.Image import Image

__all__ = ["Top", "can_splice", "cut_top", "number"]

_MCU_WIDTH = 16  # 4:2:2
_BLOCK = 8


class Top(NamedTuple):
    """The coded picture above the strip.

    Attributes
    ----------
    data : bytes
        Header, and the scan up to the last whole byte.
    tail : tuple of int
        Bits after that: value and number, 1 to 8.
    means : tuple of int
        Quantised means of the last luma, Cb and Cr block: what the next ones are coded against.
    width, height, quality : int
        Of the whole picture.
    """

    data: bytes
    tail: Bits
    means: tuple[int, int, int]
    width: int
    height: int
    quality: int


def can_splice(width: int, height: int) -> bool:
    """Tell whether a picture of this size has its strip on whole blocks."""
    tall = strip_height(height)
    return width % _MCU_WIDTH == 0 and tall % _BLOCK == 0 and height % _BLOCK == 0


def cut_top(image: Image, quality: int) -> Top:
    """Encode a picture as far as its strip.

    Parameters
    ----------
    image : PIL.Image.Image
        The whole picture, of a size that `can_splice`.
    quality : int
        The camera's `quality` setting.
    """
    width, height = image.size
    edge = height - strip_height(height)
    corner = (width - _MCU_WIDTH, edge - _BLOCK, width, edge)
    scan = encode_scan(image.crop((0, 0, width, edge)), quality)
    # The encoder filled its last byte up with ones. How many of the ones at the end are data is known from
    # the last unit encoded alone: its last block has the same code there.
    alone = encode_scan(image.crop(corner), quality)
    reader = BitReader(alone)
    luma = [reader.block(DC_LUMA, AC_LUMA)[0] for _ in range(2)]
    chroma = [reader.block(DC_CHROMA, AC_CHROMA)[0] for _ in range(2)]
    filled = _ones_at_end(scan) - (_ones_at_end(alone) - reader.left)
    last = 0xFF if scan.endswith(b"\xff\x00") else scan[-1]
    data = scan[: -2 if last == 0xFF else -1]
    return Top(
        header(width, height, quality) + data,
        (last >> filled, 8 - filled),
        (sum(luma), chroma[0], chroma[1]),
        width,
        height,
        quality,
    )


def _ones_at_end(scan: bytes) -> int:
    """Count the one bits that entropy-coded data ends with; a whole block is never ones only."""
    bits = int.from_bytes(scan[-300:].replace(b"\xff\x00", b"\xff"), "big")
    return (~bits & bits + 1).bit_length() - 1


def number(top: Top, camera: int, frame: int) -> bytes:
    """Give the whole JPEG with its strip."""
    blocks = _strip_blocks(top.width, camera, frame)
    quality = top.quality
    # Quarters, one a byte of the strip or nearly so: each is found again in the cache sooner or later.
    cut = max(2, len(blocks) // 8 * 2)
    rest = _join(
        _run(blocks[at - 1], blocks[at : at + cut], quality)
        for at in range(2, len(blocks), cut)
    )  # fmt: skip
    # Every further row of blocks begins against the end of the one before.
    row = _join((_unit(_means(quality)[blocks[-1]], 0, 0, blocks[0], blocks[1], quality), rest))
    rows = strip_height(top.height) // _BLOCK
    value, length = _join(
        (top.tail, _unit(*top.means, blocks[0], blocks[1], quality), rest, *[row] * (rows - 1))
    )
    fill = -length % 8
    scan = (value << fill | (1 << fill) - 1).to_bytes((length + fill) // 8, "big")
    return b"".join((top.data, scan.replace(b"\xff", b"\xff\x00"), EOI))


def _join(pieces: Iterable[Bits]) -> Bits:
    value, length = 0, 0
    for bits, count in pieces:
        value, length = value << count | bits, length + count
    return value, length


@lru_cache(maxsize=64)
def _masks(width: int) -> tuple[tuple[int, ...], ...]:
    """Give the pixels of a row that each value of each of the strip's four bytes makes white.

    As bits, the first pixel in the highest.
    """
    edges = strip_edges(width)
    squares = [((1 << (right - left)) - 1) << (width - right) for left, right in pairwise(edges)]
    return tuple(
        tuple(
            sum(squares[8 * byte + bit] for bit in range(8) if value >> (7 - bit) & 1) for value in range(256)
        )
        for byte in range(4)
    )


def _strip_blocks(width: int, camera: int, frame: int) -> bytes:
    """Give a row of the strip as one byte per block, a bit per pixel."""
    first, second, third, fourth = _masks(width)
    bits = strip_bits(camera, frame)
    row = first[bits >> 24] | second[bits >> 16 & 0xFF] | third[bits >> 8 & 0xFF] | fourth[bits & 0xFF]
    return row.to_bytes(width // 8, "big")


@lru_cache(maxsize=64)
def _tables(quality: int) -> tuple[list[int], list[Bits]]:
    """Give mean and coded rest of the 256 possible strip blocks."""
    table = np.array(quantisation(quality)[0]).reshape(8, 8)
    pixel = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) * 255.0 - 128.0
    position = np.arange(8)
    cosines = np.cos((2 * position[:, None] + 1) * position * np.pi / 16) / 2
    cosines[:, 0] /= np.sqrt(2)
    # Every row alike: nothing varies downwards, and the vertical mean scales by the root of 8.
    across = np.rint(pixel @ cosines * np.sqrt(8) / table[0]).astype(int)
    order = [ZIGZAG.index(at) for at in range(8)]
    means, rests = [], []
    for row in across.tolist():
        coefficients = [0] * 64
        for at, value in zip(order, row, strict=True):
            coefficients[at] = value
        means.append(row[0])
        rests.append(ac_bits(coefficients[1:], AC_LUMA))
    return means, rests


def _means(quality: int) -> list[int]:
    return _tables(quality)[0]


@lru_cache(maxsize=4096)
def _run(before: int, blocks: bytes, quality: int) -> Bits:
    """Code a run of units that follows the strip block `before`."""
    means = _means(quality)
    chain = (before, *blocks[1::2])
    return _join(
        _unit(means[last], 0, 0, first, second, quality)
        for last, first, second in zip(chain, blocks[::2], blocks[1::2], strict=False)
    )


@lru_cache(maxsize=8192)
def _unit(luma: int, cb: int, cr: int, first: int, second: int, quality: int) -> Bits:
    """Code one unit of 16 x 8 pixels, two luma blocks and gray for both colours, after these means."""
    means, rests = _tables(quality)
    return _join(
        (
            *(dc_bits(means[first] - luma, DC_LUMA), rests[first]),
            *(dc_bits(means[second] - means[first], DC_LUMA), rests[second]),
            *(dc_bits(-cb, DC_CHROMA), AC_CHROMA.codes[0], dc_bits(-cr, DC_CHROMA), AC_CHROMA.codes[0]),
        )
    )
