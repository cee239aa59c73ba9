"""The focus motor: where the stage is, as a function of time. No pictures, no settings, no network."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DWELL_S", "MAX_AUTOFOCUS_POSITIONS", "STEPS_PER_SECOND", "FocusMotor"]

STEPS_PER_SECOND: Final = 500.0
"""Fastest the stepper runs (AccelStepper ``setMaxSpeed``, Matchboxscope main.ino)."""

MAX_AUTOFOCUS_POSITIONS: Final = 1000
"""Most positions one autofocus sweep visits: a ceiling of the simulation, not of the firmware."""

_TRAVEL: Final = 100_000
DWELL_S: Final = 0.1
"""Seconds at each autofocus position, for the frame that is taken there: the time of one at 10 frames per
second. With the way, 41 positions from -500 to 500 take 8 s; of boards 10 to 20 s are expected."""


class FocusMotor:
    """A 28BYJ-48 stepper that moves the sample through focus.

    The path is kept as way-points in time, so asking for the position costs nothing while nothing moves and
    pictures taken during a sweep show the blur of that moment. Reading it changes nothing, so any thread may.

    Parameters
    ----------
    best : float
        Position in steps at which the picture is sharp.
    clock : callable
        Seconds, monotonic.

    Attributes
    ----------
    dwell_s : float
        Seconds at each autofocus position; make it 0 where nobody wants to wait.
    """

    def __init__(self, best: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.best = best
        self._clock = clock
        self._path: list[tuple[float, float]] = [(clock(), 0.0)]
        self._speed = 0.0
        self.dwell_s = DWELL_S

    @property
    def position(self) -> float:
        """Where the stage is now, in steps."""
        now = self._clock()
        path = self._path
        if now >= path[-1][0]:
            last_s, last = path[-1]
            moved = last + self._speed * (now - last_s)
            return max(-_TRAVEL, min(_TRAVEL, moved))
        for (start_s, start), (end_s, end) in pairwise(path):
            if now < end_s:
                part = max(0.0, now - start_s) / max(end_s - start_s, 1e-9)
                return start + (end - start) * part
        return path[-1][1]

    @property
    def offset(self) -> float:
        """Where the stage is now, in steps from best focus, signed."""
        return self.position - self.best

    @property
    def busy_s(self) -> float:
        """Seconds until the move under way is over; 0 when none is. Continuous drive is no move."""
        return max(0.0, self._path[-1][0] - self._clock())

    def move_by(self, steps: float) -> float:
        """Move relative to where the stage is now; give the seconds it takes."""
        here = self.position
        self._follow([here + steps], dwell_s=0.0)
        return self.busy_s

    def drive(self, steps_per_second: float) -> None:
        """Move continuously at this speed, clamped to the motor's; 0 stops."""
        here = self.position
        self._path = [(self._clock(), here)]
        self._speed = max(-STEPS_PER_SECOND, min(STEPS_PER_SECOND, steps_per_second))

    def autofocus(self, minimum: int, maximum: int, step: int) -> float:
        """Visit positions from `minimum` to `maximum` around the present one, end at the sharpest.

        Returns
        -------
        float
            Seconds until the stage rests at the sharpest position; the firmware answers only then.

        Raises
        ------
        ZeroDivisionError
            `step` is 0: the firmware divides by it, and crashes.
        """
        if step == 0:
            raise ZeroDivisionError("autofocus step 0")
        here = self.position
        count = min(MAX_AUTOFOCUS_POSITIONS, max(0, (maximum - minimum) // step) + 1)
        stops = [here + minimum + index * step for index in range(count)]
        sharpest = min(stops, key=lambda stop: abs(stop - self.best))
        self._follow([*stops, sharpest], dwell_s=self.dwell_s)
        return self.busy_s

    def _follow(self, stops: list[float], *, dwell_s: float) -> None:
        at_s, at = self._clock(), self.position
        path = [(at_s, at)]
        for stop in stops:
            stop = max(-_TRAVEL, min(_TRAVEL, stop))
            at_s += abs(stop - at) / STEPS_PER_SECOND
            path.append((at_s, stop))
            if dwell_s:
                at_s += dwell_s
                path.append((at_s, stop))
            at = stop
        self._speed = 0.0
        self._path = path
