"""The folder of a new run, held by the program that writes it: locked, with room kept back, known again."""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
from typing import TYPE_CHECKING, Any

from espressoscope.disk import is_elsewhere
from espressoscope.recording.run_folder import (
    LOCK_NAME,
    RESERVE_NAME,
    RUN_NAME,
    Reserve,
    RunLock,
    free_and_floor,
    refuse_taken,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["HeldFolder"]

_log = logging.getLogger(__name__)


class HeldFolder:
    """Takes the folder of a new run; nothing that looks like a run is left where it cannot.

    Parameters
    ----------
    path : Path
        Made already, and empty.
    keep_free : int or None
        Bytes of the disk to leave free; else as much as is usual.

    Raises
    ------
    RecordingError
        Another program has begun a run there meanwhile.
    OSError
        It writes one at this moment, or the folder cannot be written, or has too little room.

    Attributes
    ----------
    reserve : Reserve
    json_path : Path
        Of `run.json`.
    free_bytes, floor : int
        Of the disk now, and how many are to stay free.
    """

    def __init__(self, path: Path, keep_free: int | None) -> None:
        self._path = path
        self.json_path = path / RUN_NAME
        self._own = path.stat()
        self._unknown = False  # how many bytes are free
        self._lock = RunLock(path)
        try:
            refuse_taken(path, LOCK_NAME)  # while this waited for the lock a short run may have been written
            self.free_bytes, self.floor = free_and_floor(path, keep_free)
            if self.free_bytes <= self.floor:
                left, floor = self.free_bytes / 1e6, self.floor / 1e6
                raise OSError(
                    errno.ENOSPC, f"the disk has {left:.0f} MB left, and {floor:.0f} MB are to stay free"
                )
            try:
                self.reserve = Reserve(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    (path / RESERVE_NAME).unlink(missing_ok=True)
                raise
        except BaseException:  # Ctrl-C too
            self._lock.release()
            raise

    def check(self) -> None:
        """Look whether it is still in its place.

        Raises
        ------
        FileNotFoundError
            It is not; what has its name now is somebody else's.
        """
        if is_elsewhere(self._path, self._own):
            raise FileNotFoundError(
                errno.ENOENT, "the folder of the run has been moved, replaced or deleted", str(self._path)
            )

    def look(self, floor: int) -> int:
        """Give how many bytes of the disk are free; as at the last look, where the system does not tell now.

        Raises
        ------
        OSError
            Fewer than are to stay free, or the folder is in its place no more.
        """
        self.check()
        try:
            self.free_bytes = shutil.disk_usage(self._path).free
            self._unknown = False
        except (
            OSError
        ) as error:  # as of a network share that reconnects; a disk that is full tells the writer
            if not self._unknown:
                _log.warning("%s: the free room of its disk is not known now (%s)", self._path, error)
            self._unknown = True
        if self.free_bytes < floor:
            raise OSError(errno.ENOSPC, f"the disk is nearly full: {floor / 1e6:.0f} MB are to stay free")
        return self.free_bytes

    def tell(self, content: Mapping[str, Any], *, sync: bool) -> None:
        """Write `run.json`, unless somebody else's would go: see `write_json`.

        Raises
        ------
        OSError
        """
        self.check()
        write_json(self.json_path, content, sync=sync)

    def undo(self) -> None:
        """Take back what has been written, and let it go: the run has not begun."""
        self.reserve.free()
        with contextlib.suppress(OSError):
            self.check()
            self.json_path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Let it go; twice does nothing."""
        self._lock.release()
