"""Opening a run: `open_run`, and the cameras in it.

Works on a run that is being written (`Run.refresh` looks again), that was killed, or copied in part: what
counts are the segments there are. Nothing is decoded before somebody asks.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espressoscope.disk import expanded
from espressoscope.errors import RecordingError
from espressoscope.recording.recorded import Recording
from espressoscope.recording.run_folder import RUN_NAME, read_json, unused_name
from espressoscope.recording.segment import SUFFIX
from espressoscope.recording.stored import segment_paths
from espressoscope.recording.timeline import timeline

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from espressoscope.recording.timeline import Timeline

__all__ = ["Run", "open_run"]


class Run(Mapping[str, Recording]):
    """A run on disk: a mapping of camera name to `Recording`; made by `open_run`.

    Holds no file open. Any thread may use it; in ``with`` it may be used, and need not be.

    Attributes
    ----------
    path : Path
    info : dict
        What `run.json` tells; empty when it is not there or broken.
    absent : tuple of str
        Cameras of which `run.json` tells, and nothing is here.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self.path = expanded(path)
            if self.path.is_file() and (self.path.name == RUN_NAME or self.path.name.endswith(SUFFIX)):
                self.path = self.path.parent
            if not self.path.is_dir():
                raise _no_run(self.path, "it is a file" if self.path.exists() else "there is no such folder")
        except OSError as error:  # no right to look, a name too long
            raise _no_run(self.path, error.strerror or str(error)) from error
        self.info: dict[str, Any] = {}
        self.absent: tuple[str, ...] = ()
        self._recordings: dict[str, Recording] = {}
        self._looking = threading.Lock()
        self.refresh()
        if not self._recordings and (not self.info or self._of_one_camera):
            raise _no_run(self.path, "there is neither run.json nor a segment in it")

    def refresh(self) -> None:
        """Look for what has been written since it was opened: more frames, more cameras.

        Raises
        ------
        RecordingError
            The folder is there no more.
        """
        with self._looking:
            info = read_json((self.path.parent if self._of_one_camera else self.path) / RUN_NAME)
            if info or not self.info:  # one that has been read once is not forgotten
                self.info = info
            recordings = dict(self._recordings)
            for recording in recordings.values():
                recording.refresh()
            of_folder = {recording.folder: recording for recording in recordings.values()}
            for name, folder, told in self._cameras():
                known = of_folder.get(folder)
                if known is None:
                    name = unused_name(name, recordings.__contains__)
                    of_folder[folder] = recordings[name] = Recording(name, folder, told)
                elif told:
                    known.info = told
            self._recordings = recordings

    @property
    def _of_one_camera(self) -> bool:
        """Whether this is the folder of a camera, taken out of its run or not."""
        return bool(segment_paths(self.path))

    def _cameras(self) -> list[tuple[str, Path, dict[str, Any]]]:
        """Give name, folder and what is told of each camera: those of `run.json`, then those found beside."""
        top = self.path.parent if self._of_one_camera else self.path
        told = self.info.get("cameras")
        found: dict[Path, tuple[str, Path, dict[str, Any]]] = {}
        absent = []
        for entry in told if isinstance(told, list) else []:
            if not isinstance(entry, dict):
                continue
            name, folder = entry.get("name"), entry.get("folder")
            # Only a folder's name: what the file says must not lead out of the run.
            if not (isinstance(name, str) and isinstance(folder, str)) or folder in ("", ".", ".."):
                continue
            path = top / folder
            if path.name != folder or path.parent != top:
                continue
            if top is not self.path and path != self.path:
                continue
            if _is_folder(path):
                found.setdefault(path, (name, path, entry))
            else:
                absent.append(name)
        self.absent = tuple(absent)
        try:
            folders = sorted(each for each in self.path.iterdir() if each.is_dir())
        except OSError as error:
            raise _no_run(self.path, error.strerror or str(error)) from error
        for path in folders if top is self.path else [self.path]:
            if path not in found and segment_paths(path):
                found[path] = (path.name, path, {})
        return list(found.values())

    def timeline(self, cameras: Iterable[str] | None = None) -> Timeline:
        """Put the cameras on one axis of time: which frame of each belongs to each instant.

        Parameters
        ----------
        cameras : iterable of str, optional
            Names of those wanted; else all.

        Raises
        ------
        KeyError
            There is no camera of one of these names.
        """
        names = tuple(self) if cameras is None else tuple(cameras)
        return timeline({name: self[name].times for name in names})

    def xarray(self) -> Any:
        """Give all cameras as an xarray DataTree, decoded when computed; needs xarray and dask.

        Each camera is a node with a variable ``frames``, as `Recording.xarray` gives it; one that changed its
        picture size has a node below it for each of its parts: ``part-0``, ``part-1``.
        """
        from espressoscope.recording.arrays import data_tree

        return data_tree(self)

    def __getitem__(self, name: str) -> Recording:
        try:
            return self._recordings[name]
        except KeyError:
            raise KeyError(f"{name!r} is none of this run's cameras: {', '.join(self)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._recordings))

    def __len__(self) -> int:
        return len(self._recordings)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *trouble: object) -> None:
        """Nothing is open that would have to be closed."""

    def __repr__(self) -> str:
        return f"<Run {self.path.name}: {', '.join(self._recordings) or 'no camera'}>"


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run for reading; also one that is being written, was killed, or copied in part.

    Parameters
    ----------
    path : str or path
        Its folder, or the folder of one camera in it; a `run.json` or a segment stands for where it is.

    Raises
    ------
    RecordingError
        There is no run.
    """
    return Run(path)


def _is_folder(path: Path) -> bool:
    """Tell whether there is a folder; a name that no system takes is that of none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _no_run(path: Path, why: str) -> RecordingError:
    return RecordingError(
        f"{path} is no run: {why}",
        frames_written=0,
        frames_dropped=0,
        hint="Give the folder that was recorded to, the one with run.json",
    )
