"""Every faulty camera is live again within 3 s of the moment the simulator would serve a new client.

When is that? A client is served when it is sent whole pictures, so:

- **slow, stall, refuse, silent-second**, and when they concern every frame **cut**, **corrupt** without start
  or end marker, and **wrong-length** that tells too little: nobody is served before the fault ends.
- **reboot, vanish**: nobody is served before the camera is back; and a client from before, whose connection
  is dead without FIN or RST, can tell that from a pause only by waiting: 6 s without a byte, the time after
  which the issue calls a stream stalled, or 8 s when it had no byte from the beginning, as behind another
  viewer. So what counts is the later of the two: the camera's return, and the end of this patience. Single
  pictures (``source="snapshots"``) wait 8 s for one.
- The other faults keep nobody from being served: frames go on while they last.

Faults overlap: a client is served when the last of those that keep it from being served has ended.

The rule is held against every moment of the soak, not only against ends of faults: at no time may more than
3 s pass, of those in which a client would be served, without a whole frame in the hands of whoever iterates
over `Camera.stream`. `Watch` keeps one camera to it.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FIRST_BYTE_S",
    "PAUSED",
    "RECOVERY_S",
    "STALL_S",
    "Outage",
    "Recoveries",
    "Strike",
    "Watch",
    "blocks",
]

RECOVERY_S = 3.0
STALL_S = 6.0
FIRST_BYTE_S = 8.0

PAUSED = "large still"
"""No fault: the user pauses the stream for a picture of another size."""

_NOT_SERVED = frozenset({"slow", "stall", "reboot", "vanish", "refuse", "silent-second", PAUSED})
_SILENT = frozenset({"reboot", "vanish"})


def blocks(fault: str, options: Mapping[str, float | str]) -> bool:
    """Say whether nobody is sent whole pictures while this fault lasts."""
    if fault in _NOT_SERVED:
        return True
    if options.get("every") != 1:
        return False
    return (
        fault == "cut"
        or (fault == "corrupt" and options["kind"] != "scan")
        or (fault == "wrong-length" and float(options["delta"]) < 0)
    )


class Outage:
    """From which moment on a camera's clients are served again, after faults that may overlap.

    Attributes
    ----------
    ended_s : float
        When the last fault ended that kept clients from being served; minus infinity before the first.
    served_again_s : float
        From when on they are served.
    """

    def __init__(self) -> None:
        self.ended_s = -math.inf
        self.served_again_s = -math.inf

    def strike(
        self,
        fault: str,
        options: Mapping[str, float | str],
        begin_s: float,
        end_s: float,
        patience_s: float = FIRST_BYTE_S,
    ) -> float:
        """Take a fault into account; give from when on a client is served after it alone."""
        served_s = end_s
        if fault in _SILENT:
            served_s = max(end_s, begin_s + patience_s)
        if blocks(fault, options):
            self.ended_s = max(self.ended_s, end_s)
            self.served_again_s = max(self.served_again_s, served_s)
        return served_s


@dataclass
class Strike:
    """A fault in force."""

    fault: str
    options: Mapping[str, float | str]
    begin_s: float


@dataclass
class Recoveries:
    """How long cameras took, by the kind of fault that had struck them.

    Attributes
    ----------
    struck, hits : dict
        How often; how many frames, answers or connections were touched.
    from_end_s, from_served_s : dict
        Seconds to the first whole frame from the end of the fault, of the last one if several overlapped, and
        from when a client was served; 0 when it came sooner.
    """

    struck: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    hits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    from_end_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    from_served_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Watch:
    """Holds one camera to the rule; fed from several threads.

    Parameters
    ----------
    name : str
        For what is reported.
    began_s : float
        When it was live for the first time.
    recoveries : Recoveries
        Where its times go.
    fail : callable
        Told when the rule is broken.
    silent_s : float
        Patience of its client after it fell silent.
    """

    def __init__(
        self,
        name: str,
        began_s: float,
        recoveries: Recoveries,
        fail: Callable[[str], None],
        silent_s: float = STALL_S,
    ) -> None:
        self._name = name
        self._recoveries = recoveries
        self._fail = fail
        self._silent_s = silent_s
        self._lock = threading.Lock()
        self._in_force: dict[int, Strike] = {}
        self._ended: list[tuple[str, float, float]] = []
        self._outage = Outage()
        self._last_whole_s = began_s
        self._overdue = False
        self._story: list[str] = []
        self.longest_s = 0.0

    @property
    def untouched(self) -> bool:
        """Whether no fault is in force, and the last one is over."""
        with self._lock:
            return not self._in_force and not self._ended

    @property
    def story(self) -> str:
        """What has happened to it lately; built when asked for."""
        return "; ".join(self._story)

    def began(self, number: int, strike: Strike) -> None:
        """Take note of a fault's beginning."""
        with self._lock:
            self._look(strike.begin_s)
            self._in_force[number] = strike
            self._tell(f"{strike.begin_s:.2f} {strike.fault} {dict(strike.options)} begins")

    def ended(self, number: int, at_s: float, hits: int) -> None:
        """Take note of its end."""
        with self._lock:
            strike = self._in_force.pop(number)
            served_s = self._outage.strike(strike.fault, strike.options, strike.begin_s, at_s, self._silent_s)
            self._ended.append((strike.fault, at_s, served_s))
            self._recoveries.struck[strike.fault] += 1
            self._recoveries.hits[strike.fault] += hits
            self._tell(f"{at_s:.2f} {strike.fault} ends")

    def whole(self, at_s: float, *, new: bool) -> None:
        """Take note of a whole frame; `new` when it is not the one before once more."""
        with self._lock:
            self._look(at_s)
            self._last_whole_s = at_s
            self._overdue = False
            if self._held:
                return
            self._tell("frames")
            waiting = []
            for fault, end_s, served_s in self._ended:
                if fault == "frozen" and not new:
                    waiting.append((fault, end_s, served_s))
                    continue
                end_s = max(end_s, self._outage.ended_s)
                served_s = max(served_s, self._outage.served_again_s)
                self._recoveries.from_end_s[fault].append(at_s - end_s)
                self._recoveries.from_served_s[fault].append(max(0.0, at_s - served_s))
            self._ended = waiting

    def look(self, at_s: float) -> None:
        """Check the rule at a moment."""
        with self._lock:
            self._look(at_s)

    @property
    def _held(self) -> bool:
        return any(blocks(strike.fault, strike.options) for strike in self._in_force.values())

    def _look(self, at_s: float) -> None:
        if self._held:
            return
        since_s = max(self._last_whole_s, self._outage.served_again_s)
        self.longest_s = max(self.longest_s, at_s - since_s)
        if at_s - since_s > RECOVERY_S and not self._overdue:
            self._overdue = True
            self._fail(f"{self._name}: no whole frame within {RECOVERY_S:g} s of {since_s:.2f}: {self.story}")

    def _tell(self, line: str) -> None:
        if not (self._story and self._story[-1] == line):
            self._story.append(line)
        del self._story[:-12]
