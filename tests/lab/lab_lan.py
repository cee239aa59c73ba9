"""A small network in network namespaces, for the doctor and for `join_wifi` (see `PrivateNetwork`).

Run as a program inside one: makes a virtual cable with a second namespace at its far end, where the cameras
are, does what the plan says at the near end, and prints what came of it as JSON. No packet leaves the two.

The plan, JSON as the only argument::

    own       addresses of the near end, 10.77.0.1/24; without any there is no cable either
    near      commands of `ip` at the near end
    others    addresses of the far end, where nobody listens
    deaf      addresses of the far end, whose port 80 takes no connection
    cameras   lists of arguments of SimulatedCamera, `host` among them; `moves_to`: where it restarts
    diagnose  lists of arguments of `diagnose`
    join      arguments of `join_wifi`; `command` instead is a whole command line
    switch    commands of `ip` at the near end once the camera has been told
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import subprocess
import sys
import threading
import time
from typing import Any


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


# --- the far end


def be_there(plan: dict[str, Any]) -> None:
    print("here", flush=True)
    sys.stdin.readline()  # the cable has been plugged in
    ip("link", "set", "lo", "up")
    ip("link", "set", "far", "up")
    cameras = plan.get("cameras", [])
    addresses = [*plan.get("others", []), *plan.get("deaf", []), *(camera["host"] for camera in cameras)]
    addresses += [camera["moves_to"] for camera in cameras if camera.get("moves_to")]
    for address in addresses:
        ip("address", "add", f"{address}/24", "dev", "far")
    with contextlib.ExitStack() as stack:
        for address in plan.get("deaf", []):
            listener = stack.enter_context(socket.create_server((address, 80), backlog=0))
            for _ in range(2):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
        running = [stack.enter_context(Movable(**camera)) for camera in cameras]
        print("ready", flush=True)
        sys.stdin.read()
        print(json.dumps([camera.requests() for camera in running]), flush=True)


class Movable:
    """A camera that comes back at another address after it has been told to restart."""

    def __init__(self, moves_to: str | None = None, **options: Any) -> None:
        from espressoscope.sim import SimulatedCamera

        options = {"port": 80, "stream_port": 81, "number": 7, "boot_s": 1.0, **options}
        self._first = SimulatedCamera(**options)
        self._second = SimulatedCamera(**{**options, "host": moves_to}) if moves_to else None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._move)

    def _move(self) -> None:
        while not self._over.wait(0.05):
            if any("var=reboot" in line for line in self._first.requests):
                self._over.wait(2.0)
                self._told = self._first.requests
                self._first.stop()
                assert self._second is not None
                with self._second:
                    # What it has been told it has kept.
                    told = [line.split("val=")[1].split()[0] for line in self._told if "var=ssid" in line]
                    assert self._second._board is not None
                    self._second._board.network = told[-1]
                    self._over.wait()
                return

    def requests(self) -> list[str]:
        return self._first.requests

    def __enter__(self) -> Movable:
        self._first.start()
        if self._second is not None:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._second is not None:
            self._thread.join()
        self._first.stop()


# --- the near end


def live(plan: dict[str, Any]) -> None:
    ip("link", "set", "lo", "up")
    report: dict[str, Any] = {}
    if not plan.get("own"):
        prepare(plan)
        act(plan, report)
    else:
        command = ["unshare", "--net", sys.executable, __file__, json.dumps(plan), "far"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as far:
            assert far.stdin is not None
            assert far.stdout is not None
            assert far.stdout.readline() == "here\n"
            ip("link", "add", "near", "type", "veth", "peer", "name", "far")
            ip("link", "set", "far", "netns", str(far.pid))
            for address in plan["own"]:
                ip("address", "add", address, "dev", "near")
            ip("link", "set", "near", "up")
            prepare(plan)
            print("go", file=far.stdin, flush=True)
            assert far.stdout.readline() == "ready\n"
            act(plan, report)
            far.stdin.close()
            report["requests"] = json.loads(far.stdout.readline())
    print(json.dumps(report))


def prepare(plan: dict[str, Any]) -> None:
    for command in plan.get("near", []):
        ip(*command.split())


def act(plan: dict[str, Any], report: dict[str, Any]) -> None:
    import espressoscope as es

    report["findings"] = []
    for arguments in plan.get("diagnose", []):
        began = time.monotonic()
        found = [dataclasses.astuple(finding) for finding in es.diagnose(**arguments)]
        report["findings"].append({"found": found, "seconds": time.monotonic() - began})
    if "join" in plan:
        report["steps"] = []
        for step in es.join_wifi(**plan["join"]):
            report["steps"].append([step.code, step.ok, step.words, step.camera and step.camera.url])
            if step.code == "told":
                for command in plan.get("switch", []):
                    ip(*command.split())
    if "command" in plan:
        done = subprocess.run(
            [sys.executable, "-m", "espressoscope", *plan["command"]],
            capture_output=True,
            text=True,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )
        report["done"] = [done.returncode, done.stdout, done.stderr]


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if sys.argv[2:] == ["far"]:
        be_there(given)
    else:
        live(given)
