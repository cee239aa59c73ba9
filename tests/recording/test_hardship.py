"""Recording where things go wrong: systems, clocks, folders, cameras."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.disk import patiently
from espressoscope.recording import writer as writer_module
from espressoscope.recording.files import PlainFile
from espressoscope.recording.frame_clock import FrameClock
from espressoscope.recording.reader import open_run
from espressoscope.recording.writer import RunWriter
from espressoscope.sim import SimulatedCamera
from recording_support import SOFTWARE, Source, facts, pages_of
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def rows_of(folder: Path, status: str) -> list[dict[str, str]]:
    with (folder / "frames.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["status"] == status]


def test_with_nothing_but_what_windows_has(tmp_path: Path) -> None:
    """The kind of file that Windows gets: no pwrite, no writev, no fdatasync, no renaming of an open file."""
    writer = RunWriter(tmp_path / "run", SOFTWARE, files=PlainFile)
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 30)
    path = writer.path / "A1" / "00000.ome.tif"
    wait_until(lambda: path.exists() and len(pages_of(path)) == 30, 10, what="pages for everybody")
    source.feed(track, 2, width=96, height=80)
    source.feed(track, 700)  # more parts than are written at once
    source.feed(track, 20, width=96, height=80)
    writer.close()
    assert writer.trouble is None
    assert isinstance(track.log.file, PlainFile)
    recording = open_run(writer.path)["A1"]
    assert [facts(frame) for frame in recording.records] == [facts(frame) for frame in source.frames]
    assert [len(pages_of(segment.path)) for segment in recording.segments] == [730, 20]
    assert all(segment.contents.closed for segment in recording.segments)
    assert not list(writer.path.rglob("*.new"))


def test_a_clock_that_jumps_back_moves_no_frame(tmp_path: Path) -> None:
    back_ns = 0

    def clock() -> int:
        return time.time_ns() - back_ns

    writer = RunWriter(tmp_path / "run", SOFTWARE, system_clock=clock)
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 10)
    wait_until(lambda: track.frames_written == 10, 10)
    back_ns = 3600 * 10**9
    folder = writer.path / "A1"
    wait_until(lambda: bool(rows_of(folder, "clock")), 10, what="the jump in the log")
    source.feed(track, 10)
    writer.close()
    recording = open_run(writer.path)["A1"]
    assert [facts(frame) for frame in recording] == [facts(frame) for frame in source.frames]
    (marked,) = rows_of(folder, "clock")
    assert "-3600.0" in marked["note"]
    assert abs(int(marked["received_ns"]) - time.time_ns()) < 60e9  # by the clock that does not jump
    told = json.loads((writer.path / "run.json").read_text())
    assert told["clock"]["system_clock_moved_ns"] == pytest.approx(-3600e9, abs=1e9)
    assert 0 < told["clock"]["elapsed_ns"] < 60e9


def test_a_clock_that_was_read_before_the_computer_slept_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    early_ns = time.time_ns() - time.perf_counter_ns() - 7200 * 10**9
    writer = RunWriter(tmp_path / "run", SOFTWARE, wall_offset_ns=early_ns)
    writer.start()
    for name in ("A1", "B2"):
        writer.add(name)
    writer.close()
    for name in ("A1", "B2"):
        (marked,) = rows_of(writer.path / name, "clock")
        assert "set by +7200.0" in marked["note"]
        assert "before this recording" in marked["note"]
    assert "set by +7200.0" in caplog.text
    told = json.loads((writer.path / "run.json").read_text())
    assert told["clock"]["system_clock_moved_ns"] == pytest.approx(7200e9, abs=1e9)
    # A set clock and a machine that slept are told apart, also in the middle of a run.
    for slept_s, words in (
        (7200, "slept for 7200.000 s, before"),
        (3600, "3600.000 s, and its clock was set by +36"),
    ):
        clock = FrameClock(early_ns, slept_before_ns=5, slept_ns=lambda s=slept_s: 5 + s * 10**9)
        assert words in str(clock.behind)
        assert clock.step() is None
    moved = 0
    clock = FrameClock(None, lambda: time.time_ns() + moved, slept_ns=lambda: moved)
    assert clock.behind is None
    moved = 60 * 10**9
    assert str(clock.step()).startswith("the computer slept for 60")
    assert clock.step() is None


def test_a_file_that_somebody_has_open_on_windows_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def action() -> str:
        calls.append(0)
        if len(calls) < 3:
            raise PermissionError(errno.EACCES, "somebody has it open")
        return "done"

    assert patiently(action, 10.0) == "done"
    calls.clear()
    with pytest.raises(PermissionError):
        patiently(action, 0.0)
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    source = Source()
    track = writer.add("A1")
    writer.start()
    replace = os.replace
    refused = []

    def refuse(source: Path, target: Path) -> None:
        if target == writer.path / "run.json" and not refused:
            refused.append(target)
            raise PermissionError(errno.EACCES, "somebody has it open")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    writer.describe("A1", {"fact": 7})
    source.feed(track, 5)
    path = writer.path / "run.json"
    wait_until(lambda: json.loads(path.read_text())["cameras"][0].get("fact") == 7, 20, what="the next beat")
    assert refused
    assert writer.trouble is None
    refused.clear()
    writer._json.unsynced = True
    wait_until(lambda: "again in a moment" in caplog.text, 20, what="the keeper's warning")
    wait_until(lambda: not writer._json.unsynced, 20, what="the keeper's next beat")
    writer.close()
    assert writer.trouble is None
    assert len(open_run(writer.path)["A1"]) == 5


def test_a_folder_that_is_moved_away_is_whole_where_it_is_now(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    sources = [Source("A1"), Source("B2")]
    tracks = [writer.add(source.name) for source in sources]
    writer.start()
    for source, track in zip(sources, tracks, strict=True):
        source.feed(track, 5)
    wait_until(lambda: writer.frames_written == 10, 10)
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    wait_until(lambda: writer.over, 10, what="the recording to end")
    assert writer.trouble is not None
    assert "moved, renamed or deleted" in str(writer.trouble.hint)
    assert not (tmp_path / "run").exists()
    for source in sources:
        recording = open_run(tmp_path / "elsewhere")[source.name]
        assert [facts(frame) for frame in recording] == [facts(frame) for frame in source.frames]
        assert recording.segments[0].contents.closed
    shutil.rmtree(tmp_path / "elsewhere")


def test_a_disk_that_does_not_tell_its_free_room_for_a_moment_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usage = shutil.disk_usage
    looks: list[bool] = []
    silent = [1, 2]

    def reconnecting(path: Path) -> object:
        looks.append(len(looks) in silent)
        if looks[-1]:
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return usage(path)

    monkeypatch.setattr(writer_module, "_KEEP_S", 0.05)
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    monkeypatch.setattr(shutil, "disk_usage", reconnecting)
    track = writer.add("A1")
    writer.start()
    Source().feed(track, 5)
    wait_until(lambda: len(looks) > 4, 20)
    assert (writer.over, writer.trouble) == (False, None)
    assert caplog.text.count("is not known now") == 1
    silent += range(len(looks) + 1, 10_000)
    wait_until(lambda: looks[-1], 20)
    writer._floor = writer.free_bytes + 1  # what was told last is held against it
    wait_until(lambda: writer.over, 20)
    assert "nearly full" in str(writer.trouble)
    assert track.frames_written == 5


def test_room_on_the_disk_that_is_to_stay_free(tmp_path: Path) -> None:
    with pytest.raises(es.RecordingError, match="are to stay free") as caught:
        RunWriter(tmp_path / "run", SOFTWARE, keep_free=10**18)
    assert "make room" in str(caught.value.hint)
    assert not list((tmp_path / "run").iterdir())  # nothing that looks like a run
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 5)
    wait_until(lambda: writer.frames_written == 5, 10)
    writer._floor = 10**18
    wait_until(lambda: writer.over, 10, what="the recording to end")
    assert "nearly full" in str(writer.trouble)
    assert len(pages_of(writer.path / "A1" / "00000.ome.tif")) == 5
    assert json.loads((writer.path / "run.json").read_text())["state"] == "ended early"


def test_a_camera_that_changes_size_sends_broken_frames_and_restarts(tmp_path: Path) -> None:
    with (
        SimulatedCamera(port=0, fps=25, framesize="QVGA") as simulated,
        simulated.fault("corrupt", every=20, kind="no-eoi") as fault,
        es.Camera(simulated.url) as camera,
    ):
        name = camera.info.name
        with camera.record(tmp_path / "run") as recorder:
            wait_until(lambda: recorder.progress[name].damaged >= 2, 20, what="broken frames")
            camera.set(framesize="HQVGA")
            wait_until(lambda: recorder.progress[name].segments == 2, 20, what="another size")
            with simulated.fault("reboot", seconds=0.3):
                before = recorder.frames_written
                wait_until(lambda: camera.stats.reconnects > 0, 40, what="a connection anew")
                wait_until(lambda: recorder.frames_written > before + 25, 20, what="frames again")
                time.sleep(1.2)  # the recording looks once a second
        sent = [each.jpeg for each in simulated.sent]
        assert fault.hits
    recording = es.open_run(tmp_path / "run")[name]
    assert recording.summary()["damaged"] == recorder.progress[name].damaged >= 2
    whole = [frame.jpeg for frame in recording.records if frame.status == "ok"]
    places = iter(sent)
    assert all(jpeg in places for jpeg in whole)  # all as they were sent, and in this order
    assert [frame.sequence for frame in recording.records] == list(range(len(recording.records)))
    assert [part.shape[1:3] for part in recording.parts[:2]] == [(240, 320), (176, 240)]
    for segment in recording.segments:
        assert segment.contents.closed
        assert len(pages_of(segment.path)) == len(segment.contents.pages)
    (restarted,) = rows_of(recording.folder, "reconnected")
    assert "restarted" in restarted["note"] or "broke" in restarted["note"]
    assert "HQVGA" in "".join(row["note"] for row in rows_of(recording.folder, "settings"))
    assert len(rows_of(recording.folder, "truncated")) == recording.summary()["damaged"]
