"""Opening a run: `open_run`, and the cameras in it.

Works on a run that is being written (`Run.refresh` looks again), that was killed, or copied in part: what
counts are the segments there are. Nothing is decoded before somebody asks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from espressoscope.errors import RecordingError
from espressoscope.recording.recorded import Recording, segment_paths
from espressoscope.recording.run_folder import RUN_NAME

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["Run", "open_run"]

_MOST_JSON: Final = 16 * 2**20


class Run(Mapping[str, Recording]):
    """A run on disk: a mapping of camera name to `Recording`; made by `open_run`.

    Attributes
    ----------
    path : Path
    info : dict
        What `run.json` tells; empty when it is not there or broken.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        if not self.path.is_dir():
            raise _no_run(self.path, "there is no such folder")
        self.info: dict[str, Any] = {}
        self._recordings: dict[str, Recording] = {}
        self.refresh()
        if not self.info and not self._recordings:
            raise _no_run(self.path, "there is neither run.json nor a segment in it")

    def refresh(self) -> None:
        """Look for what has been written since: more frames, more cameras."""
        self.info = _read_json(self.path / RUN_NAME)
        known = {recording.folder for recording in self._recordings.values()}
        for recording in self._recordings.values():
            recording.refresh()
        for name, folder, info in self._cameras():
            if folder not in known:
                known.add(folder)
                self._recordings[name] = Recording(name, folder, info)

    def _cameras(self) -> Iterator[tuple[str, Path, dict[str, Any]]]:
        told = self.info.get("cameras")
        names: set[str] = set(self._recordings)
        for entry in told if isinstance(told, list) else []:
            if not isinstance(entry, dict):
                continue
            name, folder = entry.get("name"), entry.get("folder")
            # Only a folder's name: what the file says must not lead out of the run.
            if not (isinstance(name, str) and isinstance(folder, str) and Path(folder).name == folder):
                continue
            if name not in names and (self.path / folder).is_dir():
                names.add(name)
                yield name, self.path / folder, entry
        try:
            folders = sorted(each for each in self.path.iterdir() if each.is_dir())
        except OSError as error:
            raise _no_run(self.path, error.strerror or str(error)) from error
        for folder in folders:
            if folder.name not in names and segment_paths(folder):
                yield folder.name, folder, {}

    def __getitem__(self, name: str) -> Recording:
        try:
            return self._recordings[name]
        except KeyError:
            raise KeyError(f"{name!r} is none of this run's cameras: {', '.join(self)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._recordings))

    def __len__(self) -> int:
        return len(self._recordings)

    def __repr__(self) -> str:
        return f"<Run {self.path.name}: {', '.join(self._recordings) or 'no camera'}>"


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run for reading; also one that is being written, was killed, or copied in part.

    Parameters
    ----------
    path : str or path
        Its folder.

    Raises
    ------
    RecordingError
        There is no run.
    """
    return Run(path)


def _no_run(path: Path, why: str) -> RecordingError:
    return RecordingError(
        f"{path} is no run: {why}",
        frames_written=0,
        frames_dropped=0,
        hint="Give the folder that was recorded to, the one with run.json",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST_JSON))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
