"""Files that are damaged where no checksum shows it, or made to mislead: nobody crashes, hangs or grows."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import zlib
from typing import TYPE_CHECKING

import hypothesis
import hypothesis.strategies as st
import pytest

from espressoscope.errors import RecordingError
from espressoscope.recording import tiff
from espressoscope.recording.contents import walk_contents
from espressoscope.recording.layout import (
    FIRST_DIRECTORY,
    FIRST_LINK,
    HEADER_SIZE,
    MAGIC,
    NO_SHAPE,
    PROLOGUE_AT,
    RECORDS_AT,
    Header,
    Kind,
    pack_prologue,
)
from espressoscope.recording.reader import open_run
from espressoscope.recording.repair import repair_run
from espressoscope.recording.run_folder import MOST_JSON, RunLock, is_locked, parsed_json
from espressoscope.recording.writer import RunWriter
from recording_support import SOFTWARE, Source, facts, pages_of
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.model import Frame

FRAMES = 12
PATH = "A1/00000.ome.tif"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Frame]]:
    """Give a run of three blocks of directories."""
    folder = tmp_path_factory.mktemp("damage") / "run"
    writer = RunWriter(folder, SOFTWARE)
    track = writer.add("A1")
    writer.start()
    source = Source()
    source.feed(track, 4)
    wait_until(lambda: track.frames_written == 4, 10)
    wait_until(lambda: len(pages_of(folder / PATH)) == 4, 10)
    source.feed(track, 2)
    source.feed(track, 1, data=source.frames[0].jpeg[:200], status="truncated")
    source.feed(track, FRAMES - 7)
    writer.close()
    return folder, source.frames


def places(data: bytes) -> list[int]:
    """Give where records begin."""
    found, at = [], data.find(MAGIC, 1024)
    while at >= 0:
        found.append(at)
        at = data.find(MAGIC, at + 8)
    return found


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def look_and_repair(folder: Path) -> None:
    for _ in range(2):
        try:
            run = open_run(folder)
        except RecordingError:
            return
        for recording in run.values():
            recording.summary()
            assert len(recording) <= len(recording.records) < 100
            for frame in recording.records:
                assert len(frame.jpeg) < 1 << 20
            assert recording.log is not None
        repair_run(folder, SOFTWARE)


@hypothesis.given(
    hits=st.lists(
        st.tuples(st.integers(0, 30), st.integers(8, 59), st.integers(0, 2**64 - 1)), min_size=1, max_size=6
    ),
    end=st.booleans(),
    slots=st.sampled_from([None, 0, 1, 5, 1_000_000, 2**32 - 1]),
)
def test_headers_that_lie_and_have_the_right_checksum(
    closed: tuple[Path, list[Frame]],
    tmp_path_factory: pytest.TempPathFactory,
    hits: list[tuple[int, int, int]],
    end: bool,
    slots: int | None,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "lying"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(closed[0], folder)
    data = bytearray((folder / PATH).read_bytes())
    if not end:
        del data[-1:]
    records = places(bytes(data))
    for record, place, value in hits:
        at = records[record % len(records)]
        size = min(8, 60 - place)
        data[at + place : at + place + size] = value.to_bytes(8, "little")[:size]
        data[at + 60 : at + 64] = struct.pack("<I", zlib.crc32(data[at : at + 60]))
    if slots is not None:
        data[PROLOGUE_AT + 12 : PROLOGUE_AT + 16] = struct.pack("<I", slots)
        crc = zlib.crc32(data[PROLOGUE_AT : PROLOGUE_AT + 48])
        data[PROLOGUE_AT + 48 : PROLOGUE_AT + 52] = struct.pack("<I", crc)
    (folder / PATH).write_bytes(data)
    look_and_repair(folder)
    assert (folder / PATH).stat().st_size < 20_000_000


@pytest.mark.parametrize(
    ("where", "to"),
    [
        ("first link", 0),
        ("first link", 2**63),
        ("next", FIRST_DIRECTORY),  # round in circles
        ("block", FIRST_DIRECTORY),
        ("block", 8),
        ("block", 0),
        ("block", 2**64 - 1),
        ("directory", 0),
    ],
)
@pytest.mark.parametrize("end", [True, False])
def test_a_damaged_chain_is_linked_again(
    closed: tuple[Path, list[Frame]], tmp_path: Path, where: str, to: int, end: bool
) -> None:
    folder, sent = closed
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / PATH
    data = bytearray(path.read_bytes())
    if not end:
        del data[-100:]
    block = next(at for at in places(bytes(data)) if data[at + 8] == 2)
    at = {
        "first link": FIRST_LINK,
        "next": tiff.FIRST_NEXT_AT,
        "block": block + HEADER_SIZE + tiff.DIRECTORY_SIZE - 8,
        "directory": block + HEADER_SIZE + 100,
    }[where]
    assert data[at : at + 8] != struct.pack("<Q", to)
    data[at : at + 8] = struct.pack("<Q", to)
    path.write_bytes(data)
    repair_run(tmp_path / "run", SOFTWARE)
    recording = open_run(tmp_path / "run")["A1"]
    assert [facts(frame) for frame in recording.records] == [facts(frame) for frame in sent]
    assert pages_of(path) == [frame.jpeg for frame in recording]
    assert recording.segments[0].contents.closed
    assert not any(each.segments for each in repair_run(tmp_path / "run", SOFTWARE))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\0" * 1000,
        b"[" * 200_000,
        b'{"cameras": 5, "state": []}',
        b'{"cameras": [5, {"name": 1, "folder": {}}, {"name": "A1"}]}',
        b'{"cameras": [{"name": "A1", "folder": "../../etc"}]}',
        b'{"cameras": [{"name": "A1", "folder": "/etc"}], "clock": 7}',
        b'{"cameras": [{"name": "A1", "folder": "A1", "settings": 8, "mac": []}], "started_ns": "x"}',
        b'{"cameras": [{"name": "\\ud800", "folder": "A1"}]}',
    ],
    ids=range(11),
)
def test_a_broken_run_json_hides_no_frame(
    closed: tuple[Path, list[Frame]], tmp_path: Path, text: bytes
) -> None:
    folder, sent = closed
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "run.json").write_bytes(text)
    (tmp_path / "run" / "A1" / "frames.csv").write_bytes(b'sequence,rec"\n"1,\0\xff' + b"9" * 200_000)
    (recording,) = open_run(tmp_path / "run").values()
    assert [frame.jpeg for frame in recording.records] == [frame.jpeg for frame in sent]
    (done,) = repair_run(tmp_path / "run", SOFTWARE)
    assert done.lines == FRAMES
    (recording,) = open_run(tmp_path / "run").values()
    assert [frame.jpeg for frame in recording] == pages_of(recording.segments[0].path)
    told = json.loads((tmp_path / "run" / "run.json").read_bytes())
    assert told["state"] == "repaired"
    aside = tmp_path / "run" / "run.json.damaged"
    assert aside.exists() == (not isinstance(parsed_json(text), dict))
    if aside.exists():
        assert aside.read_bytes() == text
        (tmp_path / "run" / "run.json").write_bytes(b"worse")
        repair_run(tmp_path / "run", SOFTWARE)
        assert aside.read_bytes() == text
        assert aside.with_name("run.json.damaged-2").read_bytes() == b"worse"


def test_a_run_json_that_the_system_does_not_give_is_left_alone(
    closed: tuple[Path, list[Frame]], tmp_path: Path
) -> None:
    folder, _ = closed
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / PATH
    path.write_bytes(path.read_bytes()[:-100])
    (tmp_path / "run" / "run.json").unlink()
    (tmp_path / "run" / "run.json").mkdir()  # the nearest to a disk that gives an error
    with pytest.raises(RecordingError, match="left as it is") as told:
        repair_run(tmp_path / "run", SOFTWARE)
    assert told.value.hint
    assert (tmp_path / "run" / "run.json").is_dir()
    assert not list((tmp_path / "run").glob("*.damaged"))
    assert len(pages_of(path)) == FRAMES - 1  # brought in order first


def test_a_run_json_that_is_too_large_is_left_alone(closed: tuple[Path, list[Frame]], tmp_path: Path) -> None:
    shutil.copytree(closed[0], tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    with path.open("r+b") as file:
        file.truncate(MOST_JSON + 1)
    assert open_run(tmp_path / "run").info == {}
    with pytest.raises(RecordingError, match=r"more than 16384 KiB.*left as it is") as told:
        repair_run(tmp_path / "run", SOFTWARE)
    assert told.value.hint
    assert path.stat().st_size == MOST_JSON + 1
    assert not list((tmp_path / "run").glob("*.damaged"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among its files")
def test_nobody_waits_for_a_pipe_that_has_the_name_of_a_file(
    closed: tuple[Path, list[Frame]], tmp_path: Path
) -> None:
    folder, sent = closed
    shutil.copytree(folder, tmp_path / "run")
    for name in ("run.json", "A1/frames.csv"):
        (tmp_path / "run" / name).unlink()
    for name in ("run.json", "A1/frames.csv", "A1/00001.ome.tif", "lock"):
        os.mkfifo(tmp_path / "run" / name)
    run = open_run(tmp_path / "run")
    assert (run.info, run["A1"].events, is_locked(run.path)) == ({}, [], False)
    assert [path.name for path in run["A1"].unreadable] == ["00001.ome.tif"]
    assert [facts(frame) for frame in run["A1"].records] == [facts(frame) for frame in sent]
    for name, says in (("A1/frames.csv", "no plain file"), ("run.json", "no plain file.*left as it is")):
        with pytest.raises(RecordingError, match=says):
            repair_run(run.path, SOFTWARE)
        (run.path / name).unlink()
    assert [done.lines for done in repair_run(run.path, SOFTWARE)] == [0]  # added before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("name", ["A1", "A1/frames.csv", PATH, "lock"])
def test_repair_writes_through_no_link(closed: tuple[Path, list[Frame]], tmp_path: Path, name: str) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        shutil.copytree(closed[0], folder)
        (folder / PATH).write_bytes((folder / PATH).read_bytes()[:-100])
    if name != "lock":
        (run / name).rename(tmp_path / "away")
    (run / name).symlink_to(other / name)
    before = contents(other)
    with pytest.raises(RecordingError, match=rf"{name} is a link: repair writes through none") as told:
        repair_run(run, SOFTWARE)
    assert told.value.hint
    assert contents(other) == before
    if name == "lock":
        with pytest.raises(OSError, match="symbolic link"):
            RunLock(run)
        assert contents(other) == before


def test_repair_keeps_what_is_told_of_cameras_that_are_not_here(
    closed: tuple[Path, list[Frame]], tmp_path: Path
) -> None:
    shutil.copytree(closed[0], tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    told = json.loads(path.read_bytes())
    away = {"name": "B2", "folder": "B2", "mac": "02:00:00:00:00:02"}
    path.write_text(json.dumps({**told, "state": "recording", "cameras": [*told["cameras"], away]}))
    repair_run(tmp_path / "run", SOFTWARE)
    assert json.loads(path.read_bytes())["cameras"][1] == away


def test_damage_without_end_is_walked_in_linear_time() -> None:
    whole = Header(Kind.TORN, 0, 0, 0, 0, 0, 0, 0, 0, NO_SHAPE).pack()
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    start = bytearray(RECORDS_AT)
    prologue = pack_prologue(0, 0, bytes(16))
    start[PROLOGUE_AT : PROLOGUE_AT + len(prologue)] = prologue
    for apart in (0, 200, 5000, 100_000):
        pair = broken + bytes(apart) + whole
        data = bytes(start) + pair * (2_000_000 // len(pair))
        count = 0

        def read(length: int, offset: int, data: bytes = data) -> bytes:
            nonlocal count
            count += length
            return data[offset : offset + length]

        contents = walk_contents(read, len(data))
        assert contents is not None
        assert contents.damaged == 2_000_000 // len(pair)
        assert count < 5 * len(data)


def test_nothing_at_all_is_said_to_be_nothing(tmp_path: Path) -> None:
    (tmp_path / "run" / "A1").mkdir(parents=True)
    (tmp_path / "run" / PATH).write_bytes(b"")
    with pytest.raises(RecordingError) as told:
        open_run(tmp_path / "none")
    assert told.value.hint
    look_and_repair(tmp_path / "run")
