"""What `run.json` tells of a run: cameras, counts, how it ended, and what became of the computer's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.recording.track import CameraTrack

__all__ = ["RunClock", "counts_of", "iso"]

_SET_S: Final = 0.5
"""A clock that moves by more has been set; it is put right in smaller steps all the time."""


class RunClock:
    """Unix time as the frames have it, which is never set; and how far the computer's own is ahead of it.

    Parameters
    ----------
    offset_ns : int, optional
        Unix time at which `time.perf_counter_ns` was zero, as the frames' times have it; else read now.
    system_ns : callable
        Gives Unix nanoseconds; may be set, and jump, at any time.
    """

    def __init__(self, offset_ns: int | None, system_ns: Callable[[], int] = time.time_ns) -> None:
        self._system_ns = system_ns
        self._offset_ns = system_ns() - time.perf_counter_ns() if offset_ns is None else offset_ns
        self.began_ns = self.now_ns
        self._known_ns = self.moved_ns

    @property
    def now_ns(self) -> int:
        """Unix time by the clock of the frames."""
        return self._offset_ns + time.perf_counter_ns()

    @property
    def moved_ns(self) -> int:
        """How far the computer's clock is ahead of that."""
        return self._system_ns() - self.now_ns

    def step_s(self) -> float | None:
        """Tell by how much the computer's clock has been set since the last call, if it has been."""
        moved_ns = self.moved_ns
        step_s = (moved_ns - self._known_ns) / 1e9
        if abs(step_s) < _SET_S:
            return None
        self._known_ns = moved_ns
        return step_s

    def facts(self) -> dict[str, int]:
        """Give what `run.json` has of it."""
        return {"elapsed_ns": self.now_ns - self.began_ns, "system_clock_moved_ns": self.moved_ns}


def counts_of(track: CameraTrack) -> dict[str, Any]:
    """Give what `run.json` has of a camera in the end."""
    names = ("frames_written", "bytes_written", "pages", "segments", "dropped", "damaged", "duplicates")
    return {name: getattr(track, name) for name in (*names, "odd", "gaps", "lost")}


def iso(time_ns: int) -> str:
    """Give a Unix time in words, to the second."""
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
