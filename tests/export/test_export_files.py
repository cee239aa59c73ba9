"""Films, JPEG files and contact sheets, opened by ffmpeg and Pillow."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import espressoscope as es
from espressoscope.export.sheet import evenly
from export_support import LARGE, SMALL, START_NS, Tape, eventful, plain, program, whole, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.export.report import ExportProgress
ODD = "B: 1/x"


@pytest.fixture(scope="module")
def tapes() -> dict[str, Tape]:
    return {"A1": plain(), ODD: eventful()}


@pytest.fixture(scope="module")
def run(tapes: dict[str, Tape], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return es.open_run(write_run(tmp_path_factory.mktemp("run") / "run-01", tapes.values()))


def probed(path: Path) -> dict[str, Any]:
    command = [program("ffprobe"), "-v", "error", "-show_packets", "-show_format", "-show_streams"]
    done = subprocess.run([*command, "-of", "json", path], capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def piped(path: Path, *options: str) -> bytes:
    command = [program("ffmpeg"), "-v", "error", "-i", str(path), *options, "-"]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout


def test_films_have_every_byte_at_its_true_time(run: Any, tapes: dict[str, Tape], tmp_path: Path) -> None:
    told: list[ExportProgress] = []
    done = es.export_run(run, "mkv", tmp_path / "films", on_progress=told.append)
    assert sorted(path.name for path in done.path.iterdir()) == [
        "A1.mkv", "B-1-x-part2.mkv", "B-1-x.mkv", "export.json",
    ]  # fmt: skip
    films = {
        "A1.mkv": tapes["A1"].frames,
        "B-1-x.mkv": whole(tapes[ODD]),
        "B-1-x-part2.mkv": whole(tapes[ODD], LARGE),
    }
    for name, frames in films.items():
        path = done.path / name
        found = probed(path)
        # Bit for bit: the packets one after the other are the JPEGs one after the other.
        assert piped(path, "-c", "copy", "-f", "mjpeg") == b"".join(frame.jpeg for frame in frames)
        assert [int(packet["size"]) for packet in found["packets"]] == [len(f.jpeg) for f in frames]
        times = [float(packet["pts_time"]) for packet in found["packets"]]
        true = [(frame.received_ns - frames[0].received_ns) / 1e9 for frame in frames]
        assert max(abs(a - b) for a, b in zip(times, true, strict=True)) < 0.001
        assert times == sorted(times)
        (stream,) = found["streams"]
        assert (stream["codec_name"], stream["width"], stream["height"]) == (
            "mjpeg", frames[0].width, frames[0].height,
        )  # fmt: skip
        tags = found["format"]["tags"]
        assert int(tags["FIRST_FRAME_NS"]) == frames[0].received_ns
        began = datetime.fromisoformat(tags["creation_time"])
        assert abs(began - datetime.fromtimestamp(frames[0].received_ns / 1e9, UTC)) < timedelta(
            microseconds=2
        )
    pixels = piped(done.path / "A1.mkv", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24")
    seen = np.frombuffer(pixels, np.uint8).reshape(48, 64, 3).astype(int)
    assert np.abs(seen - tapes["A1"].frames[0].image()).mean() < 3
    ends = {each.camera: each for each in done.cameras}
    assert (ends["A1"].frames, ends["A1"].total, ends["A1"].left_out) == (30, 30, 0)
    assert (ends[ODD].frames, ends[ODD].left_out, ends[ODD].damaged) == (17, 2, 0)
    assert told[-2:] == list(done.cameras)
    assert any("2 frames are broken" in note for note in done.notes)
    assert any("2 files" in note for note in done.notes)


def test_one_film_may_be_a_file(run: Any, tapes: dict[str, Tape], tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.mkv"
    es.export_run(run, "mkv", out, cameras=["A1"], begin=0.1, end=0.5)
    frames = [f for f in tapes["A1"].frames if 100_000_000 <= f.received_ns - START_NS < 500_000_000]
    assert len(frames) > 5
    assert piped(out, "-c", "copy", "-f", "mjpeg") == b"".join(frame.jpeg for frame in frames)
    for cameras in (None, [ODD]):
        with pytest.raises(ValueError, match="name a folder"):
            es.export_run(run, "mkv", tmp_path / "b.mkv", cameras=cameras)
    assert os.listdir(tmp_path) == ["new"]


def test_every_frame_stored_is_a_file(run: Any, tapes: dict[str, Tape], tmp_path: Path) -> None:
    done = es.export_run(run, "jpeg", tmp_path / "files")
    for name, folder in (("A1", "A1"), (ODD, "B-1-x")):
        frames = tapes[name].frames
        with (done.path / folder / "frames.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        with (run[name].folder / "frames.csv").open(newline="") as file:
            # The first frames of a size that came to stay are logged once more, as pages: the last counts.
            logged = {row["sequence"]: row for row in csv.DictReader(file)}
        assert len(rows) == len(frames)
        for row, frame in zip(rows, frames, strict=True):
            path = done.path / folder / row.pop("file")
            assert path.read_bytes() == frame.jpeg
            assert path.stat().st_mtime_ns == frame.received_ns
            assert row == logged[str(frame.sequence)]
            assert ("_truncated" in path.name) == (frame.status == "truncated")
            assert not set(path.name) & set(':*?"<>|')
        files = sorted(path.name for path in (done.path / folder).glob("*.jpg"))
        assert [int(each.split("_")[1][:8]) for each in files] == [f.sequence for f in frames]
        with (done.path / folder / "events.csv").open(newline="") as file:
            assert [(row["event"], row["note"]) for row in csv.DictReader(file)] == [
                ("settings", '{"quality": 12}')
            ]
    assert {each.left_out for each in done.cameras} == {0}


def test_a_contact_sheet_has_pictures_in_their_order(tmp_path: Path) -> None:
    import simplejpeg
    from PIL import Image

    tape = Tape("A1")
    for number in range(60):
        level = np.full((48, 64, 3), 20 + 3 * number, np.uint8)
        tape.add(40, data=simplejpeg.encode_jpeg(level, 95))
    out = es.export_run(
        write_run(tmp_path / "run", [tape]), "contact-sheet", tmp_path / "s.png", count=6
    ).path
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
        pixels = np.asarray(sheet.convert("RGB"))
    width = (pixels.shape[1] - 40 + 12) // 6
    seen = [int(pixels[58 + 54 + 40, 20 + place * width + 60, 0]) for place in range(6)]
    wanted = [20 + 3 * place for place in evenly(np.array([f.received_ns for f in tape.frames]), 6)]
    assert max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) <= 2
    assert (wanted[0], wanted[-1]) == (20, 20 + 3 * 59)


def test_evenly_is_by_time_and_takes_none_twice() -> None:
    times = np.array([0, 1, 2, 3, 4, 1000, 1001], np.int64)
    assert evenly(times, 3) == [0, 4, 6]
    assert evenly(times, 1) == [0]
    assert evenly(times, 50) == list(range(7))
    assert evenly(times, 6)[0] == 0


def test_sizes_of_the_fixtures_are_what_they_say(tapes: dict[str, Tape]) -> None:
    assert len(whole(tapes[ODD])) == 11
    assert len(whole(tapes[ODD], LARGE)) == 6
    assert SMALL != LARGE


def test_a_recording_deleted_meanwhile_is_told_and_leaves_nothing(
    tapes: dict[str, Tape], tmp_path: Path
) -> None:
    opened = es.open_run(write_run(tmp_path / "run", [tapes["A1"]]))
    for segment in opened["A1"].segments:
        segment.path.unlink()
    with pytest.raises(es.ExportError, match="cannot be read any more") as caught:
        es.export_run(opened, "jpeg", tmp_path / "out")
    assert caught.value.camera == "A1"
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
