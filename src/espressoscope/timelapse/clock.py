"""The time of a time-lapse: the system's clock, except that it never runs backwards by more than a second.

Points are due by the system's clock (UTC), because it is the only one that goes on while the computer is off.
Set forward, or woken from sleep, it passes points over: they are missed, and recorded as missed. Set back, it
would repeat an hour, and points would wait for it; so the time of the run then goes on at its own pace until
the system's clock has caught up. Neither ever takes a point twice.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Final

__all__ = ["Clock", "RunClock"]

STEP_NS: Final = 1_000_000_000
"""A difference that counts as a clock that was set; smaller ones are followed."""

MOST_JUMPS: Final = 1000
"""Most of them that are noted in a run's files by one program."""

_log = logging.getLogger(__name__)


class Clock:
    """The computer's clocks; a test may put another in its place."""

    def now_ns(self) -> int:
        """Unix time in nanoseconds, as the system's clock has it."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds from some moment on; is never set, and goes on while the computer sleeps."""
        if sys.platform == "linux":
            return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        elif sys.platform == "darwin":
            return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        else:
            return time.perf_counter_ns()

    def sleep(self, seconds: float, wake: threading.Event) -> None:
        """Wait so long, or until `wake` is set."""
        wake.wait(seconds)


class RunClock:
    """The time of one run, for all its cameras.

    Parameters
    ----------
    clock : Clock
    not_before_ns : int
        Time the run had reached already: a computer may come back from a power cut with a clock that is
        behind.

    Attributes
    ----------
    jumps : list of (int, int)
        Time of the run and nanoseconds of each step that the system's clock was set by.
    """

    def __init__(self, clock: Clock, not_before_ns: int = 0) -> None:
        self.clock = clock
        self.jumps: list[tuple[int, int]] = []
        self._lock = threading.Lock()
        self._wall_ns, self._monotonic_ns = clock.now_ns(), clock.monotonic_ns()
        self._shift_ns = 0
        behind_ns = not_before_ns - self._wall_ns
        if behind_ns > STEP_NS:
            self._shift_ns = behind_ns
            self._note(-behind_ns)

    def now_ns(self) -> int:
        """Unix nanoseconds; see the top of this file."""
        with self._lock:
            wall_ns, monotonic_ns = self.clock.now_ns(), self.clock.monotonic_ns()
            step_ns = wall_ns - self._wall_ns - (monotonic_ns - self._monotonic_ns)
            self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
            if step_ns < -STEP_NS:
                self._shift_ns -= step_ns
                self._note(step_ns)
            elif step_ns > STEP_NS:
                self._shift_ns = max(0, self._shift_ns - step_ns)
                self._note(step_ns)
            return wall_ns + self._shift_ns

    def _note(self, step_ns: int) -> None:
        now_ns = self._wall_ns + self._shift_ns
        if len(self.jumps) < MOST_JUMPS:
            self.jumps.append((now_ns, step_ns))
        _log.warning("the system's clock was set by %.1f s", step_ns / 1e9)
