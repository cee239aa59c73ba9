"""One campaign: inputs made, checked and counted; those that find something are made small and kept."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fuzz.mutation import mutate

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

MOST_KEPT = 1500
MOST_MB = 400
"""Of memory, of a program that runs campaigns and nothing else: several times what it has."""
LONGEST_S = 10.0
"""A single input that takes more of the processor's time is a finding, on any machine."""


_LONGEST_SEARCH_S = 30.0


class Target(Protocol):
    """What is fuzzed.

    Attributes
    ----------
    name, says : str
        What to call it, and what must hold, in a line.
    tokens : sequence of bytes
        Pieces that mean something to it.
    most : int
        Longest input.
    """

    name: str
    says: str
    tokens: Sequence[bytes]
    most: int

    def seeds(self) -> list[bytes]:
        """Give inputs to begin with."""
        ...

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Put right what a mutation breaks and an attacker would not: checksums."""
        ...

    def check(self, data: bytes) -> Hashable:
        """Try one input; anything raised is a finding. Gives in short what has happened."""
        ...


@dataclass
class Finding:
    """Something that did not hold."""

    key: str
    data: bytes
    trace: str


@dataclass
class Figures:
    """What a campaign came to.

    Attributes
    ----------
    inputs, seconds
        Tried, and for how long.
    seeds, kept : int
        Inputs to begin with, and those added because they did what none had done before.
    paths : int
        Different things that happened; lines and branches of code when `engine` is ``"atheris"``.
    slowest_s : float
        Longest time of a single input.
    memory_mb : int
        Most memory the process has had; 0 where that is not known.
    """

    target: str
    engine: str
    inputs: int = 0
    seconds: float = 0.0
    seeds: int = 0
    kept: int = 0
    paths: int = 0
    first_paths: int = 0
    slowest_s: float = 0.0
    memory_mb: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)

    def line(self) -> str:
        """Give it as a row of the table in docs/security.md."""
        rate = self.inputs / self.seconds if self.seconds else 0.0
        return (
            f"| {self.target} | {self.engine} | {self.seconds:.0f} s | {self.inputs:,} | {rate:,.0f} | "
            f"{self.seeds} + {self.kept:,} | {self.first_paths:,} to {self.paths:,} | "
            f"{self.slowest_s:.2f} s | {self.memory_mb} MB | {len(self.findings)} |"
        )


HEAD = (
    "| target | engine | time | inputs | inputs/s | seeds + kept | paths | slowest | memory | findings |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def key_of(error: BaseException) -> str:
    """Name a finding: the same mistake has the same name, whatever the input."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/espressoscope/" in frame.filename] or list(frames)
    last = [ours[-1], frames[-1]] if frames and ours[-1] is not frames[-1] else ours[-1:]
    where = ", ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in last)
    said = re.sub(r"[0-9]+", "N", str(error))[:60] if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} at {where} {said}".strip()


class TooSlow(BaseException):
    """One input took too long; no `except Exception` may hide it."""


def _ring(number: int, frame: object) -> None:
    raise TooSlow(f"more than {LONGEST_S:g} s")


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Have it end when it takes too long, where there are such clocks: not on Windows."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _memory_mb() -> int:
    if sys.platform != "linux":
        return 0
    # Not from getrusage: the kernel counts into ru_maxrss what the process that started this one held.
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def attempt(target: Target, data: bytes) -> tuple[Hashable, Finding | None]:
    """Try one input."""
    try:
        with _limited():
            return target.check(data), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return None, Finding(key_of(error), data, traceback.format_exc())


def smaller(target: Target, finding: Finding, tries: int = 400) -> Finding:
    """Take out of an input what is not needed for what it finds."""
    data, size = finding.data, max(1, len(finding.data) // 2)
    end = time.monotonic() + _LONGEST_SEARCH_S
    while size and tries > 0:
        at = 0
        while at < len(data) and tries > 0 and time.monotonic() < end:
            tries -= 1
            shorter = data[:at] + data[at + size :]
            found = attempt(target, shorter)[1]
            if found is not None and found.key == finding.key:
                data, finding = shorter, found
            else:
                at += size
        size //= 2
    return finding


def inputs(target: Target, corpus: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """Give the corpus, then changes of it without end; the corpus may grow meanwhile."""
    yield from list(corpus)
    while True:
        # Half of them of what was found last: that is where there is something new.
        chosen = (
            corpus[-1 - int(rng.expovariate(1 / 20)) % len(corpus)]
            if rng.random() < 0.5
            else rng.choice(corpus)
        )
        # What `dress` alone has changed is whole, and so goes further.
        changed = chosen if rng.random() < 0.3 else mutate(chosen, rng, target.tokens, corpus, target.most)
        yield target.dress(changed, rng)


def campaign(
    target: Target,
    *,
    seconds: float | None = None,
    count: int | None = None,
    seed: int = 0,
    more: Sequence[bytes] = (),
    keep: Path | None = None,
) -> Figures:
    """Run one, for so long or so many inputs; the same seed and count try the same inputs."""
    rng = random.Random(seed)
    seeds = [*target.seeds(), *more]
    corpus = list(seeds)
    figures = Figures(target.name, "own", seeds=len(seeds))
    seen: set[Hashable] = set()
    began = time.monotonic()
    for data in inputs(target, corpus, rng):
        begun = time.process_time()
        path, finding = attempt(target, data)
        figures.inputs += 1
        figures.slowest_s = max(figures.slowest_s, time.process_time() - begun)
        if finding is not None:
            if finding.key not in figures.findings:
                figures.findings[finding.key] = smaller(target, finding)
        elif path not in seen:
            seen.add(path)
            if figures.inputs > len(seeds) and len(corpus) < MOST_KEPT:
                corpus.append(data)
                figures.kept += 1
                if keep is not None:
                    (keep / hashlib.sha1(data).hexdigest()).write_bytes(data)
        if figures.inputs == len(seeds):
            figures.first_paths = len(seen)
        figures.seconds = time.monotonic() - began
        if (seconds is not None and figures.seconds >= seconds) or (
            count is not None and figures.inputs >= count
        ):
            break
    figures.paths = len(seen)
    figures.memory_mb = _memory_mb()
    return figures
