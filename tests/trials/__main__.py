"""Run a trial and print what came of it; exit code 1 when something required did not hold."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
# Run as a folder: its parent is where `trials` and `support` are.
sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main() -> int:
    """Read the command line, run, print."""
    import trials
    from trials.fidelity import every_byte
    from trials.struck import Striker

    parser = argparse.ArgumentParser(
        "python tests/trials", description=trials.__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("trial", choices=("kills", "interrupts", "bytes"))
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--at-once", type=int, default=5, help="programs side by side")
    parser.add_argument("--seed", type=int, default=None, help="same seed, same moments")
    parser.add_argument("--cameras", type=int, default=24)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--framesize", default="VGA")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--folder", help="on the disk to try; else the system's temporary folder")
    asked = parser.parse_args()
    # A shell that starts this in the background has switched Ctrl-C off, also for what is started here.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        if asked.trial == "bytes":
            told = every_byte(Path(folder) / "run", asked.cameras, asked.fps, asked.seconds, asked.framesize)
            print(told)
            return 0 if told.good else 1
        print(f"seed {seed}", flush=True)
        striker = Striker(Path(folder), seed, kill=asked.trial == "kills")
        report = striker.strike(asked.times, asked.at_once, tell=print)
    print(report)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
