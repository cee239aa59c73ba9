"""Receiving and decoding: one camera, every frame as an RGB array in a core's memory.

Ours never holds a camera back: what comes too fast is let go, oldest first. So CPU per frame is compared with
a source paced at 42 % of what bare decoding can do, where every frame is to arrive as an array, and counted.
In each row the same picture is decoded once more, bare, right after it has come: see `beside`. The row's own
time is held against that, frame by frame.
How much each can take at most is measured with a source at 110 %, which leaves out what is not taken in time.
Load generator on one core, receivers on another, all their threads on that one.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.harness import Figures, apart, progress
from benchmarks.harness import run as run_job
from benchmarks.job import Job

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.harness import Bench

FLOOR = "bare decode"
PACED_FLOOR = "bare decode, paced"
OURS = ("Camera.stream + image", "Camera.view")
PEERS = ("cv2.VideoCapture", "PyAV", "tutorial's loop + cv2")
ROWS = ("our parser + bare decode", *OURS, *PEERS)
PICTURES = {"QVGA": 64, "VGA": 64, "UXGA": 16}
PACE, MOST = 0.42, 1.1


def run(bench: Bench) -> dict[str, Figures]:
    """Measure both sizes."""
    found = {}
    for size in bench.choose(("VGA", "UXGA"), ("VGA", "UXGA"), ("QVGA",)):
        found.update(_one_size(bench, size))
    return found


def _one_size(bench: Bench, size: str) -> dict[str, Figures]:
    rounds = bench.choose(7, 3, 1) if size != "UXGA" else bench.choose(5, 1, 1)
    seconds = bench.choose(1.5, 0.7, 0.2)
    load_core, row_core = apart()
    path = bench.pictures(size, PICTURES[size])
    capacity = _capacity(bench, path, row_core)
    found = {}
    cases = ((f"{size} paced", PACE, rounds), (f"{size} most", MOST, max(1, rounds // 2)))
    for name, share, count in cases[: bench.choose(2, 2, 1)]:
        fps = round(share * capacity, 1)
        # Room for a few frames of the largest size: a short delay of the receiver is not to cost one.
        arguments = ("--fps", fps, "--buffer", 1 << 20)
        with bench.load(path, *arguments, core=load_core, nice=-10) as load:
            about = {"size": size, "frame_bytes": load.ready["frame_bytes"], "fps": fps, "seconds": seconds}
            beside = share == PACE
            jobs = [(row, load.job(row, seconds, warm_s=0.4, cores=row_core, beside=beside)) for row in ROWS]
            if beside:
                floor = load.job(FLOOR, seconds, cores=row_core, fps=fps, beside=True)
                jobs.insert(0, (PACED_FLOOR, floor))
            else:
                jobs.insert(0, (FLOOR, load.job(FLOOR, seconds, cores=row_core)))
            found[name] = bench.rounds(Figures(about), load, jobs, count, f"receive and decode {name}")
    return found


def _capacity(bench: Bench, path: Path, row_core: list[int] | None) -> float:
    """Frames a second bare decoding can do on one core."""
    progress("how fast bare decoding is")
    job = Job(FLOOR, str(path), {}, bench.choose(1.0, 0.7, 0.1), warm_s=0.2, cores=row_core)
    return float(statistics.median(run_job(job)["fps"] for _ in range(bench.choose(3, 3, 1))))
