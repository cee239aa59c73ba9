"""What a time-lapse does and what comes next, read from its folder: running, crashed, or at its end."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from espressoscope.errors import RecordingError
from espressoscope.recording.run_folder import cannot_write, free_and_floor
from espressoscope.timelapse.folder import is_written, read_plan
from espressoscope.timelapse.forecast import Forecast, forecast_disk
from espressoscope.timelapse.ledger import last_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from espressoscope.timelapse.folder import Plan
    from espressoscope.timelapse.ledger import Line

__all__ = ["CameraLapse", "LapseStatus", "read_status", "status_of"]


@dataclass(frozen=True, slots=True)
class CameraLapse:
    """How one camera of a time-lapse is doing.

    Attributes
    ----------
    name : str
    taken, missed : int
        Points with a picture, and without one; 0 where its files cannot be read: not known then.
    next_point : int or None
        The first point nothing is known of; None when that was the last, or its files cannot be read.
    next_due_ns : int or None
        When it is, or was, due; Unix ns.
    last_outcome : str
        Of its last point: taken, partial, damaged or missed; "" before the first, or when not known.
    last_due_ns : int or None
        When that was due.
    reason : str
        Why it was missed, or that its files cannot be read.
    bytes : int
        Of its pictures, as for `taken`.
    """

    name: str
    taken: int
    missed: int
    next_point: int | None
    next_due_ns: int | None
    last_outcome: str
    last_due_ns: int | None
    reason: str
    bytes: int


@dataclass(frozen=True, slots=True)
class LapseStatus:
    """What a time-lapse does and what comes next.

    Attributes
    ----------
    path : Path
    state : {"running", "stopped", "complete"}
        Stopped: no program is writing it, and there are points left; the same command goes on with it.
    start_ns : int
        When the first point was due.
    end_ns : int or None
        When the last one is; None without an end.
    every_s : float
    points : int or None
        How many there are; None without an end.
    next_point : int or None
        The point the run as a whole is at; None when it is complete.
    next_due_ns : int or None
        When a camera has its next point.
    overdue : int
        Points that have passed while no program was writing it, and will be recorded as missed.
    cameras : tuple of CameraLapse
    disk : Forecast
        What is still to come, and the room for it.
    """

    path: Path
    state: Literal["running", "stopped", "complete"]
    start_ns: int
    end_ns: int | None
    every_s: float
    points: int | None
    next_point: int | None
    next_due_ns: int | None
    overdue: int
    cameras: tuple[CameraLapse, ...]
    disk: Forecast

    @property
    def taken(self) -> int:
        """Points with a picture, of all cameras whose files can be read."""
        return sum(camera.taken for camera in self.cameras)

    @property
    def missed(self) -> int:
        """Points without a picture, of all cameras whose files can be read."""
        return sum(camera.missed for camera in self.cameras)


def read_status(folder: Path, now_ns: int, keep_free: int | None = None) -> LapseStatus:
    """Read how a time-lapse is doing; changes nothing.

    Raises
    ------
    RecordingError
        There is none.
    """
    plan = read_plan(folder)
    if plan is None:
        raise RecordingError(
            f"{folder} is no time-lapse: there is no schedule.json in it",
            frames_written=0,
            frames_dropped=0,
            hint="Give the folder that -o named when it was begun",
        )
    try:
        lines: dict[str, Line | None] = {}
        unread: dict[str, str] = {}
        for camera in plan.cameras:
            try:
                lines[camera.name] = last_line(folder / camera.folder)
            except OSError as error:  # those of the others can be
                unread[camera.name] = f"its files cannot be read: {error.strerror or error}"
        return status_of(folder, plan, lines, is_written(folder), now_ns, keep_free, unread)
    except OSError as error:
        raise cannot_write(folder, error) from error


def status_of(
    folder: Path,
    plan: Plan,
    lines: dict[str, Line | None],
    running: bool,
    now_ns: int,
    keep_free: int | None = None,
    unread: Mapping[str, str] = MappingProxyType({}),
) -> LapseStatus:
    """Put together how a time-lapse is doing, from the last line of each camera.

    `unread` tells why that of a camera is not known.

    Raises
    ------
    OSError
    """
    schedule = plan.schedule
    cameras = []
    overdue = 0
    for place, planned in enumerate(plan.cameras):
        line = lines.get(planned.name)
        point: int | None = 0 if line is None else line.point + 1
        assert point is not None
        passed = now_ns - schedule.window_ns - schedule.due_ns(plan.start_ns, point, place)
        if planned.name in unread or (schedule.points is not None and point >= schedule.points):
            point = None
        elif passed > 0:
            count = (passed - 1) // schedule.every_ns + 1
            overdue += count if schedule.points is None else min(count, schedule.points - point)
        cameras.append(
            CameraLapse(
                planned.name,
                0 if line is None else line.taken,
                0 if line is None else line.missed,
                point,
                None if point is None else schedule.due_ns(plan.start_ns, point, place),
                "" if line is None else line.outcome,
                None if line is None else line.due_ns,
                unread.get(planned.name, "") if line is None else line.reason,
                0 if line is None else line.bytes_total,
            )
        )
    left = [camera for camera in cameras if camera.next_point is not None]
    free, floor = free_and_floor(folder, keep_free)
    sizes = [
        round(camera.bytes / camera.taken / schedule.burst) if camera.taken else None for camera in cameras
    ]
    next_point = min((camera.next_point for camera in left if camera.next_point is not None), default=None)
    to_come = None if schedule.points is None else schedule.points - (next_point or 0) if left else 0
    return LapseStatus(
        folder,
        "complete" if not left and not unread else "running" if running else "stopped",
        plan.start_ns,
        plan.end_ns,
        schedule.every_ns / 1e9,
        schedule.points,
        next_point,
        min((camera.next_due_ns for camera in left if camera.next_due_ns is not None), default=None),
        0 if running else overdue,
        tuple(cameras),
        forecast_disk(sizes, schedule.burst, to_come, schedule.every_ns / 1e9, free - floor),
    )
