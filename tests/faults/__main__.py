"""Run the matrix, print what does not hold, and write the page; exit code 1 when something does not.

python -m tests.faults              run, and write what was measured
python -m tests.faults --page       write the page of what was measured before
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
# Run as a module of the folder above: `faults` and `support` are here.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    """Read the command line, run, write, print."""
    from faults.matrix import MATRIX
    from faults.page import BEGIN, PAGE, rendered, write_page
    from faults.run import no_window, run_matrix

    parser = argparse.ArgumentParser(
        "python -m tests.faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    asked = parser.parse_args()
    if asked.page:
        head, _, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(head + BEGIN + "\n" + rendered(), encoding="utf-8")
        return 0
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_matrix(Path(folder))
    cells = {place: expected for place, expected in MATRIX.items() if not isinstance(expected, str)}
    held = 0
    for place, expected in cells.items():
        complaints = expected.complaints(outcome.seen[place]) if place in outcome.seen else ["not looked at"]
        held += not complaints
        for complaint in complaints:
            print(f"{place[0]}, {place[1]}: {complaint}")
    absent = len(MATRIX) - len(cells)
    print(f"{len(MATRIX)} cells: {held} of {len(cells)} hold, {absent} are not applicable", end="; ")
    print(f"{time.monotonic() - began_s:.0f} s")
    if why := no_window():
        print(f"without napari: {why}")
    elif not asked.dry:
        write_page(outcome.seen)
    return 0 if held == len(cells) else 1


if __name__ == "__main__":
    sys.exit(main())
