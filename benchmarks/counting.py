"""Counting in a receiving process: frames by their numbers, calls, and how old pictures are."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.pictures import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.job import Job

FIRST_FRAME_S = 20.0
"""Longest wait for the first frame of each camera; players look at a stream for seconds before they begin."""


class Tally:
    """Counts the frames of one stream by their numbers.

    Attributes
    ----------
    frames, lost, unknown : int
        Received; missing between those; received without a number that was sent.
    """

    __slots__ = ("_last", "_round", "frames", "lost", "unknown")

    def __init__(self, pictures: int) -> None:
        self.frames = self.lost = self.unknown = 0
        self._last = -1
        self._round = pictures

    def add(self, number: int | None) -> None:
        """Count one frame."""
        self.frames += 1
        if number is None:
            self.unknown += 1
            return
        if self._last >= 0:
            self.lost += (number - self._last - 1) % self._round
        self._last = number


class Slot:
    """What a receiver of JPEGs holds of one stream: how many, and the newest.

    Attributes
    ----------
    frames : int
    newest : bytes
    """

    __slots__ = ("frames", "newest")

    def __init__(self) -> None:
        self.frames = 0
        self.newest = b""


class Ends:
    """Counts lost frames of many streams by the newest frame of each at both ends of the measured time.

    The receiver counts what it receives, the picture has the number under which it was sent; that both rise
    by the same proves that none was lost. Nothing is looked up for each frame: the cheaper a receiver is, the
    more that would cost it.

    Parameters
    ----------
    by_tail : dict
        Of the pictures.
    newest : callable
        Gives the count and the newest JPEG of each stream.
    wakeups : list of int
        Of `counted`.
    """

    def __init__(
        self,
        by_tail: dict[bytes, int],
        newest: Callable[[], Iterable[tuple[int, bytes]]],
        wakeups: list[int],
    ) -> None:
        self._by_tail = by_tail
        self._newest = newest
        self._wakeups = wakeups
        self._first: list[tuple[int, int]] = []
        self._unknown = 0

    def counts(self) -> dict[str, float]:
        """Give the counters for a `Window`."""
        ends = [(count, self._by_tail.get(tail(jpeg), -1)) for count, jpeg in self._newest()]
        lost = 0
        for (count, number), (first_count, first_number) in zip(ends, self._first, strict=False):
            lost += (number - first_number - (count - first_count)) % len(self._by_tail)
        self._first = ends
        self._unknown += sum(number < 0 for _, number in ends)
        return {
            "frames": sum(count for count, _ in ends),
            "lost": lost,
            "unknown": self._unknown,
            "wakeups": self._wakeups[0],
        }


def ends(job: Job, slots: Sequence[Slot], wakeups: list[int]) -> Ends:
    """Count by slots."""
    return Ends(job.picture_set().by_tail, lambda: ((slot.frames, slot.newest) for slot in slots), wakeups)


def summed(tallies: Sequence[Tally]) -> dict[str, float]:
    """Give the counts of many streams together."""
    return {name: sum(getattr(tally, name) for tally in tallies) for name in ("frames", "lost", "unknown")}


def wait_for_all(tallies: Sequence[Tally | Slot]) -> int:
    """Wait for the first frame of each camera, but not for ever; give how many have one."""
    deadline = time.monotonic() + FIRST_FRAME_S
    while (there := sum(tally.frames > 0 for tally in tallies)) < len(tallies):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return there


def counted(owner: type, method: str) -> list[int]:
    """Count the calls of a method from now on, in this process; the count is the list's one item."""
    original = getattr(owner, method)
    calls = [0]

    def counting(*arguments: Any) -> Any:
        calls[0] += 1
        return original(*arguments)

    setattr(owner, method, counting)
    return calls


def asyncio_reads() -> list[int]:
    """Count how often a socket of asyncio opened from now on is read; stays 0 on Windows."""
    if sys.platform == "win32":
        return [0]
    from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]

    return counted(_SelectorSocketTransport, "_read_ready")


def percentiles(ages_s: Sequence[float]) -> dict[str, float]:
    """Give median, 99th percentile and maximum in milliseconds."""
    ages = sorted(ages_s) or [float("nan")]
    places = {"p50": len(ages) // 2, "p99": len(ages) * 99 // 100, "max": len(ages) - 1}
    return {name: round(1000 * ages[place], 2) for name, place in places.items()}


def watch_age(job: Job, numbers: Iterator[tuple[int | None, float]]) -> dict[str, Any]:
    """Take one number after the other, `pause_s` apart, and note the age of each when it comes.

    With each number come the seconds for which it was only decoded; 0 where that cannot be told apart.
    """
    ages: list[tuple[float, float, float]] = []
    began = time.perf_counter()
    for number, decoding_s in numbers:
        at = time.perf_counter() - began
        if number is not None:
            age_s = job.age_s(job.options["camera"], number)
            ages.append((round(at, 2), round(1000 * age_s, 2), round(1000 * decoding_s, 2)))
        if at > job.seconds or (not ages and at > FIRST_FRAME_S):
            break
        time.sleep(job.options["pause_s"])
    return {"ages": ages}
