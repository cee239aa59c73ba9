"""The peers: what people use today, each as its documentation or the tutorial has it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.beside import Beside
from benchmarks.counting import (
    FIRST_FRAME_S,
    Slot,
    Tally,
    asyncio_reads,
    counted,
    ends,
    percentiles,
    summed,
    wait_for_all,
    watch_age,
)
from benchmarks.job import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.job import Job


def aiohttp_streams(job: Job) -> dict[str, Any]:
    """Take chunks of whatever there is and split by Content-Length: the best general client."""
    import aiohttp

    slots = [Slot() for _ in job.streams]
    window = Window(job, ends(job, slots, asyncio_reads()).counts)

    async def one(session: aiohttp.ClientSession, url: str, slot: Slot) -> None:
        async with session.get(url) as response:
            buffer = bytearray()
            need = 0
            async for data in response.content.iter_chunked(2**18):
                buffer += data
                at = 0
                while True:
                    if not need:
                        head = buffer.find(b"Content-Length: ", at)
                        end = buffer.find(b"\r\n\r\n", head)
                        if head < 0 or end < 0:
                            break
                        need = int(buffer[head + 16 : end])
                        at = end + 4
                    if len(buffer) - at < need:
                        break
                    slot.newest = bytes(buffer[at : at + need])
                    slot.frames += 1
                    at += need
                    need = 0
                del buffer[:at]
                if len(slots) == 1 and window.over():
                    return

    async def run() -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=2**20) as session:
            tasks = [
                asyncio.ensure_future(one(session, url, slot))
                for url, slot in zip(job.streams, slots, strict=True)
            ]
            if len(slots) > 1:
                deadline = asyncio.get_running_loop().time() + FIRST_FRAME_S
                while not all(slot.frames for slot in slots):
                    if asyncio.get_running_loop().time() > deadline:
                        break
                    await asyncio.sleep(0.02)
                while not window.over():  # noqa: ASYNC110 - it looks at a clock
                    await asyncio.sleep(0.05)
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    return window.result


def tutorial_frames(url: str) -> Iterator[bytes]:
    """Run the loop everybody starts with."""
    import requests

    data = b""
    with requests.get(url, stream=True, timeout=20) as response:
        for piece in response.iter_content(chunk_size=8192):
            data += piece
            start = data.find(b"\xff\xd8")
            end = data.find(b"\xff\xd9")
            if start != -1 and end != -1:
                jpeg = data[start : end + 2]
                data = data[end + 2 :]
                yield jpeg


def tutorial(job: Job) -> dict[str, Any]:
    """Receive with the tutorial's loop; many cameras each in a thread of its own."""
    import socket

    import requests  # noqa: F401 - missing is told before any thread starts

    slots = [Slot() for _ in job.streams]
    window = Window(job, ends(job, slots, counted(socket.SocketIO, "readinto")).counts)
    if len(slots) == 1:
        for jpeg in tutorial_frames(job.streams[0]):
            slots[0].newest = jpeg
            slots[0].frames += 1
            if window.over():
                break
        return window.result

    def one(url: str, slot: Slot) -> None:
        for jpeg in tutorial_frames(url):
            slot.newest = jpeg
            slot.frames += 1

    for url, slot in zip(job.streams, slots, strict=True):
        threading.Thread(target=one, args=(url, slot), daemon=True).start()
    wait_for_all(slots)
    window.sleep()
    return window.result


# ---- decoded pictures ---------------------------------------------------------------------------------


def tutorial_images(url: str, scale: int) -> Iterator[NDArray[Any]]:
    """Decode what the tutorial's loop finds, with OpenCV as it does."""
    import cv2

    flags = cv2.IMREAD_COLOR if scale == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{scale}")
    for jpeg in tutorial_frames(url):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags)
        if image is not None:
            yield image


def capture_images(url: str, scale: int) -> Iterator[NDArray[Any]]:
    """Read with cv2.VideoCapture; it has no smaller scale, so the picture is made smaller afterwards."""
    import cv2

    capture = cv2.VideoCapture(url)
    while True:
        there, image = capture.read()
        if not there:
            return
        yield image if scale == 1 else image[::scale, ::scale]


def pyav_images(url: str, scale: int) -> Iterator[NDArray[Any]]:
    """Read with PyAV."""
    import av

    with av.open(url, options={"rw_timeout": "20000000"}) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")[::scale, ::scale]


IMAGES: dict[str, Callable[[str, int], Iterator[NDArray[Any]]]] = {
    "cv2.VideoCapture": capture_images,
    "PyAV": pyav_images,
    "tutorial's loop + cv2": tutorial_images,
}


def decoded(name: str) -> Callable[[Job], dict[str, Any]]:
    """Make a row that receives and decodes with one of `IMAGES`, each camera in a thread of its own."""
    open_images = IMAGES[name]

    def row(job: Job) -> dict[str, Any]:
        _import(name)
        scale = job.options.get("scale", 1)
        pictures = job.picture_set()
        read = pictures.strip_reader(scale)
        tallies = [Tally(len(pictures)) for _ in job.streams]
        beside = Beside(job, pictures)
        window = Window(job, lambda: summed(tallies), beside)
        if len(tallies) == 1:
            for image in open_images(job.streams[0], scale):
                tallies[0].add(number := read(image))
                beside.decode(number)
                if window.over():
                    return window.result
            raise RuntimeError(f"{name}: the stream ended")
        ages: list[float] = []

        def one(camera: int) -> None:
            tally = tallies[camera]
            for image in open_images(job.streams[camera], scale):
                number = read(image)
                tally.add(number)
                if number is not None and window.measuring:
                    ages.append(job.age_s(camera, number))

        for camera in range(len(tallies)):
            threading.Thread(target=one, args=(camera,), daemon=True).start()
        there = wait_for_all(tallies)
        window.sleep()
        return {**window.result, "cameras": there, "ages_ms": percentiles(ages)}

    return row


def slow_consumer(name: str) -> Callable[[Job], dict[str, Any]]:
    """Make a row that takes a picture every 200 ms and notes how old it is."""
    open_images = IMAGES[name]

    def row(job: Job) -> dict[str, Any]:
        _import(name)
        read = job.picture_set().strip_reader()
        return watch_age(job, ((read(image), 0.0) for image in open_images(job.streams[0], 1)))

    return row


def _import(name: str) -> None:
    """Tell of a missing library before any thread starts."""
    if name == "PyAV":
        import av  # noqa: F401
    else:
        import cv2  # noqa: F401
    if name.startswith("tutorial"):
        import requests  # noqa: F401


ROWS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "aiohttp": aiohttp_streams,
    "tutorial's loop": tutorial,
    **{name: decoded(name) for name in IMAGES},
    **{f"{name}, slow consumer": slow_consumer(name) for name in IMAGES},
}
