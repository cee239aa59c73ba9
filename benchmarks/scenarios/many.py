"""Many cameras at 25 frames a second, nothing decoded: 24, 100 and 200 of them.

`burst`: a frame arrives in one go. `wifi`: in segments of 1436 bytes over 8 ms, as over a radio. Load
generator on one core, receivers on another; it has the higher priority where that is allowed, because late
segments would arrive together and be received at once. Wake-ups are receive calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Figures, apart

if TYPE_CHECKING:
    from benchmarks.harness import Bench

FLOOR = "bare epoll + SO_RCVLOWAT"
OURS = "Fleet to latest slots"
ROWS = (FLOOR, OURS, "aiohttp", "tutorial's loop")
COUNTS = (24, 100, 200)
ARRIVALS = ("burst", "wifi")
FPS = 25


def run(bench: Bench) -> dict[str, Figures]:
    """Measure every number of cameras with both kinds of arrival."""
    rounds = bench.choose(3, 1, 1)
    seconds = bench.choose(2.5, 1.5, 0.5)
    load_core, row_core = apart()
    found = {}
    for arrival in ARRIVALS:
        for count in bench.choose(COUNTS, (24, 100), (3,)):
            path = bench.pictures("VGA", bench.choose(512, 512, 64))
            arguments = ("--cameras", count, "--fps", FPS, "--arrival", arrival)
            with bench.load(path, *arguments, core=load_core, nice=-10) as load:
                about = {
                    "cameras": count,
                    "arrival": arrival,
                    "fps": FPS,
                    "frame_bytes": load.ready["frame_bytes"],
                    "seconds": seconds,
                }
                jobs = [
                    (row, load.job(row, seconds, warm_s=bench.choose(1.0, 0.7, 0.2), cores=row_core))
                    for row in ROWS
                ]
                name = f"{count} {arrival}"
                found[name] = bench.rounds(Figures(about), load, jobs, rounds, f"{count} cameras, {arrival}")
    return found
