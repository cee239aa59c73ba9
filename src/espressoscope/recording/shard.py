"""The Zarr v3 shard index: the last bytes of a closed segment, which make the same file a shard of an array.

``sharding_indexed`` with ``index_location: end``: offset and length of each inner chunk, here of each page's
JPEG, as little-endian 64-bit numbers, all ones for slots without one, then a CRC-32C.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from espressoscope.recording.crc32c import crc32c

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["shard_index"]


def shard_index(offsets: NDArray[np.uint64], lengths: NDArray[np.uint32], slots: int) -> bytes:
    """Give the index of a segment's pages, padded to its slots."""
    table = np.full((slots, 2), np.uint64(0xFFFFFFFFFFFFFFFF), "<u8")
    count = min(len(offsets), slots)
    table[:count, 0] = offsets[:count]
    table[:count, 1] = lengths[:count]
    text = table.tobytes()
    return text + struct.pack("<I", crc32c(text))
