"""One file of a recording, open for reading: what is in it, and its frames."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from espressoscope.disk import open_plain
from espressoscope.errors import RecordingError
from espressoscope.model import Frame
from espressoscope.recording.checksum import crc32
from espressoscope.recording.contents import read_contents
from espressoscope.recording.files import read_at
from espressoscope.recording.layout import NO_TIME, STATUSES
from espressoscope.recording.segment import SUFFIX, UNPAGED_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from espressoscope.recording.contents import Contents

__all__ = ["Segment", "frame_of", "segment_paths"]


class Segment:
    """One file of a recording, open for reading.

    Any thread may read; its file is opened for each frame, because a run of weeks has more of them than a
    process may have open.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is no segment of a recording.

    Attributes
    ----------
    path : Path
    contents : Contents
        As it was at the last look; replaced, never changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as descriptor:
            size = os.fstat(descriptor).st_size
            contents = read_contents(lambda length, offset: read_at(descriptor, length, offset), size)
        if contents is None:
            raise ValueError(f"{path} is no segment of a recording")
        self.contents: Contents = contents

    def refresh(self) -> bool:
        """Look again; true when there is more, or it has been closed.

        Raises
        ------
        OSError
            It is there no more, or cannot be read.
        """
        if self.contents.closed:
            return False
        before = self.contents
        with self._opened() as descriptor:
            size = os.fstat(descriptor).st_size
            found = read_contents(lambda length, offset: read_at(descriptor, length, offset), size, before)
        if found is not None:
            self.contents = found
        return self.contents.closed or len(self.contents.entries) != len(before.entries)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = open_plain(self.path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def frame(self, entry: np.void, camera: str) -> Frame:
        """Read one frame; one whose bytes are not those that were written has status ``"corrupt"``.

        Raises
        ------
        RecordingError
            The file is there no more, or cannot be read.
        """
        length = int(entry["bytes"])
        try:
            with self._opened() as descriptor:
                jpeg = read_at(descriptor, length, int(entry["offset"]))
        except OSError as error:
            raise RecordingError(
                f"{self.path} cannot be read any more: {error.strerror or error}",
                frames_written=0,
                frames_dropped=0,
                hint="Is the disk still there? After moving a recording open it where it is now",
            ) from error
        whole = len(jpeg) == length and crc32(jpeg) == int(entry["crc"])
        return frame_of(entry, jpeg, camera, whole=whole)


def frame_of(entry: np.void, jpeg: bytes, camera: str, *, whole: bool = True) -> Frame:
    """Make a frame of what the table tells of it and its bytes; ``"corrupt"`` where these are not whole."""
    device_ns = int(entry["device_ns"])
    return Frame(
        jpeg,
        int(entry["sequence"]),
        int(entry["received_ns"]),
        None if device_ns == NO_TIME else device_ns,
        int(entry["width"]),
        int(entry["height"]),
        camera,
        STATUSES[int(entry["status"]) % len(STATUSES)] if whole else "corrupt",
    )


def segment_paths(folder: Path) -> list[Path]:
    """Give the files of a camera's folder that are named as segments, in order."""
    with contextlib.suppress(OSError):
        return sorted(
            path
            for path in folder.iterdir()
            if path.name.endswith((SUFFIX, UNPAGED_SUFFIX)) and not path.name.startswith(".")
        )
    return []
