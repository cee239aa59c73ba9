"""A file that grows by whole records: short writes noticed, and no system's special calls needed.

`PlainFile` gets along with what every system has; `GrowingFile` uses what else there is on this one.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["GrowingFile", "PartlyWritten", "PlainFile", "read_at", "sync_file"]

_MOST_PARTS = 512  # IOV_MAX is 1024 on Linux and macOS
_BINARY = getattr(os, "O_BINARY", 0)


class PartlyWritten(Exception):
    """An append came to its end early; the file may have bytes of a record that is not whole.

    Attributes
    ----------
    written : int
        Bytes of the append that are in the file.
    error : OSError
        What the system said.
    """

    def __init__(self, written: int, error: OSError) -> None:
        super().__init__(f"{written} bytes written: {error}")
        self.written = written
        self.error = error


class PlainFile:
    """A file that is appended to, and now and then changed in place, with the calls that Windows has too.

    For one thread at a time, except `sync`.

    Parameters
    ----------
    path : Path
    new : bool
        Make it; otherwise it must be there.

    Raises
    ------
    OSError
        FileExistsError when a new one is there already.

    Attributes
    ----------
    size : int
        Bytes it has.
    movable : bool
        Whether it can get another name while it is open.
    """

    movable = False

    def __init__(self, path: Path, *, new: bool) -> None:
        self.path = path
        flags = os.O_RDWR | _BINARY | (os.O_CREAT | os.O_EXCL if new else 0)
        self.descriptor = os.open(path, flags, 0o644)
        try:
            self.size = os.lseek(self.descriptor, 0, os.SEEK_END)
        except OSError:  # a pipe of that name
            os.close(self.descriptor)
            raise

    def append(self, parts: Sequence[bytes]) -> None:
        """Write parts at the end, one after the other.

        Raises
        ------
        PartlyWritten
            Not all of it could be written.
        """
        written = 0
        try:
            for first in range(0, len(parts), _MOST_PARTS):
                some = parts[first : first + _MOST_PARTS]
                wanted = sum(map(len, some))
                count = self._write(some)
                written += count
                # A full disk gives a short count first; only the next attempt tells the reason.
                rest = b"".join(some)[count:] if count < wanted else b""
                while rest:
                    count = os.write(self.descriptor, rest)
                    if count == 0:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    written += count
                    rest = rest[count:]
        except OSError as error:
            self.size += written
            raise PartlyWritten(written, error) from error
        self.size += written

    def _write(self, parts: Sequence[bytes]) -> int:
        os.lseek(self.descriptor, 0, os.SEEK_END)
        return os.write(self.descriptor, b"".join(parts))

    def write_at(self, offset: int, data: bytes) -> None:
        """Change bytes in place."""
        count = self._put(offset, data)
        if count != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _put(self, offset: int, data: bytes) -> int:
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        return os.write(self.descriptor, data)

    def read_at(self, length: int, offset: int) -> bytes:
        """Read so many bytes, or as many as there are."""
        return _read_at(self.descriptor, length, offset)

    def truncate(self, size: int) -> None:
        """Cut the end off."""
        os.ftruncate(self.descriptor, size)
        os.lseek(self.descriptor, 0, os.SEEK_END)
        self.size = size

    def sync(self) -> None:
        """Wait until what has been written is on the disk; from any thread."""
        os.fsync(self.descriptor)

    @property
    def linked(self) -> bool:
        """Whether the file still has a name; false when it has been deleted. Nobody deletes it on Windows."""
        return os.fstat(self.descriptor).st_nlink > 0 or not self.movable

    def close(self) -> None:
        """Close it; twice does nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


if sys.platform == "win32":

    class GrowingFile(PlainFile):
        """A file as this system has it."""
else:

    class GrowingFile(PlainFile):
        """A file whose parts are written together, and changed without moving about in it."""

        movable = True

        def _write(self, parts: Sequence[bytes]) -> int:
            return os.writev(self.descriptor, parts)

        def _put(self, offset: int, data: bytes) -> int:
            return os.pwrite(self.descriptor, data, offset)

        def read_at(self, length: int, offset: int) -> bytes:
            """Read so many bytes, or as many as there are."""
            found = os.pread(self.descriptor, length, offset)
            return found if len(found) == length else read_at(self.descriptor, length, offset)

        def sync(self) -> None:
            """Wait until what has been written is on the disk; from any thread."""
            # The size is flushed too; the time of the last change is not.
            if sys.platform == "linux":
                os.fdatasync(self.descriptor)
            else:
                os.fsync(self.descriptor)


def sync_file(file: PlainFile) -> None:
    """Wait for the disk, on another thread than the one that writes, and closes, the file.

    Raises
    ------
    FileNotFoundError
        It has been deleted.
    OSError
    """
    try:
        file.sync()
    except OSError as error:
        # It may have been closed between the look and the call.
        if error.errno != errno.EBADF:
            raise
    if file.descriptor >= 0 and not file.linked:
        raise FileNotFoundError(
            errno.ENOENT, "the folder of the run has been deleted or replaced", str(file.path)
        )


def read_at(descriptor: int, length: int, offset: int) -> bytes:
    """Read so many bytes, or as many as there are."""
    if sys.platform == "win32":
        return _read_at(descriptor, length, offset)
    else:
        found = os.pread(descriptor, length, offset)
        while 0 < len(found) < length:
            more = os.pread(descriptor, length - len(found), offset + len(found))
            if not more:
                break
            found += more
        return found


def _read_at(descriptor: int, length: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    found = os.read(descriptor, length)
    while 0 < len(found) < length:
        more = os.read(descriptor, length - len(found))
        if not more:
            break
        found += more
    return found
