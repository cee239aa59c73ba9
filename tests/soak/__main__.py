"""Run the soak and print what came of it; exit code 1 when something required did not hold."""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import sys
from pathlib import Path

os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
# Run as a folder: its parent is where `soak` and `support` are.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

OVERTIME_S = 200.0
"""One that hangs longer than this ends with the stacks of all threads."""
_KEEP_NOTHING = "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=65536"
"""What glibc is told, so that resident memory is what the program holds. Else each of the soak's thirty
threads has a cache of small blocks that fills within minutes, and the holes between large ones stay."""


def main() -> int:
    """Read the command line, run, print."""
    from soak.run import Plan, soak
    from soak.vitals import draw, store

    parser = argparse.ArgumentParser("python tests/soak", description=__doc__)
    parser.add_argument("--cameras", type=int, default=24, help="half of them have faults")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="of faults; closing again and again follows"
    )
    parser.add_argument("--seed", type=int, default=None, help="same seed, same faults at the same times")
    parser.add_argument("--record", action="store_true", help="record all cameras meanwhile, and read back")
    parser.add_argument(
        "--samples", type=Path, metavar="FILE", help="write what was held, a JSON line a second"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="and draw it")
    asked = parser.parse_args()
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    # Start, closing again and again, and the end take half a minute to a minute on top.
    faulthandler.dump_traceback_later(asked.seconds + OVERTIME_S, exit=True)
    report = soak(Plan(asked.cameras, asked.seconds, seed, asked.record))
    faulthandler.cancel_dump_traceback_later()
    print(report.text())
    if report.vitals is not None and asked.samples:
        store(report.vitals.samples, asked.samples)
    if report.vitals is not None and asked.plot:
        draw(report.vitals.samples, asked.plot)
    return 0 if report.good else 1


if __name__ == "__main__":
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = _KEEP_NOTHING  # read when a process begins
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    sys.exit(main())
