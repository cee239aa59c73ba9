"""How a recording is doing, and whether there is anything left to wait for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from espressoscope.recording.track import CameraTrack

__all__ = ["SILENCE_S", "Patience", "RecordProgress", "progress_of"]

SILENCE_S: Final = 15.0
"""A camera that has sent nothing for so long is not waited for."""


@dataclass(frozen=True, slots=True)
class RecordProgress:
    """How the recording of one camera is doing.

    Attributes
    ----------
    frames_written : int
        Frames that the system has taken: they survive whatever becomes of this program.
    bytes_written : int
        Bytes of these.
    dropped : int
        Frames let go because the disk was too slow.
    damaged : int
        Broken frames, kept and marked.
    gaps, missing : int
        Places where frames are missing, and how many.
    waiting : int
        Frames not written yet.
    segments : int
        Files begun.
    earlier : int
        Frames from before the call, with `before`.
    fps : float
        Frames that come a second, as `Camera.stats` has it; 0 for a camera that has left.
    """

    frames_written: int
    bytes_written: int
    dropped: int
    damaged: int
    gaps: int
    missing: int
    waiting: int
    segments: int
    earlier: int
    fps: float = 0.0


def progress_of(track: CameraTrack, fps: float) -> RecordProgress:
    """Give how the recording of a camera is doing now."""
    return RecordProgress(
        track.frames_written,
        track.bytes_written,
        track.dropped,
        track.damaged,
        track.gaps,
        track.lost,
        track.waiting,
        track.segments,
        track.earlier,
        fps,
    )


class Patience:
    """Whether there is anything left to wait for: no camera that lacks frames has sent one for a while.

    Parameters
    ----------
    silence_s : float, optional
        How long a while is; else 15 s.
    """

    def __init__(self, silence_s: float | None = None) -> None:
        self._silence_s = SILENCE_S if silence_s is None else silence_s
        self._began = time.monotonic()
        self._seen: dict[str, tuple[int, float]] = {}

    def is_over(self, tracks: Iterable[CameraTrack]) -> bool:
        """Look; to be called again and again."""
        now = time.monotonic()
        over = True
        for track in tracks:
            count, since = self._seen.get(track.name, (0, self._began))
            if track.frames_written != count:
                since = now
                self._seen[track.name] = track.frames_written, now
            over = over and (track.complete or now - since > self._silence_s)
        return over and now - self._began > self._silence_s
