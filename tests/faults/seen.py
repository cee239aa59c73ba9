"""What is seen of a consumer while its camera is struck, and how that is held against what is expected."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AWAY", "Expected", "Moment", "Seen", "cell"]

AWAY: Final = "away"
_PASSING: Final = frozenset({"connecting", "backing off", "trying again", "stalled", "no picture"})
"""States of a link between two connections: each may be over too soon to be seen."""


@dataclass(frozen=True)
class Expected:
    """What one consumer makes of one fault.

    Attributes
    ----------
    states : frozenset of str
        What is seen while it lasts, besides what is usual, no more and no less.
    words : str
        What is said, among other things; "" when nothing may be. N stands for a number, ``|`` between two
        for either: it depends on the moment of asking.
    rises : frozenset of str
        Counters that must rise; no others may.
    may : frozenset of str
        States and counters that may be seen, or rise, too.
    within_s : float or None
        Longest time from the end of the fault until all is well; None when it is well all the time.
    brief : bool
        What is said is over so soon that it need not be seen.
    """

    states: frozenset[str] = frozenset()
    words: str = ""
    rises: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    within_s: float | None = None
    brief: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """What `words` stand for."""
        either = "|".join(map(re.escape, self.words.split(" | ")))
        return re.compile(re.sub(r"\bN\b", r"[\\d.]+", either))

    def complaints(self, seen: Seen) -> list[str]:
        """Compare."""
        wrong = []
        states = seen.states - self.may
        if states - self.states or self.states - seen.states:
            wrong.append(f"states: {sorted(seen.states)}")
        rose = {name for name, by in seen.rose.items() if by > 0}
        if rose - self.may - self.rises or self.rises - rose:
            wrong.append(f"counters: {seen.rose}")
        if seen.said and not self.words:
            wrong.append(f"it says {sorted(seen.said)}")
        elif self.words and not any(map(self.pattern.search, seen.said)) and (seen.said or not self.brief):
            wrong.append(f"it says {sorted(seen.said) or 'nothing'}")
        if self.within_s is not None and (seen.back_s is None or seen.back_s > self.within_s):
            wrong.append(f"well again after {seen.back_s} s")
        return wrong


def cell(
    states: str = "",
    words: str = "",
    rises: str = "",
    may: str = "",
    within: float | None = None,
    *,
    brief: bool = False,
) -> Expected:
    """Write an `Expected` short: states with commas between them, counters as words."""
    return Expected(_split(states), words, frozenset(rises.split()), _split(may), within, brief)


def _split(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


@dataclass
class Seen:
    """What is seen of one consumer.

    Attributes
    ----------
    states, said : set of str
        While the fault lasts: states besides the usual one, and what is said.
    rose : dict of str to int
        Counters, from before the fault until all is well again.
    back_s : float or None
        Seconds from the end of the fault until all was well; 0 when it was well at the end.
    """

    states: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)
    rose: dict[str, int] = field(default_factory=dict)
    back_s: float | None = None

    def state(self, name: str, usual: str = "live") -> None:
        """Note a state."""
        if name != usual:
            self.states.add(AWAY if name in _PASSING else name)

    def say(self, *texts: str) -> None:
        """Note what is said."""
        self.said.update(text for text in texts if text)

    def counted(self, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """Note by how much counters rose."""
        self.rose = {name: after[name] - before[name] for name in before}

    def as_json(self) -> dict[str, Any]:
        """For another program."""
        return {
            "states": sorted(self.states),
            "said": sorted(self.said),
            "rose": self.rose,
            "back_s": self.back_s,
        }

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Seen:
        """Of another program."""
        return cls(set(read["states"]), set(read["said"]), dict(read["rose"]), read["back_s"])


class Moment:
    """Something that happens once, and when: on the clock of `time.monotonic`."""

    def __init__(self) -> None:
        self.at_s: float | None = None
        self._event = threading.Event()

    def now(self, at_s: float | None = None) -> None:
        """It happens, or has happened at this time."""
        if self.at_s is None:
            self.at_s = time.monotonic() if at_s is None else at_s
        self._event.set()

    def stamp(self) -> None:
        """It is about to happen: from now on all counts as after it, who waits goes on waiting."""
        self.at_s = time.monotonic()

    def __bool__(self) -> bool:
        return self.at_s is not None

    def wait(self, timeout_s: float) -> bool:
        """Wait for it."""
        return self._event.wait(timeout_s)

    def ago_s(self, at_s: float | None = None) -> float:
        """Seconds since then, or from then to another moment."""
        assert self.at_s is not None
        return (time.monotonic() if at_s is None else at_s) - self.at_s
