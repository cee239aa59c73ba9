"""One export, from what is wished to what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from espressoscope.disk import expanded
from espressoscope.errors import ExportError
from espressoscope.export.chosen import Chosen
from espressoscope.export.jpegs import TABLE_NAME, write_jpegs
from espressoscope.export.mkv import require_av, write_mkv
from espressoscope.export.omezarr import Image, arrange, places_of, write_ome_zarr
from espressoscope.export.owned import MARK, NOTE_NAME
from espressoscope.export.report import Exported, ExportProgress, Meter
from espressoscope.export.sheet import evenly, write_sheet
from espressoscope.export.staging import (
    cannot_export,
    check_free,
    check_name,
    check_place,
    left_behind,
    staged,
    write_json,
)
from espressoscope.export.times import moment_ns
from espressoscope.recording.moments import iso_utc
from espressoscope.recording.run_folder import safe_folder_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from espressoscope.model import Frame
    from espressoscope.recording.reader import Run

__all__ = ["FORMATS", "export"]

FORMATS: Final = ("mkv", "jpeg", "ome-zarr", "contact-sheet")
_A_FILE: Final = 4096
"""Room a small file takes at most beside its content, about."""
_SHEET_OF_ONE, _SHEET_OF_MANY = 24, 8


@dataclass
class _Job:
    run: Run
    out: Path
    force: bool
    cameras: list[Chosen]
    software: str
    tell: Callable[[ExportProgress], object] | None
    notes: list[str] = field(default_factory=list)
    done: list[ExportProgress] = field(default_factory=list)

    def about(self, form: str) -> dict[str, Any]:
        """Give what a result tells of itself."""
        return {"export": form, "software": self.software, "run": self.run.path.name}

    def meter(self, chosen: Chosen, path: Path, total: int) -> Meter:
        left_out = len(chosen.places) - len(chosen.pictures)
        return Meter(chosen.name, str(path), total, left_out, self.tell)

    def end(self, meters: Iterable[Meter]) -> None:
        for meter in meters:
            told = meter.done()
            self.done.append(told)
            if told.damaged:
                self.notes.append(
                    f"{told.camera}: {told.damaged} frames are damaged on the disk, and exported as they are"
                )


def export(
    run: Run,
    to: str,
    out: Path,
    software: str,
    *,
    cameras: Iterable[str] | None = None,
    begin: datetime | float | None = None,
    end: datetime | float | None = None,
    wells: Mapping[str, str] | None = None,
    count: int | None = None,
    force: bool = False,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> Exported:
    """Export a run; `espressoscope.export_run` tells the parameters."""
    if to not in FORMATS:
        raise ValueError(f"there is no format {to!r}: there are {', '.join(FORMATS)}")
    if count is not None and count < 1:
        raise ValueError("count must be positive")
    try:
        out = expanded(out)
    except OSError as error:
        raise cannot_export(Path(out), error) from error
    check_place(out, run.path)
    chosen, notes = _choose(run, cameras, begin, end)
    job = _Job(run, out, force, chosen, software, on_progress, notes)
    for left in left_behind(out):
        notes.append(f"{left} was left by an export that was killed (or is under way): it may be deleted")
    if to == "mkv":
        _to_mkv(job)
    elif to == "jpeg":
        _to_jpeg(job)
    elif to == "ome-zarr":
        _to_ome_zarr(job, wells or {})
    else:
        _to_sheet(job, count)
    return Exported(out, tuple(job.done), tuple(notes))


def _choose(
    run: Run, cameras: Iterable[str] | None, begin: datetime | float | None, end: datetime | float | None
) -> tuple[list[Chosen], list[str]]:
    names = list(run) if cameras is None else list(dict.fromkeys(cameras))
    for name in names:
        if name not in run:
            raise ValueError(f"{name!r} is none of this run's cameras: {', '.join(run)}")
    logs = [recording.log["time"] for recording in run.values()]
    firsts = [int(times[:1].astype(np.int64)[0]) for times in logs if len(times)]
    first_ns = min(firsts, default=0)
    begin_ns = None if begin is None else moment_ns(begin, first_ns)
    end_ns = None if end is None else moment_ns(end, first_ns)
    notes = []
    found = []
    for name in names:
        recording = run[name]
        chosen = Chosen(recording, begin_ns, end_ns)
        left_out = len(chosen.places) - len(chosen.pictures)
        if recording.unreadable:
            files = ", ".join(path.name for path in recording.unreadable[:5])
            notes.append(f"{name}: left out, for they cannot be read: {files}")
        if not len(chosen.places):
            notes.append(f"{name}: no frames, left out")
            continue
        if left_out:
            notes.append(f"{name}: {left_out} frames are broken, or of a size that did not last")
        found.append(chosen)
    if not found:
        when = "" if begin is None and end is None else " in that time"
        raise ExportError(
            f"there is nothing to export: no frames{when}",
            path=str(run.path),
            hint="espressoscope info tells what is in a recording",
        )
    return found, notes


def _pictured(job: _Job) -> list[Chosen]:
    """Give the cameras that have pictures; broken frames alone make no film."""
    found = [chosen for chosen in job.cameras if len(chosen.pictures)]
    job.notes += [f"{c.name}: no whole picture, left out" for c in job.cameras if not len(c.pictures)]
    if not found:
        raise ExportError(
            "there is nothing to export: no frame is a whole picture",
            path=str(job.run.path),
            hint="Export to jpeg: that takes broken frames too",
        )
    return found


def _folder_names(cameras: list[Chosen]) -> list[str]:
    names: list[str] = []
    for chosen in cameras:
        names.append(safe_folder_name(chosen.name, [*names, NOTE_NAME]))
    return names


def _counting(meter: Meter, chosen: Chosen, places: NDArray[np.int64]) -> Callable[[Frame], None]:
    statuses = iter(chosen.log["status"][places].tolist())
    return lambda frame: meter.frame(frame, next(statuses))


# ---- the formats ---------------------------------------------------------------------------------------


def _to_mkv(job: _Job) -> None:
    cameras = _pictured(job)
    require_av()
    one_file = job.out.suffix.lower() == ".mkv" and not job.out.is_dir()
    if one_file:
        files = sum(len(chosen.stretches) for chosen in cameras)
        if files > 1:
            why = (
                f"these are {len(cameras)} cameras"
                if len(cameras) > 1
                else f"{cameras[0].name} changed its picture size"
            )
            raise ValueError(f"{why}, so there will be {files} files: name a folder, without .mkv at its end")
    check_name(job.out, folder=not one_file, replace=job.force)
    check_free(job.out, sum(chosen.bytes_of(chosen.pictures) for chosen in cameras))
    with staged(job.out, folder=not one_file, replace=job.force) as early:
        meters = []
        names = _folder_names(cameras)
        used = list(names)
        for chosen, name in zip(cameras, names, strict=True):
            final = job.out if one_file else job.out / f"{name}.mkv"
            meter = job.meter(chosen, final, len(chosen.pictures))
            meters.append(meter)
            for number, stretch in enumerate(chosen.stretches):
                stem = name if number == 0 else safe_folder_name(f"{name}-part{number + 1}", used)
                used.append(stem)
                path = early if one_file else early / f"{stem}.mkv"
                write_mkv(path, chosen, stretch, job.software, _counting(meter, chosen, stretch.places))
            if number:
                job.notes.append(f"{chosen.name} changed its picture size: {number + 1} files")
        if not one_file:
            films = sorted(path.name for path in early.iterdir())
            write_json(early / NOTE_NAME, {MARK: {**job.about("mkv"), "files": films}})
    job.end(meters)


def _to_jpeg(job: _Job) -> None:
    check_name(job.out, folder=True, replace=job.force)
    sizes = sum(chosen.bytes_of(chosen.places) + _A_FILE // 2 * len(chosen.places) for chosen in job.cameras)
    check_free(job.out, sizes)
    with staged(job.out, folder=True, replace=job.force) as early:
        meters = []
        for chosen, name in zip(job.cameras, _folder_names(job.cameras), strict=True):
            (early / name).mkdir()
            meter = Meter(chosen.name, str(job.out / name), len(chosen.places), 0, job.tell)
            meters.append(meter)
            write_jpegs(early / name, chosen, _counting(meter, chosen, chosen.places))
        write_json(early / NOTE_NAME, {MARK: {**job.about("jpeg"), "table": TABLE_NAME}})
    job.end(meters)


def _to_ome_zarr(job: _Job, wells: Mapping[str, str]) -> None:
    if strangers := [name for name in wells if name not in job.run]:
        raise ValueError(f"{strangers[0]!r} is none of this run's cameras: {', '.join(job.run)}")
    cameras = _pictured(job)
    images = [
        Image(chosen, stretch, chosen.name if number == 0 else f"{chosen.name} part {number + 1}")
        for chosen in cameras
        for number, stretch in enumerate(chosen.stretches)
    ]
    places = places_of(cameras, wells)
    why_no_plate = arrange(images, places)
    if places and why_no_plate:
        job.notes.append(f"no plate, but images side by side: {why_no_plate}")
    if not job.out.name.endswith(".zarr"):
        job.notes.append("napari knows an OME-Zarr by a name that ends in .zarr")
    about = {**job.about("ome-zarr"), "made": iso_utc(time.time_ns())}
    check_name(job.out, folder=True, replace=job.force)
    check_free(job.out, sum(i.chosen.bytes_of(i.stretch.places) for i in images if not i.linkable))
    with staged(job.out, folder=True, replace=job.force) as early:
        meters = {c.name: job.meter(c, job.out, len(c.pictures)) for c in cameras}
        linked = write_ome_zarr(early, images, None if why_no_plate else places, meters, about)
    if linked:
        job.notes.append(
            f"{linked} of {len(images)} images are the recording's own files, linked: they take no room"
        )
    job.end(meters.values())


def _to_sheet(job: _Job, count: int | None) -> None:
    cameras = _pictured(job)
    check_name(job.out, folder=False, replace=job.force)
    wanted = count or (_SHEET_OF_ONE if len(cameras) == 1 else _SHEET_OF_MANY)
    totals = [len(evenly(c.times_ns(c.pictures), wanted)) for c in cameras]
    meters = {c.name: job.meter(c, job.out, total) for c, total in zip(cameras, totals, strict=True)}
    with staged(job.out, folder=False, replace=job.force) as early:
        write_sheet(
            early,
            cameras,
            wanted,
            job.run.path.name,
            lambda chosen, frame: meters[chosen.name].frame(frame, "ok"),
        )
    job.end(meters.values())
