"""The fleet recorded all the time, one run after the other, each read back and let go."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import espressoscope as es
from soak.users import User

if TYPE_CHECKING:
    from soak.findings import Findings

__all__ = ["Recordings"]

RUN_S = 120.0
"""One recording; at the end of the soak it is cut short."""
MISSING = 0.01
"""Share of a healthy camera's frames that may be missing."""
READ_S = 120.0
"""Longest that reading back the last run may take."""


class Recordings(User):
    """Records all cameras, and reads back what was recorded.

    Attributes
    ----------
    frames, bytes, runs : int
        In the runs that have been read back.
    dropped : int
        Frames the recorder let go; of the run under way too.
    """

    def __init__(self, fleet: es.Fleet, healthy: set[str], findings: Findings) -> None:
        super().__init__("recordings", findings)
        self.fleet = fleet
        self.healthy = healthy
        self.frames = self.bytes = self.runs = 0
        self._dropped = 0
        self._recorder: es.Recorder | None = None

    @property
    def dropped(self) -> int:
        """Frames let go so far."""
        recorder = self._recorder
        return self._dropped + (recorder.frames_dropped if recorder is not None else 0)

    def finish(self) -> None:
        """End the recording, and wait until it has been read back: while the fleet is still there."""
        self.ending.set()
        self.join(READ_S)
        if not self.is_alive():
            del self.fleet  # nothing of it is to be held by what is told of it

    def work(self) -> None:
        """Record until told to stop, or until the fleet is closed."""
        home = Path(tempfile.mkdtemp(prefix="espressoscope-soak-"))
        try:
            while not self.ending.is_set():
                folder = home / f"run-{self.runs}"
                self._record(folder)
                shutil.rmtree(folder)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _record(self, folder: Path) -> None:
        self._recorder = recorder = self.fleet.record(folder)
        try:
            self.ending.wait(RUN_S)
        finally:
            recorder.stop()
        self._dropped, self._recorder = self.dropped, None
        run = es.open_run(folder)
        for name, progress in recorder.progress.items():
            if progress.frames_written:
                self._read(run[name], name, progress)
            elif name in self.healthy:
                self.findings.add("recording", f"{name}: nothing was recorded")
        self.runs += 1

    def _read(self, recording: es.Recording, name: str, progress: es.RecordProgress) -> None:
        count, before, size = 0, -1, 0
        for frame in recording.records:
            if frame.sequence <= before:
                self.findings.add("recording", f"{name}: {frame.sequence} follows {before}")
            before = frame.sequence
            count += 1
            size += len(frame.jpeg)
            if name in self.healthy and not (
                frame.jpeg[:2] == b"\xff\xd8" and b"\xff\xd9" in frame.jpeg[-64:]
            ):
                self.findings.add("recording", f"{name}: frame {frame.sequence} is no whole JPEG")
        if (count, size) != (progress.frames_written, progress.bytes_written):
            self.findings.add(
                "recording",
                f"{name}: {count} frames, {size} bytes read, "
                f"{progress.frames_written}, {progress.bytes_written} written",
            )
        # Pauses of its stream for a large still leave frames out; they were never sent.
        well = not progress.dropped and not progress.damaged and progress.missing <= MISSING * count
        if name in self.healthy and not well:
            self.findings.add("recording", f"{name} is well: {progress}")
        self.frames += count
        self.bytes += size
