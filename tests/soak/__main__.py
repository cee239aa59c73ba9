"""Run the soak and print what came of it; exit code 1 when something required did not hold."""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path

os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
# Run as a folder: its parent is where `soak` and `support` are.
sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main() -> int:
    """Read the command line, run, print."""
    from soak.run import Plan, soak

    parser = argparse.ArgumentParser("python tests/soak", description=__doc__)
    parser.add_argument("--cameras", type=int, default=24, help="half of them have faults")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="of faults; closing again and again follows"
    )
    parser.add_argument("--seed", type=int, default=None, help="same seed, same faults at the same times")
    asked = parser.parse_args()
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    report = soak(Plan(asked.cameras, asked.seconds, seed))
    print(report.text())
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
