"""The faults that strike: all of the simulator, their options, and how long each lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """A fault as it strikes here.

    Attributes
    ----------
    name : str
        Also that of the camera.
    fault : str
        One of `espressoscope.sim.FAULTS`.
    title : str
        What happens, for the page.
    seconds : float
        How long; longer where somebody takes longer to come to see it.
    options : Mapping
    breaks : bool
        Open connections are broken at its beginning, so that everybody comes anew.
    """

    name: str
    fault: str
    title: str
    seconds: float = 6.0
    options: Mapping[str, float | str] = field(default_factory=dict)
    breaks: bool = False


_ALL = (
    Case("slow", "slow", "the stream drips, 40 bytes a second", 10.0),
    Case("stall", "stall", "the stream stops within a picture, the connection stays open", 10.0),
    Case("cut", "cut", "the stream is closed within every second picture", 8.5, options={"every": 2}),
    Case(
        "wrong-length",
        "wrong-length",
        "the length of every second picture is told 2 bytes too large",
        options={"every": 2},
    ),
    Case(
        "wrong-length-short",
        "wrong-length",
        "the length of every second picture is told 2 bytes too small",
        8.5,
        options={"every": 2, "delta": -2},
    ),
    Case("no-length", "no-length", "no picture's length is told"),
    Case("junk", "junk", "64 bytes that belong to nothing behind every second picture", options={"every": 2}),
    Case("stale-bytes", "stale-bytes", "old bytes and a second end marker behind every picture"),
    Case("two-jpegs", "two-jpegs", "two pictures in every second part", options={"every": 2}),
    Case(
        "corrupt",
        "corrupt",
        "every second picture has wrong bytes in it, all its markers are whole",
        8.5,
        options={"every": 2},
    ),
    Case("no-eoi", "corrupt", "every second picture has no end", 8.5, options={"every": 2, "kind": "no-eoi"}),
    Case(
        "no-soi", "corrupt", "every second picture has no start", 8.5, options={"every": 2, "kind": "no-soi"}
    ),
    Case("reboot", "reboot", "power fails, the camera starts again with the settings it has saved", 12.0),
    Case("vanish", "vanish", "the camera drops off the network: nothing is answered, nothing closed", 12.0),
    Case("refuse", "refuse", "connections are refused, those that are open are broken", breaks=True),
    Case(
        "silent-second",
        "silent-second",
        "another viewer holds the stream when ours has broken",
        11.0,
        breaks=True,
    ),
    Case("bad-json", "bad-json", "`/status` has a comma too many", breaks=True),
    Case("html", "bad-json", "`/status` is a web page", options={"kind": "html"}, breaks=True),
    Case("stale-capture", "stale-capture", "`/capture` gives pictures that are two captures old"),
    Case("frozen", "frozen", "the same picture again and again"),
    Case(
        "size-change",
        "size-change",
        "the picture's size changes with every third picture",
        options={"every": 3, "to": "HQVGA"},
    ),
)
CASES: Mapping[str, Case] = {case.name: case for case in _ALL}
"""By name."""
