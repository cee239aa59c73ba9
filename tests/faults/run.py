"""The whole of it: all cameras, all consumers, all faults at once."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faults.alone import Lapse, Singles
from faults.cases import CASES
from faults.live import Live
from faults.matrix import concerned
from faults.programs import napari_window, watching
from faults.scene import Player, struck_cameras

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from faults.cases import Case
    from faults.seen import Seen

__all__ = ["Outcome", "no_window", "run_matrix"]


def no_window() -> str:
    """Say why napari cannot be opened here; "" when it can."""
    if importlib.util.find_spec("napari") is None:
        return "napari is not installed here"
    if sys.platform == "linux" and "DISPLAY" not in os.environ and shutil.which("Xvfb") is None:
        return "napari needs a screen: Xvfb is not installed (Debian: xvfb)"
    return ""


@dataclass
class Outcome:
    """What came of it.

    Attributes
    ----------
    seen : dict of (str, str) to Seen
        By case and consumer.
    hits : dict of (str, str) to int
        How often each fault struck, by case and whose camera: ``"fleet"``, or a consumer that has its own.
    """

    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)
    hits: dict[tuple[str, str], int] = field(default_factory=dict)


def run_matrix(folder: Path) -> Outcome:
    """Run everything, without napari where there is none."""
    outcome = Outcome()
    owners = ["fleet", "watch", "snap alone", "time-lapse"] + ([] if no_window() else ["napari"])
    with contextlib.ExitStack() as stack:
        struck = {owner: stack.enter_context(struck_cameras(_cases(owner))) for owner in owners}
        programs = [watching(struck["watch"])]
        if "napari" in struck:
            programs.insert(0, napari_window(struck["napari"]))
        for program in programs:
            stack.callback(program.close)
        singles = Singles(struck["snap alone"])
        paced = struck["time-lapse"]
        lapses = [
            Lapse(
                {name: strike for name, strike in paced.items() if (name in struck["snap alone"]) is single},
                folder / f"lapse-{number}",
                number,
            )
            for number, single in ((1, True), (2, False))
        ]
        live = Live(struck["fleet"], folder / "run")
        for part in (live, *lapses, *programs):
            part.begin()
        player = Player([strike for strikes in struck.values() for strike in strikes.values()])
        player.start()
        player.join()
        for part in (live, *lapses, singles, *programs):
            outcome.seen.update(part.end())
        for owner, strikes in struck.items():
            outcome.hits.update({(name, owner): strike.hits for name, strike in strikes.items()})
    return outcome


def _cases(owner: str) -> Sequence[Case]:
    return [case for case in CASES.values() if owner == "fleet" or concerned(case.name, owner)]
