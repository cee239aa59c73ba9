"""The Huffman code of baseline JPEG with the tables of ITU-T T.81 Annex K, as the sensor uses them.

Bits are kept as (value, length) pairs of Python integers: a picture's strip is a few hundred of them, and
shifting one big integer is how two pieces of scan data are joined at any bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AC_CHROMA",
    "AC_LUMA",
    "DC_CHROMA",
    "DC_LUMA",
    "BitReader",
    "Bits",
    "HuffmanCode",
    "ac_bits",
    "dc_bits",
]

Bits = tuple[int, int]
"""A value and how many bits long it is."""

_END_OF_BLOCK: Final = 0x00
_SIXTEEN_ZEROS: Final = 0xF0


@dataclass(frozen=True, slots=True)
class HuffmanCode:
    """One table: how many codes of each length 1 to 16, the symbols in order, and the codes both ways."""

    counts: bytes
    symbols: bytes
    codes: Mapping[int, Bits]
    names: Mapping[Bits, int]


def _build(counts: str, symbols: str) -> HuffmanCode:
    lengths, names = bytes.fromhex(counts), bytes.fromhex(symbols)
    codes: dict[int, Bits] = {}
    code, at = 0, 0
    for length, count in enumerate(lengths, start=1):  # T.81 Annex C: canonical order
        for symbol in names[at : at + count]:
            codes[symbol] = (code, length)
            code += 1
        at += count
        code <<= 1
    return HuffmanCode(lengths, names, codes, {word: symbol for symbol, word in codes.items()})


_DC_SYMBOLS: Final = "000102030405060708090a0b"
DC_LUMA: Final = _build("00010501010101010100000000000000", _DC_SYMBOLS)
DC_CHROMA: Final = _build("00030101010101010101010000000000", _DC_SYMBOLS)
AC_LUMA: Final = _build(
    "0002010303020403050504040000017d",
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435"
    "363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798"
    "999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4"
    "f5f6f7f8f9fa",
)
AC_CHROMA: Final = _build(
    "00020102040403040705040400010277",
    "0001020311040521310612415107617113223281081442"
    "91a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a53545556575859"
    "5a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7"
    "b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
)


def _signed(value: int) -> Bits:
    size = abs(value).bit_length()
    return (value if value > 0 else value + (1 << size) - 1), size


def dc_bits(difference: int, code: HuffmanCode) -> Bits:
    """Code the difference of a block's mean from that of the block before."""
    extra, size = _signed(difference)
    word, length = code.codes[size]
    return word << size | extra, length + size


def ac_bits(coefficients: Sequence[int], code: HuffmanCode) -> Bits:
    """Code a block's other 63 coefficients, given in zigzag order, end of block included."""
    bits, total, run = 0, 0, 0
    for value in coefficients:
        if value == 0:
            run += 1
            continue
        while run > 15:
            word, length = code.codes[_SIXTEEN_ZEROS]
            bits, total, run = bits << length | word, total + length, run - 16
        extra, size = _signed(value)
        word, length = code.codes[run << 4 | size]
        bits = (bits << length | word) << size | extra
        total += length + size
        run = 0
    if run:
        word, length = code.codes[_END_OF_BLOCK]
        bits, total = bits << length | word, total + length
    return bits, total


class BitReader:
    """Read scan data block by block; only what a test of its own output or a splice needs.

    Parameters
    ----------
    scan : bytes
        Entropy-coded data with its stuffed zero bytes.
    """

    def __init__(self, scan: bytes) -> None:
        plain = scan.replace(b"\xff\x00", b"\xff")
        self._bits = int.from_bytes(plain, "big")
        self.left = 8 * len(plain)

    def _take(self, count: int) -> int:
        if count > self.left:
            raise ValueError("scan data ends inside a block")
        self.left -= count
        return self._bits >> self.left & ((1 << count) - 1)

    def _symbol(self, code: HuffmanCode) -> int:
        word = 0
        for length in range(1, 17):
            word = word << 1 | self._take(1)
            if (symbol := code.names.get((word, length))) is not None:
                return symbol
        raise ValueError("no such code")

    def _value(self, size: int) -> int:
        value = self._take(size)
        return value if size == 0 or value >> (size - 1) else value - (1 << size) + 1

    def block(self, dc: HuffmanCode, ac: HuffmanCode) -> list[int]:
        """Read one block: the difference of its mean, then its other coefficients in zigzag order.

        Trailing zeros are left out, so 64 numbers mean that no end-of-block code followed.
        """
        out = [self._value(self._symbol(dc))]
        while len(out) < 64:
            symbol = self._symbol(ac)
            if symbol == _END_OF_BLOCK:
                break
            out += [0] * (symbol >> 4)
            out.append(self._value(symbol & 15))
        return out
