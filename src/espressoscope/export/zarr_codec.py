"""The Zarr v3 codec ``espressoscope.jpeg``: a chunk is one JPEG, as a camera sent it.

Zarr finds it by the entry point of its name, so nobody has to import this package. It only reads: what a
camera sent is not made anew. A frame that cannot be decoded is its readable part, or the fill value, and
never an error: one of them must not end a computation over thousands.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from zarr.abc.codec import ArrayBytesCodec

from espressoscope.decode import decode
from espressoscope.errors import DecodeError
from espressoscope.export.metadata import CODEC as NAME

if TYPE_CHECKING:
    from typing import Self

__all__ = ["NAME", "JpegCodec", "undecodable"]

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_count = 0


def undecodable() -> int:
    """Give how many frames could not be decoded in this process, not even in part."""
    return _count


@dataclass(frozen=True)
class JpegCodec(ArrayBytesCodec):
    """JPEG to array (1, Y, X, 3) or (1, Y, X, 1), uint8."""

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make one of what stands in `zarr.json`."""
        if data.get("name") != NAME:
            raise ValueError(f"this codec is {NAME}, not {data.get('name')!r}")
        return cls()

    def to_dict(self) -> dict[str, Any]:
        """Give what stands in `zarr.json`."""
        return {"name": NAME}

    def validate(self, *, shape: Any, dtype: Any, chunk_grid: Any) -> None:
        """Refuse arrays that no JPEG is a chunk of."""
        if dtype.to_native_dtype() != np.uint8 or len(shape) != 4:
            raise ValueError(f"{NAME} is for uint8 arrays of four dimensions")

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        shape = chunk_spec.shape
        picture = np.empty(shape, np.uint8)
        gray = shape[3] == 1
        try:
            decode(
                chunk_bytes.to_bytes(),
                gray=gray,
                out=picture[0, :, :, 0] if gray else picture[0],
                partial=True,
            )
        except (DecodeError, ValueError) as error:
            picture[...] = chunk_spec.fill_value
            _note(error)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(picture)

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> NoReturn:
        raise NotImplementedError(
            f"{NAME} only reads: an exported recording is not written to. Copy it to an array of your own"
        )

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> NoReturn:
        """Refuse: every JPEG has a size of its own."""
        raise NotImplementedError(f"the size of a chunk of {NAME} is not known before")


def _note(error: Exception) -> None:
    global _count
    with _lock:
        _count += 1
        first = _count == 1
    if first:
        _log.warning("a frame of an exported recording cannot be decoded, and is black (%s)", error)
