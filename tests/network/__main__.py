"""Run the bad networks and print what came of them; exit code 1 when something promised did not hold."""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from pathlib import Path

# Run as a folder: its parent is where `network` and `support` are.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


def main() -> int:
    """Read the command line, run, print, write."""
    import network
    from network.promises import PROMISES
    from network.run import page, play_all
    from support import REPO, PrivateNetwork

    parser = argparse.ArgumentParser(
        "python tests/network", description=network.__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("scenario", nargs="*", choices=[*PROMISES, []], metavar="SCENARIO")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="put the table into docs/networks.md")
    asked = parser.parse_args()
    found = PrivateNetwork.find()
    if isinstance(found, str):
        print(found, file=sys.stderr)
        return 2
    begun = time.monotonic()
    scenarios = [(name, PROMISES[name].seconds) for name in asked.scenario or PROMISES]
    reports = play_all(found, scenarios, asked.at_once, tell=lambda line: print(line, flush=True))
    text = page(reports, time.monotonic() - begun)
    print(text)
    if asked.write:
        target = REPO / "docs" / "networks.md"
        before, _, rest = target.read_text(encoding="utf-8").partition(BEGIN)
        lines = (line if line.startswith("|") else textwrap.fill(line, 110) for line in text.splitlines())
        text = "\n".join(lines)
        target.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 1 if any(report["wrong"] for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
