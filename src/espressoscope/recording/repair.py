"""Bringing a run in order that was killed or lost its power: what a scan finds becomes pages again.

Nothing is ever deleted: directories are appended and linked, the end is put on, missing lines are added to
the log. A run that somebody is writing is left alone.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from espressoscope.disk import read_whole
from espressoscope.errors import RecordingError
from espressoscope.recording import tiff
from espressoscope.recording.checksum import crc32
from espressoscope.recording.contents import read_contents, shape_of, walk_contents
from espressoscope.recording.files import GrowingFile, read_at
from espressoscope.recording.layout import (
    FIRST_DIRECTORY,
    FIRST_LINK,
    HEADER_SIZE,
    NO_SHAPE,
    STATUSES,
    TEXTS_AT,
    Header,
    Kind,
    parse_header,
)
from espressoscope.recording.log_repair import complete_log
from espressoscope.recording.reader import open_run
from espressoscope.recording.run_folder import (
    LOCK_NAME,
    LOG_NAME,
    MOST_JSON,
    RESERVE_NAME,
    RUN_NAME,
    RunLock,
    cannot_write,
    parsed_json,
    unused_name,
    write_json,
)
from espressoscope.recording.segment import append_directories, append_whole, finish
from espressoscope.recording.stored import segment_paths

if TYPE_CHECKING:
    import os
    from collections.abc import Collection
    from pathlib import Path

    from espressoscope.recording.contents import Contents, Entries
    from espressoscope.recording.reader import Run
    from espressoscope.recording.recorded import Recording

__all__ = ["Repaired", "repair_run", "repair_segment"]

_BLOCK_PAGES = 256
_CHUNK = 1 << 20
_LINK = struct.Struct("<Q")


class Repaired(NamedTuple):
    """What was done for one camera.

    Attributes
    ----------
    camera : str
    segments : int
        Files that were brought in order.
    relinked : int
        Frames that have become pages.
    damaged : int
        Frames whose bytes are not those that were written; they stay in the log.
    lines : int
        Lines added to `frames.csv`.
    """

    camera: str
    segments: int
    relinked: int
    damaged: int
    lines: int


def repair_run(path: str | os.PathLike[str], software: str) -> list[Repaired]:
    """Bring a run in order; one that is in order stays as it is.

    Parameters
    ----------
    path : str or path
        Its folder.
    software : str
        Name and version.

    Raises
    ------
    RecordingError
        There is no run, it is being written, has links in it, or cannot be written.
    """
    run = open_run(path)
    top = _top_of(run.path)
    try:
        _refuse_links(run, top)
        lock = RunLock(top)
    except BlockingIOError:
        raise RecordingError(
            f"{top} is being recorded at this moment",
            frames_written=0,
            frames_dropped=0,
            hint="Stop that recording first; it closes its files itself",
        ) from None
    except OSError as error:
        raise cannot_write(top, error) from error
    try:
        run.refresh()  # it may have been recorded until this moment
        if (top / RUN_NAME).exists():  # else it is no run's folder, and what is called so is somebody's
            with contextlib.suppress(OSError):
                (top / RESERVE_NAME).unlink(missing_ok=True)
        done = [_repair_camera(recording, software) for recording in run.values()]
        _settle(run if top == run.path else open_run(top), asked=run)
    except OSError as error:
        raise cannot_write(top, error) from error
    finally:
        lock.release()
    return done


def _settle(run: Run, *, asked: Run) -> None:
    """Note in `run.json` that the run is in order, all cameras of it, also where one was asked for."""
    if run.info.get("state") in ("closed", "ended early", "repaired") or segment_paths(run.path):
        return  # of a camera taken out of its run nobody would read it
    if run is asked or all(part.contents.closed for each in run.values() for part in each.segments):
        _keep_unreadable(run.path / RUN_NAME)
        _note_repair(run.path, run.info, list(run.values()), run.absent)


def _top_of(path: Path) -> Path:
    """Give the folder with the lock and `run.json`: that of the run, where this is a camera's in it."""
    above = path.resolve().parent
    return above if segment_paths(path) and (above / RUN_NAME).exists() else path


def _refuse_links(run: Run, top: Path) -> None:
    """Refuse a run in which links stand for files or folders: those may lead to what is none of this run.

    Raises
    ------
    RecordingError
    """
    written = [top / LOCK_NAME]
    for recording in run.values():
        folder = recording.folder
        written += [folder, folder / LOG_NAME, *(segment.path for segment in recording.segments)]
    for path in written:
        if path.is_symlink():
            raise RecordingError(
                f"{path} is a link: repair writes through none",
                frames_written=0,
                frames_dropped=0,
                hint="Put the file or folder itself in its place, or take the link away",
            )


def _keep_unreadable(path: Path) -> None:
    """Put a `run.json` that tells nothing aside: somebody may still read in it what no program can.

    Raises
    ------
    RecordingError
        The disk, the rights or its size are the matter: it is left as it is.
    """
    try:
        if parsed_json(read_whole(path, MOST_JSON)) is not None:
            return
        path.rename(
            path.with_name(unused_name(f"{path.name}.damaged", lambda name: path.with_name(name).exists()))
        )
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read ({error.strerror or error}) and is left as it is; all frames are safe",
            frames_written=0,
            frames_dropped=0,
            hint="Look at the file, its rights and the disk, then repair again",
        ) from error


def _note_repair(
    folder: Path, info: dict[str, Any], recordings: list[Recording], absent: Collection[str]
) -> None:
    cameras = [each.info or {"name": each.name, "folder": each.folder.name} for each in recordings]
    entries = info.get("cameras")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") in absent:
            cameras.append(entry)
    told = {"format": "espressoscope run", "version": 1, **info, "state": "repaired", "cameras": cameras}
    write_json(folder / RUN_NAME, told)


def _repair_camera(recording: Recording, software: str) -> Repaired:
    segments = relinked = damaged = 0
    for segment in recording.segments:
        if segment.contents.closed and _is_linked(segment.path, segment.contents):
            continue
        linked, bad = repair_segment(segment.path, recording.name, software, anew=segment.contents.closed)
        segments += 1
        relinked += linked
        damaged += bad
    return Repaired(recording.name, segments, relinked, damaged, complete_log(recording))


def _is_linked(path: Path, contents: Contents) -> bool:
    """Whether other readers come to every page of a closed segment, from directory to directory."""
    pages = contents.pages
    if not len(pages):
        return True
    maker = tiff.DirectoryMaker(shape_of(pages[0]))
    places = list(zip(pages["offset"].tolist(), pages["bytes"].tolist(), strict=True))
    file = GrowingFile(path, new=False)
    try:
        # Its description is elsewhere than before the segment was closed.
        first = maker.first(*places[0], "")
        there = file.read_at(len(first), FIRST_DIRECTORY)
        if _link_at(file, FIRST_LINK) != FIRST_DIRECTORY or tiff.place_of(there) != tiff.place_of(first):
            return False
        link = _link_at(file, tiff.FIRST_NEXT_AT)
        for place in places[1:]:
            if link >= file.size:
                return False
            there = file.read_at(tiff.DIRECTORY_SIZE, link)
            if there[:-8] != maker.block([place], link)[:-8]:
                return False
            link = int.from_bytes(there[-8:], "little")
        return link == 0
    finally:
        file.close()


def repair_segment(path: Path, camera: str, software: str, *, anew: bool = False) -> tuple[int, int]:
    """Link what is not linked, and put the end on; tell how many frames were linked, how many are damaged.

    Parameters
    ----------
    path : Path
    camera, software : str
    anew : bool
        Also where there is an end already.

    Raises
    ------
    OSError
        It cannot be read or written; what is in it is still found.
    """
    file = GrowingFile(path, new=False)
    try:

        def read(length: int, offset: int) -> bytes:
            return read_at(file.descriptor, length, offset)

        contents = read_contents(read, file.size)
        if contents is not None and contents.closed and anew:
            contents = walk_contents(read, file.size)
        if contents is None or contents.closed:
            return 0, 0
        entries, bad = _verified(file, contents.entries)
        contents = contents._replace(entries=entries)
        pages = contents.pages
        _close_torn(file, contents.end)
        relinked = _link_all(file, contents, pages, software) if len(pages) else 0
        finish(file, contents, camera, software)
        file.sync()
        return relinked, bad
    finally:
        file.close()


def _verified(file: GrowingFile, entries: Entries) -> tuple[Entries, int]:
    """Read every frame; one that is not what was written is no page."""
    entries = entries.copy()
    bad = 0
    for place, entry in enumerate(entries):
        length = int(entry["bytes"])
        jpeg = read_at(file.descriptor, length, int(entry["offset"]))
        if len(jpeg) != length or crc32(jpeg) != int(entry["crc"]):
            entries["page"][place] = -1
            entries["status"][place] = STATUSES.index("corrupt")
            bad += 1
    paged = np.flatnonzero(entries["page"] >= 0)
    entries["page"][paged] = np.arange(len(paged))
    return entries, bad


def _close_torn(file: GrowingFile, end: int) -> None:
    """Make a record of its own of one that was cut off, so that what follows it is found."""
    header = parse_header(read_at(file.descriptor, HEADER_SIZE, end))
    if header is not None and end + HEADER_SIZE + header.length > file.size:
        rest = file.size - end - HEADER_SIZE
        crc = 0
        for at in range(end + HEADER_SIZE, file.size, _CHUNK):
            crc = crc32(file.read_at(min(_CHUNK, file.size - at), at), crc)
        torn = Header(Kind.TORN, 0, 0, rest, header.received_ns, 0, header.sequence, 0, crc, NO_SHAPE)
        file.write_at(end, torn.pack())
    if file.size % 8:
        append_whole(file, [bytes(-file.size % 8)])


def _link_all(file: GrowingFile, contents: Contents, pages: Entries, software: str) -> int:
    first = pages[0]
    maker = tiff.DirectoryMaker(shape_of(first))
    directory = maker.first(int(first["offset"]), int(first["bytes"]), software)
    there = read_at(file.descriptor, len(directory), FIRST_DIRECTORY)
    next_at, count, relinked = tiff.FIRST_NEXT_AT, 1, 0
    link = _link_at(file, FIRST_LINK)
    if link != FIRST_DIRECTORY or there[:-8] != directory[:-8]:
        file.write_at(TEXTS_AT, tiff.first_texts(software))
        file.write_at(FIRST_DIRECTORY, directory)
        file.write_at(FIRST_LINK, _LINK.pack(FIRST_DIRECTORY))
        relinked = 1
    blocks = {block.offset: block.pages for block in contents.blocks}
    offsets = pages["offset"].tolist()
    lengths = pages["bytes"].tolist()
    while link := _link_at(file, next_at):
        number = blocks.pop(link, 0)  # each once: a damaged link must not lead round in circles
        places = list(zip(offsets[count : count + number], lengths[count : count + number], strict=True))
        wanted = maker.block(places, link) if places and len(places) == number else b""
        if not wanted or read_at(file.descriptor, len(wanted), link)[:-8] != wanted[:-8]:
            break
        count += number
        next_at = link + len(wanted) - 8
    while count < len(offsets):
        places = list(
            zip(offsets[count : count + _BLOCK_PAGES], lengths[count : count + _BLOCK_PAGES], strict=True)
        )
        next_at = append_directories(file, maker, places, count, next_at)
        count += len(places)
        relinked += len(places)
    if _link_at(file, next_at):
        file.write_at(next_at, _LINK.pack(0))
    return relinked


def _link_at(file: GrowingFile, at: int) -> int:
    return int.from_bytes(read_at(file.descriptor, 8, at), "little")
