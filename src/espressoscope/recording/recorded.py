"""The frames of one camera in a run: its segments, frames one by one, their times and their log."""

from __future__ import annotations

import contextlib
import csv
import os
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

import numpy as np

from espressoscope.model import Frame
from espressoscope.recording.contents import ENTRY, read_contents
from espressoscope.recording.files import read_at
from espressoscope.recording.layout import NO_TIME, STATUSES
from espressoscope.recording.run_folder import LOG_NAME
from espressoscope.recording.segment import SUFFIX, UNPAGED_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from espressoscope.recording.contents import Contents

__all__ = ["Part", "Recording", "Segment", "segment_paths"]

_MOST_EVENTS: Final = 100_000


class Segment:
    """One file of a recording, open for reading.

    Attributes
    ----------
    path : Path
    contents : Contents
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as descriptor:
            size = os.fstat(descriptor).st_size
            contents = read_contents(lambda length, offset: read_at(descriptor, length, offset), size)
        if contents is None:
            raise ValueError(f"{path} is no segment of a recording")
        self.contents: Contents = contents

    def refresh(self) -> bool:
        """Look again; true when there is more."""
        if self.contents.closed:
            return False
        before = self.contents
        with self._opened() as descriptor:
            size = os.fstat(descriptor).st_size
            found = read_contents(lambda length, offset: read_at(descriptor, length, offset), size, before)
        if found is not None:
            self.contents = found
        return len(self.contents.entries) != len(before.entries)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        # Opened for each read: a run of weeks has more segments than a process may have open files.
        descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def frame(self, entry: np.void, camera: str) -> Frame:
        """Read one frame; one whose bytes are not those that were written has status ``"corrupt"``."""
        length = int(entry["bytes"])
        with self._opened() as descriptor:
            jpeg = read_at(descriptor, length, int(entry["offset"]))
        status = STATUSES[int(entry["status"]) % len(STATUSES)]
        if len(jpeg) != length or zlib.crc32(jpeg) != int(entry["crc"]):
            status = "corrupt"
        device_ns = int(entry["device_ns"])
        return Frame(
            jpeg,
            int(entry["sequence"]),
            int(entry["received_ns"]),
            None if device_ns == NO_TIME else device_ns,
            int(entry["width"]),
            int(entry["height"]),
            camera,
            status,
        )


class Part(NamedTuple):
    """A stretch of a recording whose frames have one shape.

    Attributes
    ----------
    start, stop : int
        Frames of the recording, as `Recording` counts them.
    shape : tuple of int
        (T, Y, X, 3).
    """

    start: int
    stop: int
    shape: tuple[int, int, int, int]


class Recording(Sequence[Frame]):
    """The frames of one camera in a run, in order: a sequence of `Frame`, each read when asked for.

    Broken frames, and single ones of another size, are not in the sequence; `records` has every one stored.

    Attributes
    ----------
    name : str
        The camera's.
    folder : Path
        Where its files are.
    info : dict
        What `run.json` tells of it.
    """

    def __init__(self, name: str, folder: Path, info: dict[str, Any]) -> None:
        self.name = name
        self.folder = folder
        self.info = info
        self._segments: list[Segment] = []
        self._unreadable: list[Path] = []
        self._entries = np.empty(0, ENTRY)
        self._of_segment = np.empty(0, np.int32)
        self._frames = np.empty(0, np.int64)
        self.refresh()

    def refresh(self) -> int:
        """Look for what has been written since; tell how many frames there are."""
        known = {segment.path for segment in self._segments} | set(self._unreadable)
        changed = False
        for segment in self._segments:
            with contextlib.suppress(OSError):
                changed = segment.refresh() or changed
        for path in segment_paths(self.folder):
            if path in known:
                continue
            try:
                self._segments.append(Segment(path))
            except (OSError, ValueError):
                self._unreadable.append(path)
            changed = True
        if changed:
            self._index()
        return len(self)

    def _index(self) -> None:
        self._segments.sort(key=lambda segment: (segment.contents.number, segment.path.name))
        tables = [segment.contents.entries for segment in self._segments]
        entries = np.concatenate(tables) if tables else np.empty(0, ENTRY)
        counts = [len(table) for table in tables]
        of_segment = np.repeat(np.arange(len(tables), dtype=np.int32), counts)
        # The first frames of a size that came to stay are in two segments; there they are pages.
        keep = np.ones(len(entries), bool)
        begin = 0
        for count, after in zip(counts, tables[1:], strict=False):
            pages = after[:8]["sequence"][after[:8]["page"] >= 0]
            rest = np.arange(max(begin, begin + count - 64), begin + count)
            there = np.isin(entries["sequence"][rest], pages) & (entries["page"][rest] < 0)
            keep[rest[there]] = False
            begin += count
        self._entries, self._of_segment = entries[keep], of_segment[keep]
        self._frames = np.flatnonzero(self._entries["page"] >= 0)

    # ---- frames -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self._frame(int(place)) for place in self._frames[index]]
        try:
            place = self._frames[index]
        except IndexError:
            raise IndexError(f"{self.name} has {len(self)} frames, none at {index}") from None
        return self._frame(int(place))

    def _frame(self, place: int) -> Frame:
        segment = self._segments[int(self._of_segment[place])]
        return segment.frame(self._entries[place], self.name)

    @property
    def records(self) -> Sequence[Frame]:
        """Every frame stored, in order: also broken ones, and those of a size that did not last."""
        return _Records(self)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """When each frame of the sequence had arrived, (T,) datetime64[ns], UTC."""
        times: NDArray[np.datetime64] = self._entries["received_ns"][self._frames].view("datetime64[ns]")
        return times.copy()

    @property
    def log(self) -> NDArray[np.void]:
        """Every frame stored, as a structured array.

        Fields: sequence, time, device_ns (the lowest int64 where the camera told none), bytes, width, height,
        status, gap (frames that are missing before it), segment, page (-1: in the log only).
        """
        source = self._entries
        names = np.array(STATUSES)
        fields = {
            "sequence": source["sequence"].astype(np.int64),
            "time": source["received_ns"].astype("datetime64[ns]"),
            "device_ns": source["device_ns"],
            "bytes": source["bytes"],
            "width": source["width"],
            "height": source["height"],
            "status": names[source["status"] % len(names)],
            "gap": source["lost"],
            "segment": self._of_segment,
            "page": source["page"],
        }
        table = np.empty(
            len(source), [(name, column.dtype.newbyteorder("=")) for name, column in fields.items()]
        )
        for name, column in fields.items():
            table[name] = column
        return table

    @property
    def events(self) -> list[dict[str, str]]:
        """What `frames.csv` has beside frames: changed settings and the like; none without that file."""
        found: list[dict[str, str]] = []
        with (
            contextlib.suppress(OSError),
            (self.folder / LOG_NAME).open(encoding="utf-8", errors="replace", newline="") as file,
        ):
            rows = csv.DictReader(line.replace("\0", "") for line in file)
            with contextlib.suppress(csv.Error):
                for row in rows:
                    if not row.get("sequence") and row.get("status") and len(found) < _MOST_EVENTS:
                        names = ("received_at", "status", "note")
                        found.append({name: row.get(name) or "" for name in names})
        return found

    # ---- shapes and arrays --------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Part, ...]:
        """Stretches of one picture size."""
        entries = self._entries[self._frames]
        if not len(entries):
            return ()
        sizes = entries["height"].astype(np.int64) << 32 | entries["width"]
        starts = [0, *(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(entries)]
        return tuple(
            Part(start, stop, (stop - start, int(entries["height"][start]), int(entries["width"][start]), 3))
            for start, stop in pairwise(starts)
        )

    @property
    def frames(self) -> Any:
        """All pictures as a dask array (T, Y, X, 3) uint8, decoded when computed; needs dask.

        A frame that cannot be decoded is black, or its readable part, rather than an error.

        Raises
        ------
        ValueError
            The picture size changed: `array` gives those of each of `parts`.
        ModuleNotFoundError
            dask is not installed.
        """
        parts = self.parts
        if len(parts) > 1:
            sizes = ", ".join(f"{p.start} to {p.stop - 1}: {p.shape[2]} x {p.shape[1]}" for p in parts[:5])
            raise ValueError(
                f"{self.name} changed its picture size ({sizes}): use .parts, "
                "and .array(part) for the frames of each"
            )
        return self.array(parts[0] if parts else Part(0, 0, (0, 0, 0, 3)))

    def array(self, part: Part) -> Any:
        """Give the pictures of one of `parts` as a dask array (T, Y, X, 3) uint8; needs dask."""
        from espressoscope.recording.arrays import dask_array

        return dask_array(self, part)

    # ---- figures ------------------------------------------------------------------------------------

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its files that can be read."""
        return tuple(self._segments)

    @property
    def unreadable(self) -> tuple[Path, ...]:
        """Files named as segments that are none, or cannot be read."""
        return tuple(self._unreadable)

    def summary(self) -> dict[str, Any]:
        """Give the figures that ``espressoscope info`` shows."""
        entries = self._entries
        return {
            "camera": self.name,
            "frames": len(entries),
            "first": None if not len(entries) else int(entries["received_ns"][0]),
            "last": None if not len(entries) else int(entries["received_ns"][-1]),
            "segments": len(self._segments),
            "gaps": int(np.count_nonzero(entries["lost"])),
            "damaged": int(np.count_nonzero(np.isin(entries["status"], (1, 2)))),
            "bytes": int(entries["bytes"].sum(dtype=np.int64)),
            "missing": int(entries["lost"].sum(dtype=np.int64)),
            "pages": len(self._frames),
            "open": sum(not segment.contents.closed for segment in self._segments),
            "unreadable": len(self._unreadable) + sum(s.contents.damaged for s in self._segments),
        }

    def __repr__(self) -> str:
        return f"<Recording of {self.name}: {len(self)} frames in {len(self._segments)} segments>"


class _Records(Sequence[Frame]):
    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __len__(self) -> int:
        return len(self._recording._entries)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self._recording._frame(place) for place in range(len(self))[index]]
        return self._recording._frame(range(len(self))[index])


def segment_paths(folder: Path) -> list[Path]:
    """Give the files of a camera's folder that are named as segments, in order."""
    with contextlib.suppress(OSError):
        return sorted(
            path
            for path in folder.iterdir()
            if path.name.endswith((SUFFIX, UNPAGED_SUFFIX)) and not path.name.startswith(".")
        )
    return []
