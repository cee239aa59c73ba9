"""The command killed and stopped in earnest, with its lamp on and its cameras misnamed; and its alarm."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.api import taker as taker_module
from espressoscope.sim import SimulatedCamera
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NASTY = "a';touch pwned;$(touch pwned)`touch pwned`"


@pytest.fixture
def cameras() -> Iterator[list[SimulatedCamera]]:
    names = (NASTY, "B")
    made = [
        SimulatedCamera(name=name, fps=30, framesize="QVGA", side_delays=False, number=40 + number)
        for number, name in enumerate(names)
    ]
    try:
        for camera in made:
            camera.start()
        yield made
    finally:
        for camera in made:
            camera.stop()


def command(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "espressoscope", "timelapse", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
    )


def lit(camera: SimulatedCamera) -> int:
    """Count how often a camera was told to switch its lamp on."""
    return sum("var=lamp" in request and "val=60" in request for request in camera.requests)


def lamp_of(camera: SimulatedCamera) -> object:
    with es.Camera(camera.url) as opened:
        return opened.status()["lamp"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_with_the_lamp_on_it_goes_on(cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    hook = tmp_path / "hook.py"
    hook.write_text(
        "import json, os, pathlib\n"
        "told = {k: v for k, v in os.environ.items() if k.startswith('ESPRESSOSCOPE_')}\n"
        "with pathlib.Path(__file__).with_name('told.jsonl').open('a') as file:\n"
        "    print(json.dumps(told), file=file)\n",
        encoding="utf-8",
    )
    run = tmp_path / "run"
    words = [
        *(camera.url for camera in cameras), "--every", "1s", "--lamp", "60", "--settle", "150ms",
        "--stagger", "100ms", "--on-missed", f"'{sys.executable}' '{hook}'", "-o", run, "--json", "--force",
    ]  # fmt: skip
    _live(words, run, cameras, signal.SIGKILL)
    assert lamp_of(cameras[0]) == 60  # nobody was left to switch it off
    status = es.timelapse_status(run)
    assert (status.state, status.points, status.next_due_ns is None) == ("stopped", None, False)
    time.sleep(2.0)  # long enough for a point to be missed
    assert es.timelapse_status(run).overdue > 0
    out, err = _live(words, run, cameras, signal.SIGTERM)
    assert ": stopped" in err, err
    assert "Going on with" in err
    assert [lamp_of(camera) for camera in cameras] == [0, 0]

    status = es.timelapse_status(run)
    assert status.state == "stopped"
    lines = [json.loads(line) for line in out.splitlines()]
    opened = es.open_run(run)
    for camera, recording in zip(cameras, opened.values(), strict=True):
        with (recording.folder / "points.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["point"]) for row in rows] == list(range(len(rows)))
        taken = [int(row["point"]) for row in rows if row["outcome"] == "taken"]
        assert len(taken) >= 3
        assert [frame.sequence for frame in recording] == taken
        captured = {each.jpeg for each in camera.captured}
        assert all(frame.jpeg in captured for frame in recording)
        missed = [row for row in rows if row["outcome"] == "missed"]
        assert missed
        assert all(row["reason"] for row in missed)
        assert [line["point"] for line in lines if line["camera"] == recording.name][-1] == len(rows) - 1
    # The alarm was told of each, and nothing but that program was ever run.
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    points = [
        (each["ESPRESSOSCOPE_CAMERA"], point)
        for each in told
        for point in range(int(each["ESPRESSOSCOPE_POINT"]), int(each["ESPRESSOSCOPE_LAST_POINT"]) + 1)
    ]
    assert len(points) == len(set(points))  # never twice
    assert {(line["camera"], line["point"]) for line in lines if line["outcome"] == "missed"} <= set(points)
    assert "touch pwned" in status.cameras[0].name
    assert {name for name, _ in points} <= {camera.name for camera in status.cameras}
    assert not [*tmp_path.rglob("pwned"), *REPO.glob("pwned")]


def _live(
    words: list[object], run: Path, cameras: list[SimulatedCamera], ending: signal.Signals
) -> tuple[str, str]:
    """Let the command take some points, and end it while the lamp is on."""
    process = command(*words, cwd=run.parent)
    try:
        wait_until(lambda: (run / "schedule.json").exists() or process.poll() is not None, 40)
        before = lit(cameras[0])
        wait_until(lambda: lit(cameras[0]) > before + 2 or process.poll() is not None, 40)
        alive = process.poll() is None
    finally:
        process.send_signal(ending)
        out, err = process.communicate(timeout=60)
    assert alive, err
    assert process.returncode == (0 if ending == signal.SIGTERM else -ending), err
    return out, err


def test_no_lamp_is_left_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a program killed at the last point, nor by a camera that was away when it should go dark."""
    for name in ("_LEAST_S", "_LAMP_S", "_LAST_S"):
        monkeypatch.setattr(taker_module, name, 1.5)
    with SimulatedCamera(name="A1", fps=30, framesize="QVGA", side_delays=False, number=44) as camera:

        def lapse(name: str, count: int | None) -> es.TimeLapse:
            return es.TimeLapse(
                camera.url,
                "1s",
                count=count,
                lamp=60,
                settle=0.3,
                window=0.9,
                path=tmp_path / name,
                force=True,
            )

        assert lapse("run", 1).run().state == "complete"
        with es.Camera(camera.url) as opened:
            opened.set(lamp=60)  # as a program leaves it that is killed before the last line
            assert opened.status()["lamp"] == 60
        assert lapse("run", 1).run().state == "complete"
        assert lamp_of(camera) == 0
        with es.Camera(camera.url) as opened:
            opened.set(autolamp=True)
        going = lapse("away", None)
        going.prepare()
        taker = going._takers[0]
        worker = threading.Thread(target=going.run)
        before = lit(camera)
        worker.start()
        try:
            wait_until(lambda: lit(camera) > before, 20)
            with camera.fault("vanish"):
                wait_until(lambda: taker._maybe_lit and taker._camera is None, 40)
        finally:
            going.stop()
            worker.join(30)
        assert not worker.is_alive()
        with es.Camera(camera.url) as opened:
            assert [opened.status()[name] for name in ("lamp", "autolamp")] == [0, True]
        assert "lamp may still be on" not in caplog.text
        late = lapse("away", None)
        late.prepare()
    late._takers[0].close()  # it has gone for good
    late.close()
    (told,) = [each.getMessage() for each in caplog.records if "may still be on" in each.getMessage()]
    assert camera.name in told


def test_no_password_is_stored_or_shown(tmp_path: Path) -> None:
    """Neither that of a URL's user nor what stands in its query; only the camera is told."""
    with SimulatedCamera(name="A1", fps=30, framesize="QVGA", side_delays=False, number=45) as camera:
        where = camera.stream_url.removeprefix("http://").partition("/")
        secret = f"http://me:SECRET0@{where[0]}/{where[2]}?user=SECRET1&pwd=SECRET2;SECRET3"
        given = {"PYTHONPATH": str(REPO / "src"), **os.environ}
        run, lapse = tmp_path / "run", tmp_path / "lapse"
        words: list[list[object]] = [
            ["record", secret, "--frames", "3", "-o", run, "--json", "--verbose"],
            [
                "timelapse",
                secret,
                "--every",
                "1s",
                "--count",
                "1",
                "--force",
                "-o",
                lapse,
                "--json",
                "--verbose",
            ],
            ["timelapse", secret, "--every", "1s", "--count", "1", "--force", "-o", lapse, "--verbose"],
        ]
        out = ""
        for each in words:
            done = subprocess.run(
                [sys.executable, "-m", "espressoscope", *map(str, each)],
                capture_output=True, text=True, timeout=60, check=False, env=given,
            )  # fmt: skip
            assert done.returncode == 0, done
            out += done.stdout + done.stderr
        assert "Going on with" in out
        assert any("pwd=SECRET2" in request for request in camera.requests)
    info = json.loads((lapse / "run.json").read_text())["cameras"][0]
    assert info["url"].endswith("?user=***&pwd=***;***")
    with pytest.raises(es.CameraError) as gone:
        es.Camera(secret).open()
    for name, to in (("files", "jpeg"), ("a.zarr", "ome-zarr")):
        for source in (run, lapse):
            es.export_run(source, to, tmp_path / f"{source.name}-{name}")  # type: ignore[arg-type]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 12
    for text in (*written, out.encode(), str(gone.value).encode()):
        assert b"SECRET" not in text
    assert not [path for path in tmp_path.rglob("*") if "SECRET" in path.name]
