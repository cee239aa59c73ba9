"""Frames with numbers in their pictures, and a `use` that can be held up."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from espressoscope.model import Frame
from espressoscope.sim.encode import encode
from espressoscope.sim.strip import draw_strip, read_strip
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.decode import View


@lru_cache(maxsize=1000)
def jpeg(number: int, camera: int = 1, width: int = 320, height: int = 240) -> bytes:
    """A picture as a camera makes it, with its number in the strip at its foot."""
    image = np.empty((height, width, 3), np.uint8)
    image[...] = np.linspace(40, 200, width, dtype=np.uint8)[None, :, None]
    draw_strip(image, camera, number)
    return encode(Image.fromarray(image), 12)


def frame(number: int, camera: int = 1, width: int = 320, height: int = 240, **values: Any) -> Frame:
    data = jpeg(number, camera, width, height)
    return Frame(data, number, 0, None, width, height, f"A{camera}", **values)


def broken(number: int) -> Frame:
    """A frame that came whole, as far as its markers tell, and cannot be decoded."""
    data = bytearray(jpeg(number))
    data[700:760] = bytes(range(1, 241, 4))
    return Frame(bytes(data), number, 0, None, 320, 240, "A1")


def number_of(image: np.ndarray) -> tuple[int, int]:
    """Camera and number a picture says it is of."""
    reading = read_strip(image)
    assert reading is not None
    return reading.camera, reading.frame


class Taker:
    """A `use` that notes what it is given; between `hold` and `let_go` it does not return."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        self.numbers: list[tuple[int, int]] = []
        self.addresses: list[int] = []
        self.threads: list[str] = []
        self.inside = threading.Event()
        self.doing: Callable[[], object] = lambda: None
        self._free = threading.Event()
        self._free.set()

    def __call__(self, frame: Frame, image: np.ndarray) -> None:
        self.sequences.append(frame.sequence)
        self.shapes.append(image.shape)
        self.numbers.append(number_of(image))
        self.addresses.append(image.ctypes.data)
        self.threads.append(threading.current_thread().name)
        self.inside.set()
        assert self._free.wait(30)
        self.doing()

    def hold(self) -> None:
        self._free.clear()
        self.inside.clear()

    def let_go(self) -> None:
        self._free.set()

    def wait_inside(self) -> None:
        assert self.inside.wait(5)


def handled(view: View) -> int:
    """Frames of which it is known what became."""
    return view.decoded + view.superseded + view.failed


def put_and_wait(view: View, *frames: Frame) -> None:
    """Give frames one by one, each when the one before has been seen to."""
    for each in frames:
        before = handled(view)
        assert view.put(each) is False
        wait_until(lambda before=before: handled(view) > before and not view._queued, what="the frame")  # type: ignore[misc]


def in_parallel(*calls: Callable[[], object]) -> None:
    """Make each call on a thread of its own, and wait for all."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def decode_threads() -> set[str]:
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith("espressoscope-decode-")}
