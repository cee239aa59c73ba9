"""Starts load generators and rows, each a process of its own, and goes through rounds."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import pictures
from benchmarks.job import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REPO = Path(__file__).resolve().parent.parent
ROW_GRACE_S = 90.0
"""Longest a row may take on top of its window: a hundred players need their time to begin."""


def apart() -> tuple[list[int] | None, list[int] | None]:
    """Give the processors for the load generator and for the receiver: one each, where that can be had."""
    if hasattr(os, "sched_getaffinity") and len(there := sorted(os.sched_getaffinity(0))) > 1:
        return there[:1], there[1:2]
    return None, None


@dataclass
class Figures:
    """What one scenario found.

    Attributes
    ----------
    rows : dict
        By row, what each round gave; a row that is not there has ``[{"missing": why}]``.
    load : list of dict
        What the load generator did during each row.
    about : dict
        What was sent, and how it was measured.
    views : dict
        Of decoding alone: by view, the median of each reader in microseconds.
    """

    about: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    load: list[dict[str, Any]] = field(default_factory=list)
    views: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class Bench:
    """One run of the benchmarks.

    Attributes
    ----------
    folder : Path
        For pictures.
    quick : bool
        Fewer and shorter rounds.
    tiny : bool
        Only to see that everything works.
    """

    folder: Path
    quick: bool = False
    tiny: bool = False
    _made: dict[tuple[str, int], Path] = field(default_factory=dict)

    def choose(self, full: Any, quick: Any, tiny: Any) -> Any:
        """Give what fits this kind of run."""
        return tiny if self.tiny else quick if self.quick else full

    def pictures(self, size: str, count: int) -> Path:
        """Make pictures, once."""
        key = (size, count)
        if key not in self._made:
            path = self.folder / f"{size}-{count}.pictures"
            pictures.make(size, count).save(path)
            self._made[key] = path
        return self._made[key]

    @contextlib.contextmanager
    def load(self, path: Path, *arguments: object, core: list[int] | None, nice: int = 0) -> Iterator[Load]:
        """Run a load generator."""
        command = [sys.executable, "-m", "benchmarks.load", str(path), *map(str, arguments)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO
        ) as process:
            try:
                if core is not None:
                    os.sched_setaffinity(process.pid, core)
                if nice:
                    # Needs the right to; without, its lateness tells.
                    with contextlib.suppress(OSError, AttributeError):
                        os.setpriority(os.PRIO_PROCESS, process.pid, nice)
                yield Load(process, path)
            finally:
                process.kill()

    def rounds(
        self,
        figures: Figures,
        load: Load,
        jobs: Iterable[tuple[str, Job]],
        rounds: int,
        say: str,
    ) -> Figures:
        """Run every row in turn, round after round, so that a drifting machine hurts all alike."""
        jobs = list(jobs)
        for number in range(rounds):
            for name, job in jobs:
                found = figures.rows.setdefault(name, [])
                if found and "missing" in found[0] and not found[0]["missing"].startswith("failed"):
                    continue
                progress(f"{say}: round {number + 1} of {rounds}, {name}")
                load.report()
                result = run(job)
                if "missing" not in result:
                    # A row that has failed once is there all the same, with the rounds that went well.
                    found[:] = [other for other in found if "missing" not in other]
                    found.append({**result, "round": number})
                    figures.load.append({"row": name, **load.report()})
                elif not found:
                    found.append(result)
        return figures


class Load:
    """A load generator that runs."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self._process = process
        self.path = path
        assert process.stdout is not None
        self.ready: dict[str, Any] = json.loads(process.stdout.readline())

    def report(self) -> dict[str, Any]:
        """Say what it did since the last report: its CPU, frames sent and left out, how late it was."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def job(self, row: str, seconds: float, **options: Any) -> Job:
        """Make a job that receives from it."""
        given = {name: options.pop(name) for name in ("warm_s", "cores") if name in options}
        return Job(row, str(self.path), self.ready, seconds, options=options, **given)


def run(job: Job) -> dict[str, Any]:
    """Run one row in a process of its own."""
    with started(job) as process:
        return finished(process, job)


@contextlib.contextmanager
def started(job: Job) -> Iterator[subprocess.Popen[str]]:
    """Start one row."""
    command = [sys.executable, "-m", "benchmarks.row"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=REPO) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def finished(process: subprocess.Popen[str], job: Job) -> dict[str, Any]:
    """Wait for a row's result; of a row that fails, ``{"missing": why}``, and its own words on stderr."""
    try:
        out, err = process.communicate(timeout=job.warm_s + job.seconds + ROW_GRACE_S)
    except subprocess.TimeoutExpired:
        return {"missing": "failed: it did not end"}
    if process.returncode or not out.strip():
        print(f"{job.row} has failed:\n{err}", file=sys.stderr, flush=True)
        return {"missing": f"failed: {(err.strip() or str(process.returncode)).splitlines()[-1][:80]}"}
    return dict(json.loads(out.splitlines()[-1]))


_BEGAN = time.monotonic()


def progress(words: str) -> None:
    """Tell people on stderr how far it is."""
    seconds = int(time.monotonic() - _BEGAN)
    print(f"[{seconds // 60:3}:{seconds % 60:02}] {words}", file=sys.stderr, flush=True)


class Others:
    """How busy the machine was with other things than this run; None where that cannot be known."""

    def __init__(self) -> None:
        self._began = self._busy()
        self._wall = time.monotonic()
        self._own = self._mine()

    def percent(self) -> float | None:
        """Give percent of one core used by others since this was made."""
        busy = self._busy()
        if busy is None or self._began is None:
            return None
        others_s = busy - self._began - (self._mine() - self._own)
        return round(max(0.0, 100 * others_s / (time.monotonic() - self._wall)), 1)

    @staticmethod
    def _mine() -> float:
        return sum(os.times()[:4])

    @staticmethod
    def _busy() -> float | None:
        try:
            words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        except OSError:
            return None
        user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
