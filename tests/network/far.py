"""Boards on one network card of their own: a program that `Lan` runs in a network namespace.

Each line on stdin is a command in JSON, answered with one line; it ends with stdin. Frames are noted with the
moment they were taken, for their age on arrival. TCP is made as narrow as on a board: 5.7 kB under way, no
selective acknowledgement, no probing for a lost tail.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from espressoscope.sim import SimulatedCamera, board
from espressoscope.sim.records import FrameLog

CARD = sys.argv[1]
NETWORK = "10.77.0.0/24"
SEGMENTS = "4"  # lwIP's TCP_SND_BUF in ESP-IDF: 4 segments of 1440 bytes
board._SEND_BUFFER = 8192


def digest(jpeg: bytes) -> str:
    return hashlib.sha1(jpeg, usedforsecurity=False).hexdigest()


class Notes(FrameLog):
    """Notes when each frame was taken, and whether it left whole."""

    def __init__(self) -> None:
        super().__init__(keep=16)
        self.taken: list[list[Any]] = []

    def enter(self, number: int, jpeg: bytes) -> None:
        self.taken.append([number, time.time_ns(), digest(jpeg), True])
        super().enter(number, jpeg)

    def take_back(self, number: int) -> None:
        self.taken[-1][3] = False
        super().take_back(number)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


class Far:
    def __init__(self) -> None:
        self.cameras: dict[str, tuple[SimulatedCamera, Notes]] = {}

    def up(self) -> None:
        for name in ("tcp_sack", "tcp_early_retrans", "tcp_recovery"):
            Path("/proc/sys/net/ipv4", name).write_text("0", encoding="ascii")
        ip("link", "set", "lo", "up")
        ip("link", "set", CARD, "up")

    def address(self, host: str) -> None:
        ip("address", "add", f"{host}/24", "dev", CARD)
        ip("route", "change", NETWORK, "dev", CARD, "cwnd", "lock", SEGMENTS, "rto_min", "300ms")

    def announce(self, host: str) -> None:
        """Tell everybody who has this address now, as a board does when it joins: an ARP nobody asked for."""
        address = socket.inet_aton(host)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((CARD, 0))
            mac = raw.getsockname()[4]
            arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, address, bytes(6), address)
            raw.send(b"\xff" * 6 + mac + b"\x08\x06" + arp)

    def leave(self, host: str) -> None:
        ip("address", "del", f"{host}/24", "dev", CARD)

    def start(self, name: str, **options: Any) -> dict[str, Any]:
        options = {"port": 80, "stream_port": 81, "framesize": "VGA", "side_delays": False, **options}
        if options.get("firmware") == "esphome":
            options["stream_port"] = None
        camera = SimulatedCamera(**options).start()
        notes = Notes()
        camera._started().device.sent = notes
        self.cameras[name] = (camera, notes)
        return {"url": camera.url, "stream_url": camera.stream_url, "mac": camera.mac}

    def stop(self, name: str) -> None:
        self.cameras[name][0].stop()

    def taken(self, name: str) -> list[list[Any]]:
        return self.cameras[name][1].taken

    def requests(self, name: str) -> list[str]:
        return self.cameras[name][0].requests

    def watch(self, name: str) -> None:
        """Be another viewer of a camera, beside it: no radio between."""
        url = urlsplit(self.cameras[name][0].stream_url)
        assert url.hostname is not None
        viewer = self.viewer = socket.create_connection((url.hostname, url.port or 80), 20)
        viewer.settimeout(None)
        viewer.sendall(f"GET {url.path} HTTP/1.1\r\nHost: {url.hostname}\r\n\r\n".encode())

        def read() -> None:
            with contextlib.suppress(OSError):  # it has been taken away
                while viewer.recv(65536):
                    pass

        threading.Thread(target=read, daemon=True).start()

    def unwatch(self) -> None:
        self.viewer.shutdown(socket.SHUT_RDWR)
        self.viewer.close()


def main() -> None:
    print("here", flush=True)
    far = Far()
    for line in sys.stdin:
        name, options = json.loads(line)
        print(json.dumps(getattr(far, name)(**options)), flush=True)
    for camera, _ in far.cameras.values():
        camera.stop()


if __name__ == "__main__":
    main()
