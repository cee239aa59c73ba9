"""The demo: its simulator found, set and streamed from; pictures left, nothing left running."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import socket
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import espressoscope as es
from cli_support import REPO
from espressoscope.cli.contact_sheet import Tile, contact_sheet
from espressoscope.cli.simulator import SimulatorProcess
from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli_support import Cli
    from support import PrivateNetwork

KEYS = [
    *("camera", "url", "firmware", "state", "frames", "fps", "kb_per_s", "width", "height", "reconnects"),
    *("damaged", "path", "ok", "contact_sheet"),
]


def open_picture(data: bytes) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@contextlib.contextmanager
def taken(*ports: int) -> Iterator[None]:
    """Hold ports; those somebody else holds are taken as well."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.mark.fresh
def test_demo_leaves_pictures_of_every_camera(cli: Cli, tmp_path: Path) -> None:
    result = cli.run("demo", "--cameras", "3", "--seconds", "1.5")
    assert result.code == 0, result
    assert [line[:2] for line in result.out.splitlines() if line[1:2] == "."] == [
        f"{n}." for n in range(1, 6)
    ]
    rows = re.findall(
        r"^(\S+) +(live) +([\d.]+) +(\d+) +(\d+x\d+) +([\d.]+) s +(\d+)", result.out, re.MULTILINE
    )
    assert len(rows) == 3
    assert all(int(row[-1]) > 3 for row in rows)
    assert len({line.split()[1] for line in result.out.splitlines() if "http://127" in line}) == 3, "families"
    set_rows = re.findall(r"quality +(\d+) +(\d+) +(\d+) +ok", result.out)
    assert len(set_rows) == 3
    assert all(before != asked == actual for before, asked, actual in set_rows)
    assert "Try next" in result.out
    folder = tmp_path / "espressoscope-demo"
    files = {path.name for path in folder.iterdir()}
    assert files == {f"{row[0]}.jpg" for row in rows} | {"contact-sheet.png"}
    sheet = open_picture((folder / "contact-sheet.png").read_bytes())
    assert sheet.std() > 20, "an empty sheet"
    for name in files - {"contact-sheet.png"}:
        assert open_picture((folder / name).read_bytes()).std() > 5


def test_demo_for_programs_and_a_second_time(cli: Cli) -> None:
    for _ in range(2):
        result = cli.run("demo", "--cameras", "2", "--seconds", "1", "--no-window", "--json")
        assert result.code == 0, result
        assert [list(line) for line in result.objects] == [KEYS] * 2
        assert all(line["ok"] and line["frames"] > 0 for line in result.objects)
        assert all((cli.folder / line["path"]).is_file() for line in result.objects)


@pytest.mark.parametrize("step", ["1. ", "2. ", "3. ", "4. "])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.fresh
def test_demo_ends_at_every_moment(cli: Cli, step: str, number: int) -> None:
    running = cli.start("demo", "--cameras", "2", "--seconds", "60")
    running.wait_for(step)
    running.send(number)
    result = running.finish(10)  # which also looks for the simulator
    assert result.code == 0, result
    assert "Error" not in result.err


@pytest.mark.fresh
def test_demo_that_is_killed_takes_its_simulator_along(cli: Cli) -> None:
    running = cli.start("demo", "--cameras", "1", "--seconds", "60")
    running.wait_for("4. ")
    assert len(running.descendants()) == 2
    running.send(signal.SIGKILL)
    assert running.finish(10).code == -signal.SIGKILL  # which waits for the simulator's end


def test_demo_looks_elsewhere_when_ports_are_taken(cli: Cli) -> None:
    with taken(8080, 8082):
        result = cli.run("demo", "--cameras", "1", "--seconds", "1", "--json")
    assert result.code == 0, result
    assert int(result.objects[0]["url"].rpartition(":")[2]) > 8082


def test_demo_does_without_its_usual_ports(cli: Cli) -> None:
    with taken(*range(8080, 8176)):
        result = cli.run("demo", "--cameras", "2", "--seconds", "1", "--json")
    assert result.code == 0, result
    assert len(result.objects) == 2


def test_demo_in_a_folder_that_may_not_be_written(cli: Cli) -> None:
    (cli.folder / "espressoscope-demo").touch()
    assert "espressoscope-demo" in cli.fails(2, "demo", "--seconds", "1")


def test_demo_with_real_cameras_puts_the_setting_back(netns: PrivateNetwork, tmp_path: Path) -> None:
    """In a network of its own: other simulated cameras of this machine must not be touched."""
    run = f"{sys.executable} -m espressoscope"
    script = f"""
    {run} simulate -n 2 --json --seconds 60 > cameras & simulator=$!
    until [ $(wc -l < cameras) = 2 ]; do sleep 0.05; done
    {run} status 127.0.0.1:8080 --json
    {run} demo --real --seconds 1 --json; code=$?
    {run} status 127.0.0.1:8080 --json
    kill $simulator; wait $simulator
    exit $code
    """
    done = netns.run(
        ["sh", "-c", script],
        setup=["ip link set lo up"],
        env={"PYTHONPATH": str(REPO / "src"), "ESPRESSOSCOPE_NETWORKS": "127.0.0.1/32"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    before, *cameras, after = map(json.loads, done.stdout.splitlines())
    assert len(cameras) == 2
    assert all(camera["ok"] for camera in cameras)
    assert before["quality"] == after["quality"]


def test_demo_with_real_cameras_and_none_there(netns: PrivateNetwork, tmp_path: Path) -> None:
    done = netns.run(
        [sys.executable, "-m", "espressoscope", "demo", "--real"],
        setup=["ip link set lo up"],
        env={"PYTHONPATH": str(REPO / "src"), "ESPRESSOSCOPE_NETWORKS": "127.0.0.1/32"},
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "no camera was found" in done.stderr


# --- its parts


def test_simulator_process_ends_with_its_block() -> None:
    with SimulatorProcess(2, ["--firmware", "matchboxscope"], 60) as simulator:
        process = simulator._process
        assert process is not None
        assert len({camera["mac"] for camera in simulator.cameras}) == 2
    assert process.returncode == 0


def test_simulator_process_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(es.CameraError, match="unknown firmware 'vhs'"),
        SimulatorProcess(1, ["--firmware", "vhs"], 60),
    ):
        pass


@pytest.fixture(scope="module")
def frame() -> es.Frame:
    with SimulatedCamera(framesize="SVGA") as simulated, es.Camera(simulated.url) as camera:
        return camera.snap()


@pytest.mark.parametrize("count", [1, 2, 5, 24, 48])
def test_contact_sheet_shows_each_camera(frame: es.Frame, count: int) -> None:
    tiles = [Tile(f"Camera {n}", ["matchboxscope"], frame) for n in range(count)]
    sheet = open_picture(contact_sheet(tiles, "A title"))
    assert sheet.shape[1] <= 2000
    assert sheet.std() > 20


def test_contact_sheet_says_where_there_is_no_picture(frame: es.Frame) -> None:
    broken = es.Frame(frame.jpeg[:5000], 0, frame.received_ns, None, 800, 600, "x", "truncated")
    nonsense = es.Frame(os.urandom(500), 0, frame.received_ns, None, 800, 600, "x", "corrupt")
    tiles = [Tile("whole", [], frame), Tile("x" * 500, ["y" * 500], None), Tile("broken", ["a"] * 99, broken)]
    with_all = open_picture(contact_sheet([*tiles, Tile("nonsense", [], nonsense)], "title " * 100))
    assert with_all.std() > 20
