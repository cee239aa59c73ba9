"""What `run.json` tells of a run while it is written: cameras, counts, how it ended, what its clock did."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from espressoscope.recording.moments import iso_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.errors import RecordingError
    from espressoscope.recording.frame_clock import FrameClock
    from espressoscope.recording.held_folder import HeldFolder
    from espressoscope.recording.track import CameraTrack

__all__ = ["RunJson"]

_log = logging.getLogger(__name__)


class RunJson:
    """`run.json` of a run that is being written; any thread may write it anew.

    Parameters
    ----------
    held : HeldFolder
    about : mapping
        Which run it is.
    clock : FrameClock
        Of its frames.

    Attributes
    ----------
    state : str
        ``"recording"``, and what it is in the end.
    cameras : dict of str to dict
        What is known of each; replaced, never changed, because any thread reads it.
    unsynced : bool
        Whether it is the system's already, but not known to be the disk's.
    """

    def __init__(self, held: HeldFolder, about: Mapping[str, str], clock: FrameClock) -> None:
        self.state = "recording"
        self.cameras: dict[str, dict[str, Any]] = {}
        self.unsynced = False
        self._held = held
        self._about = about
        self._clock = clock
        self._writing = threading.Lock()

    def write(
        self, tracks: Mapping[str, CameraTrack], trouble: RecordingError | None, *, sync: bool = True
    ) -> None:
        """Write it; with `sync` it is the disk's then.

        Raises
        ------
        OSError
        """
        with self._writing:
            self.unsynced = True  # until it is known to be
            self._held.tell(self.content(tracks, trouble), sync=sync)
            self.unsynced = not sync

    def settle(self, tracks: Mapping[str, CameraTrack], trouble: RecordingError | None) -> None:
        """Have it on the disk; where somebody has it open, as Windows minds, when this is called again.

        Raises
        ------
        OSError
        """
        if not self.unsynced:
            return
        try:
            self.write(tracks, trouble)
        except PermissionError as error:
            _log.warning("%s cannot be written now (%s): again in a moment", self._held.json_path, error)

    def content(self, tracks: Mapping[str, CameraTrack], trouble: RecordingError | None) -> dict[str, Any]:
        """Give what it has; of a run that is over also what was written, and why it has ended early."""
        clock = self._clock
        over = self.state != "recording"
        content: dict[str, Any] = {
            "format": "espressoscope run",
            "version": 1,
            **self._about,
            "state": self.state,
            "started_at": iso_utc(clock.began_ns),
            "started_ns": clock.began_ns,
            "clock": clock.facts(),
            "cameras": [],
        }
        if over:
            content["ended_at"] = iso_utc(clock.now_ns)
            content["trouble"] = None if trouble is None else str(trouble)
        for name, entry in self.cameras.items():
            counts = _counts_of(tracks[name]) if over and name in tracks else {}
            content["cameras"].append({**entry, **counts})
        return content


def _counts_of(track: CameraTrack) -> dict[str, Any]:
    names = ("frames_written", "bytes_written", "pages", "segments", "dropped", "damaged", "duplicates")
    counts = {name: getattr(track, name) for name in (*names, "odd", "gaps", "lost")}
    return counts if track.trouble is None else {**counts, "trouble": track.trouble}
