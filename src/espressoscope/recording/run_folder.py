"""A run on disk: its folder, `run.json`, the lock of who writes it, and the room kept back for its end.

A run is never overwritten: the folder must be new or empty.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from espressoscope.disk import write_whole
from espressoscope.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = [
    "LOCK_NAME",
    "LOG_NAME",
    "RESERVE_NAME",
    "RUN_NAME",
    "Reserve",
    "RunLock",
    "cannot_write",
    "free_and_floor",
    "free_space_floor",
    "is_locked",
    "make_run_folder",
    "parsed_json",
    "read_json",
    "room_to_end",
    "safe_folder_name",
    "unused_name",
    "write_json",
]

RUN_NAME: Final = "run.json"
LOG_NAME: Final = "frames.csv"
LOCK_NAME: Final = "lock"
RESERVE_NAME: Final = "reserve"
MOST_JSON: Final = 16 * 2**20

# Windows refuses these, the others separate folders or mean something to a shell.
_FORBIDDEN = re.compile(
    r"[\x00-\x20\x7f-\xa0<>:\"/\\|?*%$&`'!;#~\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_RESERVED = re.compile(r"(con|prn|aux|nul|conin|conout|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
RESERVE_BYTES: Final = 256 * 1024
"""Room on the disk kept back for the end of each camera's files, and `_RESERVE_A_FRAME` for each frame."""
_RESERVE_A_FRAME: Final = 260
"""Room a segment's end takes: index, and for each frame OME-XML, table, a line of the log."""
_RESERVE_A_PAGE: Final = 256
"""And the directory of each page that is not linked yet."""
_RESERVE_PAGES: Final = 64
FLOOR_BYTES: Final = 100 * 10**6
"""Free bytes of a disk below which a recording ends in order."""
_FLOOR_SHARE: Final = 0.02
_MOST_CHARS = 48
_ATTEMPTS: Final = 100
_MOST_BYTES = 120
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def safe_folder_name(name: str, taken: Collection[str] = ()) -> str:
    """Make a folder's name of a camera's: valid on every system, and none of those `taken`, whatever case."""
    text = _FORBIDDEN.sub("-", unicodedata.normalize("NFC", name))
    text = re.sub(r"\.{2,}", ".", re.sub(r"-{2,}", "-", text)).strip("-._")[:_MOST_CHARS]
    while len(text.encode()) > _MOST_BYTES:
        text = text[:-1]
    text = text.strip("-._")
    if not text or _RESERVED.fullmatch(text):
        text = f"camera-{text}".strip("-")
    used = {each.casefold() for each in (*taken, LOCK_NAME, RESERVE_NAME, RUN_NAME)}
    return unused_name(text, lambda found: found.casefold() in used)


def unused_name(name: str, taken: Callable[[str], bool]) -> str:
    """Give the name, or with a number behind it the first that is not taken: ``name-2``, ``name-3``."""
    number, found = 1, name
    while taken(found):
        number += 1
        found = f"{name}-{number}"
    return found


def cannot_write(path: Path, error: OSError, *, written: int = 0, dropped: int = 0) -> RecordingError:
    """Give the error for a run that cannot be written, with what to try."""
    if error.errno in _FULL:
        hint = "The disk is full: make room, or record to another one"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "You may not write there: choose another folder"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        hint = "A part of that path is a file: choose another folder"
    elif error.errno == errno.ENOENT:
        hint = "The folder has been moved, renamed or deleted; what was moved is whole where it is now"
    else:
        hint = "Choose another place"
    return RecordingError(
        f"cannot write {path}: {error.strerror or error}",
        frames_written=written,
        frames_dropped=dropped,
        hint=hint,
    )


def free_space_floor(total: int) -> int:
    """Give the free space below which a recording ends: 100 MB, or 2 % of a smaller disk."""
    return min(FLOOR_BYTES, int(total * _FLOOR_SHARE))


def free_and_floor(folder: Path, keep_free: int | None) -> tuple[int, int]:
    """Give how many bytes of a folder's disk are free, and how many are to stay so: `keep_free`, else usual.

    Raises
    ------
    OSError
    """
    usage = shutil.disk_usage(folder)
    return usage.free, free_space_floor(usage.total) if keep_free is None else keep_free


def room_to_end(frames: int, pages: int) -> int:
    """Give the room that ending a camera's files takes at most, in bytes.

    Parameters
    ----------
    frames : int
        Of its present segment.
    pages : int
        That are not linked yet, or are still to be written.
    """
    return RESERVE_BYTES + _RESERVE_A_FRAME * frames + _RESERVE_A_PAGE * (_RESERVE_PAGES + pages)


def make_run_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder of a new run.

    Raises
    ------
    RecordingError
        There is something in it, or it cannot be made.
    """
    folder = Path(path).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise cannot_write(folder, error) from error
    if taken is not None:
        what = "a run" if (folder / RUN_NAME).exists() else f"{taken.name!r}"
        raise RecordingError(
            f"{folder} has {what} in it already, and a recording never overwrites anything",
            frames_written=0,
            frames_dropped=0,
            hint="Give a folder that is new or empty",
        )
    return folder


def write_json(path: Path, content: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write a file in one piece: it has the old content or the new one at any moment.

    Parameters
    ----------
    path : Path
    content : mapping
    sync : bool
        Wait for the disk, so that this holds through a power cut too.

    Raises
    ------
    OSError
    """
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    # Always the same other name: what a killed program has left there goes with the next.
    early = path.with_name(f".{path.name}.new")
    write_whole(path, text.encode("utf-8", "replace"), early=early, sync=sync)


def read_json(path: Path) -> dict[str, Any]:
    """Read what `run.json` tells; empty where it is not there, cannot be read, or tells nothing."""
    try:
        with path.open("rb") as file:
            return parsed_json(file.read(MOST_JSON)) or {}
    except OSError:
        return {}


def parsed_json(data: bytes) -> dict[str, Any] | None:
    """Give what a `run.json` tells; None when it is none."""
    try:
        content = json.loads(data[:MOST_JSON])
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


class RunLock:
    """Held by the program that writes a run, so that no second one does; the system frees it when that dies.

    Parameters
    ----------
    folder : Path
        Of the run.

    Raises
    ------
    BlockingIOError
        Another program holds it.
    OSError
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        for _ in range(_ATTEMPTS):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _lock(self._descriptor)
                if self._named:
                    return
            except OSError as error:
                os.close(self._descriptor)
                if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                    raise BlockingIOError(error.errno, "another program is writing this run") from None
                raise
            os.close(self._descriptor)
        raise BlockingIOError(errno.EAGAIN, "other programs take and leave this run all the time")

    @property
    def _named(self) -> bool:
        """Whether what is locked still has its name: who held it may have removed that before letting go."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let it go; twice does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                if sys.platform != "win32":
                    self._path.unlink(missing_ok=True)
            os.close(descriptor)
            if sys.platform == "win32":
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _is_free(descriptor: int) -> bool:
        try:
            _lock(descriptor)
        except OSError:
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return True
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # flock, not lockf: the latter is lost when any descriptor of the file is closed.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _is_free(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True  # closing gives it back


def is_locked(folder: Path) -> bool:
    """Tell whether a program is writing this run at this moment; takes nothing away from it.

    Raises
    ------
    OSError
        PermissionError where the lock is another user's, and may not be looked at.
    """
    try:
        # Windows locks only what may be written; elsewhere another user may look at it as well.
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _is_free(descriptor)
    finally:
        os.close(descriptor)


class Reserve:
    """Room on the disk kept back for the end of a run, so that a full disk leaves whole files.

    Parameters
    ----------
    folder : Path
        Of the run.

    Attributes
    ----------
    size : int
        Bytes kept back.
    """

    _STEP = 1 << 16

    def __init__(self, folder: Path) -> None:
        self._path = folder / RESERVE_NAME
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._block = os.urandom(self._STEP)  # a file of zeros takes no room on some file systems
        self.size = 0

    def grow(self, size: int) -> None:
        """Keep at least so many bytes back.

        Raises
        ------
        OSError
            There are not so many left.
        """
        while self.size < size and self._descriptor >= 0:
            count = os.write(self._descriptor, self._block)
            self.size += count
            if count < self._STEP and self.size < size and os.write(self._descriptor, b"\0") == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def free(self) -> None:
        """Give the room back; twice does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
