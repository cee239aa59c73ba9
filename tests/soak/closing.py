"""`close()` takes less than a second at any moment, whatever the cameras do, and ends calls that wait."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import espressoscope as es

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from soak.findings import Findings

__all__ = ["CLOSE_S", "close_again_and_again", "timed_close"]

CLOSE_S = 1.0
_ENDED_S = 1.0
_FLEETS = 8
_CAMERAS = 16


def timed_close(close: Callable[[], None], what: str, findings: Findings) -> float:
    """Close something, and note it when that took too long; give the seconds."""
    began_s = time.perf_counter()
    close()
    took_s = time.perf_counter() - began_s
    if took_s >= CLOSE_S:
        findings.add("close", f"{what} took {took_s:.2f} s to close")
    return took_s


def close_again_and_again(
    urls: Sequence[str], troubled: Sequence[str], dice: random.Random, findings: Findings
) -> list[float]:
    """Open fleets and single cameras and close them at random moments; give the seconds each took."""
    took = [
        _one_life(es.Fleet(urls), _use_fleet, f"fleet {number}", dice.uniform(0.0, 2.5), findings)
        for number in range(_FLEETS)
    ]
    for _ in range(_CAMERAS):
        url = dice.choice(troubled)
        use = dice.choice((_open, _stream, _snap, _set, _latest))
        took.append(
            _one_life(es.Camera(url), use, f"{use.__name__[1:]} of {url}", dice.uniform(0.0, 1.5), findings)
        )
    return took


def _one_life(
    thing: es.Fleet | es.Camera, use: Callable[..., None], what: str, lives_s: float, findings: Findings
) -> float:
    """Use something on another thread, and close it from this one after a while."""
    unexpected: list[BaseException] = []

    def work() -> None:
        try:
            use(thing)
        except es.CameraError:
            pass  # it was closed, or its camera has a fault
        except BaseException as error:  # noqa: BLE001 - noted below
            unexpected.append(error)

    user = threading.Thread(target=work, name="soak-user")
    user.start()
    user.join(lives_s)
    took_s = timed_close(thing.close, what, findings)
    user.join(_ENDED_S)
    if user.is_alive():
        findings.add("close", f"{what}: a call still waits {_ENDED_S:g} s after close()")
        user.join()
    for error in unexpected:
        findings.add("escaped", f"{what}, closed after {lives_s:.2f} s: {error!r} escaped")
    # Whoever opened it at that very moment has to close it again.
    with contextlib.suppress(es.CameraError):
        thing.close()
    return took_s


def _use_fleet(fleet: es.Fleet) -> None:
    with fleet:
        fleet.start()
        while True:
            fleet.latest(timeout=0.3)
            fleet.set(brightness=0)
            name = fleet.names[-1]
            url = fleet[name].info.url
            fleet.remove(name)
            fleet.add(url, name)


def _open(camera: es.Camera) -> None:
    camera.open()


def _stream(camera: es.Camera) -> None:
    with camera:
        for _ in camera.stream():
            pass


def _snap(camera: es.Camera) -> None:
    with camera:
        while True:
            camera.snap()


def _set(camera: es.Camera) -> None:
    with camera:
        while True:
            camera.set(quality=12)


def _latest(camera: es.Camera) -> None:
    with camera:
        while True:
            camera.latest()
