"""Whether memory stays flat: a process that receives from many cameras, looked at every ten seconds.

    python -m benchmarks.memory --cameras 100 --seconds 600
    python -m benchmarks.memory --page                          and write it into docs/performance.md

A Fleet keeps its latest slots full, WiFi-like arrival at 25 frames a second. Resident memory, threads and
open files are those of the receiving process.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Bench, Figures, progress, run
from benchmarks.results import Results
from benchmarks.tables import of_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

ROW = "Fleet, memory"


def measure(bench: Bench, cameras: int, seconds: float, every_s: float) -> dict[str, Figures]:
    """Watch one fleet."""
    path = bench.pictures("VGA", 512)
    arguments = ("--cameras", cameras, "--fps", 25, "--arrival", "wifi")
    with bench.load(path, *arguments, core=None) as load:
        progress(f"{cameras} cameras for {seconds:.0f} s")
        result: dict[str, Any] = run(load.job(ROW, seconds, warm_s=0.0, every_s=every_s))
        if "missing" in result:
            raise SystemExit(f"memory: {result['missing']}")
        about = {"cameras": cameras, "seconds": seconds, "fps": 25, "frame_bytes": load.ready["frame_bytes"]}
        figures = Figures(about, {"Fleet": [result]}, [{"row": "Fleet", **load.report()}])
    return {"memory": figures}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds from one look to the next")
    parser.add_argument("--page", action="store_true", help="write results.json and docs/performance.md")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Bench(Path(folder)), asked.cameras, asked.seconds, asked.every)
    results = Results.load() if asked.page else Results()
    results.add("memory", figures, {"kind": "full"})
    print(of_memory(results.runs["memory"]["memory"]).plain())
    if asked.page:
        from benchmarks.report import write_page

        results.save()
        write_page(results)


if __name__ == "__main__":
    main()
