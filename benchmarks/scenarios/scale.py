"""Many cameras decoded: every frame of 100 at full size, of 200 at a quarter, on all cores there are.

The load generator shares the cores, at a higher priority where that is allowed: it is small, and late sends
would be charged to the receivers. A picture's age counts from the moment its sending was due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Figures

if TYPE_CHECKING:
    from benchmarks.harness import Bench

FLOOR = "bare decode on all cores"
OURS = "Fleet.view"
ROWS = (FLOOR, OURS, "cv2.VideoCapture", "tutorial's loop + cv2")
CASES = {"100 at full size": (100, 1), "200 at 1/4": (200, 4)}
FPS = 25


def run(bench: Bench) -> dict[str, Figures]:
    """Measure both."""
    rounds = bench.choose(2, 1, 1)
    found = {}
    for name, (cameras, scale) in bench.choose(CASES, CASES, {"3 at 1/4": (3, 4)}).items():
        path = bench.pictures("VGA", bench.choose(512, 512, 64))
        arguments = ("--cameras", cameras, "--fps", FPS)
        with bench.load(path, *arguments, core=None, nice=-10) as load:
            about = {"cameras": cameras, "scale": scale, "fps": FPS, "frame_bytes": load.ready["frame_bytes"]}
            jobs = []
            for row in ROWS:
                # The first seconds of players show what they gathered while they looked at the stream.
                seconds = bench.choose(12.0, 4.0, 0.5) if row == OURS else bench.choose(6.0, 2.5, 0.5)
                seconds = min(seconds, 1.5) if row == FLOOR else seconds
                job = load.job(row, seconds, warm_s=bench.choose(3.0, 1.5, 0.2), scale=scale, ages=True)
                jobs.append((row, job))
            found[name] = bench.rounds(Figures(about), load, jobs, rounds, f"decode {name}")
    return found
