"""Ours: the public classes, used as the documentation says."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import espressoscope as es
from benchmarks.beside import Beside
from benchmarks.counting import Ends, Tally, asyncio_reads, percentiles, summed, wait_for_all, watch_age
from benchmarks.job import NotHereError, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from benchmarks.job import Job


def _ends(job: Job, cameras: Sequence[es.Camera], reads: list[int]) -> Ends:
    def newest() -> Iterator[tuple[int, bytes]]:
        for camera in cameras:
            frame = camera.latest()
            yield frame.sequence, frame.jpeg

    return Ends(job.picture_set().by_tail, newest, reads)


def camera_to_latest(job: Job) -> dict[str, Any]:
    """Let one Camera keep its latest slot full."""
    reads = asyncio_reads()
    with es.Camera(job.controls[0]) as cam:
        cam.latest()
        window = Window(job, _ends(job, [cam], reads).counts)
        window.sleep()
        return window.result


def fleet_to_latest(job: Job) -> dict[str, Any]:
    """Let a Fleet keep all its latest slots full."""
    reads = asyncio_reads()
    with es.Fleet(job.controls) as fleet:
        fleet.start()
        _all_there(fleet)
        window = Window(job, _ends(job, list(fleet.values()), reads).counts)
        window.sleep()
        return window.result


def _all_there(fleet: es.Fleet) -> None:
    frames = fleet.latest(timeout=20)
    missing = [name for name, frame in frames.items() if frame is None]
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(frames)} cameras give no frame: {fleet.messages()}")


def stream_images(job: Job) -> dict[str, Any]:
    """Take every frame of `stream` and decode it into one array."""
    pictures = job.picture_set()
    width, height, _ = pictures.size
    buffer = np.empty((height, width, 3), np.uint8)
    read = pictures.strip_reader()
    tally = Tally(len(pictures))
    beside = Beside(job, pictures)
    window = Window(job, lambda: summed([tally]), beside)
    with es.Camera(job.controls[0]) as cam:
        for frame in cam.stream():
            tally.add(number := read(frame.image(out=buffer)))
            beside.decode(number)
            if window.over():
                break
    return window.result


def view_images(job: Job) -> dict[str, Any]:
    """Have every frame of one or many cameras decoded by `view`."""
    scale = job.options.get("scale", 1)
    pictures = job.picture_set()
    read = pictures.strip_reader(scale)
    tallies = [Tally(len(pictures)) for _ in job.controls]
    beside = Beside(job, pictures)
    window = Window(job, lambda: summed(tallies), beside)
    # As Frame.received_ns is made: wall time read once, then a monotonic clock.
    wall_offset_ns = time.time_ns() - time.perf_counter_ns()
    since_received: list[float] = []
    ages: list[float] = []

    def use(frame: es.Frame, image: NDArray[np.uint8]) -> None:
        if window.measuring:
            since_received.append((time.perf_counter_ns() + wall_offset_ns - frame.received_ns) / 1e9)
        camera = cameras[frame.camera]
        number = read(image)
        tallies[camera].add(number)
        if window.measuring and number is not None and job.options.get("ages"):
            ages.append(job.age_s(camera, number))
        beside.decode(number)

    # One camera or many, through the door its users take.
    many = len(job.controls) > 1
    opened = es.Fleet(job.controls) if many else es.Camera(job.controls[0])
    with opened:
        names = opened.names if isinstance(opened, es.Fleet) else [opened.info.name]
        cameras = {name: camera for camera, name in enumerate(names)}
        with opened.view(use, scale=scale):
            there = wait_for_all(tallies)
            window.sleep()
    result = {**window.result, "cameras": there, "received_to_array_ms": percentiles(since_received)}
    return {**result, "ages_ms": percentiles(ages)} if ages else result


def latest_slow_consumer(job: Job) -> dict[str, Any]:
    """Take the latest frame every 200 ms, decode it, and note how old it is."""
    read = job.picture_set().strip_reader()

    def numbers() -> Iterator[tuple[int | None, float]]:
        with es.Camera(job.controls[0]) as cam:
            while True:
                frame = cam.latest()
                began = time.perf_counter()
                number = read(frame.image())
                yield number, time.perf_counter() - began

    return watch_age(job, numbers())


def memory(job: Job) -> dict[str, Any]:
    """Receive from a fleet for long, and look at memory, threads and files now and then."""
    began = time.perf_counter()
    samples: list[dict[str, float]] = []
    with es.Fleet(job.controls) as fleet:
        fleet.start()
        _all_there(fleet)
        while (at := time.perf_counter() - began) < job.seconds:
            samples.append({"at_s": round(at, 1), **_held()})
            time.sleep(min(job.options["every_s"], max(0.01, job.seconds - at)))
        samples.append({"at_s": round(time.perf_counter() - began, 1), **_held()})
        stats = fleet.stats().values()
        figures = ("frames", "damaged", "reconnects")
        totals = {name: sum(getattr(each, name) for each in stats) for name in figures}
    return {**totals, "samples": samples}


def _held() -> dict[str, float]:
    """Give resident memory, threads and open files, as Linux tells them."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        raise NotHereError("memory is read from /proc") from None
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return {
        "rss_mb": int(fields["VmRSS"][0]) / 1024,
        "threads": int(fields["Threads"][0]),
        "files": len(os.listdir("/proc/self/fd")),
    }


ROWS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "Camera to latest slot": camera_to_latest,
    "Fleet to latest slots": fleet_to_latest,
    "Camera.stream + image": stream_images,
    "Camera.view": view_images,
    "Fleet.view": view_images,
    "Camera.latest, slow consumer": latest_slow_consumer,
    "Fleet, memory": memory,
}
