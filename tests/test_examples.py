"""Every example runs as it is: against cameras whose addresses it is given, and with --simulate."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from PIL import Image

from espressoscope.sim import read_strip, simulate
from support import REPO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from espressoscope.sim import SimulatedCamera

FOLDER = REPO / "examples"
FILES = sorted(FOLDER.glob("*.py"))
NOWHERE = "127.0.0.1:9"  # discard: nothing listens there


class Expected(NamedTuple):
    """How an example is run in a test, and what comes of it."""

    options: list[str]
    cameras: int
    says: str  # regular expression for its output
    leaves: list[str]


EXPECTED = {
    "edges_function": Expected([], 1, r"edges of 640 x 480 pixels, up to \d+\.\d per pixel", []),
    "find_cameras": Expected([], 0, r"Matchboxscope +http://127\.0\.0\.1:\d+ +matchboxscope .*scan", []),
    "first_picture": Expected([], 1, r"640 x 480 pixels.*\n.*shape \(480, 640, 3\)", ["first_picture.jpg"]),
    "fresh_stills": Expected(
        [],
        1,
        r"(?s)lamp-000\.jpg: mean.*lamp-100\.jpg: mean",
        [f"stills/lamp-{n:03}.jpg" for n in (0, 25, 50, 100)],
    ),
    "grid": Expected([], 3, r"grid\.png: \d cameras, (1280 x 960|800 x 600) pixels", ["grid.png"]),
    "live_brightness": Expected(
        [], 3, r"(?s)(Matchboxscope-\w{6}: \d+\.\d\s+){3}.*\d\d pictures measured", []
    ),
    "same_instant": Expected([], 3, r"(?s)cannot be made equal.*\n( +\d+\.\d){3}\n", []),
    "settings": Expected(
        [], 1, r"(?s)framesize: asked for VGA, the camera has VGA.*nothing was sent:.*quality.*0 to 63", []
    ),
    "tutorial_loop": Expected(["--no-window"], 1, r"20 pictures shown, 640 x 480 pixels", []),
    "watch_stream": Expected(
        ["12"],
        1,
        # More may have come by the time it counts.
        r"\A(frame \d+: 640x480, \d+ bytes.*\n){12}(1[2-9]|[2-9]\d) frames, .*\n0 damaged, 0 dropped, 0 rec",
        [],
    ),
}


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=20, framesize="VGA") as running:
        yield running


def run(name: str, arguments: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
    )


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_example_is_tested() -> None:
    assert [path.stem for path in FILES] == sorted(EXPECTED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 40
    assert f"python {path.name} --simulate" in text.split('"""')[1]


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "find_cameras"])
def test_an_example_runs_against_cameras(name: str, cameras: list[SimulatedCamera], tmp_path: Path) -> None:
    expected = EXPECTED[name]
    addresses = [camera.url.removeprefix("http://") for camera in cameras[: expected.cameras]]
    done = run(name, [*addresses, *expected.options], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(expected.says, done.stdout), done.stdout
    assert files_in(tmp_path) == expected.leaves
    if name == "fresh_stills":  # each picture was taken in the light it is named after
        means = [np.asarray(Image.open(tmp_path / file)).mean() for file in expected.leaves]
        assert means == sorted(means)
        assert means[-1] > means[0] + 20


def test_finding_says_in_words_that_there_is_no_camera(tmp_path: Path) -> None:
    done = run("find_cameras", ["127.0.0.2/32"], tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_runs_without_hardware(name: str, tmp_path: Path) -> None:
    expected = EXPECTED[name]
    done = run(name, ["--simulate", *expected.options], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    says = (
        expected.says.replace("640 x 480", "800 x 600")
        .replace("480, 640", "600, 800")
        .replace("640x480", "800x600")
    )
    assert re.search(says, done.stdout), done.stdout
    assert files_in(tmp_path) == expected.leaves


@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in ("find_cameras", "grid")])
def test_an_example_says_in_words_that_there_is_no_camera(name: str, tmp_path: Path) -> None:
    done = run(name, [NOWHERE, *EXPECTED[name].options], tmp_path)
    assert done.returncode == 1
    assert "nothing listens on port 9" in done.stderr
    assert "Traceback" not in done.stderr
    assert files_in(tmp_path) == []


def test_the_grid_keeps_the_place_of_a_camera_that_is_away(
    cameras: list[SimulatedCamera], tmp_path: Path
) -> None:
    done = run("grid", [cameras[0].url, NOWHERE, cameras[1].url], tmp_path)
    assert NOWHERE in done.stdout
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    tiles = {
        (row, column): grid[row * 480 :, column * 640 :][:480, :640] for row in (0, 1) for column in (0, 1)
    }
    for place, camera in (((0, 0), cameras[0]), ((1, 0), cameras[1])):
        reading = read_strip(tiles[place])
        assert reading is not None
        assert reading.camera == camera.number
    assert 0 < tiles[0, 1].mean() < 50  # dark, with a cross
    assert not tiles[1, 1].any()


def test_the_window_example_says_in_words_that_opencv_is_missing(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('none here')\n", encoding="utf-8")
    done = run("tutorial_loop", [NOWHERE], tmp_path, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 1
    assert "pip install opencv-python" in done.stderr
    assert "Traceback" not in done.stderr
