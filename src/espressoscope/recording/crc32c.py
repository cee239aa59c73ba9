"""CRC-32C (Castagnoli), as Zarr's `crc32c` codec has it; fast for tables of 16-byte entries.

Python has no CRC-32C. One entry after the other takes 20 ms for 10,000 of them, during which no other thread
runs; here numpy does all entries side by side, and their checksums are then put together.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["crc32c"]

_POLYNOMIAL = 0x82F63B78
_LANE = 16


@cache
def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@cache
def _skips() -> tuple[list[int], list[int], list[int], list[int]]:
    """Give, for each byte of a checksum, what it becomes when `_LANE` zero bytes follow."""
    found = []
    for place in range(4):
        crc = (np.arange(256, dtype=np.uint32) << np.uint32(8 * place)).astype(np.uint32)
        for _ in range(_LANE):
            crc = _step(crc, np.uint8(0))
        found.append([int(value) for value in crc])
    return found[0], found[1], found[2], found[3]


def _step(crc: NDArray[np.uint32], byte: Any) -> NDArray[np.uint32]:
    found: NDArray[np.uint32] = _table()[(crc ^ byte) & 0xFF] ^ (crc >> np.uint32(8))
    return found


def crc32c(data: bytes) -> int:
    """Give the CRC-32C of these bytes."""
    # Zeros in front change nothing while the checksum is 0; the one it starts with is put into the data.
    if len(data) < 4:
        short = np.array([0xFFFFFFFF], np.uint32)
        for byte in data:
            short = _step(short, np.uint8(byte))
        return int(short[0]) ^ 0xFFFFFFFF
    start = bytes(byte ^ 0xFF for byte in data[:4])
    text = bytes(-len(data) % _LANE) + start + data[4:]
    lanes = np.frombuffer(text, np.uint8).reshape(-1, _LANE)
    crcs = np.zeros(len(lanes), np.uint32)
    for column in range(_LANE):
        crcs = _step(crcs, lanes[:, column])
    first, second, third, fourth = _skips()
    total = 0
    for crc in crcs.tolist():
        moved = first[total & 255] ^ second[total >> 8 & 255] ^ third[total >> 16 & 255] ^ fourth[total >> 24]
        total = moved ^ crc
    return total ^ 0xFFFFFFFF
