"""Receiving: one camera sends as fast as it is taken; CPU time for each frame received, nothing decoded.

Load generator on one core, receivers one after the other on another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Figures, apart

if TYPE_CHECKING:
    from benchmarks.harness import Bench

FLOOR = "bare recv_into"
OURS = "Camera to latest slot"
ROWS = (FLOOR, "our parser alone", OURS, "aiohttp", "tutorial's loop")
PICTURES = {"VGA": 56, "UXGA": 8}  # about a megabyte goes round


def run(bench: Bench) -> dict[str, Figures]:
    """Measure both sizes."""
    rounds = bench.choose(9, 3, 1)
    seconds = bench.choose(0.8, 0.5, 0.1)
    load_core, row_core = apart()
    found = {}
    for size in bench.choose(("VGA", "UXGA"), ("VGA", "UXGA"), ("VGA",)):
        path = bench.pictures(size, PICTURES[size])
        with bench.load(path, "--arrival", "saturated", core=load_core) as load:
            about = {"size": size, "frame_bytes": load.ready["frame_bytes"], "seconds": seconds}
            jobs = [(row, load.job(row, seconds, warm_s=0.3 * seconds, cores=row_core)) for row in ROWS]
            found[size] = bench.rounds(Figures(about), load, jobs, rounds, f"receive {size}")
    return found
