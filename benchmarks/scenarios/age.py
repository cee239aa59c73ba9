"""The age of what a slow consumer sees: it takes 200 ms for each picture of a camera that sends 25 a second.

All receivers run at once, each with a camera of its own. Age counts from the moment the frame's sending was
due to the moment the consumer has the array. How late the load generator was is told with the figures: a
frame that is sent late was old before it came.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks.harness import Figures, finished, progress, started

if TYPE_CHECKING:
    from benchmarks.harness import Bench

OURS = "Camera.latest"
ROWS = (OURS, "cv2.VideoCapture", "PyAV", "tutorial's loop + cv2")
FPS = 25
SETTLED_S = 20.0
"""Figures are told from here on, and the whole course is drawn."""


def run(bench: Bench) -> dict[str, Figures]:
    """Let all run side by side."""
    seconds = bench.choose(150.0, 24.0, 1.5)
    # A round of pictures must be longer than any age: 2048 frames are 82 s.
    path = bench.pictures("VGA", bench.choose(2048, 2048, 256))
    figures = Figures({"fps": FPS, "seconds": seconds, "pause_s": 0.2, "settled_s": SETTLED_S})
    with (
        bench.load(path, "--cameras", len(ROWS), "--fps", FPS, core=None, nice=-10) as load,
        contextlib.ExitStack() as stack,
    ):
        running = []
        for camera, row in enumerate(ROWS):
            job = load.job(f"{row}, slow consumer", seconds, pause_s=0.2, camera=camera)
            job.load = {**load.ready, "ports": [load.ready["ports"][camera]]}
            running.append((row, job, stack.enter_context(started(job))))
        progress(f"a slow consumer, all side by side for {seconds:.0f} s")
        for row, job, process in running:
            figures.rows[row] = [finished(process, job)]
        figures.load.append({"row": "all", **load.report()})
    return {"slow consumer": figures}
