"""Decoding alone: ours, bare simplejpeg, OpenCV and Pillow, at every scale and in gray; one thread.

Every reader decodes the same picture in turn, again and again, so that a busy machine hurts all alike; what
counts is the ratios.
"""

from __future__ import annotations

import io
import random
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg

from benchmarks.harness import Figures, progress
from benchmarks.pictures import PictureSet
from espressoscope.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Bench
    from espressoscope.model import Scale

# As a full view, tiles of growing number, and focusing use them.
VIEWS: list[tuple[Scale, bool]] = [(1, False), (2, False), (4, False), (8, False), (1, True)]
PICTURES = {"QVGA": 64, "VGA": 64, "UXGA": 16}


def run(bench: Bench) -> dict[str, Figures]:
    """Measure both sizes."""
    found = {}
    for size in bench.choose(("VGA", "UXGA"), ("VGA", "UXGA"), ("QVGA",)):
        jpeg = PictureSet.load(bench.pictures(size, PICTURES[size])).jpegs[0]
        figures = Figures({"size": size, "frame_bytes": len(jpeg)})
        for scale, gray in VIEWS:
            view = "full size, gray" if gray else "full size" if scale == 1 else f"1/{scale}"
            progress(f"decode {size}, {view}")
            figures.views[view] = _medians(_readers(jpeg, scale, gray), bench.choose(2.0, 0.6, 0.02))
        found[size] = figures
    return found


def _readers(data: bytes, scale: Scale, gray: bool) -> dict[str, Callable[[], object]]:
    """Give one call for each reader that decodes `data` once."""
    buffer = decode(data, scale=scale, gray=gray)  # one for both: which memory is in the cache matters
    height, width = buffer.shape[:2]
    space = "GRAY" if gray else "RGB"
    found: dict[str, Callable[[], object]] = {
        "simplejpeg into a buffer": lambda: simplejpeg.decode_jpeg(
            data, space, min_height=height, min_width=width, buffer=buffer
        ),
        "ours into a buffer": lambda: decode(data, scale=scale, gray=gray, out=buffer),
        "ours, new array": lambda: decode(data, scale=scale, gray=gray),
        "Pillow": lambda: _pillow(data, scale, gray),
    }
    try:
        import cv2
    except ImportError:
        return found
    cv2.setNumThreads(1)
    kind = "GRAYSCALE" if gray else "COLOR"
    flags = getattr(cv2, f"IMREAD_{kind}" if scale == 1 else f"IMREAD_REDUCED_{kind}_{scale}")
    source = np.frombuffer(data, np.uint8)
    found["OpenCV"] = lambda: cv2.imdecode(source, flags)
    return found


def _pillow(data: bytes, scale: int, gray: bool) -> np.ndarray[Any, Any]:
    """Decode as Pillow does it best: scaled inside the decoder."""
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    mode = "L" if gray else "RGB"
    image.draft(mode, (image.width // scale, image.height // scale))
    return np.asarray(image)


def _medians(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Call each in random order, over and over, for so long; the median of each in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    order = list(calls.items())
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        random.shuffle(order)  # who comes after whom matters too
        for name, call in order:
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}
