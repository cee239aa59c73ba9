"""A local network with cameras among silent addresses, run in a network namespace (see `PrivateNetwork`).

Run as a program: makes a virtual cable, puts simulated cameras on its far end in a second namespace, searches
from the near end and prints what came of it as JSON. Nothing of this can leave the two namespaces.

The plan, JSON as the only argument::

    prefix     length of the network's prefix, 24
    own        address of the near end, 10.77.0.1
    cameras    list of arguments of SimulatedCamera, `host` among them; besides
                   link     true: on a network card of its own, with a MAC of its own
                   routed   true: behind a router, which is the far end
                   asleep_s its first so many seconds it answers on the link, and takes no connection
    announce   list of (name, service, address, port, TXT record) told by mDNS
    searches   list of arguments of `discover`, one search after the other; besides
                   way      "fleet": names of a fleet of what is found; "close": `pauses` after it has begun;
                            "twice": two at once; "tutorial": as the tutorial searches; "open": no search,
                            but a Camera for each of `known`, pairs of URL and MAC
                   forget   true: what was found is not remembered
                   fresh    true: at once, before anything of ours has been imported
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROUTER = "10.77.0.254"
PORTS = {"port": 80, "stream_port": 81}


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


# --- the far end


def be_cameras(plan: dict[str, Any]) -> None:
    """Be the cameras, until stdin ends; then tell what was asked of them."""
    from espressoscope.sim import SimulatedCamera

    print("here", flush=True)
    sys.stdin.readline()  # the cable has been plugged in
    ip("link", "set", "lo", "up")
    # Each network card answers for its own address only.
    for name, value in (("arp_ignore", "1"), ("arp_announce", "2")):
        Path(f"/proc/sys/net/ipv4/conf/all/{name}").write_text(value, encoding="ascii")
    ip("link", "set", "far", "up")
    cameras = [dict(camera) for camera in plan["cameras"]]
    for number, camera in enumerate(cameras):
        card, prefix = "far", plan["prefix"]
        if camera.pop("link", False):
            card = f"card{number}"
            ip("link", "add", "link", "far", "name", card, "address", card_mac(number), "type", "macvlan")
            ip("link", "set", card, "up")
        if camera.pop("routed", False):
            card, prefix = "lo", 32
        ip("address", "add", f"{camera['host']}/{prefix}", "dev", card)
    if any(camera.get("routed") for camera in plan["cameras"]):
        ip("address", "add", f"{ROUTER}/{plan['prefix']}", "dev", "far")
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(SimulatedCamera(**{**PORTS, **camera}))
            for camera in cameras
            if not camera.get("asleep_s")
        ]
        for camera in cameras:
            if camera.get("asleep_s"):
                stack.enter_context(sleeping(camera, lambda **awake: SimulatedCamera(**{**PORTS, **awake})))
        stack.enter_context(announcing(plan.get("announce", ())))
        print("ready", flush=True)
        sys.stdin.read()
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({camera.url: camera.requests for camera in running}), flush=True)


@contextlib.contextmanager
def sleeping(camera: dict[str, Any], wake: Any) -> Any:
    """Take no connection at first: the queue of the port is full; then be a camera."""
    over = threading.Event()
    asleep_s = camera.pop("asleep_s")
    bed = contextlib.ExitStack()
    listener = bed.enter_context(socket.create_server((camera["host"], 80), backlog=0))
    for _ in range(4):
        waiting = bed.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())

    def live() -> None:
        over.wait(asleep_s)
        bed.close()
        with wake(**camera):
            over.wait()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def card_mac(number: int) -> str:
    return f"02:ca:4d:00:00:{number:02x}"


@contextlib.contextmanager
def announcing(services: Any) -> Any:
    if not services:
        yield
        return
    from zeroconf import IPVersion, ServiceInfo, Zeroconf

    daemon = Zeroconf(ip_version=IPVersion.V4Only)

    def tell(service: tuple[str, str, str, int, dict[str, str]]) -> None:
        name, kind, address, port, texts = service
        kind = f"{kind}.local."
        info = ServiceInfo(
            kind,
            f"{name}.{kind}",
            port,
            addresses=[socket.inet_aton(address)],
            properties=texts,
            server=f"{name}.local.",
        )
        daemon.register_service(info, cooperating_responders=True)

    try:
        with ThreadPoolExecutor(len(services)) as pool:
            list(pool.map(tell, services))
        yield
    finally:
        daemon.close()


# --- the near end


def run(plan: dict[str, Any]) -> None:
    """Make the network, search, and print what was found."""
    prefix = plan.setdefault("prefix", 24)
    ip("link", "set", "lo", "up")
    if not plan["searches"][0].get("fresh"):
        import espressoscope as es

        list(es.discover("127.0.0.1", 9))  # imports done, the loop has run once
    command = ["unshare", "--net", sys.executable, __file__, "--cameras", json.dumps(plan)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as far:
        assert far.stdin is not None
        assert far.stdout is not None
        assert far.stdout.readline() == "here\n"
        ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        ip("link", "set", "far", "netns", str(far.pid))
        ip("address", "add", f"{plan.get('own', '10.77.0.1')}/{prefix}", "dev", "near")
        ip("link", "set", "near", "up")
        if any(camera.get("routed") for camera in plan["cameras"]):
            ip("route", "add", "default", "via", ROUTER)
        print("go", file=far.stdin, flush=True)
        assert far.stdout.readline() == "ready\n"
        reports = [search(dict(options)) for options in plan["searches"]]
        far.stdin.close()
        requests = json.loads(far.stdout.readline())
    print(json.dumps({"searches": reports, "requests": requests}))


def search(options: dict[str, Any]) -> dict[str, Any]:
    options.pop("fresh", None)
    way = WAYS[options.pop("way", "")]
    threads = Threads()
    begun, cpu = time.perf_counter(), time.process_time()
    with threads:
        report = way(begun, options)
    return {
        **report,
        "seconds": time.perf_counter() - begun,
        "cpu_s": time.process_time() - cpu,
        "threads": threads.most,
    }


def find(begun: float, options: dict[str, Any]) -> dict[str, Any]:
    import espressoscope as es

    names = ("name", "url", "mac", "firmware", "found_by", "label")
    forget = options.pop("forget", False)
    found = []
    for info in es.discover(**options):
        at = time.perf_counter() - begun
        found.append({**{name: getattr(info, name) for name in names}, "at": at})
    if forget:
        Path(os.environ["ESPRESSOSCOPE_STATE"], "hosts.json").unlink()
    return {"found": found}


def close_early(_: float, options: dict[str, Any]) -> dict[str, Any]:
    import espressoscope as es

    took = []
    for pause in options.pop("pauses"):
        search = es.discover(**options)
        time.sleep(pause)
        begun = time.perf_counter()
        search.close()
        took.append(time.perf_counter() - begun)
    return {"close_s": took}


def find_twice(_: float, options: dict[str, Any]) -> dict[str, Any]:
    import espressoscope as es

    both = [es.discover(**options) for _ in range(2)]
    return {"hosts": [sorted(info.url.removeprefix("http://") for info in search) for search in both]}


def name_fleet(_: float, options: dict[str, Any]) -> dict[str, Any]:
    import espressoscope as es

    with es.Fleet(es.discover(**options)) as fleet:
        return {"names": {fleet[name].info.mac: name for name in fleet}}


def open_known(_: float, options: dict[str, Any]) -> dict[str, Any]:
    import espressoscope as es

    logging.getLogger("espressoscope").setLevel(logging.ERROR)  # that one has moved is expected
    opened = []
    for url, mac in options["known"]:
        with es.Camera(es.CameraInfo("A1", url, None, mac, "unknown", "remembered")) as cam:
            opened.append([cam.info.url, cam.info.mac])
    return {"opened": opened}


def find_as_the_tutorial(begun: float, options: dict[str, Any]) -> dict[str, Any]:
    """Ask 254 addresses on a thread each, with requests and 5 s of patience."""
    import requests

    base = options["networks"].rpartition(".")[0]
    found = []

    def ask(host: str) -> None:
        with contextlib.suppress(requests.RequestException):
            reply = requests.get(f"http://{host}/status", timeout=5)
            if reply.status_code == 200:
                found.append({"url": f"http://{host}", "at": time.perf_counter() - begun})

    threads = [threading.Thread(target=ask, args=(f"{base}.{n}",)) for n in range(1, 255)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"found": found}


WAYS = {
    "": find,
    "fleet": name_fleet,
    "close": close_early,
    "twice": find_twice,
    "open": open_known,
    "tutorial": find_as_the_tutorial,
}


class Threads:
    """Counts the threads of this process, itself aside."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)

    def _count(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, len(os.listdir("/proc/self/task")) - 1)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


if __name__ == "__main__":
    if sys.argv[1] == "--cameras":
        be_cameras(json.loads(sys.argv[2]))
    else:
        run(json.loads(sys.argv[1]))
