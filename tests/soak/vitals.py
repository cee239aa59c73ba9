"""What the program held while it was soaked, second by second: memory must stay flat, and all is drawn."""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soak.findings import Findings

__all__ = ["Sample", "Vitals", "draw", "resident", "store"]

WARM_S = 60.0
_WINDOW = 15
_GROWTH = 1.05


class Sample(NamedTuple):
    """One moment.

    Attributes
    ----------
    at_s : float
        Since the beginning.
    resident : int
        Bytes of memory.
    handles, threads : int
        Open files and sockets; threads.
    drift_ms : float
        By how much frames' clock has gone apart from the wall's since the beginning.
    counts : Mapping of str to int
        Counters of the fleet.
    """

    at_s: float
    resident: int
    handles: int
    threads: int
    drift_ms: float
    counts: Mapping[str, int]


class Vitals(threading.Thread):
    """Notes the state of this process once a second, where the system tells it (Linux).

    Parameters
    ----------
    counts : callable
        Gives counters to note with each sample.

    Attributes
    ----------
    samples : list of Sample
        One a second.
    """

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        super().__init__(name="soak-vitals")
        self.samples: list[Sample] = []
        self._counts = counts
        self._over = threading.Event()
        self._began_s = time.perf_counter()
        self._ahead_s = time.time() - self._began_s

    def run(self) -> None:
        """Sample until stopped."""
        while not self._over.wait(1.0):
            size = resident()
            if size:
                now_s = time.perf_counter()
                drift_ms = round(1000 * (time.time() - now_s - self._ahead_s), 2)
                held = len(os.listdir("/proc/self/fd")), threading.active_count()
                self.samples.append(Sample(now_s - self._began_s, size, *held, drift_ms, self._counts()))

    def stop(self) -> None:
        """End."""
        self._over.set()
        self.join()
        self._counts = dict  # what it counted is not to be held

    def judge(self, findings: Findings) -> str:
        """Say what memory did; a growth of more than 5 % after the first minute is a finding."""
        warm = [sample.resident for sample in self.samples if sample.at_s >= WARM_S]
        if len(warm) < 2 * _WINDOW:
            last = f"{self.samples[-1].resident / 1e6:.1f} MB at the end" if self.samples else "unknown"
            return f"{last}; too short a run to judge growth"
        first, last_ = (statistics.median(part) for part in (warm[:_WINDOW], warm[-_WINDOW:]))
        if last_ > first * _GROWTH:
            findings.add("memory", f"grew from {first / 1e6:.1f} to {last_ / 1e6:.1f} MB")
        growth = last_ / first - 1
        minutes = ", ".join(f"{sample.resident / 1e6:.1f}" for sample in self.samples[::60])
        return (
            f"{first / 1e6:.1f} MB after {WARM_S:g} s, {last_ / 1e6:.1f} MB at the end ({growth:+.1%}); "
            f"each minute: {minutes}"
        )

    def held(self) -> str:
        """Say how many handles and threads there were, and how far the clocks went apart."""
        if not self.samples:
            return "unknown"
        handles, threads = ([getattr(s, what) for s in self.samples] for what in ("handles", "threads"))
        apart_ms = max(abs(sample.drift_ms) for sample in self.samples)
        return (
            f"{min(handles)} to {max(handles)} handles, {min(threads)} to {max(threads)} threads; "
            f"clocks apart {apart_ms:.1f} ms at most; {dict(self.samples[-1].counts)}"
        )


def store(samples: Sequence[Sample], path: Path) -> None:
    """Write samples as lines of JSON."""
    path.write_text("".join(json.dumps(sample._asdict()) + "\n" for sample in samples), encoding="utf-8")


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Draw samples over time into a PNG; ModuleNotFoundError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    minutes = [sample.at_s / 60 for sample in samples]
    figure, panels = plt.subplots(5, 1, figsize=(8, 8), sharex=True, layout="constrained")
    series: list[tuple[str, list[tuple[str, list[float]]]]] = [
        ("memory, MB", [("", [sample.resident / 1e6 for sample in samples])]),
        ("handles", [("", [sample.handles for sample in samples])]),
        ("threads", [("", [sample.threads for sample in samples])]),
        ("clocks apart, ms", [("", [sample.drift_ms for sample in samples])]),
        (
            "frames",
            [(name, [float(sample.counts[name]) for sample in samples]) for name in samples[-1].counts],
        ),
    ]
    for axes, (title, lines) in zip(panels, series, strict=True):
        _panel(axes, title, minutes, lines)
    panels[-1].set_yscale("symlog")
    panels[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _panel(axes: Any, title: str, minutes: list[float], lines: list[tuple[str, list[float]]]) -> None:
    for name, values in lines:
        axes.plot(minutes, values, linewidth=1, label=name, color=None if name else "#0b6e4f")
    axes.set_title(title, loc="left")
    if any(name for name, _ in lines):
        axes.legend(loc="upper left", frameon=False, ncols=3)
    else:
        axes.set_ylim(bottom=min(0, *lines[0][1]))


def resident() -> int:
    """Give the bytes of memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
