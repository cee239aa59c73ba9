"""The folder of a time-lapse: a run as every other, with `schedule.json` beside `run.json`.

`schedule.json` is written once, before anything else, and says what the run is to be; it is all that a
program needs to go on with it. `run.json` is written anew at every start, change and end.
"""

from __future__ import annotations

import contextlib
import errno
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from espressoscope.disk import is_elsewhere, read_whole, sync_folder
from espressoscope.errors import RecordingError
from espressoscope.recording.moments import iso_utc
from espressoscope.recording.run_folder import (
    LOCK_NAME,
    RUN_NAME,
    RunLock,
    cannot_write,
    is_locked,
    make_run_folder,
    read_json,
    safe_folder_name,
    unused_name,
    write_json,
)
from espressoscope.timelapse.schedule import LATEST_NS, Schedule
from espressoscope.timelapse.spans import write_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.timelapse.ledger import Line

__all__ = [
    "SCHEDULE_NAME",
    "LapseFolder",
    "Plan",
    "PlannedCamera",
    "is_written",
    "plan_cameras",
    "read_plan",
    "refuse_other",
]

SCHEDULE_NAME: Final = "schedule.json"
_FORMAT: Final = "espressoscope timelapse"
_MOST_JSON: Final = 4 * 2**20


@dataclass(frozen=True)
class PlannedCamera:
    """A camera of a time-lapse, as it was at the first start.

    Attributes
    ----------
    given : str
        What was written for it, without a password.
    name, folder : str
        Under which it is stored.
    facts : mapping
        url, stream_url, mac, firmware; None where it was not reached.
    """

    given: str
    name: str
    folder: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What `schedule.json` says.

    Attributes
    ----------
    schedule : Schedule
    cameras : tuple of PlannedCamera
    asked : mapping
        What was asked for, as the first start was given it; another program must ask for the same.
    start_ns : int
        When the first point is due.
    run_id : UUID
    """

    schedule: Schedule
    cameras: tuple[PlannedCamera, ...]
    asked: Mapping[str, Any]
    start_ns: int = 0
    run_id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def end_ns(self) -> int | None:
        """When the last point is due; None without an end."""
        points = self.schedule.points
        if points is None:
            return None
        return self.schedule.due_ns(self.start_ns, points - 1, len(self.cameras) - 1)

    def content(self) -> dict[str, Any]:
        """Give it for the file."""
        return {
            "format": _FORMAT,
            "version": 1,
            "run_id": str(self.run_id),
            "start_ns": self.start_ns,
            "start_at": iso_utc(self.start_ns),
            "schedule": self.schedule.as_dict(),
            "asked": dict(self.asked),
            "cameras": [
                {"given": each.given, "name": each.name, "folder": each.folder, **each.facts}
                for each in self.cameras
            ],
        }


def read_plan(folder: Path) -> Plan | None:
    """Read `schedule.json`; None where there is none.

    Raises
    ------
    RecordingError
        It cannot be read.
    """
    path = folder / SCHEDULE_NAME
    try:
        content = json.loads(read_whole(path, _MOST_JSON))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error
    try:
        if content["format"] != _FORMAT or content["version"] != 1:
            raise ValueError("it is of another version")
        cameras = []
        for entry in content["cameras"]:
            given, name, place = (str(entry[key]) for key in ("given", "name", "folder"))
            if Path(place).name != place or place in ("", ".", ".."):
                raise ValueError(f"{place!r} is no folder of the run")
            facts = {key: entry.get(key) for key in ("url", "stream_url", "mac", "firmware")}
            cameras.append(PlannedCamera(given, name, place, facts))
        plan = Plan(
            Schedule.from_dict(content["schedule"]),
            tuple(cameras),
            dict(content["asked"]),
            int(content["start_ns"]),
            uuid.UUID(content["run_id"]),
        )
        if not 0 <= plan.start_ns <= max(plan.start_ns, plan.end_ns or 0) < LATEST_NS:
            raise ValueError("it begins or ends at a time that cannot be")
        return plan
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> RecordingError:
    return RecordingError(
        f"cannot read {path}: {why}",
        frames_written=0,
        frames_dropped=0,
        hint="It says what the time-lapse is to do; put it back from a copy, or begin another run",
    )


def plan_cameras(found: list[tuple[str, str, Mapping[str, Any]]]) -> tuple[PlannedCamera, ...]:
    """Give cameras, each of what was written, a name and facts, names and folders that no other has."""
    names: list[str] = []
    folders: list[str] = []
    planned = []
    wanted = [name for _, name, _ in found]
    for given, name, facts in found:
        mac = str(facts.get("mac") or "").replace(":", "")[-6:]
        each = unused_name(f"{name}-{mac}" if wanted.count(name) > 1 and mac else name, names.__contains__)
        names.append(each)
        folders.append(safe_folder_name(each, [*folders, SCHEDULE_NAME]))
        planned.append(PlannedCamera(given, each, folders[-1], facts))
    return tuple(planned)


class LapseFolder:
    """The folder of a time-lapse, held by this program.

    Parameters
    ----------
    path : Path
        From the root on.

    Raises
    ------
    RecordingError
        It has something else in it, another program writes it, or it cannot be written.

    Attributes
    ----------
    path : Path
    plan : Plan or None
        Of a run that has been begun before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not self._begun_before():
                make_run_folder(self.path)
            self._own = self.path.stat()
            self._lock = self._locked()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            # Who had the lock until now may have made another run of it, or moved it away.
            if self.gone or not self._begun_before():
                raise RecordingError(
                    f"another program has just written {self.path}, and nothing is ever overwritten",
                    frames_written=0,
                    frames_dropped=0,
                    hint="Give a folder that is new or empty",
                )
            self.plan = read_plan(self.path)
        except BaseException:
            self._lock.release()
            raise

    def _begun_before(self) -> bool:
        """Tell whether there is a time-lapse, or nothing but what the first moments of one have left."""
        if not self.path.is_dir():
            return False
        names = {each.name for each in self.path.iterdir()}
        if SCHEDULE_NAME in names:
            return True
        return names <= {LOCK_NAME, f".{SCHEDULE_NAME}.new"} and _is_nothing(self.path / LOCK_NAME)

    def _locked(self) -> RunLock:
        try:
            return RunLock(self.path)
        except BlockingIOError:
            raise RecordingError(
                f"another program is writing {self.path}",
                frames_written=0,
                frames_dropped=0,
                hint="`espressoscope timelapse --status RUN` tells what it does",
            ) from None

    @property
    def gone(self) -> bool:
        """Whether it has been deleted, moved or replaced."""
        return is_elsewhere(self.path, self._own)

    def _refuse_gone(self) -> None:
        """Have nothing written into what has got the name of this folder meanwhile.

        Raises
        ------
        FileNotFoundError
        """
        if self.gone:
            raise FileNotFoundError(errno.ENOENT, "the folder has been deleted or replaced", str(self.path))

    def begin(self, plan: Plan) -> Plan:
        """Write down what is to be done, once and for all.

        Raises
        ------
        RecordingError
        """
        try:
            self._refuse_gone()
            write_json(self.path / SCHEDULE_NAME, plan.content())
            sync_folder(self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.plan = plan
        return plan

    def camera_folder(self, camera: PlannedCamera) -> Path:
        """Give a camera's folder, made where it is not there yet.

        Raises
        ------
        OSError
        """
        folder = self.path / camera.folder
        if not folder.is_dir():
            folder.mkdir()
            sync_folder(self.path)
        return folder

    def write(
        self,
        state: str,
        software: str,
        now_ns: int,
        lines: Mapping[str, Line | None],
        facts: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Write `run.json`: how it stands, the last line of each camera, and what is known of it by now.

        Raises
        ------
        OSError
        """
        plan = self.plan
        assert plan is not None
        self._refuse_gone()
        before = self._before()
        cameras = []
        for camera in plan.cameras:
            line = lines.get(camera.name)
            counts = {} if line is None else {"points_taken": line.taken, "points_missed": line.missed}
            known = before.get(camera.name, {})
            told = {"name": camera.name, "folder": camera.folder}
            cameras.append({**camera.facts, **known, **facts.get(camera.name, {}), **told, **counts})
        content = {
            "format": "espressoscope run",
            "version": 1,
            "run_id": str(plan.run_id),
            "software": software,
            "state": "recording" if state == "running" else "closed",
            "started_at": iso_utc(plan.start_ns),
            "started_ns": plan.start_ns,
            "timelapse": {"state": state, "written_at": iso_utc(now_ns), **plan.schedule.as_dict()},
            "cameras": cameras,
        }
        write_json(self.path / RUN_NAME, content)

    def _before(self) -> dict[str, dict[str, Any]]:
        """Give what `run.json` tells of the cameras already: those that are off now have told it before."""
        entries = read_json(self.path / RUN_NAME).get("cameras")
        told = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        return {str(entry.get("name")): entry for entry in told}

    def release(self) -> None:
        """Let it go; twice does nothing."""
        self._lock.release()


def _is_nothing(path: Path) -> bool:
    """Tell whether a file has nothing in it, as our locks; also where it has just been removed."""
    try:
        return path.lstat().st_size == 0
    except FileNotFoundError:
        return True


def refuse_other(path: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to go on with a run by another schedule than its own.

    Raises
    ------
    RecordingError
        Saying what is different, and what to do.
    """
    different = [
        f"{key} was {_shown(key, there.get(key))} and is {_shown(key, asked.get(key))} now"
        for key in sorted({*there, *asked})
        if there.get(key) != asked.get(key)
    ]
    if different:
        raise RecordingError(
            f"{path} is a time-lapse with another schedule: {'; '.join(different)}",
            frames_written=0,
            frames_dropped=0,
            hint="Give the same as at its first start to go on with it, or another folder for a new one",
        )


def _shown(key: str, value: object) -> str:
    if value is None:
        return "not given"
    with contextlib.suppress(ValueError, OverflowError, OSError):  # no time that anybody knows
        if key.endswith("_s") and isinstance(value, int | float):
            return write_span(value)
        if key.endswith("_ns") and isinstance(value, int):
            return iso_utc(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def is_written(folder: Path) -> bool:
    """Tell whether a program is writing this run at this moment; `RunLock` waits for those who look.

    Raises
    ------
    OSError
    """
    try:
        return is_locked(folder)
    except PermissionError:  # another user's; after a kill this is wrong
        told = read_json(folder / RUN_NAME).get("timelapse")
        return isinstance(told, dict) and told.get("state") == "running"
