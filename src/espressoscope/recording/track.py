"""One camera of a recording: its frames on their way to the disk, in segments, and the counts of all of it.

Frames are put in on the loop's thread, which must never wait: at a ceiling the new frame is let go, counted,
and shows as a gap. Everything else happens on the writer's thread.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from espressoscope.recording.files import GrowingFile, sync_file
from espressoscope.recording.layout import SLOTS
from espressoscope.recording.log_file import LogFile
from espressoscope.recording.numbering import Numbering
from espressoscope.recording.run_folder import room_to_end
from espressoscope.recording.segment import Entry, PartlyStored, SegmentWriter
from espressoscope.recording.shapes import Shaper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from espressoscope.model import Frame
    from espressoscope.recording.files import PlainFile
    from espressoscope.recording.layout import Shape

__all__ = ["MOST_BYTES", "MOST_FRAMES", "MOST_STORED", "CameraTrack"]

MOST_FRAMES: Final = 1024
"""Most frames of one camera that wait to be written."""
MOST_BYTES: Final = 32 * 2**20
"""Most bytes of these."""
MOST_STORED: Final = 2 * SLOTS
"""Most frames of one segment, those that are no pages included; of one without pages half as many."""
_LASTING: Final = 3
"""Frames of another size in a row after which the size has changed for good."""
_MOST_BATCH: Final = 256
_BEAT_S: Final = 0.8
"""From one block of directories, and lines of the log, to the next."""


class CameraTrack:
    """Takes the frames of one camera, a `Consumer`, and writes them.

    Parameters
    ----------
    name : str
        The camera's.
    folder : Path
        Its own, made already.
    run_id : bytes
        The run's UUID.
    software : str
        Name and version.
    hand_over : callable
        Takes segments that are to be ended, on another thread.
    files : type of PlainFile
        How files are written.

    Raises
    ------
    OSError

    Attributes
    ----------
    frames_written : int
        Frames the system has taken; they survive the end of this program, however it ends.
    bytes_written, pages : int
        Bytes of these; those of them that are pages.
    damaged, duplicates, odd : int
        Of those written: truncated or corrupt ones, repeated ones, and those of a size that did not last.
    gaps, lost : int
        Places where frames are missing, and how many.
    segments : int
    earlier : int
        Frames it was begun with.
    numbering : Numbering
    first_ns, last_ns : int or None
        Times of the first and the last frame written.
    most_frames, until_ns : int or None, float
        How many frames `put` takes, None: any number; and from which time on none.
    trouble : str or None
        Why nothing more of this camera is written, while others are.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        run_id: bytes,
        software: str,
        hand_over: Callable[[SegmentWriter], None],
        files: type[PlainFile] = GrowingFile,
    ) -> None:
        self.name = name
        self.folder = folder
        self.frames_written = self.bytes_written = self.pages = 0
        self.damaged = self.duplicates = self.odd = self.gaps = self.lost = self.segments = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.most_frames: int | None = None
        self.until_ns = math.inf
        self.closed = False
        self.trouble: str | None = None
        self._run_id = run_id
        self._software = software
        self._hand_over = hand_over
        self._files = files
        self._waiting: deque[Frame] = deque()
        self._put_bytes = self._taken_bytes = 0  # each changed by one thread only
        self._accepted = self.earlier = self._earlier_bytes = 0
        self._refused = self._unstored = 0  # likewise
        self.numbering = Numbering()
        self._notes: deque[tuple[int, str, str]] = deque()
        self._shaper = Shaper()
        self._last_sequence = -1
        self._segment: SegmentWriter | None = None
        self._batch: list[Entry] = []
        self._usual: Shape | None = None  # that of pages, as one object; None while frames of others come
        self._room = 0  # pages that the segment can still take
        self._beat = -math.inf
        self._odd: list[Entry] = []
        self.log = LogFile(folder, files=files)

    # ---- on the loop's thread -----------------------------------------------------------------------

    def begin(self, frames: Sequence[Frame]) -> None:
        """Take frames from before the first `put`, once: they have been in memory anyway, and count extra."""
        self._earlier_bytes = sum(len(frame.jpeg) for frame in frames)
        self._put_bytes += self._earlier_bytes
        self.earlier = len(frames)
        if frames:
            self.numbering.last = frames[-1].sequence
        self._waiting.extend(frames)

    def put(self, frame: Frame) -> bool:
        """Take a frame; never blocks. True when it had to be let go."""
        if self.closed or frame.received_ns >= self.until_ns:
            return False
        frame = self.numbering.of(frame)
        if self.most_frames is not None and self._accepted >= self.most_frames:
            return False
        waiting_bytes = self._put_bytes - self._taken_bytes - self._earlier_bytes
        if len(self._waiting) >= MOST_FRAMES + self.earlier or waiting_bytes >= MOST_BYTES:
            self._refused += 1
            return True
        self._accepted += 1
        self._put_bytes += len(frame.jpeg)
        self._waiting.append(frame)
        return False

    def wake(self) -> None:
        """Take note that the link has ended: it may start again."""

    # ---- on any thread ------------------------------------------------------------------------------

    def note(self, kind: str, text: str, time_ns: int) -> None:
        """Have something written into the log that is no frame, with its time by the frames' clock."""
        self._notes.append((time_ns, kind, text))

    @property
    def dropped(self) -> int:
        """Frames let go because the disk was too slow, or full."""
        return self._refused + self._unstored

    @property
    def complete(self) -> bool:
        """Whether all frames asked for are written."""
        return self.most_frames is not None and self.frames_written >= self.most_frames + self.earlier

    @property
    def waiting(self) -> int:
        """Frames not written yet."""
        return len(self._waiting)

    @property
    def reserve_bytes(self) -> int:
        """Room that ending its files takes at most."""
        segment = self._segment
        frames, pages = (0, 0) if segment is None else (segment.frames, segment.unlinked)
        return room_to_end(frames, pages + len(self._waiting))

    @property
    def segment(self) -> SegmentWriter | None:
        """The one being written."""
        return self._segment

    def sync(self) -> None:
        """Wait for the disk; an OSError also where the files have been deleted."""
        segment = self._segment
        if segment is not None:
            segment.sync_name()
        for file in (self.log.file, *(() if segment is None else (segment.file,))):
            sync_file(file)

    # ---- on the writer's thread ---------------------------------------------------------------------

    def write(self) -> None:
        """Write what is waiting; directories and log about once a second.

        Raises
        ------
        OSError
            The disk is full, or worse. What could not be written is counted as dropped.
        """
        waiting = self._waiting
        while waiting:
            frames = [waiting.popleft() for _ in range(min(len(waiting), _MOST_BATCH))]
            self._taken_bytes += sum([len(frame.jpeg) for frame in frames])
            before = self.frames_written
            try:
                self._store_all(frames)
            except Exception:
                self._unstored += len(frames) - (self.frames_written - before)
                raise
        now = time.monotonic()
        if now >= self._beat and (self._notes or self.log.waiting):
            self._beat = now + _BEAT_S
            if self._segment is not None:
                self._segment.link()
            self._write_log()

    def _write_log(self) -> None:
        while self._notes:
            self.log.event(*self._notes.popleft())
        self.log.flush()

    def _store_all(self, frames: Sequence[Frame]) -> None:
        shape_of = self._shaper.shape_of
        last = self._last_sequence
        batch = self._batch
        for frame in frames:
            sequence = frame.sequence
            lost = 0
            if sequence != last + 1 and last >= 0:
                lost = max(0, sequence - last - 1)
                self.gaps += lost > 0
                self.lost += lost
            self._last_sequence = last = sequence
            shape = shape_of(frame)
            # Nearly every frame is like the one before.
            if shape is self._usual and self._room > 0 and shape is not None:
                self._room -= 1
                batch.append(Entry(frame, shape, lost))
            else:
                self._store(Entry(frame, shape, lost))
        self._append()

    def _store(self, entry: Entry) -> None:
        """Take one frame into the batch, or to where it belongs."""
        segment = self._segment
        if segment is None or (segment.shape is None and entry.shape is not None):
            self._begin(entry)
        elif segment.frames + len(self._batch) >= (SLOTS if segment.shape is None else MOST_STORED):
            self._append()
            self._settle_odd()
            self._begin(entry)
        elif entry.shape is None:
            self._batch.append(entry)
        elif entry.shape == segment.shape:
            if self._odd:
                self._append()
                self._settle_odd()
            if self._room <= 0:
                self._begin(entry)
            else:
                self._batch.append(entry)
                self._room -= 1
                self._usual = entry.shape
        else:
            self._take_odd(entry)

    def _take_odd(self, entry: Entry) -> None:
        """Take a frame of another size: a stray, or the first of many."""
        self._append()
        self._usual = None
        if self._odd and self._odd[-1].shape != entry.shape:
            self._settle_odd()
        if len(self._odd) + 1 < _LASTING:
            self._batch.append(entry)
            self._append()
            self._odd.append(entry)
            return
        # The size has come to stay. The first frames of it are in the log of this segment already; they are
        # written once more as pages of the next, and readers take the page.
        again, self._odd = self._odd, []
        self.odd -= len(again)
        self._begin(again[0], again=True)
        for each in again[1:]:
            self._append_one(each, again=True)
        self._append_one(entry)
        self._usual = entry.shape

    def _append_one(self, entry: Entry, *, again: bool = False) -> None:
        segment = self._segment
        assert segment is not None
        page = segment.pages
        try:
            segment.write([entry])
        except PartlyStored as trouble:
            raise trouble.error from trouble
        self._room -= 1
        self._count([entry], again=again)
        self.log.frames([entry], self.segments - 1, page)

    def _begin(self, entry: Entry, *, again: bool = False) -> None:
        """Start another segment with this frame."""
        self._append()
        self._leave()
        number = self.segments
        self._segment = SegmentWriter(
            self.folder, number, self.name, self._run_id, entry, self._software, self._files
        )
        self.segments = number + 1
        self._usual = entry.shape
        self._room = SLOTS - 1
        self._count([entry], again=again)
        self.log.frames([entry], number, 0)

    def _append(self) -> None:
        """Write the batch."""
        segment, batch = self._segment, self._batch
        if not batch or segment is None:
            return
        page = segment.pages
        error: OSError | None = None
        stored = batch.copy()
        batch.clear()
        try:
            segment.write(stored)
        except PartlyStored as trouble:
            stored, error = stored[: trouble.stored], trouble.error
        self._count(stored)
        own = segment.shape
        noted = [entry for entry in stored if entry[1] is own or entry[1] is None or entry[1] == own]
        self.log.frames(noted, self.segments - 1, page)
        if error is not None:
            raise error

    def _settle_odd(self) -> None:
        """Note that frames of another size were strays."""
        for entry in self._odd:
            self.log.frame(entry.frame, entry.lost, self.segments - 1, None, "other size")
        self._odd = []

    def _count(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        segment = self._segment
        assert segment is not None
        own = segment.shape
        pages = odd = size = 0
        for frame, shape, _ in entries:
            if shape is not None:
                if shape is own or shape == own:
                    pages += 1
                else:
                    odd += 1
            size += len(frame.jpeg)
            if frame.status != "ok" and not again:
                if frame.status == "duplicate":
                    self.duplicates += 1
                else:
                    self.damaged += 1
        self.pages += pages
        self.odd += odd
        if entries and not again:
            self.bytes_written += size
            if self.first_ns is None:
                self.first_ns = entries[0].frame.received_ns
            self.last_ns = entries[-1].frame.received_ns
            self.frames_written += len(entries)

    def _leave(self) -> None:
        """Hand the present segment over to be ended."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._hand_over(segment)

    def abandon(self) -> None:
        """Let go what is still waiting, and count it: there is nowhere to write it."""
        self.closed = True
        self._batch.clear()
        while self._waiting:
            self._waiting.popleft()
            self._unstored += 1

    def end(self) -> None:
        """Hand the last segment over and write the rest of the log.

        Raises
        ------
        OSError
        """
        self.closed = True
        self._leave()
        self._settle_odd()
        self._write_log()
