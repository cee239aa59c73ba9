"""`watch` as a program: its lines, its table on a terminal, its ends."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from cli_support import REPO, Terminal
from espressoscope.sim import SimulatedCamera, simulate
from support import steady_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli_support import Cli, Process
    from support import PrivateNetwork

KEYS = ["camera", *es.StreamStats.__slots__, "message"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


@pytest.fixture
def two() -> Iterator[list[SimulatedCamera]]:
    with simulate(2, port=0, fps=20, framesize="QVGA", seed=5) as cameras:
        yield cameras


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address of this computer where nothing listens, and nothing will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def urls(cameras: list[SimulatedCamera]) -> list[str]:
    return [camera.url for camera in cameras]


def said(running: Process) -> list[dict[str, object]]:
    """Give the JSON lines it has written so far."""
    return [json.loads(line) for line in running.out.splitlines(keepends=True) if line.endswith("\n")]


def wait_for_line(running: Process, **wanted: object) -> dict[str, object]:
    """Wait for a JSON line with these values."""

    def found() -> dict[str, object] | None:
        fitting = (line for line in said(running) if all(line[key] == value for key, value in wanted.items()))
        return next(fitting, None)

    line = wait_until(found, 30, what=f"a line with {wanted}, in {running.out[-2000:]} {running.err}")
    assert line is not None
    return line


# --- for programs


@pytest.mark.fresh
def test_json_is_a_line_for_each_camera_a_second(cli: Cli, two: list[SimulatedCamera]) -> None:
    result = cli.run("watch", *urls(two), "--seconds", "3", "--json")
    assert result.code == 0, result
    lines = result.objects
    assert all(list(line) == KEYS for line in lines)
    names = [lines[0]["camera"], lines[1]["camera"]]
    assert len(set(names)) == 2
    assert [line["camera"] for line in lines] == names * 3
    for camera, name in zip(two, names, strict=True):
        mine = [line for line in lines if line["camera"] == name]
        sent = list(camera.sent)
        for line in mine:
            assert line["bytes"] == sum(len(record.jpeg) for record in sent[: line["frames"]])
            assert (line["width"], line["height"], line["state"], line["message"]) == (320, 240, "live", "")
            assert (line["damaged"], line["reconnects"], line["dropped"]) == (0, 0, 0)
        passed = [later["frames"] - earlier["frames"] for earlier, later in itertools.pairwise(mine)]
        assert all(passed)
        assert 5 < mine[-1]["fps"] < 25
        assert mine[-1]["superseded"] == mine[-1]["frames"] - 1, "somebody took frames"
    assert "2 of 2 live" in result.err


def test_a_dead_camera_has_its_line_too(cli: Cli, two: list[SimulatedCamera], nobody: str) -> None:
    result = cli.run("watch", two[0].url, nobody, "--seconds", "2", "--json")
    assert result.code == 1, result
    well, dead = result.objects[-2:]
    assert (well["state"], well["message"]) == ("live", "")
    assert well["frames"] > 5
    assert (dead["camera"], dead["frames"], dead["age_s"]) == (nobody, 0, None)
    assert dead["state"] in ("backing off", "connecting")
    assert "nothing listens" in dead["message"]
    assert result.err.count("Error: ") == 1
    assert f"{nobody}: no picture" in result.err


def test_several_dead_cameras_are_one_error(cli: Cli) -> None:
    with socket.socket() as held, socket.socket() as also:
        for each in (held, also):
            each.bind(("127.0.0.1", 0))
        dead = [f"127.0.0.1:{each.getsockname()[1]}" for each in (held, also)]
        message = cli.fails(1, "watch", *dead, "--seconds", "0.2")
    assert f"2 of 2 cameras gave no picture: {dead[0]}, {dead[1]}" in message


def test_a_short_time_is_told_once(cli: Cli, two: list[SimulatedCamera]) -> None:
    result = cli.run("watch", two[0].url, "--seconds", "0.5", "--json")
    assert (result.code, len(result.objects)) == (0, 1)


@posix
def test_a_camera_that_comes_later_joins_in(cli: Cli, two: list[SimulatedCamera]) -> None:
    port = steady_port()
    running = cli.start("watch", two[0].url, f"127.0.0.1:{port}", "--fps-limit", "4", "--json")
    line = wait_for_line(running, camera=f"127.0.0.1:{port}", frames=0)
    assert line["message"]
    with SimulatedCamera(port=port, fps=20, framesize="QVGA") as late:
        line = wait_for_line(running, camera=f"127.0.0.1:{port}", state="live")
        assert line["message"] == ""
        wait_until(lambda: late.sensor["min_frame_time"] == 250, 20, what="the limit on the late camera")
        running.send(signal.SIGINT)
        assert running.finish(5).code == 0


def test_fps_limit_is_set_before_the_streams_begin(cli: Cli, two: list[SimulatedCamera]) -> None:
    result = cli.run("watch", *urls(two), "--fps-limit", "5", "--seconds", "2", "--json")
    assert result.code == 0, result
    assert [camera.sensor["min_frame_time"] for camera in two] == [200, 200]
    for line in result.objects[-2:]:
        assert line["sensor_fps"] == 5
        assert 2 <= line["frames"] <= 11


def test_fps_limit_that_a_camera_refuses_is_told(cli: Cli, two: list[SimulatedCamera]) -> None:
    with SimulatedCamera("esphome", fps=20, framesize="QVGA") as bare:
        result = cli.run("watch", two[0].url, bare.url, "--fps-limit", "5", "--seconds", "1", "--json")
    assert result.code == 1, result
    limited, free = result.objects
    assert limited["message"] == ""
    assert "no fps limit" in free["message"]
    assert free["frames"] > limited["frames"]
    assert f"{free['camera']}: no fps limit" in result.err
    assert "Error" not in result.err


# --- for people, where no terminal is


def test_without_a_terminal_it_prints_tables(cli: Cli, two: list[SimulatedCamera], nobody: str) -> None:
    result = cli.run("watch", *urls(two), nobody, "--seconds", "6")
    assert result.code == 1
    assert "\x1b" not in result.out
    tables = re.findall(r"^NAME .*\n(?:.+\n)+\d of 3 live .*$", result.out, re.MULTILINE)
    assert len(tables) == 2  # after five seconds, and at the end
    assert len(re.findall(r"  live  .* / 20 .* 320x240 ", tables[-1])) == 2
    assert f"{nobody} " in tables[-1]
    assert "2 of 3 live" in tables[-1]
    assert "watched for 6" in tables[-1]


def test_a_hostile_name_does_not_speak_to_the_terminal(cli: Cli) -> None:
    name = "\x1b[2J\x1b]0;title\x07Evil\u202e[red]"
    with SimulatedCamera(framesize="QVGA", fps=20, name=name) as camera:
        result = cli.run("watch", camera.url, "--seconds", "0.5")
    assert result.code == 0, result
    assert not set("\x1b\x07\u202e") & set(result.out + result.err)
    assert "Evil" in result.out


# --- a terminal


@posix
@pytest.mark.fresh
def test_the_table_on_a_terminal(cli: Cli, two: list[SimulatedCamera], nobody: str) -> None:
    terminal = Terminal(150, 20)
    try:
        running = cli.start("watch", *urls(two), nobody, stdout=terminal.file, env={"TERM": "xterm-256color"})
        lines = terminal.wait_for("2 of 3 live")
        assert lines[0].split()[:2] == ["NAME", "STATE"]
        assert [line.split()[0] for line in lines[1:4]][2] == nobody
        assert all(re.search(r"  live  .* 320x240 ", line) for line in lines[1:3])
        assert len(lines) == 5
        first = terminal.drawings[-1]
        wait_until(lambda: len(terminal.drawings) > 8, 20, what="further drawings")
        columns = [[line.find("  live") for line in drawing[1:3]] for drawing in terminal.drawings[-4:]]
        assert columns == [[first[1].find("  live")] * 2] * 4
        assert all(len(line) <= 150 for drawing in terminal.drawings for line in drawing)
        # With few lines the camera in trouble is among those that are shown.
        terminal.resize(60, 4)
        lines = terminal.wait_for("and 2 more, all live")
        assert len(lines) == 4
        assert any(line.startswith(nobody) for line in lines)
        running.send(signal.SIGINT)
        result = running.finish(5)
    finally:
        terminal.close()
    assert (result.code, result.err) == (0, "")
    assert "\x1b[?1049l" in terminal.text, "the terminal was left on its second screen"
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l"), "the cursor was left hidden"
    assert sum(line.startswith("NAME ") for line in terminal.left) == 1
    assert any("watched for" in line for line in terminal.left)


@posix
def test_a_picture_that_freezes_is_seen(cli: Cli) -> None:
    terminal = Terminal(150, 10)
    try:
        with SimulatedCamera(framesize="QVGA", fps=20) as camera, camera.fault("frozen"):
            running = cli.start("watch", camera.url, stdout=terminal.file, env={"TERM": "xterm-256color"})
            lines = terminal.wait_for("0 of 1 live")
            assert "  frozen  " in terminal.wait_for("the same picture for")[1], lines
            running.send(signal.SIGINT)
            assert running.finish(5).code == 0
    finally:
        terminal.close()
    assert re.search(r"\x1b\[[\d;]*31m *frozen", terminal.text), "it is not red"


# --- its ends


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("json_too", [True, False])
def test_it_ends_by_signals(
    cli: Cli, two: list[SimulatedCamera], nobody: str, number: int, json_too: bool
) -> None:
    running = cli.start("watch", *urls(two), nobody, *(["--json"] if json_too else []))
    if json_too:
        wait_until(
            lambda: len({each["camera"] for each in said(running) if each["state"] == "live"}) == 2,
            30,
            what="lines of two live cameras",
        )
    else:
        running.wait_for("2 of 3 live")
    running.send(number)
    result = running.finish(5)
    assert result.code == 0, result
    assert "Error" not in result.err
    assert "2 of 3 live" in (result.err if json_too else result.out.rpartition("NAME")[2])


@posix
def test_it_ends_while_a_camera_keeps_it_waiting(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        running = cli.start("watch", address, "--fps-limit", "5")
        silent.settimeout(30)
        with silent.accept()[0]:
            running.send(signal.SIGINT)
            assert running.finish(5).code == 0


@posix
def test_a_reader_that_goes_away_ends_it_quietly(cli: Cli, two: list[SimulatedCamera]) -> None:
    reading, writing = os.pipe()
    try:
        running = cli.start("watch", *urls(two), "--json", stdout=writing)
    finally:
        os.close(writing)
    os.read(reading, 10)
    os.close(reading)
    result = running.finish(20)
    assert result.code == 0
    assert "Error: " not in result.err


@pytest.mark.parametrize("option", ["--json", "--seconds=1"])
def test_a_full_disk_behind_stdout_is_told(cli: Cli, two: list[SimulatedCamera], option: str) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        assert "No space left" in cli.fails(1, "watch", *urls(two), option, stdout=full)


# --- which cameras


def test_nothing_found(cli: Cli) -> None:
    result = cli.run("watch", "--json", env={"ESPRESSOSCOPE_NETWORKS": "127.0.0.77/32"})
    assert (result.code, result.out) == (1, "")
    assert "Looking for cameras" in result.err
    assert "no camera was found" in result.err
    assert "powered" in result.err


def test_without_cameras_it_takes_all_it_finds(netns: PrivateNetwork, tmp_path: Path) -> None:
    """In a network of its own: other simulated cameras of this machine must not be watched."""
    run = f"{sys.executable} -m espressoscope"
    script = f"""
    {run} simulate -n 2 --json --seconds 100 > cameras & simulator=$!
    until [ "$(wc -l < cameras)" = 2 ]; do sleep 0.05; done
    {run} watch --seconds 60 --json > lines & watch=$!
    until [ "$(grep '"state": "live"' lines | cut -d '"' -f 4 | sort -u | wc -l)" = 2 ]; do sleep 0.05; done
    kill $watch; wait $watch; code=$?
    kill $simulator; wait $simulator
    exit $code
    """
    for name in ("cameras", "lines"):
        (tmp_path / name).touch()
    done = netns.run(
        ["sh", "-c", script],
        setup=["ip link set lo up"],
        env={"PYTHONPATH": str(REPO / "src"), "ESPRESSOSCOPE_NETWORKS": "127.0.0.1/32"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert len({line["camera"] for line in lines}) == 2
    live = [line for line in lines if line["state"] == "live"]
    assert live
    assert all(line["frames"] for line in live)


def test_one_camera_given_twice_is_watched_once(cli: Cli, two: list[SimulatedCamera]) -> None:
    result = cli.run("watch", two[0].url, two[0].url, "--seconds", "1", "--json")
    assert (result.code, len(result.objects)) == (0, 1)
