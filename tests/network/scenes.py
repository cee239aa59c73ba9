"""The bad networks: each a function that makes one, watches, and gives the figures.

Run as a program in a namespace of its own: name and seconds as arguments, JSON comes out.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import espressoscope as es
from network.lan import Lan
from network.measure import Watch, peak_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

A, B = "10.77.0.20", "10.77.0.21"
FPS = 10.0
PATIENT_S = 5.0
SMALL = "QVGA"  # where the size of pictures is all one


def now_ns() -> int:
    return time.time_ns()


@contextlib.contextmanager
def watching(url: str, number: int) -> Iterator[Watch]:
    """Open a camera on a line that is still good, and watch it."""
    with es.Camera(url) as camera:
        watch = Watch(camera, number)
        try:
            assert watch.first_after(0, 60) is not None, "nothing came on a good line"
            yield watch
        finally:
            watch.stop()


def a_camera(lan: Lan, host: int = 0, address: str = A, **options: Any) -> dict[str, Any]:
    lan.hosts[host]("address", host=address)
    return lan.hosts[host](  # type: ignore[no-any-return]
        "start", name=address, **{"host": address, "number": 7, "fps": FPS, **options}
    )


def requests_answered(camera: es.Camera, times: int) -> dict[str, Any]:
    """Ask for the status beside the stream, again and again."""
    took, failed = [], []
    for _ in range(times):
        begun = time.perf_counter()
        try:
            camera.status()
        except es.CameraError as error:
            failed.append(f"{type(error).__name__}: {error}")
        else:
            took.append(time.perf_counter() - begun)
    took.sort()
    return {
        "asked": times,
        "answered": len(took),
        "p50_s": took[len(took) // 2] if took else None,
        "why": failed,
    }


def through(seconds: float, **air: Any) -> dict[str, Any]:
    """Watch one camera through a bad channel, then through a good one."""
    with Lan() as lan:
        where = a_camera(lan)
        with watching(where["url"], 7) as watch:
            before = lan.air(**air)
            begun = now_ns()
            asked = requests_answered(watch.camera, 3)
            time.sleep(max(0.0, seconds - (now_ns() - begun) / 1e9))
            ended = now_ns()
            after = lan.air()
            recovered = watch.first_after(ended, 30)
            time.sleep(0.5)
        report = watch.report(lan.hosts[0]("taken", name=A), begun, ended, FPS)
        radio = {name: after[name] - before[name] for name in after}
        return {"cameras": [report], "radio": radio, "recovered_s": recovered, "requests": asked}


def crowd(seconds: float, number: int = 8, rate: float = 3e6) -> dict[str, Any]:
    """Let 8 cameras share a channel that is far too narrow for them."""
    with Lan() as lan, contextlib.ExitStack() as stack:
        hosts = [f"10.77.0.{20 + each}" for each in range(number)]
        urls = [a_camera(lan, address=host, number=each)["url"] for each, host in enumerate(hosts)]
        before = lan.air(rate=rate, delay_s=0.003)
        watches = [stack.enter_context(watching(url, each)) for each, url in enumerate(urls)]
        time.sleep(1.0)  # the queues fill
        begun = now_ns()
        time.sleep(seconds)
        ended = now_ns()
        after = lan.air()
        recovered = max((watch.first_after(ended, 30) or 99.0) for watch in watches)
        reports = [
            watch.report(lan.hosts[0]("taken", name=host), begun, ended, FPS)
            for watch, host in zip(watches, hosts, strict=True)
        ]
        carried = {name: after[name] - before[name] for name in after}
        return {"cameras": reports, "radio": carried, "recovered_s": recovered}


def link_down(seconds: float) -> dict[str, Any]:
    """Take the camera's radio away for so long."""
    with Lan() as lan:
        where = a_camera(lan, framesize=SMALL)
        with watching(where["url"], 7) as watch:
            begun = now_ns()
            lan.air(down=[1])
            time.sleep(seconds)
            lan.air()
            up = now_ns()
            recovered = watch.first_after(up, 40)
            time.sleep(1.0)
            ended = now_ns()
        report = watch.report(lan.hosts[0]("taken", name=A), begun, ended, FPS)
        return {"cameras": [report], "recovered_s": recovered}


def grabbed(seconds: float) -> dict[str, Any]:
    """A short break, and another viewer has the camera's only stream; it keeps it for `seconds`."""
    with Lan() as lan:
        where = a_camera(lan, framesize=SMALL)
        with watching(where["url"], 7) as watch:
            begun = now_ns()
            lan.hosts[0]("watch", name=A)  # stands in the camera's queue from now on
            lan.air(down=[1])
            lost = watch.until("stalled", "backing off")
            time.sleep(4.0)  # the camera gives our dead connection up and turns to the next
            lan.air()
            busy = watch.until("busy")
            words = watch.camera.message
            time.sleep(seconds)
            lan.hosts[0]("unwatch")
            left = now_ns()
            recovered = watch.first_after(left, 40)
            time.sleep(0.5)
            ended = now_ns()
        report = watch.report(lan.hosts[0]("taken", name=A), begun, ended, FPS)
        return {
            "cameras": [report],
            "recovered_s": recovered,
            "lost_s": lost,
            "busy_s": busy,
            "message": words,
        }


def stolen(seconds: float) -> dict[str, Any]:
    """A second viewer takes the stream of a Tasmota, which gives it to whoever asked last."""
    with Lan() as lan:
        where = a_camera(lan, framesize=SMALL, firmware="tasmota")
        with watching(where["url"], 7) as watch:
            begun = now_ns()
            lan.hosts[0]("watch", name=A)
            gone = watch.until("backing off")
            words = watch.camera.message
            taken = now_ns()
            time.sleep(min(seconds, 2.0))
            recovered = watch.first_after(taken, 40)
            ended = now_ns()
        report = watch.report(lan.hosts[0]("taken", name=A), begun, ended, FPS)
        return {"cameras": [report], "recovered_s": recovered, "gone_s": gone, "message": words}


def moved(seconds: float, firmware: str = "matchboxscope") -> dict[str, Any]:
    """Power cut; the camera comes back with another address, as DHCP may give it one."""
    with Lan() as lan:
        where = a_camera(lan, framesize=SMALL, firmware=firmware)
        host = lan.hosts[0]
        with watching(where["url"], 7) as watch:
            mac = watch.camera.info.mac
            begun = now_ns()
            host("leave", host=A)
            host("stop", name=A)
            time.sleep(min(seconds, 2.0))
            a_camera(lan, address=B, framesize=SMALL, firmware=firmware)
            back = now_ns()
            recovered = watch.first_after(back, 75)
            time.sleep(0.5)
            ended = now_ns()
            url = watch.camera.info.url
        taken = host("taken", name=A) + host("taken", name=B)
        report = watch.report(taken, begun, ended, FPS)
        return {"cameras": [report], "recovered_s": recovered, "mac": mac, "url": url}


def duplicate(seconds: float, firmware: str = "matchboxscope") -> dict[str, Any]:
    """Switch another board on that has the same address, and announces it; later take it away again."""
    with Lan(2) as lan:
        where = a_camera(lan, framesize=SMALL, firmware=firmware)
        with watching(where["url"], 7) as watch:
            lan.hosts[1]("address", host=A)
            lan.hosts[1]("start", name=A, host=A, number=9, fps=FPS, firmware=firmware, framesize=SMALL)
            begun = now_ns()
            lan.hosts[1]("announce", host=A)
            time.sleep(seconds)
            words, state = watch.camera.message, str(watch.camera.stats.state)
            asked = len(lan.hosts[1]("requests", name=A))
            lan.air(down=[2])
            gone = now_ns()
            if seconds < PATIENT_S:  # as this computer's table of neighbours forgets by itself in a minute
                subprocess.run(["ip", "neighbour", "flush", "dev", "near"], check=True, timeout=20)
            recovered = watch.first_after(gone, 90)
            time.sleep(0.5)
            ended = now_ns()
        report = watch.report(lan.hosts[0]("taken", name=A), begun, ended, FPS)
        return {
            "cameras": [report],
            "recovered_s": recovered,
            "message": words,
            "state": state,
            "other_asked": asked,
        }


SCENES: dict[str, Callable[[float], dict[str, Any]]] = {
    "clean": through,
    "loss1": lambda seconds: through(seconds, loss=0.01),
    "loss5": lambda seconds: through(seconds, loss=0.05),
    "loss10": lambda seconds: through(seconds, loss=0.10),
    "loss30": lambda seconds: through(seconds, loss=0.30),
    "far": lambda seconds: through(seconds, delay_s=0.02, jitter_s=0.04),
    "radio": lambda seconds: through(
        seconds, loss=0.02, delay_s=0.005, jitter_s=0.06, pause_every_s=2.0, pause_s=0.8
    ),
    "reorder": lambda seconds: through(seconds, delay_s=0.005, jitter_s=0.005, reorder=0.05),
    "crowd": crowd,
    "down": link_down,
    "grabbed": grabbed,
    "stolen": stolen,
    "moved": moved,
    "moved-cws": lambda seconds: moved(seconds, "camerawebserver"),
    "duplicate": duplicate,
    "duplicate-cws": lambda seconds: duplicate(seconds, "camerawebserver"),
}


def main() -> None:
    name, seconds = sys.argv[1], float(sys.argv[2])
    os.environ.pop("ESPRESSOSCOPE_NETWORKS", None)  # a search stays in this namespace
    logging.getLogger("espressoscope").setLevel(logging.ERROR)
    begun = time.monotonic()
    report = SCENES[name](seconds)
    print(json.dumps({"name": name, **report, "peak_mb": peak_mb(), "took_s": time.monotonic() - begun}))


if __name__ == "__main__":
    main()
