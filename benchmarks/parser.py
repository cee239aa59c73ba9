"""CPU time per frame of receiving one stream: our parser, the floor below it, and what others do.

Run ``python benchmarks/parser.py`` (some minutes) or with ``--quick``. A sender process serves the layout of
Matchboxscope (C) on the loopback interface as fast as it is read. The receivers take turns; the median of
their rounds is printed with its ratio to the floor, a bare ``recv_into`` of 256 KB. Ratios travel, absolutes
do not.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from espressoscope.wire.events import Part
from espressoscope.wire.parser import ResponseParser
from espressoscope.wire.pictures import PictureReader

if TYPE_CHECKING:
    from collections.abc import Callable

BOUNDARY = b"123456789000000000000987654321"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=" + BOUNDARY + b"\r\n"
    b"Transfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
)
RECEIVE = 256 * 1024
WARM_UP = 16
LENGTH = re.compile(rb"Content-Length: (\d+)\r\n\r\n")


class Size(NamedTuple):
    """One kind of stream: its pictures' size, their bytes, how many are read in a round."""

    name: str
    pixels: tuple[int, int]
    jpeg_bytes: int
    frames: int
    sent_bytes: float = 0  # mean of a frame with all that stands around it


SIZES = (Size("VGA", (640, 480), 19_000, 4000), Size("UXGA", (1600, 1200), 133_000, 600))


def number_of(size: Size) -> int:
    """Give the number the sender knows a size by."""
    return [known.name for known in SIZES].index(size.name)


def make_jpeg(size: Size, rng: random.Random) -> bytes:
    """Make bytes with a camera's header and random scan data of a camera's length; nobody decodes them."""
    from PIL import Image

    file = io.BytesIO()
    # libjpeg's 62 is about the firmware's default quality, 12.
    Image.new("RGB", size.pixels).save(file, "JPEG", quality=62, subsampling="4:2:2")
    header = file.getvalue()[: file.getvalue().index(b"\xff\xda") + 14]
    length = round(size.jpeg_bytes * rng.uniform(0.95, 1.05))
    scan = rng.randbytes(length).replace(b"\xff", b"\xff\x00")
    return header + scan[: length - len(header) - 2].rstrip(b"\xff") + b"\xff\xd9"


def stream_block(size: Size, rounds: int = 0) -> bytes:
    """Give some megabytes of stream, to be sent again and again: 16 pictures, some rounds of them."""
    rng = random.Random(7)
    jpegs = [make_jpeg(size, rng) for _ in range(16)]
    block = bytearray()
    for _ in range(rounds or max(1, 4_000_000 // (16 * size.jpeg_bytes))):
        for jpeg in jpegs:
            head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
            for chunk in (head, jpeg, b"\r\n--" + BOUNDARY + b"\r\n"):
                block += b"%x\r\n%b\r\n" % (len(chunk), chunk)
    return bytes(block)


def serve() -> None:
    """Be the sender: print the port, serve ``/<index of size>`` until killed."""
    blocks = [stream_block(size) for size in SIZES]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def one(client: socket.socket) -> None:
        with client:
            request = client.recv(4096)
            try:
                client.sendall(HEAD + b"24\r\n\r\n--" + BOUNDARY + b"\r\n\r\n")
                while True:
                    client.sendall(blocks[int(request[5:6])])
            except OSError:
                return  # the receiver has had enough

    while True:
        threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


def connect(port: int, size: Size) -> socket.socket:
    """Open a stream, request sent."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(b"GET /%d HTTP/1.1\r\nHost: cam\r\n\r\n" % number_of(size))
    return sock


def bare(port: int, size: Size) -> float:
    """Receive as many bytes as the frames have, and look at none: the floor."""
    buffer = bytearray(RECEIVE)
    wanted = size.frames * size.sent_bytes
    with connect(port, size) as sock:
        first = received = sock.recv_into(buffer)
        began = time.thread_time()
        while received < wanted:
            received += sock.recv_into(buffer)
        return (time.thread_time() - began) / ((received - first) / size.sent_bytes)


def parser(port: int, size: Size) -> float:
    """Receive through the parser, bodies as views."""
    parser = ResponseParser()
    frames = 0
    with connect(port, size) as sock:
        while frames < WARM_UP:  # the shape of the stream is learned, the buffer has its size
            frames += sum(
                isinstance(event, Part) for event in parser.receive(sock.recv_into(parser.get_buffer()))
            )
        first, began = frames, time.thread_time()
        while frames < size.frames:
            frames += len(parser.receive(sock.recv_into(parser.get_buffer())))
        return (time.thread_time() - began) / (frames - first)


def pictures(port: int, size: Size) -> float:
    """Receive through the parser, and copy and check each picture."""
    parser, reader = ResponseParser(), PictureReader()
    frames = 0
    with connect(port, size) as sock:
        began = time.thread_time()
        while frames < size.frames:
            for event in parser.receive(sock.recv_into(parser.get_buffer())):
                if isinstance(event, Part):
                    frames += len(reader.read(event.body))
        return (time.thread_time() - began) / frames


def aiohttp_splitter(port: int, size: Size) -> float:
    """Receive with aiohttp, and cut by Content-Length."""
    import aiohttp

    async def run() -> float:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/{number_of(size)}") as response,
        ):
            frames, waiting, due = 0, bytearray(), 0
            began = time.thread_time()
            async for piece in response.content.iter_any():
                waiting += piece
                at = 0
                while True:
                    if not due:
                        match = LENGTH.search(waiting, at)
                        if match is None:
                            break
                        due, at = int(match[1]), match.end()
                    if len(waiting) - at < due:
                        break
                    bytes(memoryview(waiting)[at : at + due])
                    at, due, frames = at + due, 0, frames + 1
                del waiting[:at]
                if frames >= size.frames:
                    break
            return (time.thread_time() - began) / frames

    return asyncio.run(run())


def tutorial(port: int, size: Size) -> float:
    """Receive as the tutorial does: requests, 8 KB pieces, FFD8 and FFD9 searched in all that waits."""
    import requests

    frames, waiting = 0, b""
    with requests.get(f"http://127.0.0.1:{port}/{number_of(size)}", stream=True, timeout=10) as response:
        began = time.thread_time()
        for piece in response.iter_content(chunk_size=8192):
            waiting += piece
            start = waiting.find(b"\xff\xd8")
            stop = waiting.find(b"\xff\xd9", start + 2)
            if start >= 0 and stop >= 0:
                jpeg, waiting = waiting[start : stop + 2], waiting[stop + 2 :]
                frames += len(jpeg) > 0
                if frames >= size.frames:
                    break
        return (time.thread_time() - began) / frames


class Row(NamedTuple):
    """One receiver."""

    name: str
    run: Callable[[int, Size], float]
    needs: str = ""
    share: float = 1.0  # of the frames; the slow ones read fewer


ROWS = (
    Row("bare recv_into of 256 KB", bare),
    Row("our parser", parser),
    Row("our parser + pictures", pictures),
    Row("aiohttp + Content-Length splitter", aiohttp_splitter, "aiohttp", 0.5),
    Row("the tutorial's loop (requests)", tutorial, "requests", 0.2),
)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    arguments.add_argument("--rounds", type=int, default=None)
    arguments.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.serve:
        serve()
        return
    rounds = options.rounds or (7 if options.quick else 15)
    rows = []
    for row in ROWS:
        if row.needs and find_spec(row.needs) is None:
            print(f"skipped: {row.name}: {row.needs} is not installed")
        else:
            rows.append(row)
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as sender:
        try:
            assert sender.stdout is not None
            port = int(sender.stdout.readline())
            for size in SIZES:
                size = size._replace(sent_bytes=len(stream_block(size, 1)) / 16)
                report(port, size, rows, rounds, 0.4 if options.quick else 1.0)
        finally:
            sender.terminate()


def report(port: int, size: Size, rows: list[Row], rounds: int, share: float) -> None:
    """Let the receivers take turns, and print their medians."""
    times: dict[str, list[float]] = {row.name: [] for row in rows}
    for _ in range(rounds):
        for row in rows:
            part = size._replace(frames=max(20, round(size.frames * row.share * share)))
            times[row.name].append(row.run(port, part))
    floor = statistics.median(times[rows[0].name])
    print(
        f"{size.name}, {size.jpeg_bytes // 1000} KB a frame, {rounds} rounds: CPU us/frame (ratio to floor)"
    )
    for name, values in times.items():
        median = statistics.median(values)
        spread = f"{min(values) * 1e6:.1f} to {max(values) * 1e6:.1f}"
        print(f"  {name:36} {median * 1e6:8.2f}  ({median / floor:6.2f}x)   {spread}")


if __name__ == "__main__":
    main()
