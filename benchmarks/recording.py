"""Recording: our writer beside a bare write, tifffile, OpenCV and a remux to MKV; and reading it back.

    python -m benchmarks.recording                          a few minutes
    python -m benchmarks.recording --short                  half a minute
    python -m benchmarks.recording --streams 100 --seconds 60      only many cameras at once
    python -m benchmarks.recording --page                   and write docs/performance-recording.md

CPU time of the writing thread per frame, VGA pictures of about 19 KB, writers in turn in one process, several
rounds. What counts is the ratios within a round: the disk's cache and other programs move all figures
together. The floor is the same JPEGs, a bare `write` for each. Ours has everything in it: checksums, log,
page directories, and at the end of a segment OME-XML and index.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import pictures
from benchmarks.harness import Bench, Others, progress
from benchmarks.recording_page import PAGE, page, table
from espressoscope.model import Frame
from espressoscope.recording.reader import open_run
from espressoscope.recording.track import CameraTrack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BATCH = 25
"""Frames that are waiting each time the writer looks."""
SEGMENT = 10_000


def bare(folder: Path, jpegs: list[bytes], count: int) -> None:
    """Write the JPEGs one behind the other, and nothing else."""
    with open(folder / "a.bin", "wb", buffering=0) as file:
        for number in range(count):
            file.write(jpegs[number % len(jpegs)])


def ours(folder: Path, jpegs: list[bytes], count: int) -> None:
    """Write as the writer's thread does, a batch at a time, with the end of the segments."""
    ended: list[Any] = []
    track = CameraTrack("A1", folder, bytes(16), "benchmark", ended.append)
    began_ns = time.time_ns()
    for number in range(count):
        track.put(
            Frame(jpegs[number % len(jpegs)], number, began_ns + number * 40_000_000, None, 640, 480, "A1")
        )
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
                rowsperstrip=480,
                contiguous=False,
                metadata=None,
            )


def by_opencv(folder: Path, jpegs: list[bytes], count: int) -> None:
    """Decode and encode again, as a VideoWriter needs it."""
    import cv2

    cv2.setNumThreads(1)
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
    "bare write": (bare, 1),
    "Espressoscope": (ours, 1),
    "MKV remux (PyAV)": (by_mkv, 1),
    "tifffile, a write a frame": (by_tifffile, 4),
    "OpenCV VideoWriter": (by_opencv, 20),
}
"""What writes, and by how many fewer frames than the others."""


def write_rounds(where: str | None, jpegs: list[bytes], frames: int, rounds: int) -> dict[str, list[float]]:
    """Give CPU microseconds a frame of each writer, round by round; none where one cannot be had."""
    found: dict[str, list[float]] = {name: [] for name in WRITERS}
    for number in range(rounds):
        progress(f"writing, round {number + 1} of {rounds}")
        for name, (write, share) in WRITERS.items():
            count = max(frames // share, BATCH)
            with tempfile.TemporaryDirectory(dir=where) as folder:
                began = time.thread_time()
                try:
                    write(Path(folder), jpegs, count)
                except (ImportError, KeyError) as error:  # the latter from tifffile without imagecodecs
                    progress(f"{name} cannot be had: {error}")
                    continue
                found[name].append((time.thread_time() - began) / count * 1e6)
    return found


def read_back(where: str | None, jpegs: list[bytes], frames: int) -> dict[str, float]:
    """Open a segment, and take frames out of it at random; milliseconds."""
    progress(f"reading {frames} frames")
    with tempfile.TemporaryDirectory(dir=where) as folder:
        (Path(folder) / "A1").mkdir()
        ours(Path(folder) / "A1", jpegs, frames)
        opened, took, decoded = [], [], []
        for _ in range(15):
            began = time.perf_counter()
            recording = open_run(folder)["A1"]
            opened.append(time.perf_counter() - began)
            if len(recording) != frames:
                raise SystemExit(f"{len(recording)} frames read instead of {frames}")
            for _ in range(30):
                place = random.randrange(frames)
                began = time.perf_counter()
                frame = recording[place]
                took.append(time.perf_counter() - began)
                frame.image()
                decoded.append(time.perf_counter() - began)
                if frame.jpeg != jpegs[place % len(jpegs)]:
                    raise SystemExit(f"frame {place} is not what was written")
    return {
        "frames": frames,
        "open_ms": statistics.median(opened) * 1e3,
        "open_max_ms": max(opened) * 1e3,
        "random_ms": statistics.median(took) * 1e3,
        "random_max_ms": max(took) * 1e3,
        "decoded_ms": statistics.median(decoded) * 1e3,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks.recording", description=__doc__, formatter_class=formatter
    )
    parser.add_argument("--frames", type=int, default=SEGMENT)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, help="only so many cameras at once; 0: only the writers")
    parser.add_argument("--seconds", type=float, default=60.0, help="of many cameras at once")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--folder", help="on the disk to measure; else the system's temporary folder")
    asked = parser.parse_args(arguments)
    if asked.short:
        asked.frames, asked.rounds = min(asked.frames, 2000), min(asked.rounds, 3)
        asked.seconds = min(asked.seconds, 8.0)
    others = Others()
    jpegs = list(pictures.make("VGA", 64).jpegs)
    found: dict[str, Any] = {"bytes": statistics.mean(map(len, jpegs)), "asked": vars(asked)}
    if asked.streams is None or asked.streams == 0:
        found["writers"] = write_rounds(asked.folder, jpegs, asked.frames, asked.rounds)
        found["reading"] = read_back(asked.folder, jpegs, asked.frames)
    if asked.streams is None or asked.streams > 0:
        from benchmarks.recording_streams import many_streams

        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            found["streams"] = many_streams(
                Bench(Path(folder)), Path(folder) / "run", asked.streams or 100, asked.seconds
            )
    found["others_percent"] = others.percent()
    print(table(found))
    if asked.page:
        PAGE.write_text(page(found), encoding="utf-8")
    streams = found.get("streams")
    if streams is not None and (streams["dropped"] or streams["missing"] or streams["wrong"]):
        raise SystemExit("frames are missing")


if __name__ == "__main__":
    os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
    main()
