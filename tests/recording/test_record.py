"""Recording from cameras: by the public names, by the command, and through kills and full disks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.api import record_progress
from espressoscope.api.recorder import Recorder
from espressoscope.sim import SimulatedCamera, simulate
from recording_support import pages_of, with_own_disks
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=40, framesize="QVGA", prerender=True) as running:
        yield running


def assert_complete(recording: object, camera: SimulatedCamera) -> None:
    """A recording is an unbroken run of what the camera sent."""
    got = [frame.jpeg for frame in recording]  # type: ignore[attr-defined]
    sent = [each.jpeg for each in camera.sent]
    assert got
    starts = [place for place, each in enumerate(sent) if each == got[0]]
    assert any(sent[start : start + len(got)] == got for start in starts)


def test_a_fleet_is_recorded_bit_for_bit(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    with es.Fleet([camera.url for camera in cameras]) as fleet:
        fleet[fleet.names[0]].pixel_um = 2.5
        with fleet.record(tmp_path / "run", seconds=1.5) as recorder:
            wait_until(lambda: recorder.frames_written > 20, 10)
            assert recorder.disk_left_s is None or recorder.disk_left_s > 0
            fleet[fleet.names[0]].set(quality=20)
        assert recorder.over
        assert recorder.frames_dropped == 0
        names = fleet.names
    run = es.open_run(tmp_path / "run")
    assert tuple(run) == names
    assert [recording.pixel_um for recording in run.values()] == [2.5] + [None] * (len(names) - 1)
    for camera, recording in zip(cameras, run.values(), strict=True):
        assert_complete(recording, camera)
        assert recording.frames.shape == (len(recording), 240, 320, 3)
        assert (recording.frames[3].compute(scheduler="synchronous") == recording[3].image()).all()
        assert recording.summary()["gaps"] == 0
        assert recording.info["mac"] == camera.mac
        assert recording.info["settings"]["framesize"] == "QVGA"


def test_it_ends_by_frames_and_never_overwrites(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    with es.Camera(cameras[0].url) as camera:
        with camera.record(tmp_path / "run", frames=17):
            pass
        recording = es.open_run(tmp_path / "run")[camera.info.name]
        assert len(recording) == 17
        with pytest.raises(es.RecordingError, match="never overwrites"):
            camera.record(tmp_path / "run")
        with pytest.raises(ValueError, match="seconds"):
            camera.record(tmp_path / "new", seconds=0)
        open_ended = camera.record(tmp_path / "open")
        wait_until(lambda: open_ended.frames_written > 3, 10)
    assert open_ended.over  # closing the camera closes it
    assert len(es.open_run(tmp_path / "open")[camera.info.name]) == open_ended.frames_written


def test_some_cameras_of_a_fleet(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    with es.Fleet([cameras[1].url]) as fleet:
        (second,) = fleet.names
        for wrong, error in (([], ValueError), (["nobody"], KeyError)):
            with pytest.raises(error):
                fleet.record(tmp_path / "run", cameras=wrong)
        with fleet.record(tmp_path / "run", frames=3, cameras=[second]):
            fleet.add(cameras[2].url)
    assert tuple(es.open_run(tmp_path / "run")) == (second,)


def test_a_camera_that_leaves_and_comes_back_counts_on(
    cameras: list[SimulatedCamera], tmp_path: Path
) -> None:
    with es.Fleet([cameras[1].url]) as fleet:
        (second,) = fleet.names
        with fleet.record(tmp_path / "run") as recorder:
            wait_until(lambda: recorder.progress[second].frames_written > 10, 20)
            assert recorder.progress[second].fps > 0
            fleet.remove(second)
            before = recorder.progress[second].frames_written
            assert fleet.add(cameras[1].url) == second
            wait_until(lambda: recorder.progress[second].frames_written > before + 10, 20)
            # As a program leaves it that is killed now, before the last lines of the log.
            ignore = shutil.ignore_patterns("lock", "reserve")
            shutil.copytree(tmp_path / "run", tmp_path / "killed", ignore=ignore)
    log = tmp_path / "killed" / second / "frames.csv"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:8]))
    es.repair_run(tmp_path / "killed")
    for name in ("run", "killed"):
        recording = es.open_run(tmp_path / name)[second]
        numbers = [frame.sequence for frame in recording.records]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(numbers) > before
        lines = (recording.folder / "frames.csv").read_text().splitlines()
        told = [int(line.split(",")[0]) for line in lines if line[:1].isdigit()]
        assert told == numbers
    events = [line.split(",")[7] for line in lines if line.startswith(",")]
    assert events == []
    whole = (tmp_path / "run" / second / "frames.csv").read_text().splitlines()
    events = [line.split(",")[7] for line in whole if line.startswith(",")]
    assert [event for event in events if event in ("left", "joined")] == ["left", "joined"]


def test_nobody_waits_for_a_camera_that_is_dead(
    cameras: list[SimulatedCamera],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(record_progress, "SILENCE_S", 1.0)
    with es.Camera(cameras[0].url) as camera, cameras[0].fault("stall"):
        with camera.record(tmp_path / "run", frames=100_000) as recorder:
            assert not recorder.wait(0.01)
        name = camera.info.name
        assert recorder.progress[name].frames_written < 100_000
        assert f"silent are {name}" in caplog.text
    # Seconds count from when the cameras are recorded, which may take a while.
    late = Recorder(tmp_path / "late", 0.1, None, None, None, set())
    time.sleep(0.25)
    assert late.over
    late.begin()
    assert not late.over
    assert late.wait(10)
    late.stop()


def command(*arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "espressoscope", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        **options,  # type: ignore[call-overload]
    )


def test_a_full_disk_ends_it_with_whole_files(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    locked = tmp_path / "locked"
    disk.mkdir()
    locked.mkdir()
    urls = " ".join(camera.url for camera in cameras)
    script = (
        f"set -e; mount -t tmpfs -o size=3m none '{disk}' || exit 99\n"
        f"mount -t tmpfs -o ro none '{locked}'\n"
        f"'{sys.executable}' -m espressoscope record {urls} -o '{locked}/run' >&2 || echo code $? >&2\n"
        f"'{sys.executable}' -m espressoscope record {urls} -o '{disk}/run' --json && code=0 || code=$?\n"
        f"cp -r '{disk}/run' '{tmp_path}/run'; exit $code"
    )
    done = with_own_disks(script)
    assert done.returncode == 1, done.stderr
    refused, _, full = done.stderr.partition("code 1\n")
    assert refused.count("Error: ") == full.count("Error: ") == 1
    assert "You may not write there" in " ".join(refused.split())
    assert "The disk is full" in " ".join(full.split())
    assert "Traceback" not in done.stderr
    written = {line["camera"]: line["frames_written"] for line in map(json.loads, done.stdout.splitlines())}
    run = es.open_run(tmp_path / "run")
    assert run.info["state"] == "ended early"
    for camera, (name, recording) in zip(cameras, run.items(), strict=True):
        assert len(recording) == written[name] > 0
        assert all(segment.contents.closed for segment in recording.segments)
        assert sum(len(pages_of(segment.path)) for segment in recording.segments) == written[name]
        assert_complete(recording, camera)


def test_room_on_the_disk_stays_free(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    urls = " ".join(camera.url for camera in cameras)
    program = f"'{sys.executable}' -m espressoscope"
    done = with_own_disks(
        f"mount -t tmpfs -o size=4m none '{disk}' || exit 99\n"
        f"{program} record {urls} -o '{disk}/run' --keep-free 3 --json; echo code $? >&2\n"
        f"stat -f -c '%f %S' '{disk}' > '{tmp_path}/free'; cp -r '{disk}/run' '{tmp_path}/run'\n"
        f"{program} timelapse {cameras[0].url} --every 1s --count 2 --keep-free 5 -o '{disk}/lapse' >&2\n"
        f"echo code $? >&2; test ! -e '{disk}/lapse'"
    )
    assert done.returncode == 0, done.stderr
    ended, lapse, rest = done.stderr.split("code 1\n")
    assert rest == ""
    assert "3 MB are to stay free" in " ".join(ended.split())
    assert "disk" in lapse
    blocks, size = map(int, (tmp_path / "free").read_text().split())
    assert 1.5e6 < blocks * size < 4.5e6  # it looks once a second
    run = es.open_run(tmp_path / "run")
    written = {line["camera"]: line["frames_written"] for line in map(json.loads, done.stdout.splitlines())}
    assert {name: len(recording) for name, recording in run.items()} == written
    assert sum(written.values()) > 0
    assert run.info["state"] == "ended early"


def test_the_commands(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = command("record", cameras[0].url, "--frames", "12", "-o", folder, "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    last = json.loads(out.splitlines()[-1])
    assert last["frames_written"] == 12
    assert {"camera", "state", "fps", "frames_dropped", "disk_left_s", "gaps"} <= last.keys()
    process = command("info", folder, "--json")
    out, err = process.communicate(timeout=60)
    told = json.loads(out)
    assert {"camera", "frames", "first", "last", "segments", "gaps", "damaged", "bytes"} <= told.keys()
    assert (told["frames"], told["segments"], told["gaps"], told["open"]) == (12, 1, 0, 0)
    assert told["first"].endswith("Z")
    for arguments, says in (
        (("info", tmp_path / "none"), "is no run"),
        (("record", cameras[0].url, "-o", folder), "never overwrites"),
        (("repair", folder), "in order"),
    ):
        process = command(*arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == (0 if arguments[0] == "repair" else 1)
        assert says in " ".join((out + err).split())
        assert "Traceback" not in err
