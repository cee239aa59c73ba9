"""When points are due, and what is to be done now: arithmetic only, without clock, file or camera.

Point k of camera number i is due at ``start + k * every + i * stagger``, computed anew for each point, so no
delay ever adds up. A point may be begun, and tried again, until its window is over; then it is missed, and
says so. What `Course` decides depends on nothing but the schedule, the point it stands at, and the time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple, TypeAlias

from espressoscope.timelapse.spans import MOST_S

__all__ = [
    "PASSED_OVER",
    "TOO_BUSY",
    "Course",
    "Missed",
    "Over",
    "Schedule",
    "Step",
    "Take",
    "Wait",
    "auto_stagger_s",
    "auto_window_s",
]

MOST_BURST: Final = 1000
"""Most pictures of a point."""
LATEST_NS: Final = 32_503_680_000 * 10**9
"""No point is due later: the year 3000, where the dates of Windows end."""
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Between attempts at one point; the last goes on."""
_WINDOW_S: Final = 600.0
_STAGGER_S: Final = 1.0

PASSED_OVER: Final = "it was not running then (computer off or asleep, program ended, clock set forward)"
TOO_BUSY: Final = "the camera was still busy with the point before"


def auto_window_s(every_s: float) -> float:
    """Give for how long a point may be late: half the interval, 10 minutes at most."""
    return min(every_s / 2, _WINDOW_S)


def auto_stagger_s(every_s: float, cameras: int) -> float:
    """Give the time from one camera to the next: 1 s, or what lets all begin in a quarter of the interval."""
    return min(_STAGGER_S, every_s / (4 * cameras)) if cameras > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a time-lapse is to do; what does not change while it lasts.

    Attributes
    ----------
    every_ns : int
        From one point to the next.
    points : int or None
        How many there are; None: until it is stopped.
    burst : int
        Pictures of each point and camera.
    lamp : int or None
        Brightness of the lamp while pictures are taken; None: it is left alone.
    settle_ns : int
        From the lamp on to the picture.
    stagger_ns : int
        From one camera's point to the next camera's.
    window_ns : int
        For how long a point may be late.
    framesize, quality
        Given to the cameras, and given again after a restart; None: left as they are.
    """

    every_ns: int
    points: int | None = None
    burst: int = 1
    lamp: int | None = None
    settle_ns: int = 0
    stagger_ns: int = 0
    window_ns: int = 0
    framesize: str | None = None
    quality: int | None = None

    def due_ns(self, start_ns: int, point: int, place: int = 0) -> int:
        """Tell when a point of the camera at this place is due."""
        return start_ns + point * self.every_ns + place * self.stagger_ns

    def over_ns(self, start_ns: int, place: int = 0) -> int | None:
        """Tell when the window of a camera's last point is over; None without an end."""
        if self.points is None:
            return None
        return self.due_ns(start_ns, self.points - 1, place) + self.window_ns

    def as_dict(self) -> dict[str, Any]:
        """Give it for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Schedule:
        """Read it from a file.

        Raises
        ------
        ValueError
            Something is missing, or no number.
        """
        found: dict[str, Any] = {}
        for field in fields(cls):
            value = content.get(field.name)
            text = field.name == "framesize"
            if value is not None and (isinstance(value, bool) or not isinstance(value, str if text else int)):
                raise ValueError(f"{field.name} is {value!r}")
            if value is None and "None" not in str(field.type):
                raise ValueError(f"there is no {field.name}")
            found[field.name] = value
        schedule = cls(**found)
        if schedule.every_ns < 1 or schedule.burst < 1:
            raise ValueError("every_ns and burst must be positive")
        spans = (schedule.every_ns, schedule.settle_ns, schedule.stagger_ns, schedule.window_ns)
        if min(spans) < 0 or max(spans) > MOST_S * 1e9 or schedule.burst > MOST_BURST:
            raise ValueError("it has times or numbers that cannot be")
        return schedule


class Wait(NamedTuple):
    """Nothing to do before this time."""

    until_ns: int


class Take(NamedTuple):
    """Try to take this point now; no attempt begins after `give_up_ns`."""

    point: int
    due_ns: int
    give_up_ns: int


class Missed(NamedTuple):
    """These points, the last included, are over and have no picture."""

    first: int
    last: int
    reason: str


class Over(NamedTuple):
    """All points have been dealt with."""


Step: TypeAlias = Wait | Take | Missed | Over


class Course:
    """Where one camera stands in its schedule, and what it does next.

    Parameters
    ----------
    schedule : Schedule
    start_ns : int
        When point 0 of the first camera is due.
    place : int
        The camera's, from 0.
    point : int
        The first point nothing is known of.

    Attributes
    ----------
    point : int
        The one to be dealt with next.
    attempts : int
        Attempts at it so far.
    """

    def __init__(self, schedule: Schedule, start_ns: int, place: int = 0, point: int = 0) -> None:
        self.point = point
        self.attempts = 0
        self._schedule = schedule
        self._start_ns = start_ns + place * schedule.stagger_ns
        self._reason = ""
        self._again_ns = 0
        self._busy = False

    def due_ns(self, point: int) -> int:
        """Tell when a point is due."""
        return self._schedule.due_ns(self._start_ns, point)

    def next(self, now_ns: int) -> Step:
        """Tell what is to be done now; `Missed` stays until `settled` is called."""
        schedule, point = self._schedule, self.point
        if schedule.points is not None and point >= schedule.points:
            return Over()
        due_ns = self.due_ns(point)
        if now_ns < due_ns:
            return Wait(due_ns)
        give_up_ns = due_ns + schedule.window_ns
        if self.attempts:
            if max(now_ns, self._again_ns) > give_up_ns:
                return Missed(point, point, self._reason)
            return Wait(self._again_ns) if now_ns < self._again_ns else Take(point, due_ns, give_up_ns)
        if now_ns <= give_up_ns:
            return Take(point, due_ns, give_up_ns)
        last = (now_ns - self._start_ns - schedule.window_ns - 1) // schedule.every_ns
        if schedule.points is not None:
            last = min(last, schedule.points - 1)
        return Missed(point, max(point, last), TOO_BUSY if self._busy else PASSED_OVER)

    def failed(self, now_ns: int, reason: str) -> None:
        """Take note that an attempt has failed; there may be another."""
        pause_s = _PAUSES_S[min(self.attempts, len(_PAUSES_S) - 1)]
        # A short window has room for a second attempt all the same.
        pause_ns = min(round(pause_s * 1e9), max(1, self._schedule.window_ns // 4))
        self.attempts += 1
        self._reason = reason
        self._again_ns = now_ns + pause_ns

    def settled(self, last: int, now_ns: int, *, kept: bool = False) -> None:
        """Take note that everything up to this point is on record; `kept`: the camera was busy until now."""
        # What passes while a point is worked on was kept from its time by that, not by a computer asleep.
        worked = kept or self.attempts > 0
        self.point = last + 1
        self.attempts = 0
        self._reason = ""
        self._busy = worked and now_ns > self.due_ns(self.point)
