"""A run written by the writer's threads, read back by ours and by tifffile."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from espressoscope.errors import RecordingError
from espressoscope.recording import run_folder
from espressoscope.recording import track as track_module
from espressoscope.recording.layout import SLOTS
from espressoscope.recording.moments import iso_utc
from espressoscope.recording.reader import open_run
from espressoscope.recording.repair import repair_run
from espressoscope.recording.run_folder import RunLock, is_locked, safe_folder_name
from espressoscope.recording.track import MOST_BYTES, MOST_FRAMES
from espressoscope.recording.writer import RunWriter
from recording_support import SOFTWARE, Source, facts, jpeg, pages_of
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.recording.track import CameraTrack


def written(track: CameraTrack, count: int) -> None:
    wait_until(lambda: track.frames_written >= count, 20, what=f"{count} frames written")


def test_every_frame_comes_back_as_it_was(writer: RunWriter) -> None:
    sources = [Source("A1"), Source("B2")]
    tracks = [writer.add(source.name) for source in sources]
    writer.start()
    for _ in range(10):
        for source, track in zip(sources, tracks, strict=True):
            source.feed(track, 7)
    writer.close()
    assert writer.trouble is None
    run = open_run(writer.path)
    assert list(run) == ["A1", "B2"]
    for source, track in zip(sources, tracks, strict=True):
        recording = run[source.name]
        assert [facts(frame) for frame in recording] == [facts(frame) for frame in source.frames]
        assert recording.times.tolist() == [frame.received_ns for frame in source.frames]
        assert recording.times.dtype == np.dtype("datetime64[ns]")
        assert pages_of(recording.segments[0].path) == [frame.jpeg for frame in source.frames]
        assert track.frames_written == 70
        assert recording[-1].sequence == 69
        assert [frame.sequence for frame in recording[10:13]] == [10, 11, 12]
        with pytest.raises(IndexError):
            recording[70]
    assert not (writer.path / "reserve").exists()
    assert not (writer.path / "lock").exists()


def test_a_run_being_written_can_be_read_by_anybody(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 1)
    written(track, 1)
    path = writer.path / "A1" / "00000.ome.tif"
    assert pages_of(path) == [source.frames[0].jpeg]  # the first is a page from the beginning
    run = open_run(writer.path)
    source.feed(track, 40)
    written(track, 41)
    run.refresh()
    assert [facts(frame) for frame in run["A1"]] == [facts(frame) for frame in source.frames]
    assert run["A1"].summary()["open"] == 1
    wait_until(lambda: len(pages_of(path)) == 41, 5, what="pages linked about a second later")
    source.feed(track, 5)
    written(track, 46)
    run.refresh()
    assert len(run["A1"]) == 46
    writer.close()
    run.refresh()
    assert len(run["A1"]) == 46
    assert run.info["state"] == "closed"


def test_what_is_broken_or_of_another_size_is_kept_and_marked(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 20)
    source.feed(track, 1, data=b"", status="corrupt", width=0, height=0)
    source.feed(track, 1, data=jpeg()[:300], status="truncated")
    source.feed(track, 2, width=96, height=80)  # does not last
    source.feed(track, 5, lost=3)
    source.feed(track, 1, data=jpeg(seed=5), status="duplicate")
    source.feed(track, 30, width=96, height=80)  # does
    writer.close()
    recording = open_run(writer.path)["A1"]
    stored = [facts(frame) for frame in source.frames]
    assert [facts(frame) for frame in recording.records] == stored
    assert [facts(frame) for frame in recording] == stored[:20] + stored[24:]
    assert [(part.start, part.stop, part.shape) for part in recording.parts] == [
        (0, 26, (26, 48, 64, 3)),
        (26, 56, (30, 80, 96, 3)),
    ]
    assert [len(pages_of(segment.path)) for segment in recording.segments] == [26, 30]
    assert (track.damaged, track.odd, track.duplicates, track.gaps, track.lost) == (2, 2, 1, 5, 15)
    summary = recording.summary()
    assert (summary["damaged"], summary["gaps"], summary["missing"], summary["frames"]) == (2, 5, 15, 60)
    log = recording.log
    assert log["gap"].sum() == 15
    assert log["status"][20:22].tolist() == ["corrupt", "truncated"]
    assert log["page"][20:25].tolist() == [-1, -1, -1, -1, 20]
    with (writer.path / "A1" / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["sequence"]) for row in rows] == [frame.sequence for frame in source.frames]
    assert [int(row["page"] or -1) for row in rows] == log["page"].tolist()
    assert [int(row["received_ns"]) for row in rows] == [frame.received_ns for frame in source.frames]
    assert {row["note"] for row in rows[22:24]} == {"other size"}
    told = json.loads((writer.path / "run.json").read_text())["cameras"][0]
    assert (told["frames_written"], told["damaged"], told["lost"]) == (60, 2, 15)


@pytest.mark.parametrize("broken", [3, 32, 70, 400])
def test_what_comes_while_a_size_comes_to_stay_keeps_its_place(writer: RunWriter, broken: int) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 20)
    for _ in range(2):
        source.feed(track, 1, width=96, height=80)
        source.feed(track, broken, data=jpeg()[:300], status="truncated")
    source.feed(track, 10, width=96, height=80)
    source.feed(track, 1, data=b"", status="corrupt", width=0, height=0)
    source.feed(track, 10)
    writer.close()
    recording = open_run(writer.path)["A1"]
    stored = [facts(frame) for frame in source.frames]
    assert [facts(frame) for frame in recording.records] == stored
    assert len(recording) == 42
    assert recording.sequences.tolist() == sorted(recording.sequences)
    summary = recording.summary()
    assert (summary["frames"], summary["missing"]) == (len(stored), 0)
    assert (track.damaged, track.gaps) == (2 * broken + 1, 0)
    log = recording.log
    assert log["segment"].tolist() == [0] * 20 + [1, *[0] * broken] * 2 + [1] * 11 + [2] * 10


def test_a_segment_copied_beside_itself_moves_no_frame(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 100)
    writer.close()
    (segment,) = open_run(writer.path)["A1"].segments
    shutil.copyfile(segment.path, segment.path.with_name("copy.ome.tif"))
    assert open_run(writer.path)["A1"].sequences.tolist() == [*range(100)] * 2


def test_damaged_frames_before_the_first_picture_make_no_file_without_pages(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 3, data=b"junk", status="corrupt", width=0, height=0)
    written(track, 3)
    source.feed(track, 4)
    writer.close()
    recording = open_run(writer.path)["A1"]
    assert [facts(frame) for frame in recording.records] == [facts(frame) for frame in source.frames]
    assert len(recording) == 4
    tiffs = list((writer.path / "A1").glob("*.tif"))
    assert [len(pages_of(path)) for path in tiffs] == [4]


def test_frames_that_are_no_pages_fill_a_segment_too(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_module, "SLOTS", 20)
    monkeypatch.setattr(track_module, "MOST_STORED", 40)
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 50, data=b"junk", status="corrupt", width=0, height=0)
    for _ in range(25):  # never three of a size in a row
        source.feed(track, 2, data=b"junk", status="corrupt", width=0, height=0)
        source.feed(track, 1, width=96, height=80)
        source.feed(track, 1)
    writer.close()
    assert writer.trouble is None
    recording = open_run(writer.path)["A1"]
    assert [facts(frame) for frame in recording.records] == [facts(frame) for frame in source.frames]
    counts = [len(segment.contents.entries) for segment in recording.segments]
    assert counts[:2] == [20, 20]
    assert max(counts) <= 41
    assert len(counts) >= 5
    assert all(pages_of(segment.path) for segment in recording.segments if segment.path.suffix == ".tif")
    with (writer.path / "A1" / "frames.csv").open(newline="") as file:
        assert sum(bool(row["sequence"]) for row in csv.DictReader(file)) == 150


def test_cameras_come_while_the_run_is_described(writer: RunWriter) -> None:
    writer.add("A1")
    writer.start()
    errors: list[Exception] = []
    done = threading.Event()

    def describe() -> None:
        try:
            number = 0
            while not done.is_set():
                number += 1
                writer.describe("A1", {f"fact {number}": number})
        except Exception as error:  # noqa: BLE001 (a thread's boundary)
            errors.append(error)

    def look() -> None:
        try:
            while not done.is_set():
                json.dumps(writer._json.content(writer.tracks, None))
        except Exception as error:  # noqa: BLE001 (a thread's boundary)
            errors.append(error)

    threads = [threading.Thread(target=each) for each in (describe, look, look)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for number in range(40):
            writer.add(f"B{number}", {"number": number})
    finally:
        done.set()
        for thread in threads:
            thread.join(20)
        sys.setswitchinterval(interval)
    assert not errors
    writer.close()
    assert writer.trouble is None
    told = json.loads((writer.path / "run.json").read_text())["cameras"]
    assert [entry.get("number") for entry in told] == [None, *range(40)]
    assert any(key.startswith("fact") for key in told[0])


def test_what_fails_at_the_end_holds_up_nothing_else(
    writer: RunWriter, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = writer.add("A1"), writer.add("B2")
    source = Source("B2")
    writer.start()
    source.feed(good, 5)
    written(good, 5)

    def end() -> None:
        raise ValueError("what nobody thought of")

    bad.end = end  # type: ignore[method-assign]
    writer.close()
    assert writer.over
    assert "made a mistake" in str(writer.trouble)
    assert "what nobody thought of" in caplog.text
    assert [facts(frame) for frame in open_run(writer.path)["B2"]] == [
        facts(frame) for frame in source.frames
    ]
    RunLock(writer.path).release()
    with pytest.raises(RecordingError, match="made a mistake"):
        writer.add("C3")  # nobody would close its files
    assert not (writer.path / "C3").exists()


def test_a_lock_is_of_the_file_that_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = run_folder._lock
    calls = []

    def late(descriptor: int) -> None:
        """Lock after another program has taken the same file, and removed it when it was done."""
        real(descriptor)
        calls.append(descriptor)
        if len(calls) == 1:
            (tmp_path / "lock").unlink()

    monkeypatch.setattr(run_folder, "_lock", late)
    lock = RunLock(tmp_path)
    assert len(calls) == 2
    with pytest.raises(BlockingIOError):
        RunLock(tmp_path)
    lock.release()
    assert not (tmp_path / "lock").exists()


def test_a_recording_that_ends_while_repair_waits_for_it_stays_as_it_is(
    writer: RunWriter, refused: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 10)
    written(track, 10)
    monkeypatch.setattr(run_folder, "LOCK_S", 20)
    with ThreadPoolExecutor(1) as pool:
        repaired = pool.submit(repair_run, writer.path, SOFTWARE)
        assert refused.wait(20)
        writer.close()
        assert repaired.result(20) == [("A1", 0, 0, 0, 0)]
    told = json.loads((writer.path / "run.json").read_text())
    assert (told["state"], told["cameras"][0]["frames_written"]) == ("closed", 10)
    assert told["started_at"] == iso_utc(told["started_ns"])
    assert told["ended_at"] > told["started_at"]


@pytest.mark.skipif(sys.platform == "win32", reason="who looks there has let go again when it answers")
def test_a_lock_waits_for_those_who_only_look(
    tmp_path: Path, refused: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").touch()  # a killed program has left it
    is_free, looking = run_folder._is_free, threading.Event()

    def look_long(descriptor: int) -> bool:
        free = is_free(descriptor)
        looking.set()
        refused.wait(20)
        return free

    monkeypatch.setattr(run_folder, "_is_free", look_long)
    with ThreadPoolExecutor(1) as pool:
        looked = pool.submit(is_locked, tmp_path)
        assert looking.wait(20)
        taken = RunLock(tmp_path)
        assert refused.is_set()
        assert not looked.result(20)
    assert is_locked(tmp_path)
    taken.release()


def test_a_segment_holds_ten_thousand_pages(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    tiny = jpeg(16, 16)
    for _ in range(SLOTS // 500):
        source.feed(track, 500, data=tiny, width=16, height=16)
        wait_until(lambda: track.waiting == 0, 20)
    source.feed(track, 7, data=tiny, width=16, height=16)
    writer.close()
    recording = open_run(writer.path)["A1"]
    assert [len(segment.contents.pages) for segment in recording.segments] == [SLOTS, 7]
    assert all(segment.contents.closed for segment in recording.segments)
    assert [frame.sequence for frame in recording[SLOTS - 1 : SLOTS + 1]] == [SLOTS - 1, SLOTS]
    assert len(recording) == SLOTS + 7
    # Without its end a segment is walked, and the walk finds the same.
    path = recording.segments[0].path
    os.truncate(path, path.stat().st_size - 1)
    walked = open_run(writer.path)["A1"]
    assert not walked.segments[0].contents.closed
    assert (walked.log == recording.log).all()


def test_a_queue_has_its_ceilings_and_counts_what_is_let_go(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")  # nothing writes yet
    source.feed(track, MOST_FRAMES)
    assert track.put(source.frame())
    assert track.put(source.frame())
    other = writer.add("B2")
    big = Source("B2")
    for _ in range(MOST_BYTES // 2**22):
        assert not other.put(big.frame(b"\xff\xd8" + bytes(2**22)))
    assert other.put(big.frame())
    assert (track.dropped, other.dropped) == (2, 1)
    writer.start()
    written(track, MOST_FRAMES)
    wait_until(lambda: other.waiting == 0, 20)
    source.feed(track, 1)
    writer.close()
    recording = open_run(writer.path)["A1"]
    assert len(recording) == MOST_FRAMES + 1
    assert recording.log["gap"][-1] == 2
    assert (track.dropped, track.gaps, track.lost) == (2, 1, 2)


def test_a_run_is_never_overwritten(writer: RunWriter, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="never overwrites") as caught:
        RunWriter(writer.path, SOFTWARE)
    assert caught.value.hint
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RecordingError, match="cannot write"):
        RunWriter(tmp_path / "file", SOFTWARE)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(RecordingError, match="is being recorded"):
        repair_run(writer.path, SOFTWARE)


def test_a_run_deleted_meanwhile_ends_with_a_clear_error(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 3)
    written(track, 3)
    for path in (writer.path / "A1").iterdir():
        path.unlink()
    wait_until(lambda: writer.over, 10, what="the recording to end")
    assert writer.trouble is not None
    assert "deleted" in str(writer.trouble)
    assert writer.trouble.frames_written == 3
    assert not track.put(source.frame())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("espressoscope-writer")]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("A1", "A1"),
        ("../../etc", "etc"),
        ("CON", "camera-CON"),
        ("a:b\\c/d", "a-b-c-d"),
        ("…", "…"),
        ("  ", "camera"),
        ("lock", "lock-2"),
        ("Brutkasten 3 – links", "Brutkasten-3-–-links"),
        ("x" * 100, "x" * 48),
    ],
)
def test_folders_are_valid_everywhere(name: str, folder: str) -> None:
    assert safe_folder_name(name) == folder
    assert safe_folder_name(name, [folder.upper()]) != folder


def test_the_floor_is_small_on_small_disks() -> None:
    assert run_folder._usual_floor(20 * 10**6) == 400_000
    assert run_folder._usual_floor(10**12) == 100 * 10**6
