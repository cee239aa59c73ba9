"""Before a time-lapse begins: each camera takes a point for trial, and what will not do is said."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from espressoscope.errors import CameraError, RecordingError, UnsupportedError
from espressoscope.recording.run_folder import free_and_floor
from espressoscope.timelapse.forecast import forecast_disk, too_slow
from espressoscope.timelapse.spans import write_span

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.api.taker import CameraTaker, Trial
    from espressoscope.timelapse.forecast import Forecast
    from espressoscope.timelapse.schedule import Schedule

__all__ = ["judge", "no_threads", "try_out", "with_end"]

_TICK_S = 0.2

_log = logging.getLogger(__name__)


def with_end(schedule: Schedule, until_ns: int | None, start_ns: int) -> Schedule:
    """Give a schedule that ends before a moment its number of points.

    Raises
    ------
    RecordingError
        That moment has passed.
    """
    if until_ns is None:
        return schedule
    if until_ns <= start_ns:
        raise RecordingError(
            "the moment at which it is to end has passed already",
            frames_written=0,
            frames_dropped=0,
            hint="Give a later one",
        )
    return replace(schedule, points=-(-(until_ns - start_ns) // schedule.every_ns))


def no_threads(error: Exception) -> RecordingError:
    """Give the error for a time-lapse that has not got its threads."""
    return RecordingError(
        f"the time-lapse cannot begin: its threads could not be started ({error})",
        frames_written=0,
        frames_dropped=0,
        hint="This process holds too many files or threads: close what it does not need, then begin again",
    )


def try_out(takers: list[CameraTaker], schedule: Schedule, stop: threading.Event) -> list[Trial]:
    """Let each camera take a point for trial, side by side, one begun a moment after the other.

    Raises
    ------
    RecordingError
        The system gives no more threads.
    CameraError
        A mistake of this program.
    """
    trials: dict[int, Trial] = {}

    def work(place: int) -> None:
        try:
            trials[place] = takers[place].try_out()
        except Exception:  # noqa: BLE001 (a thread's boundary)
            _log.exception("%s could not be tried out", takers[place].given)

    threads = [
        threading.Thread(target=work, args=(place,), name="espressoscope-lapse-trial", daemon=True)
        for place in range(len(takers))
    ]
    for thread in threads:
        try:
            thread.start()
        except RuntimeError as error:
            raise no_threads(error) from error
        if schedule.stagger_ns:
            stop.wait(min(schedule.stagger_ns / 1e9, _TICK_S))
    for thread in threads:
        while thread.is_alive():
            thread.join(_TICK_S)
    if len(trials) < len(threads):
        raise CameraError("a camera could not be tried out by a mistake of this program; its log tells")
    return [trials[place] for place in range(len(threads))]


def judge(
    trials: list[Trial], schedule: Schedule, path: Path, keep_free: int | None, *, force: bool
) -> tuple[Forecast, list[str]]:
    """Say what will not do, before anything begins.

    Returns
    -------
    tuple of (Forecast, list of str)
        What is to be expected of the disk, and what one should know.

    Raises
    ------
    CameraError
        Not one camera took a picture; the first one's error.
    UnsupportedError
        A camera is too slow for the interval.
    RecordingError
        The disk will not do.
    """
    warnings = _absent(trials)
    every_s = schedule.every_ns / 1e9
    took = {trial.name: trial.seconds for trial in trials if trial.error is None}
    slow = too_slow(took, every_s)
    if slow:
        name, seconds = max(slow.items(), key=lambda item: item[1])
        text = f"a point takes {seconds:.2g} s, longer than from one to the next ({write_span(every_s)})"
        if not force:
            raise UnsupportedError(
                text,
                camera=name,
                hint=f"An interval of {write_span(math.ceil(seconds * 1.5))} will do; "
                "--force begins all the same, and points will be missed",
            )
        warnings.append(f"{name}: {text}")
    lit_s, stagger_s = max(took.values()), schedule.stagger_ns / 1e9
    if schedule.lamp is not None and len(trials) > 1 and stagger_s < lit_s:
        warnings.append(
            f"lamps of neighbouring cameras will overlap: a point takes {lit_s:.2g} s, and the next camera "
            f"begins after {write_span(stagger_s)}"
        )
    free, floor = free_and_floor(path, keep_free)
    sizes = [trial.size for trial in trials]
    forecast = forecast_disk(sizes, schedule.burst, schedule.points, every_s, free - floor)
    if not forecast.fits:
        if not force:
            raise RecordingError(
                f"the disk of {path} will not do: {forecast}",
                frames_written=0,
                frames_dropped=0,
                hint="Make room, take another disk, a smaller framesize or a longer interval; "
                "--force begins all the same",
            )
        warnings.append(f"the disk will not do: {forecast}")
    return forecast, warnings


def _absent(trials: list[Trial]) -> list[str]:
    errors = {trial.name: trial.error for trial in trials if trial.error is not None}
    if len(errors) == len(trials):
        raise next(iter(errors.values()))
    return [f"{name} took no picture: {error.message}; it is tried again" for name, error in errors.items()]
