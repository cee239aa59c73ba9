"""The pictures the load generator sends: numbered JPEGs with a sensor's headers, and how to read the number.

Each picture carries its number in the simulator's strip at its foot, so that a decoded array tells which
frame it is, whoever decoded it. The JPEG's last bytes code the strip, so they tell the number too, to whoever
has no array. Consecutive pictures differ from their first coded block on, as a camera's do.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from espressoscope.sim.strip import SQUARES, strip_bits, strip_height

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BOUNDARY = b"\r\n--123456789000000000000987654321\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=123456789000000000000987654321\r\n"
    b"Transfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
)
_TAIL = 128  # bytes that hold most of the strip's last row of blocks; checked to be different for each number
_SCENES = 16


class Size(NamedTuple):
    """A picture size and about how many bytes a camera makes of it."""

    width: int
    height: int
    nbytes: int


SIZES = {"QVGA": Size(320, 240, 6_000), "VGA": Size(640, 480, 19_000), "UXGA": Size(1600, 1200, 133_000)}


class PictureSet:
    """Numbered pictures, 0 to `len` - 1, sent over and over."""

    def __init__(self, jpegs: list[bytes], size: Size) -> None:
        self.jpegs = jpegs
        self.size = size

    def __len__(self) -> int:
        return len(self.jpegs)

    @functools.cached_property
    def by_tail(self) -> dict[bytes, int]:
        """Give the number by the last bytes of a JPEG; see `tail`."""
        found = {tail(jpeg): number for number, jpeg in enumerate(self.jpegs)}
        assert len(found) == len(self.jpegs), "two pictures end alike"
        return found

    def strip_reader(self, scale: int = 1) -> StripReader:
        """Give what reads the number of a decoded picture of this set."""
        return StripReader(self.size.width // scale, self.size.height // scale, len(self))

    def wire(self) -> list[bytes]:
        """Give each as the firmware sends it: layout C of Matchboxscope, headers, JPEG, boundary, chunked."""
        head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        return [chunk(head % len(jpeg)) + chunk(jpeg) + chunk(BOUNDARY) for jpeg in self.jpegs]

    def save(self, path: Path) -> None:
        """Write all into one file."""
        lengths = np.array([*self.size, *map(len, self.jpegs)], np.int64)
        path.write_bytes(len(lengths).to_bytes(8, "little") + lengths.tobytes() + b"".join(self.jpegs))

    @classmethod
    def load(cls, path: Path) -> PictureSet:
        """Read what `save` wrote."""
        data = path.read_bytes()
        count = int.from_bytes(data[:8], "little")
        numbers = np.frombuffer(data, np.int64, count, 8).tolist()
        ends = np.cumsum([8 + 8 * count, *numbers[3:]]).tolist()
        return cls([data[a:b] for a, b in itertools.pairwise(ends)], Size(*numbers[:3]))


class StripReader:
    """Reads the number of a decoded picture in about a microsecond: one pixel of each square."""

    def __init__(self, width: int, height: int, count: int) -> None:
        self._row = height - strip_height(height) // 2
        # The middle of each square; a slice is faster, where squares are whole pixels wide.
        step = width // SQUARES
        middles = ((np.arange(SQUARES) + 0.5) * width / SQUARES).astype(np.intp)
        self._columns = middles if width % SQUARES else slice(step // 2, None, step)
        bits = ((number, f"{strip_bits(number >> 8 & 0xFF, number):032b}") for number in range(count))
        self._numbers = {text.encode(): number for number, text in bits}
        self._levels = bytes(ord("1") if level > 127 else ord("0") for level in range(256))

    def __call__(self, image: NDArray[Any]) -> int | None:
        """Give the number; None when it is not whole."""
        row = image[self._row, self._columns]
        pixels = row if image.ndim == 2 else row[:, 0]
        return self._numbers.get(pixels.tobytes().translate(self._levels))


def tail(jpeg: bytes) -> bytes:
    """Give the last bytes of a JPEG, which tell its number."""
    return jpeg[-_TAIL:]


def chunk(data: bytes) -> bytes:
    """Wrap as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def make(size: str, count: int) -> PictureSet:
    """Make numbered pictures of about a camera's bytes."""
    from PIL import Image

    from espressoscope.sim.encode import encode
    from espressoscope.sim.splice import cut_top, number

    width, height, nbytes = SIZES[size]
    noise = np.random.default_rng(1)

    def scene(grain: int) -> Image.Image:
        small = noise.integers(0, 255, (height // grain + 1, width // grain + 1, 3), dtype=np.uint8)
        return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)

    grain = min(range(6, 120, 6), key=lambda grain: abs(len(encode(scene(grain), 12)) - nbytes))
    pixels = np.asarray(scene(grain))
    shifted = (np.roll(pixels, 16 * shift, axis=1) for shift in range(min(_SCENES, count)))
    tops = [cut_top(Image.fromarray(picture), 12) for picture in shifted]
    jpegs = [number(tops[index % len(tops)], index >> 8 & 0xFF, index) for index in range(count)]
    return PictureSet(jpegs, SIZES[size])
