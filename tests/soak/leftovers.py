"""After the soak no thread, task, socket or handle is left."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from typing import TYPE_CHECKING

from support import Holdings, leaked_since

if TYPE_CHECKING:
    from soak.findings import Findings

__all__ = ["Before"]

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
