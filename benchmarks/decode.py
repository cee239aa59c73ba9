"""How long decoding one frame takes: ours, bare simplejpeg, OpenCV and Pillow, side by side.

    python benchmarks/decode.py            a table: median us/frame, and each as a multiple of bare simplejpeg
    python benchmarks/decode.py --json     the same, one object a line

Every reader decodes the same picture in turn, again and again, so that a busy machine hurts all alike; what
counts is the ratios. One thread. OpenCV is left out where it is not installed (`pip install
'espressoscope[bench]'`).
"""

from __future__ import annotations

import argparse
import io
import json
import random
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image

from espressoscope.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"VGA": (640, 480), "UXGA": (1600, 1200)}
# (scale, gray), as a full view, tiles of growing number, and focusing use them.
VIEWS = [(1, False), (2, False), (4, False), (8, False), (1, True)]


def picture(width: int, height: int) -> bytes:
    """Make a JPEG like those of the cameras: 4:2:2, soft detail and noise, about 0.06 bytes a pixel."""
    noise = np.random.default_rng(1)
    coarse = noise.integers(0, 255, (height // 32, width // 32, 3), dtype=np.uint8)
    scene = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(scene // 2 + 64 + noise.normal(0, 1.5, scene.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=62, subsampling="4:2:2")
    return file.getvalue()


def readers(data: bytes, scale: int, gray: bool) -> dict[str, Callable[[], object]]:
    """One call for each reader that decodes `data` once."""
    buffer = decode(data, scale=scale, gray=gray)  # one for both: which memory is in the cache matters
    height, width = buffer.shape[:2]
    space = "GRAY" if gray else "RGB"
    found: dict[str, Callable[[], object]] = {
        "simplejpeg into a buffer": lambda: simplejpeg.decode_jpeg(
            data, space, min_height=height, min_width=width, buffer=buffer
        ),
        "ours into a buffer": lambda: decode(data, scale=scale, gray=gray, out=buffer),
        "ours, new array": lambda: decode(data, scale=scale, gray=gray),
        "Pillow": lambda: pillow(data, scale, gray),
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


def pillow(data: bytes, scale: int, gray: bool) -> np.ndarray:
    """Decode as Pillow does it best: scaled inside the decoder."""
    image = Image.open(io.BytesIO(data))
    mode = "L" if gray else "RGB"
    image.draft(mode, (image.width // scale, image.height // scale))
    return np.asarray(image)


def measure(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the table")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for size, (width, height) in SIZES.items():
        data = picture(width, height)
        if not options.json:
            print(
                f"\n{size}, {len(data) / 1000:.0f} KB: median us/frame (multiple of simplejpeg into a buffer)"
            )
        for scale, gray in VIEWS:
            medians = measure(readers(data, scale, gray), options.seconds)
            floor = medians["simplejpeg into a buffer"]
            view = f"1/{scale}{' gray' if gray else ''}"
            if options.json:
                line = {"size": size, "bytes": len(data), "view": view, "us": medians}
                line["ratio"] = {name: round(value / floor, 3) for name, value in medians.items()}
                print(json.dumps(line))
                continue
            cells = (f"{name} {value:.0f} ({value / floor:.2f}x)" for name, value in medians.items())
            print(f"  {view:9}" + "   ".join(cells))


if __name__ == "__main__":
    main()
