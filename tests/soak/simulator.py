"""The cameras of the soak, as a process of its own: JSON lines in, JSON lines out.

It reads what to run, then what to do: ``{"begin": id, "camera": index, "fault": name, "options": {...}}`` and
``{"end": id}``. It tells the cameras, then each beginning and end with its moment, and five times a second
which frames have been sent. Moments are `time.perf_counter_ns`, which on every system counts for all
processes alike. It ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from espressoscope.sim import SimulatedCamera
from soak.ledger import Name

if TYPE_CHECKING:
    from espressoscope.sim.camera import ActiveFault
    from espressoscope.sim.records import FrameLog, Sent

_KEEP = 400
_DRAIN_S = 0.2
_UNSURE = 2
"""The newest records of a log may be taken back: a part with two pictures that could not be sent whole."""


class Tail:
    """Which records of a log are new since the last look."""

    def __init__(self, log: FrameLog) -> None:
        self._log = log
        self._last: Sent | None = None

    def take(self, *, everything: bool) -> list[Name]:
        """Give the names of new records, without the newest, which are not sure yet, unless told."""
        records = list(self._log)
        start = next((at + 1 for at in range(len(records) - 1, -1, -1) if records[at] is self._last), 0)
        stop = len(records) if everything else len(records) - _UNSURE
        new = records[start:stop]
        if new:
            self._last = new[-1]
        return [Name.of(record.jpeg) for record in new]


class Cameras:
    """The simulated cameras and what is wrong with them."""

    def __init__(self, wanted: list[dict[str, Any]]) -> None:
        self._saying = threading.Lock()
        self._stop = threading.Event()
        self._faults: dict[int, ActiveFault] = {}
        self.stack = contextlib.ExitStack()
        cameras = [SimulatedCamera(**each, prerender=True, keep=_KEEP) for each in wanted]
        self.cameras = [self.stack.enter_context(camera) for camera in cameras]
        self._tails = [(Tail(camera.sent), Tail(camera.captured)) for camera in self.cameras]

    def say(self, **line: object) -> None:
        """Write one line."""
        with self._saying:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()

    def do(self, command: dict[str, Any]) -> None:
        """Begin or end a fault, and tell the moment from which on it is so."""
        if "begin" in command:
            number = command["begin"]
            fault = self.cameras[command["camera"]].fault(command["fault"], **command["options"])
            at_ns = time.perf_counter_ns()
            fault.__enter__()
            self._faults[number] = fault
            self.say(began=number, at_ns=at_ns)
        elif "end" in command:
            fault = self._faults.pop(command["end"])
            fault.__exit__(None, None, None)
            self.say(ended=command["end"], at_ns=time.perf_counter_ns(), hits=fault.hits)

    def drain(self) -> None:
        """Tell what has been sent, until stopped."""
        while not self._stop.wait(_DRAIN_S):
            self.tell_sent()

    def tell_sent(self, *, everything: bool = False) -> None:
        """Tell what has been sent since the last time."""
        sent = {}
        for index, (stream, captured) in enumerate(self._tails):
            new = stream.take(everything=everything), captured.take(everything=everything)
            if any(new):
                sent[index] = new
        self.say(sent=sent, everything=everything)

    def serve(self) -> None:
        """Do what is asked until there is nothing more to read."""
        draining = threading.Thread(target=self.drain, name="drain")
        draining.start()
        try:
            for line in sys.stdin:
                command = json.loads(line)
                if "everything" in command:
                    self.tell_sent(everything=True)
                else:
                    self.do(command)
        finally:
            self._stop.set()
            draining.join()
            self.stack.close()


def main() -> None:
    """Make the cameras, tell them, serve."""
    cameras = Cameras(json.loads(sys.stdin.readline()))
    cameras.say(
        cameras=[
            {"url": camera.url, "mac": camera.mac, "firmware": camera.firmware} for camera in cameras.cameras
        ]
    )
    cameras.serve()


if __name__ == "__main__":
    main()
