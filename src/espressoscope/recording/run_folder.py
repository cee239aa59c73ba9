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
import time
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from espressoscope.disk import expanded, read_whole, write_whole
from espressoscope.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = [
    "LOCK_NAME",
    "LOG_NAME",
    "MOST_JSON",
    "RESERVE_NAME",
    "RUN_NAME",
    "Reserve",
    "RunLock",
    "cannot_write",
    "free_and_floor",
    "is_locked",
    "make_run_folder",
    "parsed_json",
    "read_json",
    "refuse_taken",
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
"""Bytes of a `run.json`; one with more is not read."""

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
LOCK_S: Final = 1.0
"""Longest wait for the lock of a run, in seconds; who only looks at it has it for much less."""
_RETRY_S: Final = 0.02
_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_MOST_BYTES = 120
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
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
    elif error.errno == errno.ENOMEM:
        hint = "This process, or this computer, holds too much: close what you do not need, then try again"
    else:
        hint = "Choose another place"
    return RecordingError(
        f"cannot write {path}: {error.strerror or error}",
        frames_written=written,
        frames_dropped=dropped,
        hint=hint,
    )


def _usual_floor(total: int) -> int:
    """Give the free space below which a recording ends: 100 MB, or 2 % of a smaller disk."""
    return min(FLOOR_BYTES, int(total * _FLOOR_SHARE))


def free_and_floor(folder: Path, keep_free: int | None) -> tuple[int, int]:
    """Give how many bytes of a folder's disk are free, and how many are to stay so: `keep_free`, else usual.

    Raises
    ------
    OSError
    """
    usage = shutil.disk_usage(folder)
    return usage.free, _usual_floor(usage.total) if keep_free is None else keep_free


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
    folder = Path(path)
    try:
        folder = expanded(path)
        folder.mkdir(parents=True, exist_ok=True)
        refuse_taken(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def refuse_taken(folder: Path, but: str = "") -> None:
    """Refuse a folder that has something in it, `but` one name that may be there.

    Raises
    ------
    RecordingError
    OSError
        It cannot be read.
    """
    taken = next((each for each in folder.iterdir() if each.name != but), None)
    if taken is not None:
        what = "a run" if (folder / RUN_NAME).exists() else f"{taken.name!r}"
        raise RecordingError(
            f"{folder} has {what} in it already, and a recording never overwrites anything",
            frames_written=0,
            frames_dropped=0,
            hint="Give a folder that is new or empty",
        )


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
    """Read what `run.json` tells; empty where it is not there, too large, unreadable, or tells nothing."""
    try:
        return parsed_json(read_whole(path, MOST_JSON)) or {}
    except OSError:
        return {}


def parsed_json(data: bytes) -> dict[str, Any] | None:
    """Give what a `run.json` tells; None when it is none."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


class RunLock:
    """Held by the program that writes a run, so that no second one does; the system frees it when that dies.

    Waits a second for one that another program has: who looks with `is_locked` has it for a moment.

    Parameters
    ----------
    folder : Path
        Of the run.

    Raises
    ------
    BlockingIOError
        Another program holds it all that time.
    OSError
        It cannot be made, or is a link.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._descriptor = -1
        end = time.monotonic() + LOCK_S
        while not self._taken():
            if time.monotonic() >= end:
                raise BlockingIOError(errno.EAGAIN, "another program is writing this run")
            time.sleep(_RETRY_S)  # the system's lock knows no timeout

    def _taken(self) -> bool:
        """Try once to take it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o644)
        try:
            _lock(descriptor)
            if _is_named(self._path, descriptor):
                self._descriptor, descriptor = descriptor, -1
        except OSError as error:
            if error.errno not in _HELD:
                raise
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return self._descriptor >= 0

    def release(self) -> None:
        """Let it go; twice does nothing. A file of this name that has something in it was there before."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            named = False
            with contextlib.suppress(OSError):
                named = os.fstat(descriptor).st_size == 0 and _is_named(self._path, descriptor)
                if named and sys.platform != "win32":
                    self._path.unlink(missing_ok=True)
            os.close(descriptor)
            if named and sys.platform == "win32":
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)


def _is_named(path: Path, descriptor: int) -> bool:
    """Whether an open file still has its name: another may have removed it, or the folder may have moved."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


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
    """Tell whether a program is writing this run at this moment.

    Takes nothing away from it; one that is about to take the lock waits for the moment this lasts.

    Raises
    ------
    OSError
        PermissionError where the lock is another user's, and may not be looked at.
    """
    try:
        # Windows locks only what may be written; elsewhere another user may look at it as well.
        access = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY
        descriptor = os.open(folder / LOCK_NAME, access | getattr(os, "O_NONBLOCK", 0))
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
        named = False
        with contextlib.suppress(OSError):
            named = _is_named(self._path, descriptor)
            os.ftruncate(descriptor, 0)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            if named:
                self._path.unlink(missing_ok=True)
