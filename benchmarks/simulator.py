"""What simulated cameras cost: percent of a core for 24 and 100 of them at 25 frames a second, VGA.

    python -m benchmarks.simulator            a table
    python -m benchmarks.simulator --json     the same, one object a line

The cameras run in a process of their own, with pictures made beforehand, as `espressoscope simulate -n 24
--fps 25` runs them. This process only receives, without parsing. Targets: 24 cameras <= 10 %
of a core, 100 <= 30 %.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

FRAMESIZE = "VGA"
TARGETS = {24: 10.0, 100: 30.0}
EOI = b"\xff\xd9\r\n"


def serve(count: int, fps: float) -> None:
    """Run the cameras; answer every line on stdin with the CPU seconds used and the frames sent so far."""
    from espressoscope.sim import simulate

    files = resource.RLIMIT_NOFILE
    resource.setrlimit(files, (resource.getrlimit(files)[1],) * 2)
    with simulate(count, port=0, fps=fps, framesize=FRAMESIZE, keep=0) as cameras:
        print(json.dumps([camera.stream_url for camera in cameras]), flush=True)
        for _ in sys.stdin:
            sent = sum(camera.sent.total for camera in cameras)
            print(json.dumps([time.process_time(), sent]), flush=True)


def measure(count: int, fps: float, seconds: float) -> dict[str, float]:
    """Receive from that many cameras for a while; give what their process used."""
    command = [sys.executable, __file__, "--serve", "--cameras", str(count), "--fps", str(fps)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        urls = json.loads(child.stdout.readline())
        selector = selectors.DefaultSelector()
        socks = []
        for url in urls:
            parts = urlsplit(url)
            sock = socket.create_connection((parts.hostname, parts.port), timeout=10)
            sock.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: cam\r\n\r\n".encode())
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ)
            socks.append(sock)

        def ask() -> tuple[float, int]:
            child.stdin.write("\n")
            child.stdin.flush()
            cpu_s, sent = json.loads(child.stdout.readline())
            return cpu_s, sent

        receive(selector, 2.0)
        cpu_s, sent = ask()
        started = time.perf_counter()
        received = receive(selector, seconds)
        wall_s = time.perf_counter() - started
        cpu_after_s, sent_after = ask()
        for sock in socks:
            sock.close()
        child.stdin.close()
        child.wait(20)
    frames = sent_after - sent
    return {
        "cameras": count,
        "fps": fps,
        "cpu_percent": round(100 * (cpu_after_s - cpu_s) / wall_s, 1),
        "us_per_frame": round(1e6 * (cpu_after_s - cpu_s) / max(1, frames), 1),
        "frames_per_s": round(frames / wall_s, 1),
        "megabytes_per_s": round(received / wall_s / 1e6, 1),
    }


def receive(selector: selectors.BaseSelector, seconds: float) -> int:
    """Take whatever comes."""
    buffer = bytearray(1 << 18)
    total = 0
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        for key, _ in selector.select(left):
            size = key.fileobj.recv_into(buffer)
            if not size:
                raise SystemExit("a simulated camera has closed its stream")
            total += size
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cameras", type=int, action="append", help="how many; may be repeated")
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a measurement")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.cameras[0], arguments.fps)
        return
    if not arguments.json:
        print(
            "".join(
                f"{title:>{width}}"
                for title, width in (
                    *(("cameras", 8), ("fps", 6), ("% of a core", 13), ("target", 8)),
                    *(("us/frame", 10), ("frames/s", 10), ("MB/s", 7)),
                )
            )
        )
    for count in arguments.cameras or TARGETS:
        row = measure(count, arguments.fps, arguments.seconds)
        if arguments.json:
            print(json.dumps(row), flush=True)
            continue
        target = f"{TARGETS[count]:g}" if count in TARGETS and arguments.fps == 25 else ""
        print(
            f"{count:>8}{row['fps']:>6g}{row['cpu_percent']:>13}{target:>8}{row['us_per_frame']:>10}"
            f"{row['frames_per_s']:>10}{row['megabytes_per_s']:>7}",
            flush=True,
        )


if __name__ == "__main__":
    main()
