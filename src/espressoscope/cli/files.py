"""Pictures on disk: whole or not at all, and never in place of another file."""

import contextlib
import errno
import itertools
import os
from pathlib import Path

__all__ = ["FileTrouble", "keep_picture", "make_folder", "put_picture"]

_counter = itertools.count()
# Answers of file systems and systems without hard links (FAT, some network shares).
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}
_MOST_NAMES = 10_000


class FileTrouble(Exception):
    """A file that cannot be written.

    Parameters
    ----------
    path : Path
        Where.
    error : OSError
        What the system said.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"cannot write {path}: {error.strerror or error}")
        self.path = path
        self.hint = _hint(error.errno)


def _hint(number: int | None) -> str:
    if number in (errno.ENOSPC, getattr(errno, "EDQUOT", -1)):
        return "The disk is full: make room, or write to another with -o"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "You may not write there: choose another folder with -o"
    if number in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return "A part of that path is a file, or the file a folder: choose another with -o"
    if number == errno.ENAMETOOLONG:
        return "Choose a shorter name with -o"
    return "Choose another place with -o"


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises
    ------
    FileTrouble
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileTrouble(folder, error) from error


def keep_picture(folder: Path, stem: str, data: bytes, suffix: str = ".jpg") -> Path:
    """Write a new file into a folder; when the name is taken, a number is added.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileTrouble
        Nothing is left under the final name.
    """
    for number in range(_MOST_NAMES):
        path = folder / (f"{stem}{suffix}" if number == 0 else f"{stem}-{number + 1}{suffix}")
        if _write_new(path, data):
            return path
    raise FileTrouble(folder / f"{stem}{suffix}", OSError(errno.EEXIST, os.strerror(errno.EEXIST)))


def put_picture(path: Path, data: bytes, *, replace: bool) -> bool:
    """Write exactly this file; False, and nothing written, when it exists and `replace` is false.

    A pipe or a device is written to as it is.

    Raises
    ------
    FileTrouble
    """
    if path.exists() and not path.is_file():
        try:
            with open(path, "wb", buffering=0) as file:
                _write_all(file.fileno(), data)
        except OSError as error:
            raise FileTrouble(path, error) from error
        return True
    if not replace:
        return _write_new(path, data)
    with _complete_copy(path, data) as copy:
        os.replace(copy, path)
    return True


def _write_new(path: Path, data: bytes) -> bool:
    if os.path.lexists(path):
        return False
    with _complete_copy(path, data) as copy:
        return _publish(copy, path)


def _publish(copy: Path, path: Path) -> bool:
    """Give a complete file its name unless the name is taken; atomic where the file system can."""
    if os.name == "nt":
        try:
            os.rename(copy, path)  # fails there when the name is taken
        except FileExistsError:
            return False
        return True
    try:
        os.link(copy, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            return False
        os.rename(copy, path)
    return True


@contextlib.contextmanager
def _complete_copy(path: Path, data: bytes):  # type: ignore[no-untyped-def]
    """Write a temporary file beside `path`; whatever happens then, it does not stay."""
    copy = path.with_name(f".espressoscope-{os.getpid()}-{next(_counter)}.part")
    try:
        try:
            descriptor = os.open(
                copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
            )
            try:
                _write_all(descriptor, data)
            finally:
                os.close(descriptor)
            yield copy
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(copy)
    except OSError as error:
        raise FileTrouble(path, error) from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
