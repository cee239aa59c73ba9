"""Recordings: segments that lie, `run.json` and `frames.csv` of somebody else, and their repair."""

from __future__ import annotations

import atexit
import json
import shutil
import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from espressoscope.cli.output import iso_utc
from espressoscope.errors import RecordingError
from espressoscope.recording.contents import ENTRY, read_contents, walk_contents
from espressoscope.recording.layout import HEADER_SIZE, KIND_AT, MAGIC, PROLOGUE, PROLOGUE_AT, Kind, Shape
from espressoscope.recording.reader import open_run
from espressoscope.recording.repair import repair_run
from espressoscope.recording.segment import Entry, SegmentWriter
from fuzz.mutation import lie
from fuzz.work import counted_calls
from recording_support import SOFTWARE, Source, jpeg

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable

    from espressoscope.model import Frame

_SIZE = Shape(16, 16, 1, 1, 1)
_PICTURES = [jpeg(16, 16, seed, gray=True) for seed in range(3)]
WRITTEN = frozenset([*_PICTURES, _PICTURES[0][:90], b""])
_CRC = struct.Struct("<I")


@cache
def scratch() -> Path:
    """Give a folder in memory, where there is one, that goes away with the program."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="espressoscope-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def written(count: int, *, linked: int, end: bool, paged: bool = True, burst: int = 1) -> bytes:
    """Give a segment of so many frames, the first ones linked, closed or not."""
    folder = scratch() / "writing"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    source = Source()
    entries = []
    for number in range(count):
        broken = number % 4 == 3 or not paged
        frame = source.frame(
            _PICTURES[0][:90] if broken else _PICTURES[number % 3], "truncated" if broken else "ok"
        )
        entries.append(Entry(frame, None if broken else _SIZE, number % 2))
    writer = SegmentWriter(folder, 0, "A1", bytes(16), entries[0], SOFTWARE)
    writer.write(entries[1:linked])
    writer.link()
    writer.write(entries[linked:])
    if end:
        writer.end()
    else:
        writer.file.close()
    return short(writer.path.read_bytes())


def short(data: bytes) -> bytes:
    """Give a segment with room for few pages, so that its index is small."""
    slots = struct.unpack_from("<I", data, PROLOGUE_AT + 12)[0]
    fixed = bytearray(data)
    struct.pack_into("<I", fixed, PROLOGUE_AT + 12, 20)
    index = data.rfind(MAGIC)
    if data[index + KIND_AT] == Kind.INDEX:
        body = data[index + HEADER_SIZE : index + HEADER_SIZE + 16 * 20] + data[-4:]
        del fixed[index + HEADER_SIZE :]
        fixed += body
        struct.pack_into("<I", fixed, index + 12, len(body))
    assert slots > 20
    return righted(bytes(fixed), tables=True)


def righted(data: bytes, *, tables: bool) -> bytes:
    """Put the checksums of prologue, headers and perhaps tables right."""
    fixed = bytearray(data)
    end = PROLOGUE_AT + PROLOGUE.size
    fixed[end : end + 4] = _CRC.pack(zlib.crc32(fixed[PROLOGUE_AT:end]))
    at = fixed.find(MAGIC)
    while at >= 0 and at + HEADER_SIZE <= len(fixed):
        kind, length = fixed[at + KIND_AT], _CRC.unpack_from(fixed, at + 12)[0]
        if tables and kind in (Kind.TABLE, Kind.INDEX) and at + HEADER_SIZE + length <= len(fixed):
            struct.pack_into(
                "<I", fixed, at + 48, zlib.crc32(fixed[at + HEADER_SIZE : at + HEADER_SIZE + length])
            )
        fixed[at + 60 : at + 64] = _CRC.pack(zlib.crc32(fixed[at : at + 60]))
        at = fixed.find(MAGIC, at + 8)
    return bytes(fixed)


def look(folder: Path) -> tuple[Hashable, list[Frame]]:
    """Read all there is to a run."""
    run = open_run(folder)
    frames: list[Frame] = []
    told: list[Hashable] = []
    for recording in run.values():
        summary = recording.summary()
        for key in ("first", "last"):
            assert summary[key] is None or iso_utc(summary[key])
        assert len(recording) <= len(recording.records) < 10_000
        frames += recording.records
        assert len(recording.log) == len(recording.records)
        assert (
            sum(part.stop - part.start for part in recording.parts) == len(recording) == len(recording.times)
        )
        assert len(recording.events) < 1000
        assert recording.pixel_um is None or recording.pixel_um > 0
        repr(recording)
        told.append(
            tuple(
                min(summary[key], 5) for key in ("frames", "pages", "open", "unreadable", "damaged", "absent")
            )
        )
    run.timeline()
    told.append((len(run.info), len(run.absent), tuple(sorted(map(str, run.info)))[:3]))
    return tuple(told), frames


def good(frames: list[Frame]) -> list[tuple[int, bytes]]:
    """Give number and bytes of those that are what was written."""
    return [
        (frame.sequence, frame.jpeg) for frame in frames if frame.status in ("ok", "duplicate", "truncated")
    ]


class Segment:
    """See the module."""

    name = "segment"
    says = "frames that were written, or corrupt ones; reads linear in the size; repair loses no frame"
    most = 7000
    tokens = (
        MAGIC,
        b"\x89ESPSEG\n",
        b"\xff\xff\xff\xff",
        bytes(8),
        b"\x01\0\x01\0",
        b"\x02",
        b"\x05\0\0\0",
        b"II+\0\x08\0\0\0",
        *(_PICTURES[:2]),
    )

    def seeds(self) -> list[bytes]:
        """Segments that were closed, killed, torn, and without pages."""
        found = [
            written(1, linked=1, end=True),
            written(6, linked=3, end=True),
            written(9, linked=4, end=False),
            written(3, linked=3, end=False, paged=False),
            written(2, linked=2, end=True, paged=False),
        ]
        return [*found, found[2][:-100], found[1] + found[2][1024:]]

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Put checksums right, mostly, for who makes a file can do that too."""
        return righted(data, tables=rng.random() < 0.5) if rng.random() < 0.8 else data

    def check(self, data: bytes) -> Hashable:
        """Read it in memory, then as a run; repair it and read again."""
        done = 0

        def read(length: int, offset: int) -> bytes:
            nonlocal done
            piece = data[offset : offset + length] if offset >= 0 else b""
            done += len(piece)
            return piece

        with counted_calls() as calls:
            contents = read_contents(read, len(data))
            walk_contents(read, len(data))
        assert done <= 12 * len(data) + 20_000, "bytes read"
        assert calls.count <= 5 * len(data) + 5000, "calls"
        if contents is not None:
            assert contents.end <= contents.size == len(data)
            assert contents.entries.dtype == ENTRY
            # As it is looked at while it grows.
            half = read_contents(
                lambda length, offset: data[: len(data) // 2][offset : offset + length], len(data) // 2
            )
            if half is not None and not half.closed and not half.damaged and not contents.damaged:
                grown = read_contents(read, len(data), half)
                assert grown is not None
                assert grown.entries.tobytes() == contents.entries.tobytes(), (
                    "another content when it is followed"
                )
        return self._as_run(data)

    def _as_run(self, data: bytes) -> Hashable:
        folder = scratch() / "run"
        path = folder / "A1" / "00000.ome.tif"
        shutil.rmtree(folder, ignore_errors=True)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        (folder / "run.json").write_text(
            '{"state": "recording", "cameras": [{"name": "A1", "folder": "A1"}]}'
        )
        told, before = look(folder)
        assert {frame.jpeg for frame in before if frame.status != "corrupt"} <= WRITTEN, (
            "a frame nobody wrote"
        )
        repair_run(folder, SOFTWARE)
        again, after = look(folder)
        left = good(after)
        for each in good(before):
            assert each in left, "repair lost a frame"
            left.remove(each)
        once = path.read_bytes()
        assert len(once) < len(data) + 3_000_000, "a file that grows"
        repair_run(folder, SOFTWARE)
        assert path.read_bytes() == once, "repaired twice"
        return told, again


class Facts:
    """`run.json` and `frames.csv` beside segments that are in order."""

    name = "facts"
    says = "whatever run.json and frames.csv say, no frame is hidden, nothing outside the run is touched"
    most = 6000
    mark = b"\n=====\n"
    tokens = (
        mark,
        b'"cameras":[',
        b'{"name":"A1","folder":"A1"}',
        b'"folder":"../.."',
        b'"folder":"/etc"',
        b'"name":"\\ud800"',
        b'"name":"\x1b[2J"',
        b'"\\u0000"',
        b"1e999",
        b"NaN",
        b"-1",
        b"null",
        b"[[[[",
        b'{"',
        b'"segments":99999999',
        b'"pixel_um":1e-999',
        b"\n,,,,,,,settings,,,,x\n",
        b'"',
        b",",
    )

    def seeds(self) -> list[bytes]:
        """A run as it is, and one without either."""
        told = {
            "format": "espressoscope run",
            "version": 1,
            "state": "recording",
            "started_ns": 1,
            "clock": {"elapsed_ns": 5},
            "cameras": [
                {"name": "A1", "folder": "A1", "pixel_um": 1.5, "segments": 1, "settings": {"quality": 10}}
            ],
        }
        log = b"sequence,received_ns,received_at,device_ns,bytes,width,height,status,gap,segment,page,note\n"
        rows = b'0,1,2026,,90,16,16,ok,0,0,0,\n,5,2026,,,,,settings,,,,"{""quality"": 9}"\n'
        return [json.dumps(told).encode() + self.mark + log + rows, self.mark, b"{}" + self.mark + log]

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Have some of the numbers and words in the JSON be others."""
        content, mark, rest = data.partition(self.mark)
        return (lie(content, rng) if rng.random() < 0.5 else content) + mark + rest

    def check(self, data: bytes) -> Hashable:
        """Read and repair a run with these."""
        folder = scratch() / "run"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "A1").mkdir(parents=True)
        (folder / "A1" / "00000.ome.tif").write_bytes(_open_segment())
        facts, _, log = data.partition(self.mark)
        (folder / "run.json").write_bytes(facts)
        (folder / "A1" / "frames.csv").write_bytes(log)
        outside = scratch() / "A1"
        assert not outside.exists()
        told, frames = look(folder)
        assert len(frames) == 5, "frames hidden"
        try:
            repair_run(folder, SOFTWARE)
        except RecordingError as error:
            return told, error.message[:20]
        again, frames = look(folder)
        assert len(frames) == 5, "frames hidden by repair"
        assert not outside.exists()
        assert {each.name for each in scratch().iterdir()} <= {"run", "writing", "lapse"}, (
            "written beside the run"
        )
        json.loads((folder / "run.json").read_bytes())
        return told, again


@cache
def _open_segment() -> bytes:
    return written(5, linked=3, end=False)
