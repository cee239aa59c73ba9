"""CPU per frame from one saturated stream: the public Camera beside the floor and the peers.

Rows: a bare `recv_into` loop (the floor), the parser alone, `espressoscope.Camera` to its latest slot,
aiohttp with a Content-Length splitter (the best general client), and the loop of the tutorial (requests,
FFD8/FFD9). Each in a process of its own, by turns, against one sender process; user + system time of the
receiving process only.

    python benchmarks/receive.py [--seconds 0.8] [--rounds 11]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SIZES = {"VGA": (19_000, 640, 480), "UXGA": (133_000, 1600, 1200)}


@contextlib.contextmanager
def sender(size: str) -> Iterator[tuple[int, int, int]]:
    """Run the load generator; gives control port, stream port and the mean bytes of a frame."""
    nbytes, width, height = SIZES[size]
    command = [sys.executable, str(HERE / "load.py"), "--bytes", str(nbytes)]
    command += ["--width", str(width), "--height", str(height)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            control, stream, nbytes = (process.stdout.readline() if process.stdout else "").split()
            yield int(control), int(stream), int(nbytes)
        finally:
            process.kill()


class Clock:
    """Frames and CPU time after a warm-up."""

    def __init__(self, seconds: float) -> None:
        self._warm = time.perf_counter() + 0.3 * seconds
        self._end = self._warm + seconds
        self._cpu: float | None = None
        self._first = 0

    def done(self, frames: int) -> bool:
        """Say whether the time is up; called now and then with the count so far."""
        now = time.perf_counter()
        if self._cpu is None:
            if now >= self._warm:
                self._cpu = time.process_time()
                self._first = frames
            return False
        if now < self._end:
            return False
        print(json.dumps({"frames": frames - self._first, "cpu_s": time.process_time() - self._cpu}))
        return True


def connected(port: int) -> socket.socket:
    """Open a stream."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(REQUEST)
    return sock


def floor(ports: tuple[int, int, int], seconds: float) -> None:
    """Receive 256 KB at a time and look at nothing; frames by bytes."""
    view = memoryview(bytearray(256 * 1024))
    clock = Clock(seconds)
    received = 0
    with connected(ports[1]) as sock:
        while not clock.done(received // ports[2]):
            for _ in range(16):
                received += sock.recv_into(view)


def parser_alone(ports: tuple[int, int, int], seconds: float) -> None:
    """Receive into the parser's own buffer and count its parts."""
    from espressoscope.wire.events import Part
    from espressoscope.wire.parser import ResponseParser

    parser = ResponseParser()
    clock = Clock(seconds)
    frames = 0
    with connected(ports[1]) as sock:
        while not clock.done(frames):
            for _ in range(16):
                for event in parser.receive(sock.recv_into(parser.get_buffer())):
                    frames += type(event) is Part


def camera(ports: tuple[int, int, int], seconds: float) -> None:
    """Let the public Camera keep its latest slot full."""
    import espressoscope as es

    with es.Camera(f"127.0.0.1:{ports[0]}") as cam:
        cam.latest()
        clock = Clock(seconds)
        while not clock.done(cam.stats.frames):
            time.sleep(0.05)


def aiohttp_client(ports: tuple[int, int, int], seconds: float) -> None:
    """Read with aiohttp's `iter_any`-like chunks, split by Content-Length."""
    import aiohttp

    async def run() -> None:
        clock = Clock(seconds)
        frames = 0
        async with (
            aiohttp.ClientSession(read_bufsize=2**20) as session,
            session.get(f"http://127.0.0.1:{ports[1]}/") as response,
        ):
            buffer = bytearray()
            need = 0
            latest = b""
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
                    latest = bytes(buffer[at : at + need])
                    frames += len(latest) > 0
                    at += need
                    need = 0
                del buffer[:at]
                if clock.done(frames):
                    return

    asyncio.run(run())


def tutorial(ports: tuple[int, int, int], seconds: float) -> None:
    """Run the loop everybody starts with."""
    import requests

    clock = Clock(seconds)
    frames = 0
    data = b""
    with requests.get(f"http://127.0.0.1:{ports[1]}/", stream=True, timeout=5) as response:
        for piece in response.iter_content(chunk_size=8192):
            data += piece
            start = data.find(b"\xff\xd8")
            end = data.find(b"\xff\xd9")
            if start != -1 and end != -1:
                jpeg = data[start : end + 2]
                data = data[end + 2 :]
                frames += len(jpeg) > 0
            if clock.done(frames):
                return


ROWS: dict[str, Callable[[tuple[int, int, int], float], None]] = {
    "floor: bare recv_into": floor,
    "parser alone": parser_alone,
    "Camera to latest slot": camera,
    "aiohttp": aiohttp_client,
    "tutorial: requests loop": tutorial,
}


def measure(row: str, size: str, ports: tuple[int, int, int], seconds: float) -> float | None:
    """Run one row in a process of its own; us of CPU per frame, None when its library is missing."""
    command = [sys.executable, __file__, "--row", row, "--size", size, "--seconds", str(seconds)]
    command += ["--ports", *map(str, ports)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(f"{row}: {done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    return float(result["cpu_s"] / max(1, result["frames"]) * 1e6)


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--seconds", type=float, default=0.8)
    arguments.add_argument("--rounds", type=int, default=11)
    arguments.add_argument("--row", help=argparse.SUPPRESS)
    arguments.add_argument("--size", help=argparse.SUPPRESS)
    arguments.add_argument("--ports", type=int, nargs=3, help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.row:
        ROWS[asked.row](tuple(asked.ports), asked.seconds)
        return
    for size in SIZES:
        figures: dict[str, list[float]] = {row: [] for row in ROWS}
        with sender(size) as ports:
            for _ in range(asked.rounds):
                for row in ROWS:
                    value = measure(row, size, ports, asked.seconds)
                    if value is not None:
                        figures[row].append(value)
        medians = {row: statistics.median(values) for row, values in figures.items() if values}
        print(f"\n{size}, {ports[2]} bytes a frame, one saturated stream, {asked.rounds} rounds")
        print(f"{'':26}{'us/frame':>10}{'min':>9}{'max':>9}{'x floor':>9}{'x aiohttp':>11}{'x tutorial':>12}")
        for row, median in medians.items():
            # Round by round: the machine's speed drifts, and both of a pair drift with it.
            against = [
                statistics.median(
                    ours / theirs for ours, theirs in zip(figures[row], figures[peer], strict=True)
                )
                if peer in medians
                else float("nan")
                for peer in ("floor: bare recv_into", "aiohttp", "tutorial: requests loop")
            ]
            low, high = min(figures[row]), max(figures[row])
            print(
                f"{row:26}{median:10.2f}{low:9.2f}{high:9.2f}{against[0]:9.2f}{against[1]:11.3f}{against[2]:12.3f}"
            )


if __name__ == "__main__":
    main()
