"""Recordings in the formats of other programs; loads what it needs only when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from espressoscope.api.run_facts import software
from espressoscope.export.report import Exported, ExportProgress

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from espressoscope.recording.reader import Run

__all__ = ["ExportProgress", "Exported", "export_run"]


def export_run(
    run: str | os.PathLike[str] | Run,
    to: Literal["mkv", "jpeg", "ome-zarr", "contact-sheet"],
    out: str | os.PathLike[str],
    *,
    cameras: Iterable[str] | None = None,
    begin: datetime | float | None = None,
    end: datetime | float | None = None,
    wells: Mapping[str, str] | None = None,
    count: int | None = None,
    force: bool = False,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> Exported:
    """Export a recording from the JPEGs as they were sent; none is encoded anew.

    The result is there under its name when it is whole, and not before. Also of a run that is being recorded
    (what is there at that moment), was killed, or copied in part.

    Parameters
    ----------
    run : str, path or Run
        The folder that was recorded to, or what `open_run` gave.
    to : {"mkv", "jpeg", "ome-zarr", "contact-sheet"}
        The format: films, a folder of files with a table, arrays for napari and dask, or one picture of many.
    out : str or path
        The new file or folder. A folder for ``"jpeg"`` and ``"ome-zarr"``, a PNG for ``"contact-sheet"``; for
        ``"mkv"`` a folder, or with the ending ``.mkv`` a single file.
    cameras : iterable of str, optional
        Names of those to export; else all.
    begin, end : datetime or float, optional
        Frames from `begin` on and before `end`; a datetime without a zone is UTC, a number means seconds
        since the run's first frame.
    wells : mapping of str to str, optional
        For ``"ome-zarr"``: the wells of cameras, ``{"left": "B3"}``, where the recording does not know them,
        or knows them wrong.
    count : int, optional
        For ``"contact-sheet"``: most pictures of each camera; else 24 of a single one, 8 of several.
    force : bool
        Replace what has that name: a file, or a folder that is an export.
    on_progress : callable, optional
        Called with an `ExportProgress`, up to ten times a second and at the end of each camera.

    Returns
    -------
    Exported
        Where it is, what each camera gave, and notes on what was left out.

    Raises
    ------
    RecordingError
        There is no recording.
    ExportError
        There is nothing to export, the name is taken, it cannot be written, or a library is missing. Nothing
        is left under the name then.
    ValueError
        There is no such format, camera, well or moment.

    Examples
    --------
    >>> import espressoscope as es
    >>> es.export_run("run-01", "jpeg", "run-01-jpegs").notes  # doctest: +SKIP
    """
    from pathlib import Path

    from espressoscope.export.job import export
    from espressoscope.recording.reader import Run, open_run

    opened = run if isinstance(run, Run) else open_run(run)
    return export(
        opened,
        to,
        Path(out),
        software(),
        cameras=cameras,
        begin=begin,
        end=end,
        wells=wells,
        count=count,
        force=force,
        on_progress=on_progress,
    )
