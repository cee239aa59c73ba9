"""CRC-32, as zlib has it: with the processor's own instructions where isal is installed, six times faster."""

from __future__ import annotations

__all__ = ["crc32"]

try:
    from isal.isal_zlib import crc32
except ImportError:  # no wheel for this computer, or installed without the extra `record`
    from zlib import crc32
