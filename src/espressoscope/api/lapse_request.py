"""What was asked of a time-lapse: checked, and as it is written down, so that the same can be asked again."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, Final

from espressoscope.disk import expanded
from espressoscope.errors import RecordingError
from espressoscope.timelapse.schedule import LATEST_NS, MOST_BURST, Schedule, auto_stagger_s, auto_window_s
from espressoscope.timelapse.spans import MOST_S, read_moment, read_span

if TYPE_CHECKING:
    import os
    from pathlib import Path

__all__ = ["read_path", "read_request"]

_LONGEST_S: Final = 25 * MOST_S
"""Of a whole time-lapse, with `count`: 500 years."""


def read_path(path: str | os.PathLike[str]) -> Path:
    """Give the folder that was named, from the root on.

    Raises
    ------
    RecordingError
        It is in the home of nobody.
    """
    try:
        return expanded(path)
    except OSError as error:
        raise RecordingError(
            f"{path} is no folder: {error}",
            frames_written=0,
            frames_dropped=0,
            hint="Give the whole path",
        ) from error


def read_request(
    given: list[str],
    every: float | str,
    count: int | None,
    duration: float | str | None,
    until: str | None,
    burst: int,
    lamp: int | None,
    settle: float | str,
    stagger: float | str | None,
    window: float | str | None,
    framesize: str | None,
    quality: int | None,
) -> tuple[Schedule, dict[str, Any]]:
    """Check what was asked for; give it as a schedule, and as it is written down.

    Parameters are those of `TimeLapse`; `given` is what was written for the cameras, without passwords.

    Raises
    ------
    ValueError
        Something is out of range; the message tells how to write it.
    """
    if not given:
        raise ValueError("there is no camera")
    if sum(value is not None for value in (count, duration, until)) > 1:
        raise ValueError("count, duration and until exclude each other: give one of them")
    count, lamp, quality = _whole("count", count), _whole("lamp", lamp), _whole("quality", quality)
    burst = _whole("burst", burst) or 0
    if framesize is not None and not isinstance(framesize, str):
        raise ValueError(f"framesize is a name, such as 'VGA', not {framesize!r}")
    if count is not None and count < 1:
        raise ValueError("count must be positive")
    if not 1 <= burst <= MOST_BURST:
        raise ValueError(f"burst is 1 to {MOST_BURST}")
    if lamp is not None and lamp < 1:
        raise ValueError("lamp is a brightness above 0; without it the lamp is left alone")
    every_s = read_span(every)
    if count is not None and count * every_s > _LONGEST_S:
        raise ValueError("that would last for more than 500 years: a smaller count, or no count at all")
    settle_s = _span_or_zero(settle)
    stagger_s = auto_stagger_s(every_s, len(given)) if stagger is None else _span_or_zero(stagger)
    window_s = auto_window_s(every_s) if window is None else read_span(window)
    if window_s > every_s:
        raise ValueError("the window must not be longer than the interval")
    duration_s = None if duration is None else read_span(duration)
    until_ns = None if until is None else read_moment(until)
    if until_ns is not None and until_ns >= LATEST_NS:
        raise ValueError(f"{until!r} is too far away")
    if duration_s is not None:
        count_of = max(1, math.ceil(round(duration_s / every_s, 9)))
    schedule = Schedule(
        every_ns=round(every_s * 1e9),
        points=count if duration_s is None else count_of,
        burst=burst,
        lamp=lamp,
        settle_ns=round(settle_s * 1e9),
        stagger_ns=round(stagger_s * 1e9),
        window_ns=round(window_s * 1e9),
        framesize=framesize,
        quality=quality,
    )
    asked = {
        "cameras": given,
        "every_s": every_s,
        "count": count,
        "for_s": duration_s,
        "until_ns": until_ns,
        "burst": burst,
        "lamp": lamp,
        "settle_s": settle_s,
        "stagger_s": stagger_s,
        "window_s": window_s,
        "framesize": framesize,
        "quality": quality,
    }
    return schedule, asked


def _whole(name: str, value: int | None) -> int | None:
    """Give a number as it can be written and read again: 6 / 3 is none, nor are those of numpy in JSON."""
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is a whole number, such as 2, not {value!r}") from None


def _span_or_zero(text: float | str) -> float:
    return 0.0 if text in (0, "0", "0s") else read_span(text)
