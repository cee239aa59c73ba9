"""Two recordings in one place, a folder that moves away, mistakes of one camera: each keeps to its own."""

from __future__ import annotations

import json
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.errors import RecordingError
from espressoscope.model import Frame
from espressoscope.recording import held_folder, run_folder
from espressoscope.recording import writer as writer_module
from espressoscope.recording.reader import open_run
from espressoscope.recording.run_folder import is_locked
from espressoscope.recording.writer import RunWriter
from espressoscope.sim import SimulatedCamera
from recording_support import SOFTWARE, Source, facts
from support import wait_until

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("ended", [True, False])
def test_of_two_that_find_one_folder_empty_only_one_begins(
    tmp_path: Path, refused: threading.Event, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    monkeypatch.setattr(run_folder, "LOCK_S", 20.0 if ended else 0.1)
    seen = tmp_path / "run"
    seen.mkdir()
    first = RunWriter(seen, SOFTWARE)
    monkeypatch.setattr(writer_module, "make_run_folder", lambda path: path)  # it has looked before
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(RunWriter, seen, SOFTWARE)
        assert refused.wait(20)
        source = Source()
        source.feed(first.add("A1"), 3)
        if not ended:
            with pytest.raises(RecordingError, match="another program"):
                second.result(20)
        first.start()
        first.close()
        if ended:
            with pytest.raises(RecordingError, match="has a run in it"):
                second.result(20)
    assert {path.name for path in seen.iterdir()} == {"A1", "run.json"}
    told = json.loads((seen / "run.json").read_text())
    assert (told["run_id"], told["state"]) == (str(first.run_id), "closed")
    assert len(open_run(seen)["A1"]) == 3


def test_what_cannot_begin_leaves_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordingError, match="to stay free"):
        RunWriter(tmp_path / "run", SOFTWARE, keep_free=1 << 60)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(held_folder, "write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RunWriter(tmp_path / "run", SOFTWARE)
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="every user has a home beside one's own there")
@pytest.mark.parametrize("use", [lambda path: RunWriter(path, SOFTWARE), open_run, es.repair_run])
def test_a_home_of_nobody_is_said_to_be_none(use: Callable[[str], object]) -> None:
    with pytest.raises(RecordingError, match="~no-such-user stands for a user's home, and none is known"):
        use("~no-such-user/run")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with open files cannot be moved there")
def test_a_run_that_was_moved_writes_nothing_into_the_one_that_has_its_place(writer: RunWriter) -> None:
    source = Source()
    track = writer.add("A1")
    writer.start()
    source.feed(track, 3)
    wait_until(lambda: track.frames_written == 3, 10)
    place, moved = writer.path, writer.path.with_name("monday")
    place.rename(moved)
    second = RunWriter(place, SOFTWARE)
    second.add("B2")
    with pytest.raises(RecordingError, match="moved, replaced or deleted"):
        writer.add("C3")
    writer.describe("A1", {"fact": 1})
    wait_until(lambda: writer.over, 20, what="the recording to end")
    assert "moved, replaced or deleted" in str(writer.trouble)
    assert is_locked(place)
    assert {path.name for path in place.iterdir()} == {"B2", "lock", "reserve", "run.json"}
    told = json.loads((place / "run.json").read_text())
    assert (told["run_id"], [each["name"] for each in told["cameras"]]) == (str(second.run_id), ["B2"])
    second.close()
    assert second.trouble is None
    assert [facts(frame) for frame in open_run(moved)["A1"]] == [facts(frame) for frame in source.frames]


def test_a_frame_that_cannot_be_packed_ends_the_recording_of_its_camera_only(
    writer: RunWriter, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = writer.add("A1"), writer.add("B2")
    broken, whole = Source("A1"), Source("B2")
    writer.start()
    broken.feed(bad, 4)
    wait_until(lambda: bad.frames_written == 4, 10)
    frame = broken.frame()
    size = frame.width, frame.height
    assert not bad.put(Frame(frame.jpeg, frame.sequence, frame.received_ns, 1 << 64, *size, "A1", "ok"))
    wait_until(lambda: bad.trouble is not None, 10)
    whole.feed(good, 6)
    wait_until(lambda: good.frames_written == 6, 10)
    assert writer.trouble is None
    assert struct.error.__name__ in caplog.text
    assert "nothing more of A1" in caplog.text
    writer.close()
    assert "A1: this program made a mistake" in str(writer.trouble)
    run = open_run(writer.path)
    assert [facts(frame) for frame in run["B2"]] == [facts(frame) for frame in whole.frames]
    assert [facts(frame) for frame in run["A1"]] == [facts(frame) for frame in broken.frames[:4]]
    assert all(segment.contents.closed for each in run.values() for segment in each.segments)
    told = run.info["cameras"]
    assert [("trouble" in each, each["dropped"]) for each in told] == [(True, 1), (False, 0)]
    assert run.info["state"] == "ended early"


def test_half_a_character_is_written_as_a_question_mark(writer: RunWriter) -> None:
    track = writer.add("A1")
    track.note("settings", '{"quality": "\ud83d"}', 0)
    writer.start()
    writer.close()
    assert writer.trouble is None
    assert '"{""quality"": ""?""}"' in (track.folder / "frames.csv").read_text(encoding="utf-8")


def test_what_ended_a_recording_is_told_also_after_the_camera_was_closed(tmp_path: Path) -> None:
    with SimulatedCamera(framesize="QVGA", fps=20, side_delays=False, port=0) as sim:
        camera = es.Camera(sim.url).open()
        first, second = (camera.record(tmp_path / name, seconds=60) for name in ("one", "two"))
        third = camera.record(tmp_path / "three")
        for each in (first, second):
            each._writer._floor = 1 << 60
        wait_until(lambda: first.over and second.over, 20, what="the recordings to end")
        camera.close()
        with pytest.raises(RecordingError, match="nearly full"):
            first.stop()
        first.stop()  # told already
        for _ in range(2):
            with pytest.raises(RecordingError, match="nearly full"):
                second.wait(1)
        with second:
            pass
        third.stop()
        assert not third.wait(0)
