"""Finding cameras on private networks: ours beside the way of the plugin that came before.

    python -m benchmarks.discovery              a /24 with 5 cameras among 249 silent addresses, 5 rounds
    python -m benchmarks.discovery --rounds 20
    python -m benchmarks.discovery --wide 10    a /20 with 7 cameras, ten times: 7 of 7 each time?

The networks are made in network namespaces of Linux, which need root or user namespaces; nothing leaves them.
Exit code 1 where a promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "tests"))

from support import PrivateNetwork  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = REPO / "tests" / "discovery" / "private_lan.py"
FIVE = [f"10.77.0.{n}" for n in (9, 77, 140, 200, 254)]
SEVEN = [
    "10.77.0.9",
    "10.77.3.77",
    "10.77.5.140",
    "10.77.8.200",
    "10.77.11.254",
    "10.77.14.3",
    "10.77.15.254",
]
NETWORK = {"networks": "10.77.0.0/24"}
ROWS: dict[str, dict[str, Any]] = {
    "discover()": NETWORK,
    "discover(), imports included": {**NETWORK, "fresh": True},
    "254 threads, requests, 5 s": {**NETWORK, "way": "tutorial"},
}
PROMISES = {"first": 0.2, "all": 1.2, "cpu": 0.2}
"""Of `discover()`, in seconds: best round."""


class Lan:
    """Runs searches on private networks, each in a process of its own."""

    def __init__(self, network: PrivateNetwork, folder: Path) -> None:
        self._network = network
        self._env = {
            "ESPRESSOSCOPE_STATE": str(folder / "state"),
            # As on a user's machine, where nothing has to be compiled at each start.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        }

    def search(self, plan: dict[str, Any], cameras: int) -> dict[str, Any]:
        """Carry a plan of one search out (tests/discovery/private_lan.py) and give its figures."""
        command = [sys.executable, str(PROGRAM), json.dumps(plan)]
        done = self._network.run(command, env=self._env, timeout_s=120)
        if done.returncode:
            raise SystemExit(f"a search failed:\n{done.stderr}")
        (report,) = json.loads(done.stdout)["searches"]
        times = sorted(info["at"] for info in report["found"])
        return {
            "found": len(times),
            "first": times[0] if times else None,
            "all": times[-1] if len(times) == cameras else None,
            "call": report["seconds"],
            "cpu": report["cpu_s"],
            "threads": report["threads"],
        }


def narrow(lan: Lan, rounds: int) -> bool:
    """Compare the ways on a /24, print a table, and tell whether ours keeps what is promised."""
    # Cameras that answer at once: no blink of the lamp before the page that has the MAC.
    plan = {"cameras": [{"host": host, "side_delays": False} for host in FIVE]}
    lan.search({**plan, "searches": [ROWS["discover(), imports included"]]}, 5)  # compiles
    figures: dict[str, list[dict[str, Any]]] = {row: [] for row in ROWS}
    for number in range(rounds):
        for row, options in ROWS.items():
            figures[row].append(lan.search({**plan, "searches": [options]}, 5))
            print(f"\rround {number + 1} of {rounds}: {row:<40}", end="", file=sys.stderr)
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    print(f"A /24 with 5 cameras among silent addresses; median (best) of {rounds} rounds, in seconds")
    print(f"{'':30}{'found':>7}{'first':>15}{'all 5':>15}{'whole call':>15}{'CPU':>15}{'threads':>9}")
    for row, runs in figures.items():
        cells = "".join(f"{_median_and_best(runs, key):>15}" for key in ("first", "all", "call", "cpu"))
        found, threads = min(run["found"] for run in runs), max(run["threads"] for run in runs)
        print(f"{row:30}{found:>5}/5{cells}{threads:>9}")
    ours = figures["discover()"]
    kept = all(min(_seconds(ours, key), default=9e9) < limit for key, limit in PROMISES.items())
    return kept and all(run["found"] == 5 for run in ours)


def wide(lan: Lan, rounds: int) -> bool:
    """Search a /20 so many times, and tell whether each found all seven."""
    plan = {
        "prefix": 20,
        "cameras": [{"host": host} for host in SEVEN],
        "searches": [{"networks": "10.77.0.0/20"}],
    }
    print("A /20 with 7 cameras among silent addresses")
    good = 0
    for number in range(rounds):
        run = lan.search(plan, 7)
        good += run["found"] == 7
        print(
            f"run {number + 1:>3}: {run['found']} of 7 in {run['call']:.1f} s, CPU {run['cpu']:.2f} s",
            flush=True,
        )
    print(f"all 7 in {good} of {rounds} runs")
    return good == rounds


def _seconds(runs: list[dict[str, Any]], key: str) -> list[float]:
    return [run[key] for run in runs if run[key] is not None]


def _median_and_best(runs: list[dict[str, Any]], key: str) -> str:
    values = _seconds(runs, key)
    return f"{statistics.median(values):.2f} ({min(values):.2f})" if values else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks.discovery", description=__doc__, formatter_class=formatter
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--wide", type=int, metavar="N", help="search a /20 so many times instead")
    asked = parser.parse_args(arguments)
    network = PrivateNetwork.find()
    if isinstance(network, str):
        raise SystemExit(network)
    with tempfile.TemporaryDirectory(prefix="espressoscope-bench-") as folder:
        lan = Lan(network, Path(folder))
        kept = wide(lan, asked.wide) if asked.wide else narrow(lan, asked.rounds)
    raise SystemExit(0 if kept else "a promise is not kept")


if __name__ == "__main__":
    main()
