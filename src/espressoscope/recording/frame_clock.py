"""The clock of a run's frames, and what became of the computer's meanwhile."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FrameClock", "slept_ns"]

_SET_S: Final = 0.5
"""A clock that moves by more has been set; it is put right in smaller steps all the time."""
_BEHIND: Final = "the times of all its frames lack that; a program started anew has the right ones"


def slept_ns() -> int:
    """Tell for how long this computer has slept since it was started; 0 where the system does not tell."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    else:
        return 0


class FrameClock:
    """Unix time as the frames have it, which is never set; and how far the computer's own is ahead of it.

    Parameters
    ----------
    offset_ns : int, optional
        Unix time at which `time.perf_counter_ns` was zero, as the frames' times have it; else read now.
    system_ns : callable
        Gives Unix nanoseconds; may be set, and jump, at any time.
    slept_before_ns : int, optional
        What `slept_ns` gave when the offset was read; else what it gives now.
    slept_ns : callable
        Gives the nanoseconds this computer has slept.
    """

    def __init__(
        self,
        offset_ns: int | None,
        system_ns: Callable[[], int] = time.time_ns,
        slept_before_ns: int | None = None,
        slept_ns: Callable[[], int] = slept_ns,
    ) -> None:
        self._system_ns = system_ns
        self._slept = slept_ns
        self._slept_ns = slept_ns() if slept_before_ns is None else slept_before_ns
        self._offset_ns = system_ns() - time.perf_counter_ns() if offset_ns is None else offset_ns
        self.began_ns = self.now_ns
        self._known_ns = 0
        step = self.step()
        self.behind: str | None = None if step is None else f"{step}, before this recording: {_BEHIND}"
        """Why the times of the whole run are not those of the computer's clock; None: they are."""

    @property
    def now_ns(self) -> int:
        """Unix time by the clock of the frames."""
        return self._offset_ns + time.perf_counter_ns()

    @property
    def moved_ns(self) -> int:
        """How far the computer's clock is ahead of that."""
        return self._system_ns() - self.now_ns

    def step(self) -> str | None:
        """Tell in words how the computer's clock has left that of the frames since the last call, if so."""
        moved_ns = self.moved_ns
        step_s = (moved_ns - self._known_ns) / 1e9
        if abs(step_s) < _SET_S:
            return None
        self._known_ns = moved_ns
        slept_ns = self._slept()
        slept_s = (slept_ns - self._slept_ns) / 1e9
        self._slept_ns = slept_ns
        if abs(slept_s) < _SET_S:
            return f"the computer's clock was set by {step_s:+.3f} s"
        if abs(step_s - slept_s) < _SET_S:
            return f"the computer slept for {slept_s:.3f} s"
        return f"the computer slept for {slept_s:.3f} s, and its clock was set by {step_s - slept_s:+.3f} s"

    def facts(self) -> dict[str, int]:
        """Give what `run.json` has of it."""
        return {"elapsed_ns": self.now_ns - self.began_ns, "system_clock_moved_ns": self.moved_ns}
