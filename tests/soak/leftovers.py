"""After the soak no thread, task, socket or handle is left, and memory stayed flat while it ran."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from support import Holdings, leaked_since

if TYPE_CHECKING:
    from soak.findings import Findings

__all__ = ["Before", "MemoryWatch"]

WARM_S = 60.0
_WINDOW = 15
_GROWTH = 1.05
_OURS = ("CameraSession", "Link", "Supervisor", "StreamConnection", "SnapshotPoller", "View", "Runtime")


class Before:
    """What this process held before, to compare with afterwards."""

    def __init__(self) -> None:
        self._holdings = Holdings.now()
        self._handles = _handles()
        self._objects = _objects()

    def compare(self, findings: Findings) -> None:
        """Note everything that is held now and was not then."""
        for line in leaked_since(self._holdings):
            findings.add("left", line)
        for kind, count in (_handles() - self._handles).items():
            findings.add("left", f"{count} open {kind}")
        for name, count in (_objects() - self._objects).items():
            findings.add("left", f"{count} {name}")


def _objects() -> Counter[str]:
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if _is_ours(each))


def _is_ours(thing: object) -> bool:
    kind = type(thing)
    if issubclass(kind, asyncio.Future):  # tasks too
        return not thing.done()  # type: ignore[attr-defined]
    return kind.__name__ in _OURS and str(kind.__module__).startswith("espressoscope.")


def _handles() -> Counter[str]:
    kinds: Counter[str] = Counter()
    folder = "/proc/self/fd"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            kinds[os.readlink(f"{folder}/{name}").partition(":[")[0]] += 1
        except OSError:  # that of this listing
            continue
    return kinds


class MemoryWatch(threading.Thread):
    """Notes the memory of this process once a second, where the system tells it (Linux).

    Attributes
    ----------
    samples : list of (float, int)
        Seconds since the beginning, and resident bytes.
    """

    def __init__(self) -> None:
        super().__init__(name="soak-memory")
        self.samples: list[tuple[float, int]] = []
        self._over = threading.Event()
        self._began_s = time.monotonic()

    def run(self) -> None:
        """Sample until stopped."""
        while not self._over.wait(1.0):
            size = _resident()
            if size:
                self.samples.append((time.monotonic() - self._began_s, size))

    def stop(self) -> None:
        """End."""
        self._over.set()
        self.join()

    def judge(self, findings: Findings) -> str:
        """Say what memory did; a growth of more than 5 % after the first minute is a finding."""
        warm = [size for at_s, size in self.samples if at_s >= WARM_S]
        if len(warm) < 2 * _WINDOW:
            last = f"{self.samples[-1][1] / 1e6:.1f} MB at the end" if self.samples else "unknown"
            return f"{last}; too short a run to judge growth"
        first, last_ = (statistics.median(part) for part in (warm[:_WINDOW], warm[-_WINDOW:]))
        if last_ > first * _GROWTH:
            findings.add("memory", f"grew from {first / 1e6:.1f} to {last_ / 1e6:.1f} MB")
        growth = last_ / first - 1
        minutes = ", ".join(f"{size / 1e6:.1f}" for _, size in self.samples[::60])
        return (
            f"{first / 1e6:.1f} MB after {WARM_S:g} s, {last_ / 1e6:.1f} MB at the end ({growth:+.1%}); "
            f"each minute: {minutes}"
        )


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
