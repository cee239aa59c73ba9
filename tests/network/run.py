"""Runs scenarios side by side, each in a namespace of its own, and makes the table of the page."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from network.promises import PROMISES, broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support import PrivateNetwork

SCENES = Path(__file__).resolve().with_name("scenes.py")
LONGEST_S = 170.0

HEAD = (
    "| the network | frames a second, of 10 | age on arrival p50, p99 | longest gap "
    "| reconnects, cut-off frames | again whole after |\n|---|---:|---:|---:|---:|---:|"
)


def play(network: PrivateNetwork, name: str, seconds: float, slack: float = 1.0) -> dict[str, Any]:
    """Run one scenario; gives its figures, with ``wrong``: what did not hold."""
    done = network.run([sys.executable, str(SCENES), name, str(seconds)], timeout_s=LONGEST_S)
    if done.returncode:
        return {"name": name, "wrong": [f"it broke down:\n{done.stderr[-3000:]}"]}
    report: dict[str, Any] = json.loads(done.stdout)
    report["wrong"] = broken(report, slack)
    if "Traceback" in done.stderr:
        report["wrong"].append(done.stderr[-3000:])
    return report


def play_all(
    network: PrivateNetwork,
    asked: Iterable[tuple[str, float]],
    at_once: int,
    tell: Callable[[str], None] = lambda line: None,
    slack: float = 1.0,
) -> dict[str, dict[str, Any]]:
    """Run scenarios, so many at once; gives their figures by name. `slack` as for `broken`."""

    def one(name: str, seconds: float) -> dict[str, Any]:
        try:
            report = play(network, name, seconds, slack)
        except subprocess.TimeoutExpired:
            report = {"name": name, "wrong": [f"not done after {LONGEST_S:g} s"]}
        tell("\n".join([f"{name}: {'held' if not report['wrong'] else 'DID NOT HOLD'}", *report["wrong"]]))
        return report

    with ThreadPoolExecutor(at_once) as pool:
        reports = list(pool.map(lambda one_asked: one(*one_asked), asked))
    return {report["name"]: report for report in reports}


def row(report: dict[str, Any]) -> str:
    """Write a scenario's figures as a row of the table."""
    title = PROMISES[report["name"]].title
    if "cameras" not in report:
        return f"| {title} | did not run | | | | |"
    cameras = report["cameras"]
    fps = _range([camera["fps"] for camera in cameras], 1)
    ages = [f"{_range([camera[age] for camera in cameras], 2)} s" for age in ("age_p50_s", "age_p99_s")]
    gap = max(camera["gap_s"] for camera in cameras)
    count = [sum(camera[name] for camera in cameras) for name in ("reconnects", "broken")]
    return (
        f"| {title} | {fps} | {ages[0]}, {ages[1]} | {gap:.1f} s | {count[0]}, {count[1]} "
        f"| {report['recovered_s']:.1f} s |"
    )


def _range(values: list[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    least, most = f"{min(known):.{digits}f}", f"{max(known):.{digits}f}"
    return least if least == most else f"{least} to {most}"


def page(reports: dict[str, dict[str, Any]], took_s: float) -> str:
    """Write the part of the page that is measured."""
    rows = [row(report) for report in reports.values()]
    asked = [report["requests"] for report in reports.values() if "requests" in report]
    answered = f"{sum(one['answered'] for one in asked)} of {sum(one['asked'] for one in asked)}"
    when = time.strftime("%Y-%m-%d")
    return "\n".join(
        [
            HEAD,
            *rows,
            "",
            f"In the networks down to the one with packets overtaken, {answered} requests for `/status` "
            f"beside the stream were answered. Measured on {when}, in {took_s:.0f} s.",
        ]
    )
