"""What an export says: how far it is, and what came of it. Plain data."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from espressoscope.model import Frame

__all__ = ["ExportProgress", "Exported", "Meter"]

_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How the export of one camera is doing.

    Attributes
    ----------
    camera : str
        Its name.
    state : {"exporting", "done"}
    frames : int
        Frames exported so far.
    total : int
        Frames to be exported.
    left_out : int
        Frames stored that are not exported: broken ones, and those of a size that did not last.
    damaged : int
        Of those exported so far: whose bytes on the disk are not those that were recorded.
    bytes : int
        Of the JPEGs exported so far.
    path : str
        Where they are, or will be when all is done.
    """

    camera: str
    state: str
    frames: int
    total: int
    left_out: int
    damaged: int
    bytes: int
    path: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    Attributes
    ----------
    path : Path
        The file or folder.
    cameras : tuple of ExportProgress
        In their final state.
    notes : tuple of str
        What one should know: what was left out and why, how it is laid out.
    """

    path: Path
    cameras: tuple[ExportProgress, ...]
    notes: tuple[str, ...]


class Meter:
    """Counts the frames of one camera, and tells now and then.

    Parameters
    ----------
    camera, path : str
    total, left_out : int
    tell : callable or None
        Takes an `ExportProgress`, ten times a second at most, and once at the end.
    """

    def __init__(
        self,
        camera: str,
        path: str,
        total: int,
        left_out: int,
        tell: Callable[[ExportProgress], object] | None,
    ) -> None:
        self._camera = camera
        self._path = path
        self._total = total
        self._left_out = left_out
        self._tell = tell
        self._told_at = float("-inf")
        self.frames = self.damaged = self.bytes = 0

    def frame(self, frame: Frame, recorded_as: str) -> None:
        """Count one; `recorded_as` is the status it was recorded with."""
        self.frames += 1
        self.bytes += len(frame.jpeg)
        self.damaged += frame.status == "corrupt" != recorded_as
        if self._tell is not None and (now := time.monotonic()) - self._told_at >= _EVERY_S:
            self._told_at = now
            self._tell(self._progress("exporting"))

    def at_once(self, frames: int, size: int) -> None:
        """Count many that needed no copying."""
        self.frames += frames
        self.bytes += size

    def done(self) -> ExportProgress:
        """Tell the end."""
        found = self._progress("done")
        if self._tell is not None:
            self._tell(found)
        return found

    def _progress(self, state: str) -> ExportProgress:
        return ExportProgress(
            self._camera,
            state,
            self.frames,
            self._total,
            self._left_out,
            self.damaged,
            self.bytes,
            self._path,
        )
