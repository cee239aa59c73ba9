"""JPEGs: the walk over their markers, bodies taken apart into pictures, headers before they are decoded."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from espressoscope.decode.jpeg import decode
from espressoscope.errors import DecodeError
from espressoscope.wire.jpeg import find_end, inspect
from espressoscope.wire.pictures import PictureReader
from fuzz.work import counted_calls
from recording_support import jpeg
from support import FIXTURES
from wire.wire_streams import fake_jpeg

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable

_MOST_PIXELS = 1_000_000  # larger ones are refused or decoded elsewhere; here they would only cost time


class Picture:
    """See the module."""

    name = "picture"
    says = "pictures that hold every byte; an array or DecodeError; work so much a byte"
    most = 12_000
    tokens = (
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
        b"\xff\xe0\x00\x02",
        b"\xff\xe1\x00\x08\xff\xd8\xff\xd9",
        b"\xff\xc4\x00\x02",
        b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00",
        b"\xff\xc2",
        b"\xff\xdb\x00\x43",
        b"\xff\xdd\x00\x04\x00\x01",
        b"\xff\xff\xff\xff",
        b"\xff\x00",
        b"\xff\xd0",
        b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03",
    )

    def seeds(self) -> list[bytes]:
        """Small pictures, whole and joined; beginnings of those of devices."""
        small = [
            jpeg(64, 48, 1),
            jpeg(16, 16, 2, gray=True),
            jpeg(48, 48, 3, subsampling="420"),
            fake_jpeg(90),
        ]
        found = [
            *small,
            small[0] + small[0],
            small[3] + small[1] + small[3],
            small[0][:300],
            b"junk" + small[1],
        ]
        real = sorted((FIXTURES / "real-jpegs").glob("*.jpg")) if FIXTURES.is_dir() else []
        for path in real[:4]:
            data = path.read_bytes()
            found.append(data[:1500] + data[-500:])
        return found

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Have it begin as pictures do, mostly."""
        return b"\xff\xd8" + data[2:] if rng.random() < 0.5 else data

    def check(self, data: bytes) -> Hashable:
        """Walk, take apart, decode."""
        info = inspect(data)
        end = find_end(data)
        assert end == info.end
        assert end is None or (end <= len(data) and data[end - 2 : end] == b"\xff\xd9"), "an end that is none"
        reader, states = PictureReader(), []
        with counted_calls() as calls:
            for complete in (True, True, False):  # the second time it is known, and may take the short way
                pictures = reader.read(data, complete)
                assert b"".join(picture.jpeg for picture in pictures) == data, "bytes lost"
                assert complete or pictures[-1].status != "ok", "whole, though it broke off"
                states.append(tuple(picture.status for picture in pictures))
        assert states[0] == states[1], "another result the second time"
        assert calls.count <= 3 * 6 * (len(data) + 100), "calls"
        shape: object = "large"
        if info.width * info.height <= _MOST_PIXELS:
            for partial in (False, True):
                try:
                    array = decode(data, partial=partial, gray=bool(zlib.crc32(data) & 1))
                    assert array.size <= 3 * _MOST_PIXELS
                    shape = array.ndim
                except DecodeError as error:
                    shape = str(error.message).partition(":")[2][:25]
        return states[0][:3], info.components, info.progressive, info.quality is None, shape
