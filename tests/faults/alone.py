"""Cameras that nobody streams from: single pictures, and a time-lapse of all of them."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final

import espressoscope as es
from espressoscope.sim import read_strip
from faults.matrix import have_been_seen
from faults.scene import PATIENCE_S
from faults.seen import Seen
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from espressoscope.timelapse.ledger import Line
    from faults.scene import Strike

__all__ = ["Lapse", "Singles"]

EVERY_S: Final = 3.0
_HANDS_S: Final = 0.5
_AGAIN_S: Final = 0.1
_DEPTH: Final = 2
"""Old pictures that the fault ``stale-capture`` keeps."""


class Singles:
    """One thread for each camera, that takes a picture while it is struck, and again when that is over."""

    def __init__(self, strikes: Mapping[str, Strike]) -> None:
        self._seen = {name: Seen() for name in strikes}
        self._threads = []
        for name, strike in strikes.items():
            asked = threading.Event()
            strike.await_also(asked.is_set)
            work = partial(self._takes, strike, self._seen[name], asked)
            self._threads.append(threading.Thread(target=work, name=f"faults-{name}-single"))
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _takes(strike: Strike, seen: Seen, asked: threading.Event) -> None:
        with es.Camera(strike.camera.url) as camera:
            camera.snap()
            strike.began.wait(2 * PATIENCE_S)
            time.sleep(_HANDS_S)
            before = _number_of_a_plain_capture(strike) if strike.case.fault == "stale-capture" else None
            called_ns = time.time_ns()
            try:
                frame = camera.snap()
            except es.CameraError as error:
                seen.state("fails")
                seen.say(str(error))
            else:
                reading = read_strip(frame.image())
                if reading is None or frame.status != "ok":
                    seen.state(frame.status)
                elif before is not None and reading.frame <= before + _DEPTH:
                    seen.state("old")
                if frame.received_ns < called_ns:
                    seen.state("old")
            asked.set()
            strike.ended.wait(2 * PATIENCE_S)
            while seen.states and strike.ended.ago_s() < PATIENCE_S:
                try:
                    camera.snap()
                except es.CameraError:
                    time.sleep(_AGAIN_S)
                else:
                    seen.back_s = strike.ended.ago_s()
                    return

    def end(self) -> dict[tuple[str, str], Seen]:
        """Wait for the end, and give what was seen."""
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)
        return {(name, "snap alone"): seen for name, seen in self._seen.items()}


def _number_of_a_plain_capture(strike: Strike) -> int:
    """Take a picture as a browser does: an old one. Those behind it in the board are as old."""
    with urllib.request.urlopen(f"{strike.camera.url}/capture", timeout=10) as reply:
        frame = es.Frame(reply.read(), 0, 0)
    reading = read_strip(frame.image())
    assert reading is not None
    return reading.frame


class Lapse:
    """A time-lapse of all cameras.

    Parameters
    ----------
    strikes : Mapping of str to Strike
    folder : Path
    burst : int
        1: single pictures; more: out of the stream.
    """

    def __init__(self, strikes: Mapping[str, Strike], folder: Path, burst: int) -> None:
        self._strikes = strikes
        self._folder = folder
        self._lines: dict[str, list[tuple[float, Line]]] = defaultdict(list)
        for name, strike in strikes.items():
            strike.await_also(partial(self._told, name))
        self._lapse = es.TimeLapse(
            [strike.camera.url for strike in strikes.values()],
            EVERY_S,
            path=folder,
            window=EVERY_S,
            burst=burst,
            force=True,
            on_point=lambda name, line: self._lines[name].append((time.monotonic(), line)),
        )
        self._thread = threading.Thread(target=self._lapse.run, name=f"faults-lapse-{burst}")

    def begin(self) -> None:
        """Begin; every camera has given a point when this returns."""
        self._thread.start()
        wait_until(
            lambda: all(len(self._lines[name]) > 0 for name in self._strikes),
            30,
            what="a point of each camera",
        )

    def end(self) -> dict[tuple[str, str], Seen]:
        """Wait until each camera gives points again, stop, and give what was seen."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not all(map(self._is_back, self._strikes)):
            time.sleep(0.05)
        self._lapse.stop()
        self._thread.join(PATIENCE_S)
        run = es.open_run(self._folder)
        return {(name, "time-lapse"): self._seen(name, run[name].records) for name in self._strikes}

    def _told(self, name: str) -> bool:
        """Whether what is to become of points while it is struck has been told."""
        began_s = self._strikes[name].began.at_s
        seen = Seen()
        for at, line in list(self._lines[name]):
            if began_s is not None and at > began_s:
                seen.state(line.outcome, "taken")
        return have_been_seen(name, "time-lapse", seen)

    def _is_back(self, name: str) -> bool:
        return bool(self._strikes[name].ended) and self._back(name) is not None

    def _back(self, name: str) -> tuple[float, Line] | None:
        ended_s = self._strikes[name].ended.at_s
        assert ended_s is not None
        ended_ns = time.time_ns() - int((time.monotonic() - ended_s) * 1e9)
        lines = list(self._lines[name])
        return next(
            ((at, line) for at, line in lines if line.due_ns > ended_ns and line.outcome == "taken"), None
        )

    def _seen(self, name: str, records: Sequence[es.RecordedFrame]) -> Seen:
        seen, strike = Seen(), self._strikes[name]
        assert strike.began.at_s is not None
        back = self._back(name)
        until_s = back[0] if back else time.monotonic()
        lines = self._lines[name]
        during = [line for at, line in lines if strike.began.at_s < at <= until_s]
        for line in during:
            seen.state(line.outcome, "taken")
            seen.say(line.reason)
        for frame in records:
            taken_s = time.monotonic() - (time.time_ns() - frame.received_ns) / 1e9
            if strike.began.at_s < taken_s < until_s:
                seen.state(f"stored {frame.status}", "stored ok")
        points = [line.point for _, line in lines]
        if points != list(range(points[0], points[0] + len(points))):
            seen.state("points are left out")
        seen.rose = {"missed": during[-1].missed - lines[0][1].missed}
        seen.back_s = strike.ended.ago_s(until_s) if back else None
        return seen
