"""The frames of one camera in a run: one by one or as arrays, with their times and their log."""

from __future__ import annotations

import contextlib
import csv
import operator
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

import numpy as np

from espressoscope.disk import open_plain
from espressoscope.recording.contents import ENTRY
from espressoscope.recording.layout import STATUSES
from espressoscope.recording.run_folder import LOG_NAME
from espressoscope.recording.stored import Segment, segment_paths

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from espressoscope.model import Frame

__all__ = ["Part", "Recording"]

_MOST_EVENTS: Final = 100_000
_MOST_SEGMENTS: Final = 1_000_000


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


class _Look(NamedTuple):
    """What was there at one look. Replaced in one step, so that other threads see all of it or nothing."""

    segments: tuple[Segment, ...]
    unreadable: tuple[Path, ...]
    entries: NDArray[np.void]
    of_segment: NDArray[np.int32]  # for each entry
    pages: NDArray[np.int64]  # the entries that are frames of the sequence


class Recording(Sequence["Frame"]):
    """The frames of one camera in a run, in order: a sequence of `Frame`, each read when asked for.

    Broken frames, and single ones of another size, are not in the sequence; `records` has every one stored.
    Any thread may use it. What it has is what was there at the last `refresh`.

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
        self._looking = threading.Lock()
        self._now = _index((), ())
        self.refresh()

    def refresh(self) -> int:
        """Look for what has been written since; tell how many frames there are."""
        with self._looking:
            before = self._now
            segments = list(before.segments)
            changed = False
            for segment in segments:
                with contextlib.suppress(OSError):
                    changed = segment.refresh() or changed
            known = {segment.path for segment in segments}
            unreadable = []
            for path in segment_paths(self.folder):
                if path in known:
                    continue
                try:
                    segments.append(Segment(path))
                    changed = True
                except (OSError, ValueError):
                    unreadable.append(path)  # looked at again next time: it may be on its way here
            if changed or tuple(unreadable) != before.unreadable:
                self._now = _index(segments, unreadable)
        return len(self)

    def __reduce__(self) -> tuple[type[Recording], tuple[str, Path, dict[str, Any]]]:
        return Recording, (self.name, self.folder, self.info)  # for dask's other processes

    # ---- frames -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._now.pages)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        return self.snapshot()[index]

    def snapshot(self) -> _Frames:
        """Give the sequence as it is now; what `refresh` finds later is not in it."""
        now = self._now
        return _Frames(now, now.pages, self.name, "frames")

    @property
    def records(self) -> Sequence[Frame]:
        """Every frame stored, in order: also broken ones, and those of a size that did not last."""
        now = self._now
        return _Frames(now, np.arange(len(now.entries)), self.name, "records")

    @property
    def times(self) -> NDArray[np.datetime64]:
        """When each frame of the sequence had arrived, (T,) datetime64[ns], UTC."""
        now = self._now
        times: NDArray[np.datetime64] = now.entries["received_ns"][now.pages].view("datetime64[ns]")
        return times.copy()

    @property
    def log(self) -> NDArray[np.void]:
        """Every frame stored, as a structured array.

        Fields: sequence, time, device_ns (the lowest int64 where the camera told none), bytes, width, height,
        status, gap (frames that are missing before it), segment (its number, as in its file's name), page
        (-1: in the log only).
        """
        now = self._now
        source = now.entries
        names = np.array(STATUSES)
        numbers = np.array([segment.contents.number for segment in now.segments], np.int64)
        fields = {
            "sequence": source["sequence"].astype(np.int64),
            "time": source["received_ns"].astype("datetime64[ns]"),
            "device_ns": source["device_ns"],
            "bytes": source["bytes"],
            "width": source["width"],
            "height": source["height"],
            "status": names[source["status"] % len(names)],
            "gap": source["lost"],
            "segment": numbers[now.of_segment],
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
            open(open_plain(self.folder / LOG_NAME), encoding="utf-8", errors="replace", newline="") as file,
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
        now = self._now
        height = now.entries["height"][now.pages].astype(np.int64)
        width = now.entries["width"][now.pages].astype(np.int64)
        if not len(width):
            return ()
        starts = [0, *(np.flatnonzero(np.diff(height << 32 | width)) + 1).tolist(), len(width)]
        return tuple(
            Part(start, stop, (stop - start, int(height[start]), int(width[start]), 3))
            for start, stop in pairwise(starts)
        )

    def _only_part(self) -> Part:
        parts = self.parts
        if len(parts) > 1:
            sizes = ", ".join(f"{p.start} to {p.stop - 1}: {p.shape[2]} x {p.shape[1]}" for p in parts[:5])
            raise ValueError(
                f"{self.name} changed its picture size ({sizes}{', ...' if len(parts) > 5 else ''}): use "
                ".parts, and .array(part) or .xarray(part) for the frames of each"
            )
        return parts[0] if parts else Part(0, 0, (0, 0, 0, 3))

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
        return self.array(self._only_part())

    def array(self, part: Part) -> Any:
        """Give the pictures of one of `parts` as a dask array (T, Y, X, 3) uint8; needs dask."""
        from espressoscope.recording.arrays import dask_array

        return dask_array(self, part)

    def xarray(self, part: Part | None = None) -> Any:
        """Give the pictures as a DataArray with dimensions t, y, x, c, decoded when computed; needs xarray.

        Coordinates: ``t``, the times as datetime64[ns]; ``sequence`` along t; ``c``: R, G, B; where the size
        of a pixel is known, ``y`` and ``x`` in um. Attributes: the camera, and what `run.json` tells of it.

        Parameters
        ----------
        part : Part, optional
            One of `parts`; needed when there are several.

        Raises
        ------
        ValueError
            The picture size changed, and no part is given.
        ModuleNotFoundError
            dask or xarray is not installed.
        """
        from espressoscope.recording.arrays import data_array

        return data_array(self, self._only_part() if part is None else part)

    @property
    def pixel_um(self) -> float | None:
        """Size of a pixel in um; None where `run.json` does not tell it."""
        told = self.info.get("pixel_um")
        return float(told) if isinstance(told, int | float) and 0 < told < 1e9 else None

    @property
    def sequences(self) -> NDArray[np.int64]:
        """The number of each frame of the sequence, (T,); what is missing between two was lost."""
        now = self._now
        return now.entries["sequence"][now.pages].astype(np.int64)

    # ---- figures ------------------------------------------------------------------------------------

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its files that can be read."""
        return self._now.segments

    @property
    def unreadable(self) -> tuple[Path, ...]:
        """Files named as segments that are none, or cannot be read."""
        return self._now.unreadable

    @property
    def absent(self) -> tuple[int, ...]:
        """Numbers of segments that should be there: in a run that was copied in part."""
        there = {segment.contents.number for segment in self.segments}
        told = self.info.get("segments")
        # A file may say that it is the four thousand millionth.
        count = max((number for number in there if number < _MOST_SEGMENTS), default=-1) + 1
        if type(told) is int and count < told < _MOST_SEGMENTS:
            count = told
        return tuple(number for number in range(count) if number not in there)

    def summary(self) -> dict[str, Any]:
        """Give the figures that ``espressoscope info`` shows."""
        now = self._now
        entries = now.entries
        return {
            "camera": self.name,
            "frames": len(entries),
            "first": None if not len(entries) else int(entries["received_ns"][0]),
            "last": None if not len(entries) else int(entries["received_ns"][-1]),
            "segments": len(now.segments),
            "gaps": int(np.count_nonzero(entries["lost"])),
            "damaged": int(np.count_nonzero(np.isin(entries["status"], (1, 2)))),
            "bytes": int(entries["bytes"].sum(dtype=np.int64)),
            "missing": int(entries["lost"].sum(dtype=np.int64)),
            "pages": len(now.pages),
            "open": sum(not segment.contents.closed for segment in now.segments),
            "unreadable": len(now.unreadable) + sum(s.contents.damaged for s in now.segments),
            "absent": len(self.absent),
        }

    def __repr__(self) -> str:
        return f"<Recording of {self.name}: {len(self)} frames in {len(self.segments)} segments>"


class _Frames(Sequence["Frame"]):
    """Some of the entries of one look."""

    def __init__(self, look: _Look, places: NDArray[np.int64], camera: str, what: str) -> None:
        self._look = look
        self._places = places
        self._camera = camera
        self._what = what

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self._frame(place) for place in self._places[index].tolist()]
        number, count = operator.index(index), len(self._places)
        if not -count <= number < count:
            raise IndexError(f"{self._camera} has {count} {self._what}, none at {number}")
        return self._frame(int(self._places[number]))

    def _frame(self, place: int) -> Frame:
        look = self._look
        return look.segments[int(look.of_segment[place])].frame(look.entries[place], self._camera)


def _index(segments: Iterable[Segment], unreadable: Iterable[Path]) -> _Look:
    """Put the tables of all segments together."""
    segments = sorted(segments, key=lambda segment: (segment.contents.number, segment.path.name))
    contents = [segment.contents for segment in segments]
    counts = [len(each.entries) for each in contents]
    entries = np.concatenate([each.entries for each in contents]) if contents else np.empty(0, ENTRY)
    of_segment = np.repeat(np.arange(len(contents), dtype=np.int32), counts)
    keep = np.ones(len(entries), bool)
    begin = 0
    for this, after in pairwise(contents):
        end = begin + len(this.entries)
        stop = end + len(after.entries)
        if after.number == this.number + 1:
            _interleave(entries, of_segment, keep, begin, end, stop)
        elif after.number > this.number and begin < end < stop:
            # Segments are not here: what was in them is missing before the first frame of this one.
            lost = int(entries["sequence"][end]) - int(entries["sequence"][end - 1]) - 1
            entries["lost"][end] = min(max(lost, int(entries["lost"][end])), 0xFFFFFFFF)
        begin = end
    entries, of_segment = entries[keep], of_segment[keep]
    pages = np.flatnonzero(entries["page"] >= 0)
    return _Look(tuple(segments), tuple(unreadable), entries, of_segment, pages)


def _interleave(
    entries: NDArray[np.void],
    of_segment: NDArray[np.int32],
    keep: NDArray[np.bool_],
    begin: int,
    end: int,
    stop: int,
) -> None:
    """Bring one segment, `begin` to `end`, and the next, `end` to `stop`, in order where they overlap.

    The first frames of a size that came to stay are in both; they are kept where they are pages. What came
    between them is in the first only, however much that was.
    """
    numbers = entries["sequence"]
    if not begin < end < stop or numbers[end] > numbers[end - 1]:
        return
    first = begin + int(np.searchsorted(numbers[begin:end], numbers[end]))
    last = end + int(np.searchsorted(numbers[end:stop], numbers[end - 1], side="right"))
    head = entries[end:last]
    again = head["sequence"][head["page"] >= 0]
    keep[first:end] &= (entries["page"][first:end] >= 0) | ~np.isin(numbers[first:end], again)
    order = first + np.argsort(numbers[first:last], kind="stable")
    for column in (entries, of_segment, keep):
        column[first:last] = column[order]
