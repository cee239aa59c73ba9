"""Repair keeps its hands off a run that is being written, and leaves a log that every reader understands."""

from __future__ import annotations

import csv
import io
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from espressoscope.errors import RecordingError
from espressoscope.recording import run_folder
from espressoscope.recording.reader import open_run
from espressoscope.recording.repair import repair_run
from recording_support import SOFTWARE, Source, pages_of
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from espressoscope.recording.writer import RunWriter


def test_the_log_tells_a_segment_by_its_number_where_others_are_missing(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    source.feed(track, 5)
    source.feed(track, 6, width=96, height=80)
    source.feed(track, 7)
    writer.start()
    writer.close()
    camera = writer.path / "A1"
    for name in ("00001.ome.tif", "frames.csv"):
        (camera / name).unlink()
    assert open_run(writer.path)["A1"].log["segment"].tolist() == [0] * 7 + [2] * 7
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [14]
    with (camera / "frames.csv").open(newline="") as file:
        assert [row["segment"] for row in csv.DictReader(file)] == ["0"] * 7 + ["2"] * 7


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_camera_of_a_run_that_is_being_written_is_left_alone(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "LOCK_S", 0.1)
    source = Source()
    tracks = [writer.add(name) for name in ("A1", "B2")]
    writer.start()
    for track in tracks:
        source.feed(track, 5)
    wait_until(lambda: all(track.frames_written == 5 for track in tracks), 10)
    camera = writer.path / "A1"
    segment = camera / "00000.ome.tif"
    for path in (writer.path, camera, segment, camera / ".." / "A1"):
        with pytest.raises(RecordingError, match=r"run is being recorded"):
            repair_run(path, SOFTWARE)
    writer.close()
    assert len(pages_of(segment)) == 5
    assert names_in(camera) == {"00000.ome.tif", "frames.csv"}
    assert names_in(writer.path) == {"A1", "B2", "run.json"}


def test_one_camera_of_a_killed_run_is_repaired_and_the_run_told_when_all_are(writer: RunWriter) -> None:
    source = Source()
    for name in ("A1", "B2"):
        source.feed(writer.add(name), 8)
    writer.start()
    writer.close()
    told = writer.path / "run.json"
    told.write_text(json.dumps({**json.loads(told.read_text()), "state": "recording"}))
    for name in ("A1", "B2"):  # without the end that was put on
        path = writer.path / name / "00000.ome.tif"
        path.write_bytes(path.read_bytes()[:-100])
    assert [each.segments for each in repair_run(writer.path / "A1", SOFTWARE)] == [1]
    assert json.loads(told.read_text())["state"] == "recording"
    assert [each.segments for each in repair_run(writer.path / "B2", SOFTWARE)] == [1]
    after = json.loads(told.read_text())
    assert after["state"] == "repaired"
    assert [entry["name"] for entry in after["cameras"]] == ["A1", "B2"]
    assert names_in(writer.path) == {"A1", "B2", "run.json"}
    assert all(names_in(writer.path / name) == {"00000.ome.tif", "frames.csv"} for name in ("A1", "B2"))


@pytest.mark.parametrize("cut", ['"{""br', '"{"', '"', '""con', '"{""brightness"": 1, ""contrast"": 2}"'])
def test_a_log_torn_within_a_note_is_whole_for_csv_readers_and_repaired_once(
    writer: RunWriter, cut: str
) -> None:
    source = Source()
    track = writer.add("A1")
    track.note("settings", json.dumps({"brightness": 1, "contrast": 2}), source.frame().received_ns)
    source.feed(track, 12)
    writer.start()
    writer.close()
    log = writer.path / "A1" / "frames.csv"
    data = log.read_bytes()
    lines = data.splitlines(keepends=True)
    (note,) = (line for line in lines if b"settings" in line)
    frames = [line for line in lines[1:] if line != note]
    torn = note[: note.index(cut.encode(), note.index(b"settings")) + len(cut)]
    log.write_bytes(b"".join([lines[0], *frames[:4], torn]))
    stored = len(open_run(writer.path)["A1"].records)
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [stored - 4]
    after = log.read_bytes()
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [0]
    assert log.read_bytes() == after
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert [int(row["sequence"]) for row in rows if row["sequence"]] == [*range(1, stored + 1)]
    assert [row["status"] for row in rows].count("settings") == 1


@pytest.mark.parametrize("run", [True, False])
def test_files_of_the_user_that_have_our_names_stay(writer: RunWriter, tmp_path: Path, *, run: bool) -> None:
    track = writer.add("A1")
    writer.start()
    Source().feed(track, 5)
    writer.close()
    if run:
        (writer.path / "reserve").write_bytes(bytes(64))
        shutil.copytree(writer.path, tmp_path / "mine")
    else:
        shutil.copytree(writer.path / "A1", tmp_path / "mine")
        (tmp_path / "mine" / "reserve").write_text("reserve strains: B6")
    (tmp_path / "mine" / "lock").write_text("notes about a lock")
    assert [each.segments for each in repair_run(tmp_path / "mine", SOFTWARE)] == [0]
    assert (tmp_path / "mine" / "lock").read_text() == "notes about a lock"
    assert (tmp_path / "mine" / "reserve").exists() is not run  # a run's own is room kept back


@pytest.mark.parametrize("closed", [True, False])
def test_a_stray_quote_before_a_long_log_is_repaired_once(writer: RunWriter, *, closed: bool) -> None:
    source = Source()
    track = writer.add("A1")
    source.feed(track, 12)
    writer.start()
    writer.close()
    log = writer.path / "A1" / "frames.csv"
    lines = log.read_text().splitlines(keepends=True)
    event = f",{source.frame().received_ns},2026-11-23T18:20:52.084773Z,,,,,clock,,,,note\n"
    note = event.replace("note", '"{""brightness"": 1}"') if closed else ""
    log.write_text("".join([*lines[:3], lines[3][:-1], ',"\n', *lines[4:8], event * 3000, note, *lines[8:]]))
    stored = len(open_run(writer.path)["A1"].records)
    hidden = 5 if closed else stored - 2
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [hidden]
    after = log.read_bytes()
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [0]
    assert log.read_bytes() == after
    before = csv.field_size_limit(len(after))
    try:
        with log.open(newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == 12 and row[0].isdecimal()]
    finally:
        csv.field_size_limit(before)
    assert sorted(int(row[0]) for row in rows) == [*range(stored)]


@pytest.mark.parametrize("cells", range(1, 13))
def test_a_log_torn_anywhere_in_a_line_has_a_whole_one_after_repair(writer: RunWriter, cells: int) -> None:
    source = Source()
    track = writer.add("A1")
    source.feed(track, 12)
    writer.start()
    writer.close()
    log = writer.path / "A1" / "frames.csv"
    whole = log.read_text()
    last = whole.splitlines()[12]
    torn = ",".join(last.split(",")[:cells])
    torn = torn if cells == 12 else torn[:-1]
    log.write_text(whole[: whole.index(last)] + torn)
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [1]
    after = log.read_text()
    assert after.splitlines()[12:] == [torn, last + "added by repair"]
    assert after.endswith("\n")
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [0]
    assert log.read_text() == after


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def with_a_column(text: str) -> str:
    return text.replace("\n", ",\n")


def with_quoted_texts(text: str) -> str:
    lines = [
        ",".join(f'"{cell}"' if cell and not cell.isdecimal() else cell for cell in row)
        for row in rows_of(text)
    ]
    return "\n".join(lines) + "\n"


def with_cr(text: str) -> str:
    return text.replace("\n", "\r")


def with_crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def with_a_remark(text: str) -> str:
    lines = text.splitlines()
    lines[5] += '"dark, ""very"" dark"'
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("saved", [with_a_column, with_quoted_texts, with_cr, with_crlf, with_a_remark])
def test_a_log_that_another_program_has_saved_has_no_frame_twice(
    writer: RunWriter, saved: Callable[[str], str]
) -> None:
    track = writer.add("A1")
    writer.start()
    Source().feed(track, 20)
    writer.close()
    log = writer.path / "A1" / "frames.csv"
    text = saved(log.read_text())
    log.write_bytes(text.encode())
    for _ in range(2):
        assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [0]
        assert log.read_bytes() == text.encode()
    # One that is lost out of it is the only one that comes back.
    lines = text.splitlines(keepends=True)
    log.write_bytes("".join([*lines[:8], *lines[9:]]).encode())
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [1]
    after = log.read_bytes()
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [0]
    assert log.read_bytes() == after
    numbers = [int(row[0]) for row in rows_of(after.decode()) if row[0].isdecimal()]
    assert sorted(numbers) == [*range(20)]


def test_two_lines_that_a_hole_has_made_one_are_both_written_anew(writer: RunWriter) -> None:
    track = writer.add("A1")
    writer.start()
    Source().feed(track, 20)
    writer.close()
    log = writer.path / "A1" / "frames.csv"
    data = bytearray(log.read_bytes())
    lines = data.splitlines(keepends=True)
    begin = sum(len(line) for line in lines[:5])
    hole = slice(begin + 12, begin + len(lines[5]))
    data[hole] = bytes(hole.stop - hole.start)
    log.write_bytes(data)
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [2]
    after = log.read_bytes()
    assert [each.lines for each in repair_run(writer.path, SOFTWARE)] == [0]
    assert log.read_bytes() == after
