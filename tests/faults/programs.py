"""Programs that show cameras and write what they show: `espressoscope watch`, and napari (`faults.window`).

Each line is a JSON object with ``camera`` (the name of a case), ``state``, ``message``, ``frames``, counters,
and perhaps ``frozen`` and ``tile``, what is seen of its picture.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from faults.matrix import have_been_seen
from faults.scene import PATIENCE_S
from faults.seen import Seen
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faults.scene import Strike

__all__ = ["Program", "napari_window", "watching"]

_START_S: Final = 100.0
_END_S: Final = 20.0


class Program:
    """A program that looks at all cameras, until it is ended.

    Parameters
    ----------
    consumer : str
        Who it is in the table.
    strikes : Mapping of str to Strike
    command : sequence of str
        What to run with this Python, behind which the cameras' URLs stand.
    counters : sequence of str
        Keys of its lines.
    """

    def __init__(
        self, consumer: str, strikes: Mapping[str, Strike], command: Sequence[str], counters: Sequence[str]
    ) -> None:
        self.consumer = consumer
        self._strikes = strikes
        self._counters = counters
        self._before: dict[str, dict[str, int]] = {}
        self._frames_at_end: dict[str, int] = {}
        self._seen = {name: Seen() for name in strikes}
        for name, strike in strikes.items():
            strike.await_also(partial(have_been_seen, name, consumer, self._seen[name]))
        self._live: set[str] = set()
        self._well: set[str] = set()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `close`)
        paths = os.pathsep.join(str(path) for path in (REPO / "src", REPO / "tests"))
        self._process = subprocess.Popen(
            [sys.executable, *command, *(strike.camera.url for strike in strikes.values())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=REPO,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._thread = threading.Thread(target=self._reads, name=f"faults-{consumer}")
        self._thread.start()

    def begin(self) -> None:
        """Wait until all cameras are live in it."""
        wait_until(
            lambda: self._live.issuperset(self._strikes) or self._process.poll() is not None,
            _START_S,
            what=f"all cameras in {self.consumer}",
        )
        if self._process.poll() is not None:
            raise AssertionError(f"{self.consumer} has ended: {self._said()}")

    def _reads(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            name = line["camera"]
            if name in self._strikes:
                self._look(name, line, time.monotonic())

    def _look(self, name: str, line: Mapping[str, Any], now: float) -> None:
        strike, seen = self._strikes[name], self._seen[name]
        tile = line.get("tile", "live")
        live = line["state"] == tile == "live" and not line["message"] and not line.get("frozen")
        counts = {key: line[key] for key in self._counters}
        if not strike.began:
            self._before[name] = counts
            if live and line["frames"]:
                self._live.add(name)
            return
        if name in self._well:
            return
        seen.state(line["state"])
        seen.say(line["message"])
        if line.get("frozen"):
            seen.state("frozen")
        if tile != "live":
            seen.state(f"tile {tile}")
        if not strike.ended:
            return
        frames = self._frames_at_end.setdefault(name, line["frames"])
        if live and line["frames"] > frames:
            self._well.add(name)
            seen.back_s = strike.ended.ago_s(now)
            seen.counted(self._before[name], counts)

    def end(self) -> dict[tuple[str, str], Seen]:
        """Wait until all is well in it, end it as its user does, and give what was seen."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not self._well.issuperset(self._strikes):
            time.sleep(0.05)
        return {(name, self.consumer): seen for name, seen in self._seen.items()}

    def close(self) -> None:
        """End it.

        Raises
        ------
        AssertionError
            It does not end in order.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self.consumer == "watch" and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait(_END_S)
        self._thread.join(_END_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        said = self._said()
        self._errors.close()
        assert code == 0, f"{self.consumer} ended with {code}: {said}"
        assert "Traceback" not in said, said

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()


def watching(strikes: Mapping[str, Strike]) -> Program:
    """`espressoscope watch`."""
    command = ["-m", "espressoscope", "watch", "--json"]
    return Program("watch", strikes, command, ("reconnects", "damaged", "dropped"))


def napari_window(strikes: Mapping[str, Strike]) -> Program:
    """Open napari with the widget."""
    return Program("napari", strikes, ["-m", "faults.window"], ("drops",))
