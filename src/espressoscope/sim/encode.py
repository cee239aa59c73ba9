"""JPEG as the OV2640's own encoder writes it: same segments, same tables, 4:2:2, no restart markers.

Measured on 106 pictures of real boards: SOI, APP0, DQT 0, DQT 1, four DHT segments, SOF0, SOS, 623 bytes
up to the scan; quantisation is ITU-T T.81 Annex K scaled by the `quality` setting over 16; Huffman tables
are Annex K's. Pillow does the arithmetic, the header is written here, byte by byte.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

from espressoscope.sim.huffman import AC_CHROMA, AC_LUMA, DC_CHROMA, DC_LUMA

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["EOI", "ZIGZAG", "encode", "encode_scan", "header", "quantisation"]

# ITU-T T.81 tables K.1 and K.2, row by row.
_ANNEX_K_LUMA: Final = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_ANNEX_K_CHROMA: Final = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)

ZIGZAG: Final = tuple(
    sorted(
        range(64),
        # Along anti-diagonals, upwards on even ones, downwards on odd ones (T.81 figure A.6).
        key=lambda at: (at // 8 + at % 8, at % 8 if (at // 8 + at % 8) % 2 == 0 else at // 8),
    )
)
"""Position in the block, row by row, of each coefficient in the order it is sent."""

EOI: Final = b"\xff\xd9"
_APP0: Final = bytes.fromhex("ffe000104a46494600010101000000000000")


@lru_cache(maxsize=128)
def quantisation(quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the luma and chroma tables of a `quality` setting, row by row.

    Exact in 103 of the 106 real pictures; the sensor takes 0 to 63, and 0 gives all ones.
    """
    luma, chroma = (
        tuple(min(255, max(1, (entry * quality + 8) // 16)) for entry in table)
        for table in (_ANNEX_K_LUMA, _ANNEX_K_CHROMA)
    )
    return luma, chroma


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


@lru_cache(maxsize=128)
def header(width: int, height: int, quality: int) -> bytes:
    """Give everything up to the scan data: 623 bytes."""
    parts = [b"\xff\xd8", _APP0]
    for number, table in enumerate(quantisation(quality)):
        parts.append(_segment(0xDB, bytes((number, *(table[at] for at in ZIGZAG)))))
    for number, code in ((0x00, DC_LUMA), (0x10, AC_LUMA), (0x01, DC_CHROMA), (0x11, AC_CHROMA)):
        parts.append(_segment(0xC4, bytes((number,)) + code.counts + code.symbols))
    frame = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    parts.append(_segment(0xC0, frame + bytes.fromhex("03012100021101031101")))
    parts.append(_segment(0xDA, bytes.fromhex("03010002110311003f00")))
    return b"".join(parts)


def encode_scan(image: Image, quality: int) -> bytes:
    """Give the entropy-coded data of a picture, without any marker before or after it."""
    luma, chroma = quantisation(quality)
    out = BytesIO()
    # `quality` is overridden by the tables; `optimize` would change the Huffman tables.
    image.save(out, "JPEG", qtables=[list(luma), list(chroma)], subsampling="4:2:2", optimize=False)
    data = out.getvalue()
    at = 2
    while data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if not data.endswith(EOI):
        raise RuntimeError("Pillow wrote a JPEG without an end")
    return data[at:-2]


def encode(image: Image, quality: int) -> bytes:
    """Encode an RGB or YCbCr picture as the sensor would.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode ``"RGB"`` or ``"YCbCr"``.
    quality : int
        The camera's `quality` setting, 0 to 63; lower is better.
    """
    return header(image.width, image.height, quality) + encode_scan(image, quality) + EOI
