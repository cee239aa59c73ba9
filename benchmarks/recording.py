"""Recording: our writer beside tifffile, OpenCV and a remux to MKV; opening a segment, and one random frame.

    python -m benchmarks.recording [--frames N] [--folder DIR]

CPU time of the writing thread per frame, VGA pictures of about 20 KB, writers in turn in one process. What
counts is the ratios: the disk's cache and other programs move all figures together.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from espressoscope.model import Frame
from espressoscope.recording.reader import open_run
from espressoscope.recording.track import CameraTrack

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 25


def pictures(count: int = 16) -> list[bytes]:
    """Make pictures of about 20 KB."""
    found = []
    for seed in range(count):
        random_ = np.random.default_rng(seed)
        small = random_.integers(40, 210, (60, 80, 3), np.uint8)
        picture = np.repeat(np.repeat(small, 8, 0), 8, 1)
        found.append(simplejpeg.encode_jpeg(picture, 60, colorspace="RGB", colorsubsampling="422"))
    return found


def ours(folder: Path, jpegs: list[bytes], count: int) -> None:
    """Write as the writer's thread does, a batch at a time, with the end of the segments."""
    ended = []
    track = CameraTrack("A1", folder, bytes(16), "benchmark", ended.append)
    for number in range(count):
        frame = Frame(jpegs[number % len(jpegs)], number, time.time_ns(), None, 640, 480, "A1")
        track.put(frame)
        if number % BATCH == BATCH - 1:
            track.write()
    track.write()
    track.end()
    for segment in ended:
        segment.end()
    track.log.close()


def by_tifffile(folder: Path, jpegs: list[bytes], count: int) -> None:
    """Write a page for each frame, compressed data as it is."""
    import tifffile

    with tifffile.TiffWriter(folder / "a.tif", bigtiff=True) as tiff:
        for number in range(count):
            tiff.write(
                iter([jpegs[number % len(jpegs)]]),
                shape=(480, 640, 3),
                dtype=np.uint8,
                compression="jpeg",
                photometric="ycbcr",
                subsampling=(2, 1),
                contiguous=False,
                metadata=None,
            )


def by_opencv(folder: Path, jpegs: list[bytes], count: int) -> None:
    """Decode and encode again, as a VideoWriter needs it."""
    import cv2

    video = cv2.VideoWriter(str(folder / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (640, 480))
    for number in range(count):
        picture = np.frombuffer(jpegs[number % len(jpegs)], np.uint8)
        video.write(cv2.imdecode(picture, cv2.IMREAD_COLOR))
    video.release()


def by_mkv(folder: Path, jpegs: list[bytes], count: int) -> None:
    """Put the JPEGs into an MKV as they are."""
    import av

    with av.open(str(folder / "a.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj422p"
        for number in range(count):
            packet = av.Packet(jpegs[number % len(jpegs)])
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = number * 40
            container.mux(packet)


WRITERS: dict[str, tuple[Callable[[Path, list[bytes], int], None], int]] = {
    "ours": (ours, 1),
    "tifffile, a write a frame": (by_tifffile, 4),
    "OpenCV VideoWriter": (by_opencv, 20),
    "MKV remux (PyAV)": (by_mkv, 1),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.recording", description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--folder", help="on the disk to measure; else the system's temporary folder")
    asked = parser.parse_args()
    jpegs = pictures()
    print(f"{asked.frames} frames of {statistics.mean(map(len, jpegs)) / 1000:.1f} KB")
    for name, (write, share) in WRITERS.items():
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            count = max(asked.frames // share, 1)
            cpu, wall = time.thread_time(), time.perf_counter()
            try:
                write(Path(folder), jpegs, count)
            except (ImportError, KeyError) as error:  # the latter from tifffile without imagecodecs
                print(f"{name:28} cannot be had: {error}")
                continue
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            print(f"{name:28} {cpu / count * 1e6:8.1f} us CPU, {wall / count * 1e6:8.1f} us a frame")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        (Path(folder) / "A1").mkdir()
        ours(Path(folder) / "A1", jpegs, asked.frames)
        began = time.perf_counter()
        recording = open_run(folder)["A1"]
        opened = time.perf_counter() - began
        took = []
        for _ in range(200):
            place = random.randrange(len(recording))
            began = time.perf_counter()
            _ = recording[place]
            took.append(time.perf_counter() - began)
    print(f"opening {len(recording)} frames: {opened * 1e3:.1f} ms")
    print(f"a random frame: {statistics.median(took) * 1e3:.2f} ms, at most {max(took) * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
