"""Files read and written whole, and on the disk: what every room with files needs of the system.

Nothing here knows what stands in them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "PATIENCE_S",
    "expanded",
    "is_elsewhere",
    "open_plain",
    "patiently",
    "read_whole",
    "sync_folder",
    "write_whole",
]

_T = TypeVar("_T")
PATIENCE_S: Final = 1.0 if sys.platform == "win32" else 0.0
"""Windows gives no other name to a file that somebody has open, as virus scanners do for a moment."""
_PAUSE_S: Final = 0.02


def patiently(action: Callable[[], _T], patience_s: float = PATIENCE_S) -> _T:
    """Do what Windows may refuse while another program has the file open; again for so long where it does.

    Raises
    ------
    PermissionError
        It was refused for so long.
    OSError
        Anything else, at once.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return action()
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_S)


if sys.platform == "win32":

    def sync_folder(folder: Path) -> None:
        """Do nothing: this system has names on the disk by itself."""
else:

    def sync_folder(folder: Path) -> None:
        """Wait until the names in a folder are on the disk.

        Raises
        ------
        OSError
        """
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network shares cannot
                raise
        finally:
            os.close(descriptor)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Give a path from the root on, with the home that ``~`` stands for.

    Raises
    ------
    OSError
        Nobody knows a home of that user.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        user = Path(path).parts[0]
        raise OSError(f"{user} stands for a user's home, and none is known") from None


def is_elsewhere(path: Path, own: os.stat_result) -> bool:
    """Tell whether a folder has been deleted, moved or replaced; `own` is what it was."""
    try:
        return not os.path.samestat(own, path.stat())
    except FileNotFoundError:
        return True
    except OSError:  # the disk's trouble, which may pass
        return False


def open_plain(path: Path) -> int:
    """Open a file for reading and give its descriptor; never waits for the other end of a pipe.

    Raises
    ------
    OSError
        It cannot be opened, or is no plain file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return descriptor


def read_whole(path: Path, most: int) -> bytes:
    """Read a file of so many bytes at most.

    Raises
    ------
    OSError
        It cannot be read, is no plain file, or has more.
    """
    with open(open_plain(path), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most // 1024} KiB", str(path))
    return data


def write_whole(
    path: Path,
    data: bytes,
    *,
    early: Path | None = None,
    like: os.stat_result | None = None,
    private: bool = False,
    sync: bool = True,
) -> None:
    """Put a file in place as a whole: under its name is the old one or the new one at any moment.

    Parameters
    ----------
    path : Path
        Not a link: what it leads to would stay as it is.
    data : bytes
        What shall be in it.
    early : Path, optional
        Name it has until it is whole, in the same folder; what is there goes. Else one that nobody has.
    like : os.stat_result, optional
        Of a file whose owner and permissions it gets.
    private : bool
        Otherwise: for nobody else to read.
    sync : bool
        Wait for the disk, so that a power cut leaves one of the two as well. Its name is the system's then:
        `sync_folder` waits for that.

    Raises
    ------
    OSError
        It cannot be written; the old file is as it was, and nothing else is there.
    """
    if early is None:
        early = path.with_name(f".{path.stem[:40]}-{os.urandom(6).hex()}.tmp")
    else:
        early.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(early, flags, 0o600 if like or private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if like is not None:
                _make_like(like, early)
            file.write(data)
            file.flush()
            if sync:
                os.fsync(descriptor)
        patiently(lambda: os.replace(early, path))
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(OSError):
            early.unlink()
        raise


def _make_like(old: os.stat_result, path: Path) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # only root may give files away
            os.chown(path, old.st_uid, old.st_gid)
    os.chmod(path, stat.S_IMODE(old.st_mode))
