"""What an export may replace: what an export wrote, and nothing of a recording."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, Final

from espressoscope.disk import read_whole
from espressoscope.recording.run_folder import RUN_NAME

__all__ = ["MARK", "NOTE_NAME", "is_ours", "part_of_run", "stray_file"]

NOTE_NAME: Final = "export.json"
"""File of a folder that tells what it is; an OME-Zarr has it in its attributes."""
MARK: Final = "espressoscope"
"""Key under which it is told."""
_MOST_JSON: Final = 64 * 2**20
_OF_SYSTEMS: Final = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""Files that file managers leave wherever somebody looks."""
_WRITTEN: Final = {
    "jpeg": re.compile(
        r"export\.json|[^/]+/(frames\.csv|events\.csv|\d{8}T\d{6}\.\d+Z_\d+(_\w+)?(-\d+)?\.jpg)"
    ),
    "mkv": re.compile(r"export\.json"),
    "ome-zarr": re.compile(r"(.+/)?zarr\.json|(.+/)?c(/\d+)+|OME/METADATA\.ome\.xml"),
}
"""Names of files, from the folder on, by the format of the export."""


def part_of_run(out: Path, run: Path) -> str | None:
    """Say what a name has to do with a recording: with this one, or with any other it lies in; else None."""
    real, home = Path(os.path.realpath(out)), Path(os.path.realpath(run))
    if real == home or _same(real, home):
        return "the recording"
    if any(each == home or _same(each, home) for each in real.parents):
        return "in the recording"
    if any(each == real or _same(each, real) for each in home.parents):
        return "a folder with the recording in it"
    if any(_is_run(each) for each in (real, *real.parents)):
        return "in a recording"
    return None


def _same(one: Path, other: Path) -> bool:
    """Whether these are one folder under two names, as where case does not matter."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _is_run(folder: Path) -> bool:
    content = _content(folder / RUN_NAME)
    return isinstance(content, dict) and content.get("format") == "espressoscope run"


def is_ours(folder: Path) -> bool:
    """Whether it says that it is an export."""
    return _about(folder) is not None


def stray_file(folder: Path) -> str | None:
    """Give the first file in an export that no export wrote; None where there is none.

    Raises
    ------
    OSError
    """
    about = _about(folder) or {}
    written = _WRITTEN.get(str(about.get("export")))
    files = about.get("files")
    listed = set(map(str, files)) if isinstance(files, list) else set()
    for home, folders, names in os.walk(folder, onerror=_raise):
        within = os.path.relpath(home, folder).replace(os.sep, "/")
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(home, name))]
        for name in sorted([*names, *links]):
            path = name if within == "." else f"{within}/{name}"
            known = name in _OF_SYSTEMS or path in listed
            if not known and (written is None or not written.fullmatch(path)):
                return path
    return None


def _raise(error: OSError) -> None:
    raise error


def _about(folder: Path) -> dict[str, Any] | None:
    for name, keys in ((NOTE_NAME, (MARK,)), ("zarr.json", ("attributes", MARK))):
        content = _content(folder / name)
        for key in keys:
            content = content.get(key) if isinstance(content, dict) else None
        if isinstance(content, dict):
            return content
    return None


def _content(path: Path) -> Any:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return json.loads(read_whole(path, _MOST_JSON))
    return None
