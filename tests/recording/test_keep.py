"""Recordings that begin before they were asked for."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.recording.kept import Allowance, LastFrames
from espressoscope.sim import SimulatedCamera, simulate
from recording_support import Source, facts
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from espressoscope.recording.recorded import Recording


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[SimulatedCamera]]:
    with simulate(2, port=0, fps=50, framesize="QVGA", prerender=True) as running:
        yield running


def trigger_ns(recording: Recording) -> int:
    """Give the time at which a recording was asked for, as its log has it."""
    with (recording.folder / "frames.csv").open(newline="") as file:
        (found,) = [int(row["received_ns"]) for row in csv.DictReader(file) if row["status"] == "trigger"]
    return found


def test_it_begins_before_it_was_asked_for(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    with es.Fleet([camera.url for camera in cameras]) as fleet:
        with pytest.raises(ValueError, match="call keep"):
            fleet.record(tmp_path / "none", before=1)
        assert not (tmp_path / "none").exists()
        streams = {name: fleet[name].stream(buffer=100_000, damaged=True) for name in fleet.names}
        keeper = fleet.keep(1.0)
        assert fleet.keep(0.6) is keeper
        with pytest.raises(ValueError, match=r"only 0\.6 s"):
            fleet.record(tmp_path / "none", before=0.7)
        wait_until(lambda: all(each.seconds >= 0.5 for each in keeper.kept.values()), 20)
        for number in range(6):  # the seam lies elsewhere each time
            with fleet.record(tmp_path / f"run-{number}", frames=12, before=0.5) as recorder:
                pass
            assert recorder.frames_dropped == 0
        assert all(0 < each.seconds <= 0.6 and each.let_go == 0 for each in keeper.kept.values())
        keeper.close()
        assert not keeper.kept
        with pytest.raises(ValueError, match="call keep"):
            fleet.record(tmp_path / "none", before=0.1)
        seen = {}
        for name, stream in streams.items():
            last = fleet[name].latest().sequence
            seen[name] = []
            for frame in stream:
                seen[name].append(frame)
                if frame.sequence >= last:
                    break
            assert [frame.sequence for frame in seen[name]] == list(range(seen[name][0].sequence, last + 1))
    sent = {camera.mac: {each.jpeg for each in camera.sent} for camera in cameras}
    for number in range(6):
        for name, recording in es.open_run(tmp_path / f"run-{number}").items():
            asked_ns = trigger_ns(recording)
            got = [facts(frame) for frame in recording.records]
            early = [facts(f) for f in seen[name] if asked_ns - 500_000_000 <= f.received_ns < asked_ns]
            late = [facts(f) for f in seen[name] if f.received_ns >= asked_ns][:12]
            assert early
            assert [(f[1], f[2]) for f in got] == [(f[1], f[2]) for f in early + late]
            assert {frame.jpeg for frame in recording} <= sent[recording.info["mac"]]


def test_one_camera(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    with es.Camera(cameras[0].url) as camera:
        for wrong in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="positive"):
                camera.keep(wrong)
        with camera.keep(2, max_bytes=60_000) as keeper:
            name = camera.info.name
            wait_until(lambda: keeper.kept[name].let_go > 5, 20, what="the room to be used up")
            kept = keeper.kept[name]
            assert 0 < kept.bytes <= 60_000
            assert kept.frames < 100
            with camera.record(tmp_path / "run", frames=1, before=2):
                pass
        recording = es.open_run(tmp_path / "run")[name]
        numbers = [frame.sequence for frame in recording]
        assert len(numbers) > 1
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        keeper = camera.keep(5)
        assert keeper.max_bytes == 512 * 2**20
    keeper.close()
    assert not keeper.kept


def test_what_is_kept_has_ceilings_in_time_and_in_bytes() -> None:
    allowance = Allowance(2.0, 10**9)
    last = LastFrames(allowance)
    source = Source(fps=10)
    for _ in range(100):
        assert not last.put(source.frame())
    assert last.since(0) == source.frames[-21:]
    assert (last.span_s, last.let_go, last.count) == (2.0, 0, 21)
    assert last.bytes == sum(len(frame.jpeg) for frame in source.frames[-21:])
    allowance.max_bytes = 20_000
    allowance.divide(2)
    last.put(source.frame())
    assert last.bytes <= 10_000
    assert last.let_go == 21 - last.count > 0
    last.put(source.frame(bytes(20_000)))  # more than there is room for
    assert (last.count, last.bytes, last.span_s) == (0, 0, 0.0)
    assert last.since(0) == []


@pytest.mark.parametrize("how", ["enter", "signal"])
def test_the_command_waits_for_its_trigger(cameras: list[SimulatedCamera], tmp_path: Path, how: str) -> None:
    if how == "signal" and not hasattr(signal, "SIGUSR1"):
        pytest.skip("this system has no SIGUSR1")
    folder = tmp_path / "run"
    arguments = ("record", cameras[0].url, "-o", folder, "--pretrigger", "0.5", "--frames", "5", "--json")
    process = subprocess.Popen(
        [sys.executable, "-m", "espressoscope", *map(str, arguments)],
        stdin=subprocess.PIPE if how == "enter" else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
    )
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    while line["kept_s"] < 0.4:
        line = json.loads(process.stdout.readline())
    assert line["frames_written"] == 0
    assert not folder.exists()
    if how == "signal":
        process.send_signal(signal.SIGUSR1)
    out, err = process.communicate("\n" if how == "enter" else None, timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    last = json.loads(out.splitlines()[-1])
    (recording,) = es.open_run(folder).values()
    asked_ns = trigger_ns(recording)
    times = [frame.received_ns for frame in recording]
    assert len(times) == last["frames_written"]
    assert sum(each >= asked_ns for each in times) == 5
    assert sum(each < asked_ns for each in times) >= 5
    assert all(each >= asked_ns - 500_000_000 for each in times)
