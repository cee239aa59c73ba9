"""A local network with cameras among silent addresses, run in a network namespace (see `PrivateNetwork`).

Run as a program: makes a virtual cable, puts simulated cameras on its far end in a second namespace, searches
from the near end and prints what came of it as JSON. Nothing of this can leave the two namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from typing import Any

OWN = os.environ.get("PRIVATE_LAN_OWN", "10.77.0.1")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


def be_cameras(prefix: str, addresses: list[str]) -> None:
    """The far end: one camera for each address, until stdin ends; then tells what was asked of them."""
    from espressoscope.sim import SimulatedCamera

    print("here", flush=True)
    sys.stdin.readline()  # the cable has been plugged in
    ip("link", "set", "lo", "up")
    for address in addresses:
        ip("address", "add", f"{address}/{prefix}", "dev", "far")
    ip("link", "set", "far", "up")
    with contextlib.ExitStack() as stack:
        cameras = [
            stack.enter_context(SimulatedCamera(host=address, port=80, stream_port=81))
            for address in addresses
        ]
        print("ready", flush=True)
        sys.stdin.read()
        print(json.dumps({camera.url: camera.requests for camera in cameras}), flush=True)


def search(prefix: str, addresses: list[str], options: dict[str, Any]) -> None:
    """The near end."""
    import espressoscope as es

    ip("link", "set", "lo", "up")
    list(es.discover("127.0.0.1", 9))  # imports done, the loop has run once
    command = ["unshare", "--net", sys.executable, __file__, "cameras", prefix, *addresses]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as far:
        assert far.stdin is not None
        assert far.stdout is not None
        assert far.stdout.readline() == "here\n"
        ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        ip("link", "set", "far", "netns", str(far.pid))
        ip("address", "add", f"{OWN}/{prefix}", "dev", "near")
        ip("link", "set", "near", "up")
        print("go", file=far.stdin, flush=True)
        assert far.stdout.readline() == "ready\n"
        begun, cpu = time.perf_counter(), time.process_time()
        found = [[info.url, info.found_by, time.perf_counter() - begun] for info in es.discover(**options)]
        report = {
            "found": found,
            "seconds": time.perf_counter() - begun,
            "cpu_s": time.process_time() - cpu,
        }
        far.stdin.close()
        report["requests"] = json.loads(far.stdout.readline())
    print(json.dumps(report))


if __name__ == "__main__":
    if sys.argv[1] == "cameras":
        be_cameras(sys.argv[2], sys.argv[3:])
    else:
        search(sys.argv[2], sys.argv[4:], json.loads(sys.argv[3]))
