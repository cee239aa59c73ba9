"""When which fault strikes which camera: decided beforehand by a seed.

A camera's faults come in bursts, one to four of them, overlapping or one right after the other. Behind a
burst the camera is left alone until it must be live again (`soak.recovery`), and a little longer.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from espressoscope.sim import FAULTS
from soak.recovery import RECOVERY_S, Outage, blocks

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

__all__ = ["Incident", "make_timetable"]

SHORTEST_S = 0.5


class Incident(NamedTuple):
    """One fault of one camera; times in seconds from the beginning of the soak."""

    begin_s: float
    end_s: float
    camera: int
    fault: str
    options: dict[str, float | str]


def make_timetable(
    dice: random.Random, cameras: Sequence[int], seconds: float, longest_s: float
) -> list[Incident]:
    """Plan the incidents of these cameras, each kind as often as the others, in the order they begin."""
    deck = _deck(dice)
    planned: list[Incident] = []
    waiting = [(dice.uniform(0.0, 2.0), camera) for camera in cameras]
    heapq.heapify(waiting)
    while waiting:
        begin_s, camera = heapq.heappop(waiting)
        burst = _burst(dice, deck, camera, begin_s, longest_s)
        outage = Outage()
        for incident in burst:
            outage.strike(incident.fault, incident.options, incident.begin_s, incident.end_s)
        served_s = max([outage.served_again_s, *(incident.end_s for incident in burst)])
        quiet_s = served_s + RECOVERY_S + dice.uniform(0.5, 3.0)
        if quiet_s > seconds:
            continue
        planned += burst
        heapq.heappush(waiting, (quiet_s, camera))
    return sorted(planned)


def _deck(dice: random.Random) -> Iterator[str]:
    while True:
        names = list(FAULTS)
        dice.shuffle(names)
        yield from names


def _burst(
    dice: random.Random, deck: Iterator[str], camera: int, begin_s: float, longest_s: float
) -> list[Incident]:
    in_a_row = dice.random() < 0.5
    burst: list[Incident] = []
    at_s = begin_s
    for _ in range(dice.choice((1, 1, 2, 3, 4))):
        fault = next(deck)
        lasts_s = SHORTEST_S * (longest_s / SHORTEST_S) ** dice.random()
        burst.append(Incident(at_s, at_s + lasts_s, camera, fault, _options(dice, fault)))
        if fault in ("refuse", "silent-second", "bad-json"):
            # They concern newcomers only: make the link one.
            cut_s = at_s + 0.1
            options: dict[str, float | str] = {"every": 1, "part": 0.5}
            burst.append(Incident(cut_s, cut_s + 0.4, camera, "cut", options))
        end_s = at_s + lasts_s
        at_s = end_s + dice.uniform(0.0, 0.5) if in_a_row else dice.uniform(at_s, end_s)
    return burst


def _options(dice: random.Random, fault: str) -> dict[str, float | str]:
    every = dice.choice((1, 1, 2, 3, 5, 8))
    part = round(dice.uniform(0.02, 0.95), 3)
    choices: dict[str, dict[str, float | str]] = {
        "slow": {"size": dice.choice((1, 8, 64)), "pause": dice.choice((0.05, 0.2, 0.5))},
        "cut": {"every": every, "part": part},
        "wrong-length": {"every": every, "delta": dice.choice((-200, -2, -1, 1, 2, 64, 3000))},
        "no-length": {"every": every},
        "junk": {"every": every, "size": dice.choice((1, 64, 5000))},
        "stale-bytes": {"every": every, "size": dice.choice((6, 100, 3000))},
        "two-jpegs": {"every": every},
        "corrupt": {"every": every, "kind": dice.choice(("scan", "no-eoi", "no-soi"))},
        "bad-json": {
            "kind": dice.choice(("trailing-comma", "truncated", "unescaped", "html", "empty", "unsigned"))
        },
        "stale-capture": {"depth": dice.choice((1, 2, 3))},
        "size-change": {"every": dice.choice((1, 3, 10)), "to": dice.choice(("", "SVGA", "CIF"))},
    }
    return choices.get(fault, {})


def count(timetable: Sequence[Incident]) -> dict[str, int]:
    """Tell how often each fault strikes."""
    return {name: sum(incident.fault == name for incident in timetable) for name in FAULTS}


__all__ += ["blocks", "count"]
