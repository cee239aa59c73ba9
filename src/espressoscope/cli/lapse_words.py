"""A time-lapse in words and in keys: how it stands, and what became of a point."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from espressoscope.cli.output import clean, iso_utc, plain_table

if TYPE_CHECKING:
    import espressoscope as es

__all__ = ["describe", "line_keys", "line_words", "status_keys", "status_table"]


def line_keys(name: str, line: Any) -> dict[str, Any]:
    """Give the keys of a point, as `points.csv` has it."""
    late_ms = line.late_ms
    return {
        "camera": name,
        "point": line.point,
        "due_at": iso_utc(line.due_ns),
        "outcome": line.outcome,
        "began_at": _moment(line.began_ns),
        "late_ms": None if late_ms is None else round(late_ms, 3),
        "received_at": _moment(line.received_ns),
        "pictures": line.pictures,
        "bytes": line.bytes,
        "attempts": line.attempts,
        "taken": line.taken,
        "missed": line.missed,
        "reason": line.reason,
    }


def line_words(name: str, line: Any) -> str:
    """Say what became of a point."""
    why = f": {line.reason}" if line.reason else ""
    return f"{clean(name)}: point {line.point} of {_local(line.due_ns)} {line.outcome}{clean(why)}"


def status_keys(status: "es.LapseStatus") -> dict[str, Any]:
    """Give the keys of `timelapse --status`."""
    return {
        "run": str(status.path),
        "state": status.state,
        "start_at": iso_utc(status.start_ns),
        "end_at": _moment(status.end_ns),
        "every_s": status.every_s,
        "points": status.points,
        "next_point": status.next_point,
        "next_due_at": _moment(status.next_due_ns),
        "overdue": status.overdue,
        "taken": status.taken,
        "missed": status.missed,
        "disk_needed": status.disk.needed,
        "disk_free": status.disk.free,
        "disk_room_s": round(status.disk.room_s),
        "cameras": [
            {
                "camera": each.name,
                "taken": each.taken,
                "missed": each.missed,
                "bytes": each.bytes,
                "next_point": each.next_point,
                "next_due_at": _moment(each.next_due_ns),
                "last_outcome": each.last_outcome,
                "last_due_at": _moment(each.last_due_ns),
                "reason": each.reason,
            }
            for each in status.cameras
        ],
    }


def describe(status: "es.LapseStatus") -> list[str]:
    """Say how it stands and what comes next, in a few lines."""
    of = "" if status.points is None else f" of {status.points}"
    every = _span(status.every_s)
    head = f"{clean(status.path)}: {status.state}, every {every}, since {_local(status.start_ns)}"
    if status.end_ns is not None:
        head += f", {'until' if status.state == 'complete' else 'last point'} {_local(status.end_ns)}"
    lines = [head]
    if status.next_point is not None and status.next_due_ns is not None:
        when = _local(status.next_due_ns)
        if status.state == "running":
            lines.append(f"Next: point {status.next_point}{of}, {when}")
        else:
            passed = f"; {status.overdue} have passed since and will be recorded as missed"
            lines.append(
                f"No program is writing it. It stands at point {status.next_point}{of}, due {when}"
                f"{passed if status.overdue else ''}. The command that began it goes on with it."
            )
    if status.state != "complete":
        lines.append(f"Disk: {status.disk}")
    return lines


def status_table(status: "es.LapseStatus") -> Table:
    """Give a table with a line for each camera."""
    right = [(name, "right") for name in ("taken", "missed", "MB")]
    table = plain_table("camera", *right, "last point", "outcome", "next point")
    for each in status.cameras:
        last = "" if each.last_due_ns is None else _local(each.last_due_ns)
        reason = each.reason if each.last_outcome in ("missed", "") else ""
        why = ": ".join(filter(None, (each.last_outcome, reason)))
        following = "-" if each.next_due_ns is None else f"{each.next_point}, {_local(each.next_due_ns)}"
        table.add_row(
            clean(each.name),
            str(each.taken),
            str(each.missed),
            f"{each.bytes / 1e6:.1f}",
            last,
            clean(why),
            following,
        )
    return table


def _moment(time_ns: int | None) -> str | None:
    return None if time_ns is None else iso_utc(time_ns)


def _local(time_ns: int) -> str:
    """Write a moment in this computer's time, for people."""
    return f"{datetime.fromtimestamp(time_ns // 10**9).astimezone():%Y-%m-%d %H:%M:%S}"


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"
