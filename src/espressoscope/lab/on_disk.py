"""A text file that people and programs write: read whole, written whole or not at all, one writer at a time.

Nothing here knows what stands in it. Editors of Windows put a mark (BOM) in front and end lines with CR LF;
both are taken off for reading, and put back for writing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.disk import read_whole, sync_folder, write_whole

if sys.platform == "win32":
    import hashlib
    import msvcrt
    import tempfile
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Content", "NotTextError", "decode", "one_writer", "read_bytes", "write_bytes"]

MOST_BYTES: Final = 1024 * 1024
"""Of 1000 cameras with all they have; more is not ours."""
LOCK_S: Final = 5.0
"""Longest wait for another program that is writing the same file, in seconds; that takes milliseconds."""
_RETRY_S: Final = 0.02
_BOM: Final = b"\xef\xbb\xbf"


class NotTextError(ValueError):
    """Bytes that are no text.

    Attributes
    ----------
    line : int
        Where, from 1.
    """

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


class Content(NamedTuple):
    """A text, and how its bytes are written.

    Attributes
    ----------
    text : str
        With plain line ends (LF) where all were the same.
    bom, crlf : bool
        A mark stands in front; lines end as on Windows.
    """

    text: str
    bom: bool = False
    crlf: bool = False

    def encode(self, text: str) -> bytes:
        """Write another text in the same manner."""
        data = (text.replace("\n", "\r\n") if self.crlf else text).encode()
        return _BOM + data if self.bom else data


def decode(data: bytes) -> Content:
    """Read bytes as UTF-8.

    Raises
    ------
    NotTextError
        They are not.
    """
    bom = data.startswith(_BOM)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise NotTextError("this is UTF-16: let your editor save it as UTF-8", 1)
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start + (len(_BOM) if bom else 0)) + 1
        raise NotTextError("this is not UTF-8: let your editor save it as UTF-8", line) from None
    # Only where every line end is the same can they all be put back.
    crlf = "\r\n" in text and text.count("\r\n") == text.count("\n")
    return Content(text.replace("\r\n", "\n") if crlf else text, bom, crlf)


def read_bytes(path: Path) -> bytes | None:
    """Read a file; None when there is none.

    Raises
    ------
    OSError
        It cannot be read, is no plain file, or too large.
    """
    try:
        return read_whole(path, MOST_BYTES)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Let one program at a time change this file; the others wait.

    Its folder is locked where the system can, which leaves nothing behind. The kernel lets go of the lock
    when its holder dies. Where a network drive knows no locks, two writers of the same moment are told apart
    only by what they find in the file.

    Raises
    ------
    TimeoutError
        Another one has not finished after 5 s.
    """
    deadline = time.monotonic() + LOCK_S
    handle = _lock_handle(path)
    try:
        while handle is not None and not _try_lock(handle):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_RETRY_S)  # flock() knows no timeout
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock_handle(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            # A folder cannot be locked there, and a file beside it would be in people's way.
            name = hashlib.sha256(os.path.normcase(path).encode("utf-8", "surrogatepass")).hexdigest()[:24]
            file = Path(tempfile.gettempdir(), f"espressoscope-{name}.lock")
            return os.open(file, os.O_RDWR | os.O_CREAT)
        else:
            return os.open(path.parent, os.O_RDONLY)
    return None


def _try_lock(handle: int) -> bool:
    """Take the lock; true also where there are none."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
    return True


def write_bytes(path: Path, data: bytes) -> None:
    """Put a file in place as a whole: after a power cut it is the old one or the new one.

    A file that is there keeps its permissions.

    Parameters
    ----------
    path : Path
        Not a link: what it leads to would stay as it is.
    data : bytes
        What shall be in it.

    Raises
    ------
    OSError
        It cannot be written; the old file is as it was.
    """
    try:
        old: os.stat_result | None = os.stat(path)
    except FileNotFoundError:
        old = None
    write_whole(path, data, like=old)
    with contextlib.suppress(OSError):  # it is there
        sync_folder(path.parent)
