"""What a fleet says of each fault while it lasts, and that all is well within 3 s of its end."""

from __future__ import annotations

import copy
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import espressoscope as es
from espressoscope.sim import FAULTS, SimulatedCamera
from support import wait_until

WITHIN_S = 3.0
AWAY = "away"
"""Connecting or backing off: either may be over too soon to be seen."""
_SHOWN = {"connecting": AWAY, "backing off": AWAY, "stalled": AWAY}


@dataclass
class Case:
    """A fault, and what it does to the stream of a fleet's camera.

    Attributes
    ----------
    states : set of str
        Those besides "live" that must be passed through; no others may.
    reconnects, damaged : (int, int)
        Fewest and most.
    message : str
        Pattern of what is said at least once; "" when nothing may be said.
    """

    fault: str
    seconds: float = 2.0
    options: dict[str, float | str] = field(default_factory=dict)
    states: set[str] = field(default_factory=set)
    reconnects: tuple[int, int] = (0, 0)
    damaged: tuple[int, int] = (0, 0)
    message: str = ""

    seen: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)
    ended: float | None = None
    frames: int = 0
    was_frozen: bool = False

    def __str__(self) -> str:
        return f"{self.fault} {self.options or ''} for {self.seconds} s"

    def look(self, figures: es.StreamStats, message: str) -> bool:
        """Note what is said of the camera; tell whether it is well, and has sent since the end."""
        self.seen.add(figures.state.value)
        if message:
            self.said.add(message)
        self.was_frozen |= figures.frozen
        live = figures.state is es.LinkState.LIVE and not message
        return live and self.ended is not None and figures.frames > self.frames + 2

    def complaints(self, figures: es.StreamStats) -> list[str]:
        """Compare with what was expected."""
        wrong = []
        found = {_SHOWN.get(state, state) for state in self.seen - {"live"}}
        if not found <= self.states or self.states - found - {AWAY}:
            wrong.append(f"{self}: passed {found or None}")
        for counter in ("reconnects", "damaged"):
            least, most = getattr(self, counter)
            if not least <= getattr(figures, counter) <= most:
                wrong.append(f"{self}: {counter} {getattr(figures, counter)}")
        told = [said for said in self.said if re.search(self.message, said)]
        missed = not self.said and self.states == {AWAY}  # said for a tenth of a second only
        if not missed and (bool(self.said) != bool(self.message) or (self.message and not told)):
            wrong.append(f"{self}: said {self.said or None}")
        if self.was_frozen is not (self.fault == "frozen"):
            wrong.append(f"{self}: frozen is {self.was_frozen}")
        return wrong


MANY = 10_000
CASES = [
    Case("slow", 4.5, states={"slow"}, message="no whole picture for"),
    Case("stall", 1.5),
    Case("stall", 4.5, states={"slow"}, message="not a byte"),
    Case("stall", 7.0, states={"slow", AWAY}, reconnects=(1, 2), damaged=(1, 4), message="not a byte came"),
    Case(
        "cut", options={"every": 3}, states={AWAY}, reconnects=(1, 20), damaged=(1, 20), message="broke off"
    ),
    Case("wrong-length", options={"delta": 2}, damaged=(1, MANY)),
    Case("wrong-length", options={"delta": -2}, damaged=(1, MANY)),
    Case("no-length"),
    Case("junk", damaged=(0, MANY)),
    Case("stale-bytes"),
    Case("two-jpegs"),
    Case("corrupt"),
    Case("corrupt", options={"kind": "no-soi"}, damaged=(1, MANY)),
    Case("corrupt", options={"kind": "no-eoi"}, damaged=(1, MANY)),
    Case("reboot", 1.0, states={AWAY}, reconnects=(1, 1), damaged=(0, 1), message="restarted, or was away"),
    Case("reboot", 8.0, states={"slow", AWAY}, reconnects=(1, 1), damaged=(0, 1), message="not a byte came"),
    Case("vanish", 1.0, states={AWAY}, reconnects=(1, 1), damaged=(0, 1), message="restarted, or was away"),
    Case("refuse"),
    Case("silent-second"),
    Case("bad-json"),
    Case("stale-capture"),
    Case("frozen", message="the same picture for"),
    Case("size-change"),
]


def test_there_is_a_case_for_each_fault() -> None:
    assert {case.fault for case in CASES} == set(FAULTS)


def test_what_is_said_of_each_fault_and_its_end() -> None:
    cases = copy.deepcopy(CASES)
    options = {"framesize": "QVGA", "fps": 10, "prerender": True, "side_delays": False, "seed": 41}
    with ExitStack() as stack:
        cameras = [stack.enter_context(SimulatedCamera(**options)) for _ in cases]  # type: ignore[arg-type]
        fleet = stack.enter_context(es.Fleet(camera.url for camera in cameras))
        fleet.start()
        wait_until(lambda: all(figures.frames > 5 for figures in fleet.stats().values()), 20)
        wait_until(lambda: not any(fleet.messages().values()))
        began = time.monotonic()
        faults = [
            stack.enter_context(camera.fault(case.fault, **case.options))
            for camera, case in zip(cameras, cases, strict=True)
        ]
        wrong: list[str] = []
        watched = dict(zip(fleet.names, zip(cases, faults, strict=True), strict=True))
        while watched:
            stats, messages = fleet.stats(), fleet.messages()
            now = time.monotonic()
            for name, (case, fault) in list(watched.items()):
                if case.look(stats[name], messages[name]):
                    del watched[name]
                elif case.ended is None and now - began >= case.seconds:
                    case.frames = stats[name].frames
                    fault.__exit__(None, None, None)
                    case.ended = time.monotonic()
                elif case.ended is not None and now - case.ended > WITHIN_S:
                    wrong.append(f"{case}: {stats[name].state}, {messages[name]!r}, 3 s after its end")
                    del watched[name]
            time.sleep(0.005)
        stats = fleet.stats()
        for name, case in zip(fleet.names, cases, strict=True):
            wrong += case.complaints(stats[name])
        assert wrong == []
