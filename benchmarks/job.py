"""Inside a receiving process: what it is asked to do, and the measuring of CPU time.

A row (see `receivers`) is a function that takes a `Job`, receives, and reports to the job's `Window`, which
lets a warm-up pass and then takes CPU time and counts at both ends of the measured time.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pictures import PictureSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.beside import Beside


class NotHereError(Exception):
    """A row cannot run on this machine: a library or the operating system lacks what it needs."""


def cores() -> int:
    """Say how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Job:
    """What one receiving process is to do.

    Attributes
    ----------
    row : str
        Which receiver.
    pictures : str
        File with the pictures being sent.
    load : dict
        What the load generator printed when it was ready.
    seconds, warm_s : float
        Length of the measured time and of the time before it.
    cores : list of int or None
        Processors to keep to.
    options : dict
        Of the scenario.
    """

    row: str
    pictures: str
    load: dict[str, Any]
    seconds: float
    warm_s: float = 0.5
    cores: list[int] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def prepare(self) -> None:
        """Keep to the cores told, and allow as many files as the system gives."""
        if self.cores is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)
        with contextlib.suppress(ImportError, ValueError, OSError):
            import resource  # not on Windows

            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    @property
    def controls(self) -> list[str]:
        """Addresses of the cameras."""
        return [f"127.0.0.1:{control}" for control, _ in self.load["ports"]]

    @property
    def streams(self) -> list[str]:
        """URLs of their streams."""
        return [f"http://127.0.0.1:{port}/" for port in self.stream_ports]

    @property
    def stream_ports(self) -> list[int]:
        """Their stream ports."""
        return [stream for _, stream in self.load["ports"]]

    def picture_set(self) -> PictureSet:
        """Read the pictures being sent."""
        return PictureSet.load(Path(self.pictures))

    def age_s(self, camera: int, number: int) -> float:
        """Seconds since this frame was due, at its sender; right while it is younger than a whole round."""
        period = self.load["period_ns"]
        since = time.perf_counter_ns() - self.load["began_ns"] - self.load["phases_ns"][camera]
        return float((since - number * period) % (period * self.load["frames"])) / 1e9


class Window:
    """A warm-up and a measured time; see `over` and `sleep`, of which a row uses one.

    Parameters
    ----------
    job : Job
    counts : callable
        Gives cheap counters by name; the result holds by how much they rose. Must have ``frames``.
    beside : Beside, optional
        Its CPU time is not the row's, and told apart.
    """

    def __init__(
        self, job: Job, counts: Callable[[], dict[str, float]], beside: Beside | None = None
    ) -> None:
        self._job = job
        self._counts = counts
        self._beside = beside
        self._beside_first = (0, 0.0)
        self._from: float | None = None
        self._at_first: dict[str, float] | None = None
        self._began = self._cpu = 0.0
        self.result: dict[str, Any] = {}

    @property
    def measuring(self) -> bool:
        """Whether the measured time runs."""
        return self._at_first is not None and not self.result

    def over(self) -> bool:
        """Say whether the time is up; for loops that call it now and then, from their first frame on."""
        now = time.perf_counter()
        if self._from is None:
            self._from = now + self._job.warm_s
        if self._at_first is None:
            if now >= self._from:
                self._begin()
            return False
        if now < self._began + self._job.seconds:
            return False
        self._end()
        return True

    def sleep(self) -> None:
        """Let the time pass; for rows whose work is done by other threads."""
        time.sleep(self._job.warm_s)
        self._begin()
        time.sleep(self._job.seconds)
        self._end()

    def _begin(self) -> None:
        self._at_first = dict(self._counts())
        if self._beside is not None:
            self._beside_first = (self._beside.frames, self._beside.cpu_s)
        self._began = time.perf_counter()
        self._cpu = time.process_time()

    def _end(self) -> None:
        cpu_s = time.process_time() - self._cpu
        floor: dict[str, float] = {}
        if self._beside is not None and self._beside.frames > self._beside_first[0]:
            floor_s = self._beside.cpu_s - self._beside_first[1]
            cpu_s -= floor_s
            floor["floor_us_per_frame"] = 1e6 * floor_s / (self._beside.frames - self._beside_first[0])
        seconds = time.perf_counter() - self._began
        assert self._at_first is not None
        rose = {name: value - self._at_first[name] for name, value in self._counts().items()}
        frames = max(1.0, rose["frames"])
        self.result = {
            **rose,
            **floor,
            "seconds": seconds,
            "us_per_frame": cpu_s / frames * 1e6,
            "cpu_percent": 100 * cpu_s / seconds,
            "fps": rose["frames"] / seconds,
        }
