"""What must not be lost of files that others have changed: behind links, and what is not understood."""

from __future__ import annotations

import contextlib
import csv
import errno
import logging
import os
from typing import TYPE_CHECKING, Final

from espressoscope.disk import sync_folder
from espressoscope.recording.files import PlainFile, read_at
from espressoscope.recording.log_file import COLUMNS
from espressoscope.recording.run_folder import unused_name
from espressoscope.recording.stored import segment_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["cut_torn_end", "is_log_line", "last_whole", "refuse_links", "untouched"]

_TAIL: Final = 1 << 14
_CHUNK: Final = 1 << 20
_TORN_BYTES: Final = 1 << 14
"""Most of one line that a power cut has torn; a longer end is somebody's work."""

_BEGINNINGS: Final = tuple(bytes([each]) for each in b"0123456789,")
"""Of our lines: a number, or none in that of an event."""

_log = logging.getLogger(__name__)


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse a camera's folder in which links stand for files: those may lead to what is none of this run.

    Raises
    ------
    OSError
        Naming the link, or what is no file.
    """
    for path in (folder, *(folder / name for name in names), *segment_paths(folder)):
        if path.is_symlink():
            why = f"{path.name} is a link, and nothing is written through links; put the file itself there"
            raise OSError(errno.ELOOP, why, str(path))
        if path != folder and path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, f"{path.name} is no plain file", str(path))


def untouched(file: PlainFile) -> bool:
    """Tell whether an open file has its name still, and just what was written here.

    Editors give what they save the old name, or write it into the file that is open here.
    """
    return file.linked and os.fstat(file.descriptor).st_size == file.size


def is_log_line(text: str) -> bool:
    """Tell whether this is a whole line of `frames.csv`."""
    try:
        row = next(csv.reader([text]), [])
    except csv.Error:
        return False
    # Not by its commas: those of settings are there in any file that a spreadsheet has saved.
    return len(row) == len(COLUMNS) and (row[1].lstrip("-").isdigit() or tuple(row) == COLUMNS)


def cut_torn_end(file: PlainFile, whole: Callable[[str], bool]) -> str:
    """Cut off what stands behind the last line that is whole.

    Where that is more than the one line that a power cut tears, as when a spreadsheet has saved the file in
    its own way or somebody has added a remark, the file is first copied to another name, ``.damaged``.

    Returns
    -------
    str
        The last line that is whole; "" when there is none.

    Raises
    ------
    OSError
        Also when it cannot be copied: then it is as it was.
    """

    def read(length: int, offset: int) -> bytes:
        return read_at(file.descriptor, length, offset)

    text, at = last_whole(read, file.size, whole)
    if _is_more_than_torn(read, at, file.size):
        kept = _copy(read, file)
        _log.warning(
            "%s has lines that are not understood, as after another program has saved it: it is kept as %s, "
            "and written anew from what can be read",
            file.path, kept.name,
        )  # fmt: skip
    if at != file.size:
        file.truncate(at)
    return text


def last_whole(read: Callable[[int, int], bytes], size: int, whole: Callable[[str], bool]) -> tuple[str, int]:
    """Give the last line that is whole, and where it ends."""
    reach = _TAIL
    while True:
        start = max(0, size - reach)
        data = read(size - start, start)
        lines = data.splitlines(keepends=True)
        if start:  # the first of them may have begun before
            lines = lines[1:]
        at = start + len(data)
        for line in reversed(lines):
            text = line.decode("utf-8", errors="replace")
            if line.endswith(b"\n") and b"\0" not in line and whole(text):
                return text, at
            at -= len(line)
        if start == 0:
            return "", 0
        reach *= 8


def _is_more_than_torn(read: Callable[[int, int], bytes], start: int, end: int) -> bool:
    """Tell whether this is more than a power cut leaves: a line that is not ended, or has lost bytes.

    Bytes that are lost are zero. A line is ended by CR, too, as some programs save files.
    """
    text = b""
    for at in range(start, end, _CHUNK):
        text += read(min(_CHUNK, end - at), at).replace(b"\0", b"")
        if len(text) > _TORN_BYTES:
            return True
    lines = text.splitlines(keepends=True)
    if len(lines) != 1:
        return len(lines) > 1
    if len(text) < end - start:
        return False
    return text.endswith((b"\n", b"\r")) or (start > 0 and text[:1] not in _BEGINNINGS)


def _copy(read: Callable[[int, int], bytes], file: PlainFile) -> Path:
    """Copy a file to a name that is not used yet; it has it when it is whole, and on the disk."""
    path = file.path
    early = path.with_name(f".{path.name}.new")
    early.unlink(missing_ok=True)
    try:
        with early.open("xb") as copy:
            for at in range(0, file.size, _CHUNK):
                copy.write(read(min(_CHUNK, file.size - at), at))
            copy.flush()
            os.fsync(copy.fileno())
        name = unused_name(f"{path.name}.damaged", lambda each: os.path.lexists(path.with_name(each)))
        kept = early.rename(path.with_name(name))
    except BaseException:
        with contextlib.suppress(OSError):
            early.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return kept
