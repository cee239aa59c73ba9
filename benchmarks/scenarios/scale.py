"""Many cameras decoded: every frame of 100 at full size, of 200 at a quarter, on all cores there are.

The load generator shares the cores, at a higher priority where that is allowed: it is small, and late sends
would be charged to the receivers. A picture's age counts from the moment its sending was due.

The numbers 100 and 200 were set on a machine which they took a certain share of. One that decodes more slowly
cannot do them, whatever the program. So it is also asked to carry as many cameras as take the same share of
*it*, and as many as take four fifths, by what bare decoding on all cores has just done.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import Figures, progress
from benchmarks.harness import run as run_job
from benchmarks.job import Job

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.harness import Bench

FLOOR = "bare decode on all cores"
OURS = "Fleet.view"
PEERS = ("cv2.VideoCapture", "tutorial's loop + cv2")
ROWS = (FLOOR, OURS, *PEERS)
FPS = 25


class Case(NamedTuple):
    """Cameras and scale that are asked for, and the share of two cores that decoding them was to take.

    100 x 25 pictures of 460 us, 200 x 25 of 283 us.
    """

    cameras: int
    scale: int
    share: float


CASES = {"100 at full size": Case(100, 1, 0.58), "200 at 1/4": Case(200, 4, 0.71)}
FULL_SHARE = 0.8
SAME, MOST = "the same share", "four fifths"


def run(bench: Bench) -> dict[str, Figures]:
    """Measure both, and what fits this machine where they do not."""
    found = {}
    cases = bench.choose(CASES, CASES, {"3 at 1/4": Case(3, 4, 0.001)})
    path = bench.pictures("VGA", bench.choose(512, 512, 64))
    for name, case in cases.items():
        found[name] = _measure(bench, path, name, case.cameras, case.scale, ROWS, "")
    for name, case in cases.items():
        capacity = _capacity(bench, path, case.scale)
        size = name.partition(" at ")[2]
        fits = ((SAME, case.share, ROWS), (MOST, FULL_SHARE, (FLOOR, OURS)))
        for fitted, share, rows in bench.choose(fits, fits[:1], fits[1:]):
            cameras = min(int(share * capacity / FPS), bench.choose(999, 999, 2))
            if 0 < cameras < case.cameras:
                title = f"{cameras} at {size}, {fitted} of this machine"
                found[title] = _measure(bench, path, title, cameras, case.scale, rows, fitted)
    return found


def of_fitted(scenarios: dict[str, dict[str, dict[str, object]]], scale: int) -> str | None:
    """Give the name of the scenario that takes the same share of this machine; None where none was needed."""
    for name, scenario in scenarios.items():
        if scenario["about"].get("fitted") == SAME and scenario["about"]["scale"] == scale:
            return name
    return None


def _measure(
    bench: Bench, path: Path, name: str, cameras: int, scale: int, rows: tuple[str, ...], fitted: str
) -> Figures:
    arguments = ("--cameras", cameras, "--fps", FPS)
    with bench.load(path, *arguments, core=None, nice=-10) as load:
        about = {"cameras": cameras, "scale": scale, "fps": FPS, "fitted": fitted}
        about["frame_bytes"] = load.ready["frame_bytes"]
        jobs = []
        for row in rows:
            # The first seconds of players show what they gathered while they looked at the stream.
            seconds = bench.choose(12.0, 4.0, 0.5) if row == OURS else bench.choose(6.0, 2.5, 0.5)
            seconds = min(seconds, 1.5) if row == FLOOR else seconds
            job = load.job(row, seconds, warm_s=bench.choose(3.0, 1.5, 0.2), scale=scale, ages=True)
            jobs.append((row, job))
        return bench.rounds(Figures(about), load, jobs, bench.choose(2, 1, 1), f"decode {name}")


def _capacity(bench: Bench, path: Path, scale: int) -> float:
    """Frames a second that bare decoding can do on all cores."""
    progress("how fast bare decoding is on all cores")
    job = Job(FLOOR, str(path), {}, bench.choose(2.0, 0.7, 0.1), warm_s=0.3, options={"scale": scale})
    return float(statistics.median(run_job(job)["fps"] for _ in range(bench.choose(3, 3, 1))))
