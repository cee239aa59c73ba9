"""A result is there whole or not at all: made under another name in the same folder, then renamed.

What a killed program leaves is hidden, and ends with `SUFFIX`. Nothing is ever replaced unless that is
asked for, and a folder only when it is an export of ours without a file of somebody else's, or empty. What is
replaced is a name: no file that is there is ever opened for writing, for it may be one with the recording's.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from espressoscope.disk import patiently
from espressoscope.errors import ExportError
from espressoscope.export.owned import is_ours, part_of_run, stray_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "SUFFIX",
    "cannot_export",
    "check_free",
    "check_name",
    "check_place",
    "left_behind",
    "staged",
    "write_json",
]

SUFFIX: Final = ".espressoscope-part"
_FULL: Final = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Answers of file systems and systems without hard links (FAT, some network shares).
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}


def cannot_export(path: Path, error: OSError) -> ExportError:
    """Give the error for a result that cannot be written, with what to try."""
    if error.errno in _FULL:
        hint = "The disk is full: make room, or export to another one"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "You may not write there: choose another folder"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY):
        hint = "A file is where a folder should be, or the other way round: choose another name"
    elif error.errno == errno.ENAMETOOLONG:
        hint = "Choose a shorter name"
    else:
        hint = "Choose another place"
    return ExportError(f"cannot write {path}: {error.strerror or error}", path=str(path), hint=hint)


def check_free(out: Path, needed: int) -> None:
    """Refuse what does not fit, before an hour has been spent on it.

    Raises
    ------
    ExportError
        The disk has less than `needed` bytes left.
    """
    folder = out.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return  # then writing tells
    if usage.total and usage.free < needed:
        raise ExportError(
            f"{out} needs {needed / 1e6:.0f} MB, and the disk has {usage.free / 1e6:.0f} MB left",
            path=str(out),
            hint="Make room, or export to another disk, or fewer cameras or a shorter time",
        )


def left_behind(out: Path) -> list[Path]:
    """Give what exports to this name have left that were killed (or are under way)."""
    try:
        return sorted(
            path
            for path in out.parent.iterdir()
            if path.name.startswith(f".{out.name}.") and path.name.endswith(SUFFIX)
        )
    except OSError:
        return []


def write_json(path: Path, content: Any) -> None:
    """Write a file of JSON; half a letter in a foreign file's text becomes a question mark."""
    path.write_text(
        json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", errors="replace"
    )


@contextlib.contextmanager
def staged(out: Path, *, folder: bool, replace: bool) -> Iterator[Path]:
    """Give a place to write the result to; it gets its name when all went well, else it is removed.

    Parameters
    ----------
    out : Path
        The final name.
    folder : bool
        The result is a folder, which is made; else a file, which is not.
    replace : bool
        What has that name now is replaced: a file, an empty folder, or an export of ours in which nothing
        else is.

    Raises
    ------
    ExportError
        The name is taken, or the system refuses.
    """
    check_name(out, folder=folder, replace=replace)
    early = _beside(out)
    try:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            if folder:
                early.mkdir()
            yield early
            if not folder:
                with early.open("rb+") as file:
                    os.fsync(file.fileno())
            _publish(early, out, folder=folder, replace=replace)
        finally:
            with contextlib.suppress(OSError):
                _remove(early)
    except OSError as error:
        raise cannot_export(out, error) from error


def check_place(out: Path, run: Path) -> None:
    """Refuse a result in the folder of a recording, or in the place of one; by no option.

    Raises
    ------
    ExportError
    """
    where = part_of_run(out, run)
    if where is not None:
        raise ExportError(
            f"{out} is {where}, which an export never changes",
            path=str(out),
            hint="Choose a place outside of the recording",
        )


def check_name(out: Path, *, folder: bool, replace: bool) -> None:
    """Refuse a name that is taken, or that `replace` would destroy something else by.

    Raises
    ------
    ExportError
    """
    if not os.path.lexists(out) or (folder and _is_empty(out)):
        return
    why = hint = ""
    if not replace:
        why, hint = "exists already", "Choose another name, or have it replaced (--force)"
    elif folder and not out.is_dir():
        why, hint = "is a file, and this export a folder", "Choose another name"
    elif folder and not is_ours(out):
        why, hint = "is no export, and is not replaced", "Choose another name, or an empty folder"
    elif folder and (stray := stray_file(out)) is not None:
        why, hint = f"has a file that no export wrote: {stray}", "Move it away, or choose another name"
    elif not folder and not out.is_file():
        why, hint = "is not a file, and this export is one", "Choose another name"
    if why:
        raise ExportError(f"{out} {why}", path=str(out), hint=hint)


def _beside(out: Path) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}-{os.urandom(6).hex()}{SUFFIX}")


def _is_empty(folder: Path) -> bool:
    try:
        return folder.is_dir() and next(folder.iterdir(), None) is None
    except OSError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _publish(early: Path, out: Path, *, folder: bool, replace: bool) -> None:
    if not folder:
        if replace:
            patiently(lambda: os.replace(early, out))
        elif os.name == "nt":
            patiently(lambda: os.rename(early, out))  # fails there when the name is taken
        else:
            _link_or_rename(early, out)
        return
    old = None
    check_name(out, folder=folder, replace=replace)  # somebody may have put a file of his own there meanwhile
    if replace and out.is_dir() and not _is_empty(out):
        old = _beside(out)
        os.rename(out, old)
    elif out.is_dir():
        out.rmdir()  # an empty one; Windows renames onto none
    try:
        patiently(lambda: os.rename(early, out))  # fails when something has come to be there meanwhile
    except OSError:
        if old is not None:
            os.rename(old, out)
        raise
    if old is not None:
        with contextlib.suppress(OSError):
            _remove(old)


def _link_or_rename(early: Path, out: Path) -> None:
    try:
        os.link(early, out)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(out):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(out)) from None
        os.rename(early, out)
