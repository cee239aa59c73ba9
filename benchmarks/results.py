"""The raw figures on disk, and the machine they come from."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import REPO
from benchmarks.job import cores

if TYPE_CHECKING:
    from benchmarks.harness import Figures
    from benchmarks.targets import Runs

FILE = REPO / "benchmarks" / "results.json"
PACKAGES = (
    *("espressoscope", "numpy", "simplejpeg", "aiohttp", "requests", "urllib3"),
    *("opencv-python-headless", "av", "Pillow"),
)


class Results:
    """Figures by scenario, each with when and how it was measured.

    Attributes
    ----------
    machine : dict
        What the newest figures were measured on.
    notes : dict
        By scenario: date, kind of run, length, what others used of the machine meanwhile.
    runs : dict
        By scenario, its figures by name.
    """

    def __init__(self) -> None:
        self.machine: dict[str, Any] = machine()
        self.notes: dict[str, dict[str, Any]] = {}
        self.runs: Runs = {}

    def add(self, module: str, figures: dict[str, Figures], note: dict[str, Any]) -> None:
        """Take in what a scenario found, in place of what was there."""
        self.runs[module] = {name: asdict(found) for name, found in figures.items()}
        self.notes[module] = {"date": time.strftime("%Y-%m-%d"), **note}

    def save(self, path: Path = FILE) -> None:
        """Write all."""
        text = json.dumps({"machine": self.machine, "notes": self.notes, "runs": _short(self.runs)}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path = FILE) -> Results:
        """Read what `save` wrote; without a file, nothing."""
        results = cls()
        if path.exists():
            data = json.loads(path.read_text(encoding="utf-8"))
            results.machine, results.notes, results.runs = data["machine"], data["notes"], data["runs"]
        return results


def _short(value: Any) -> Any:
    """Drop digits that mean nothing."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list | tuple) else value


def machine() -> dict[str, Any]:
    """Tell on what this runs."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": _system(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.platform(terse=True)
