"""Which frames of a camera are exported: all stored, those that are pictures, stretches of one size.

A look at one moment: what is recorded meanwhile is not in it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from espressoscope.errors import ExportError, RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from espressoscope.model import Frame
    from espressoscope.recording.recorded import Recording

__all__ = ["Chosen", "Stretch"]


class Stretch(NamedTuple):
    """Pictures of one size, one after the other.

    Attributes
    ----------
    places : array of int
        Of their rows in the log.
    width, height : int
    """

    places: NDArray[np.int64]
    width: int
    height: int


class Chosen:
    """The frames of one camera that are exported.

    Parameters
    ----------
    recording : Recording
    begin_ns, end_ns : int, optional
        Unix nanoseconds; frames from `begin_ns` on, and before `end_ns`.

    Attributes
    ----------
    name : str
        The camera's.
    recording : Recording
    log : structured array
        As `Recording.log`, of the whole recording.
    places : array of int
        Rows of it that are exported: every frame stored.
    pictures : array of int
        Those of them that are pictures of the recording's size; the others are broken, or strays.
    """

    def __init__(self, recording: Recording, begin_ns: int | None = None, end_ns: int | None = None) -> None:
        self.name = recording.name
        self.recording = recording
        self._records = recording.records
        self.log = recording.log
        times = self.log["time"].astype(np.int64)
        wanted = np.ones(len(times), bool)
        if begin_ns is not None:
            wanted &= times >= begin_ns
        if end_ns is not None:
            wanted &= times < end_ns
        self.places: NDArray[np.int64] = np.flatnonzero(wanted)
        self.pictures: NDArray[np.int64] = np.flatnonzero(wanted & (self.log["page"] >= 0))

    def frame(self, place: int) -> Frame:
        """Read one, by its row in the log.

        Raises
        ------
        ExportError
            The system refuses: the run has been moved meanwhile, or its disk is failing.
        """
        try:
            return self._records[place]
        except RecordingError as error:
            raise ExportError(
                error.message,
                path=str(self.recording.folder),
                camera=self.name,
                hint=error.hint,
            ) from error

    def frames(self, places: NDArray[np.int64]) -> Iterator[Frame]:
        """Read these, one after the other."""
        return (self.frame(place) for place in places.tolist())

    def times_ns(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give when these had arrived, in Unix nanoseconds."""
        times: NDArray[np.int64] = self.log["time"][places].astype(np.int64)
        return times

    def bytes_of(self, places: NDArray[np.int64]) -> int:
        """Give the size of these in bytes."""
        return int(self.log["bytes"][places].sum(dtype=np.int64))

    @property
    def stretches(self) -> list[Stretch]:
        """The pictures in stretches of one size."""
        if not len(self.pictures):
            return []
        rows = self.log[self.pictures]
        sizes = rows["height"].astype(np.int64) << 32 | rows["width"].astype(np.int64)
        cuts = [0, *(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(sizes)]
        return [
            Stretch(self.pictures[start:stop], int(rows["width"][start]), int(rows["height"][start]))
            for start, stop in pairwise(cuts)
        ]
