"""Run campaigns and print their figures; exit code 1 when something was found."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
# Run as a folder or a module: the folder above is where `fuzz` and `support` are.
sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main() -> int:
    """Read the command line, run, print."""
    import fuzz
    from fuzz.campaign import HEAD, MOST_MB, campaign
    from fuzz.guided import available, guided
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(
        "python -m tests.fuzz", description=fuzz.__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []], help="none: all")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each target")
    parser.add_argument("--engine", choices=("atheris", "own"), default="atheris" if available() else "own")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same inputs (own engine)")
    parser.add_argument(
        "--corpus", type=Path, help="a folder with one for each target; new inputs are kept there"
    )
    parser.add_argument("--findings", type=Path, help="a folder for the inputs that found something")
    parser.add_argument("--list", action="store_true", help="the targets, and what must hold")
    asked = parser.parse_args()
    if asked.list:
        for target in TARGETS.values():
            print(f"{target.name:8} {target.says}")
        return 0
    print(HEAD, flush=True)
    bad = False
    for name in asked.target or TARGETS:
        keep = None if asked.corpus is None else asked.corpus / name
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
        if asked.engine == "atheris":
            figures = guided(name, asked.seconds, asked.seed, keep)
        else:
            more = [path.read_bytes() for path in sorted(keep.iterdir())] if keep is not None else []
            figures = campaign(TARGETS[name], seconds=asked.seconds, seed=asked.seed, more=more, keep=keep)
        print(figures.line(), flush=True)
        if figures.memory_mb > MOST_MB:
            bad = True
            print(f"{name}: {figures.memory_mb} MB of memory", file=sys.stderr)
        for number, finding in enumerate(figures.findings.values()):
            bad = True
            print(
                f"\n{finding.key}\ninput: {finding.data[:400]!r}\n{finding.trace}",
                file=sys.stderr,
                flush=True,
            )
            if asked.findings is not None:
                asked.findings.mkdir(parents=True, exist_ok=True)
                (asked.findings / f"{name}-{number}").write_bytes(finding.data)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
