"""The benchmarks: ours beside the floor and the peers, in one run, as ratios.

    python -m benchmarks                    everything but `memory`, about 25 minutes
    python -m benchmarks --quick            the same, shorter: about 5 minutes
    python -m benchmarks many age           only these
    python -m benchmarks --page             and write benchmarks/results.json and docs/performance.md
    python -m benchmarks --redraw           the page anew from benchmarks/results.json, without a run

The peers come with `pip install '.[bench]'`; one that is not installed is a line that says so. Needs a quiet
machine with two cores or more; how quiet it was is told.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import tables
from benchmarks.harness import Bench, Others, progress
from benchmarks.harness import run as run_job
from benchmarks.job import Job
from benchmarks.report import PAGE, write_page
from benchmarks.results import FILE, Results, machine
from benchmarks.scenarios import age, decoding, endtoend, ingest, many, scale
from benchmarks.targets import verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

SCENARIOS = {
    "ingest": ingest.run,
    "endtoend": endtoend.run,
    "many": many.run,
    "scale": scale.run,
    "age": age.run,
    "decoding": decoding.run,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked, print it, and write it where that is asked."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, formatter_class=formatter)
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(SCENARIOS)}; all when none is given")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--redraw", action="store_true")
    parser.add_argument(
        "--results", type=Path, help="write raw figures here; with --page also read from here"
    )
    parser.add_argument("--to", type=Path, default=PAGE, help="the page")
    asked = parser.parse_args(arguments)
    unknown = set(asked.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are: {', '.join(SCENARIOS)}")
    # Rows look for cameras nowhere but on this machine, whatever they do.
    os.environ["ESPRESSOSCOPE_NETWORKS"] = "127.0.0.1/32"
    file = asked.results or FILE
    results = Results.load(file) if asked.page or asked.redraw else Results()
    if not asked.redraw:
        results.machine = machine()
        with tempfile.TemporaryDirectory(prefix="espressoscope-bench-") as folder:
            bench = Bench(Path(folder), quick=asked.quick, tiny=asked.tiny)
            for name in asked.scenario or SCENARIOS:
                _run(bench, name, results)
                if asked.page or asked.results:
                    results.save(file)  # so that a run that is broken off is not lost
        print(tables.of_load(results.runs).plain())
        print(tables.of_targets(verdicts(results.runs)).plain().replace("**", ""))
    if asked.page or asked.redraw:
        write_page(results, asked.to)
        progress(f"written: {asked.to}")


def _run(bench: Bench, name: str, results: Results) -> None:
    others = Others()
    began = time.monotonic()
    decode_us = [] if bench.tiny else [_decode_us(bench)]
    figures = SCENARIOS[name](bench)
    decode_us += [] if bench.tiny else [_decode_us(bench)]
    note = {
        "kind": bench.choose("full", "quick", "tiny"),
        "seconds": round(time.monotonic() - began),
        "others_percent": others.percent(),
        "decode_us": round(statistics.mean(decode_us)) if decode_us else None,
    }
    results.add(name, figures, note)
    for table in tables.all_of({name: results.runs[name]})[name]:
        print(table.plain(), flush=True)
    speed = " and ".join(f"{each:.0f} us" for each in decode_us)
    print(
        f"({note['kind']}, {note['seconds']} s; others used {note['others_percent']} % of a core; "
        f"bare VGA decode took {speed or '?'} before and after)",
        flush=True,
    )


def _decode_us(bench: Bench) -> float:
    """Give the time of a bare VGA decode now: how fast this machine is, with whatever else it does."""
    path = bench.pictures("VGA", 64)
    job = Job(endtoend.FLOOR, str(path), {}, bench.choose(1.0, 0.4, 0.05), warm_s=0.1)
    return float(1e6 / run_job(job)["fps"])


if __name__ == "__main__":
    main()
