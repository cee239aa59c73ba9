"""The load generator: a process of its own that plays N cameras, leanly enough to leave the machine alone.

    python -m benchmarks.load PICTURES --cameras 100 --fps 25 --arrival wifi

PICTURES is a file of `benchmarks.pictures`. Every camera has a control port that answers /status and a stream
port, and sends the same numbered pictures, prepared beforehand, at moments of its own spread at random over
the frame time. `burst`: the frame in one go. `wifi`: segments of 1436 bytes over 8 ms, as a board's TCP sends
them. `saturated`: one camera, as fast as it is taken.

A camera whose viewer is slow does as the device: it finishes the frame at hand and leaves out those due
meanwhile. The number of the frame due is a matter of time alone, so a reader of the clock knows which one it
should see. Prints where it listens as JSON; answers each line on stdin with what it did since the last.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import socket
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.pictures import BOUNDARY, HEAD, PictureSet, chunk
from benchmarks.ports import Ports

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENT = 1436
SPREAD_NS = 8_000_000
_TICK_NS = 250_000
_RETRY_NS = 2_000_000


class Tick(NamedTuple):
    """What is sent together: at which time of the period, and (camera, number of the segment)."""

    offset_ns: int
    segments: list[tuple[int, int]]


def plan(phases_ns: list[int], period_ns: int, segments: int) -> list[Tick]:
    """Sort a period's sends by time, those within a quarter of a millisecond together."""
    apart = SPREAD_NS // max(1, segments - 1) if segments > 1 else 0
    ticks: dict[int, list[tuple[int, int]]] = collections.defaultdict(list)
    for camera, phase in enumerate(phases_ns):
        for segment in range(segments):
            at = (phase + segment * apart) % period_ns
            ticks[at // _TICK_NS].append((camera, segment))
    return [Tick(tick * _TICK_NS, sends) for tick, sends in sorted(ticks.items())]


class Sender:
    """Sends the frames; its counters may be read from any thread."""

    def __init__(self, pictures: PictureSet, cameras: int, fps: float, *, wifi: bool, buffer: int) -> None:
        wire = pictures.wire()
        self.mean_bytes = sum(map(len, wire)) // len(wire)
        self.longest = max(map(len, wire))
        self.cut = [pieces(frame, SEGMENT if wifi else len(frame)) for frame in wire]
        self.period_ns = round(1e9 / fps) if fps else 0
        draw = random.Random(1)
        self.phases_ns = [draw.randrange(max(1, self.period_ns)) for _ in range(cameras)]
        self.ticks = plan(self.phases_ns, self.period_ns, max(map(len, self.cut))) if fps else []
        self.buffer = buffer
        self.began_ns = 0
        self.sent = self.left_out = 0
        self.late_ns: list[int] = []
        self._arrivals: collections.deque[tuple[int, socket.socket]] = collections.deque()
        self._viewers: list[socket.socket | None] = [None] * cameras
        self._sends: list[Callable[[memoryview], int] | None] = [None] * cameras
        self._current: list[list[memoryview] | None] = [None] * cameras
        self._rests: dict[int, memoryview] = {}

    def add(self, camera: int, viewer: socket.socket) -> None:
        """Take a viewer; from any thread."""
        viewer.setblocking(True)
        viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.buffer:
            viewer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer)
        viewer.sendall(HEAD + chunk(BOUNDARY))
        self._arrivals.append((camera, viewer))

    def saturate(self) -> None:
        """Send to one viewer after the other as fast as it takes."""
        batch = b"".join(piece for frame in self.cut for piece in frame)
        while True:
            if not self._arrivals:
                time.sleep(0.001)
                continue
            _, viewer = self._arrivals.popleft()
            try:
                while not self._arrivals:
                    viewer.sendall(batch)
                    self.sent += len(self.cut)
            except OSError:
                pass
            viewer.close()

    def pace(self) -> None:
        """Send to every viewer by the clock, for ever."""
        clock, sleep = time.perf_counter_ns, time.sleep
        # In whole rounds of the pictures, so that the numbers follow from the clock.
        base_ns = self.began_ns = clock()
        retried_ns = number = 0
        while True:
            frame = self.cut[number]
            for offset_ns, segments in self.ticks:
                due_ns = base_ns + offset_ns
                if self._arrivals:
                    self._welcome()
                wait_ns = due_ns - clock()
                if wait_ns > 0:
                    sleep(wait_ns / 1e9)
                now_ns = clock()
                self.late_ns.append(now_ns - due_ns)
                for camera, segment in segments:
                    if segment == 0:
                        self._begin(camera, frame)
                    mine = self._current[camera]
                    if mine is not None and segment < len(mine):
                        self._send(camera, mine, segment)
                if self._rests and now_ns - retried_ns > _RETRY_NS:
                    retried_ns = now_ns
                    for camera in tuple(self._rests):
                        self._resume(camera)
            base_ns += self.period_ns
            number = (number + 1) % len(self.cut)

    def _welcome(self) -> None:
        camera, viewer = self._arrivals.popleft()
        self._leave(camera)
        viewer.setblocking(False)
        self._viewers[camera] = viewer
        self._sends[camera] = viewer.send

    def _leave(self, camera: int) -> None:
        viewer = self._viewers[camera]
        if viewer is not None:
            viewer.close()
        self._viewers[camera] = self._sends[camera] = self._current[camera] = None
        self._rests.pop(camera, None)

    def _begin(self, camera: int, frame: list[memoryview]) -> None:
        if self._sends[camera] is None:
            return
        if camera in self._rests:
            self.left_out += 1
            self._current[camera] = None
        else:
            self._current[camera] = frame

    def _send(self, camera: int, frame: list[memoryview], segment: int) -> None:
        piece = frame[segment]
        send = self._sends[camera]
        assert send is not None
        try:
            count = send(piece)
        except BlockingIOError:
            count = 0
        except OSError:
            self._leave(camera)
            return
        if count < len(piece):
            # From here on by its own pace: whatever is missing of this frame, as soon as there is room.
            self._rests[camera] = memoryview(b"".join([piece[count:], *frame[segment + 1 :]]))
            self._current[camera] = None
        elif segment == len(frame) - 1:
            self.sent += 1

    def _resume(self, camera: int) -> None:
        rest = self._rests[camera]
        send = self._sends[camera]
        assert send is not None
        try:
            count = send(rest)
        except BlockingIOError:
            return
        except OSError:
            self._leave(camera)
            return
        if count < len(rest):
            self._rests[camera] = rest[count:]
        else:
            del self._rests[camera]
            self.sent += 1


def pieces(frame: bytes, size: int) -> list[memoryview]:
    """Cut a frame."""
    cuts = [*range(0, len(frame), size), len(frame)]
    return [memoryview(frame)[begin:end] for begin, end in pairwise(cuts)]


def main() -> None:
    """Serve until stdin closes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--arrival", choices=("burst", "wifi", "saturated"), default="burst")
    parser.add_argument("--buffer", type=int, default=1 << 16, help="send buffer; 0: the system's")
    asked = parser.parse_args()
    saturated = asked.arrival == "saturated"
    sender = Sender(
        PictureSet.load(asked.pictures),
        asked.cameras,
        0.0 if saturated else asked.fps,
        wifi=asked.arrival == "wifi",
        buffer=0 if saturated else asked.buffer,
    )
    ports = Ports(asked.cameras, sender.add)
    threading.Thread(target=ports.serve, daemon=True).start()
    threading.Thread(target=sender.saturate if saturated else sender.pace, daemon=True).start()
    while not saturated and not sender.began_ns:
        time.sleep(0.001)
    ready = {
        "ports": ports.pairs,
        "frame_bytes": sender.mean_bytes,
        "frames": len(sender.cut),
        "began_ns": sender.began_ns,
        "period_ns": sender.period_ns,
        "phases_ns": sender.phases_ns,
    }
    print(json.dumps(ready), flush=True)
    sent = left_out = 0
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for _ in sys.stdin:
        late_ns, sender.late_ns = sorted(sender.late_ns) or [0], []
        now_cpu_s, now_wall_s = time.process_time(), time.perf_counter()
        done = {
            "cpu_percent": 100 * (now_cpu_s - cpu_s) / (now_wall_s - wall_s),
            "sent": sender.sent - sent,
            "left_out": sender.left_out - left_out,
            "late_p99_ms": late_ns[len(late_ns) * 99 // 100] / 1e6,
            "late_max_ms": late_ns[-1] / 1e6,
        }
        sent, left_out, cpu_s, wall_s = sender.sent, sender.left_out, now_cpu_s, now_wall_s
        print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
