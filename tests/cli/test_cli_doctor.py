"""`doctor` as a program: what it says to people and programs, its exit codes, its ends."""

from __future__ import annotations

import re
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cli_support import answering, http, server
from doctor_support import closed_port, control_of
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from cli_support import Cli

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.mark.fresh
def test_a_healthy_camera(cli: Cli) -> None:
    with SimulatedCamera(framesize="VGA", fps=10, side_delays=False) as camera:
        result = cli.run("doctor", camera.url)
        assert (result.code, result.err) == (0, "")
        assert result.out.endswith("All is well.\n")
        assert "   ok Matchboxscope answers at 127.0.0.1" in result.out
        assert "Its stream was held for" in result.out
        objects = cli.run("doctor", camera.url, "--json").objects
    assert objects[0]["code"] == "camera"
    assert all(list(found) == ["code", "ok", "words", "advice"] for found in objects)
    assert {found["ok"] for found in objects} <= {True, None}


def test_a_problem(cli: Cli) -> None:
    with control_of(closed_port()) as address:
        result = cli.run("doctor", address)
        assert result.code == 1
        assert "WRONG Port " in result.out
        assert "\n      Try: Switch it off and on." in result.out
        assert result.out.endswith("1 problem found.\n")
        result = cli.run("doctor", address, "--json")
    assert result.code == 1
    assert [found["code"] for found in result.objects if found["ok"] is False] == ["stream-refused"]
    assert "WRONG" in result.err


def test_findings_come_as_they_are_made(cli: Cli) -> None:
    """What is known at once is said before the long wait for the stream."""
    with SimulatedCamera(framesize="VGA", side_delays=False, faults=["silent-second"]) as camera:
        running = cli.start("doctor", camera.url, "--json")
        assert running.lines(1)[0]["code"] == "camera"
        assert running.process.poll() is None
        assert [found["code"] for found in running.finish(30).objects][-1] == "busy"


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.fresh
def test_it_can_be_stopped(cli: Cli, number: int, code: int) -> None:
    with SimulatedCamera(framesize="VGA", side_delays=False, faults=["silent-second"]) as camera:
        running = cli.start("doctor", camera.url)
        wait_until(lambda: "camera" in running.out or "answers at" in running.out, 20, what="a finding")
        time.sleep(0.5)
        began = time.monotonic()
        running.send(number)
        result = running.finish(5)
        assert time.monotonic() - began < 3
    assert result.code == code
    assert result.err == "Stopped.\n"


@posix
def test_a_reader_that_goes_away(cli: Cli) -> None:
    with SimulatedCamera(framesize="VGA", fps=10, side_delays=False) as camera:
        running = cli.start("doctor", camera.url, "--json")
        assert running.finish(30).code == 0


def test_wrong_use(cli: Cli) -> None:
    assert "rtsp:// addresses are not spoken" in cli.fails(2, "doctor", "rtsp://192.168.4.1/")
    assert "not the address of a camera" in cli.fails(2, "doctor", "http://a b/")
    cli.fails(2, "doctor", "192.168.4.1", "192.168.4.2")


def test_a_broken_fleet_file_is_said_so(cli: Cli) -> None:
    (cli.folder / "lab.toml").write_text("[cameras.A1\n")
    assert "lab.toml" in cli.fails(1, "doctor", "A1")


def test_hostile_names(cli: Cli) -> None:
    status = b'{"cam_name":"\\u001b[2J\\u001b]0;evil\\u0007[red]x","framesize":8,"quality":12}'
    with server(answering(http(status, "application/json"))) as address:
        for env in ({}, {"FORCE_COLOR": "1"}):
            result = cli.run("doctor", address, env=env)
            assert not re.search(r"\x1b\[2J|\x1b\]|\x07", result.out)
            assert "[red]x" in result.out


@pytest.mark.fresh
def test_without_a_camera_it_looks_at_the_network(cli: Cli) -> None:
    """Allowed to look on loopback only, at ports where nobody is."""
    with socket.create_server(("127.0.0.1", 0)):
        result = cli.run("doctor", "--json", env={"ESPRESSOSCOPE_NETWORKS": "127.0.0.9/32"})
    found = {each["code"]: each for each in result.objects}
    assert result.code == 1
    assert found["no-camera"]["ok"] is False
    assert "127.0.0.9/32 only" in found["search-limited"]["words"]


def test_discover_says_the_short_form_by_itself(cli: Cli) -> None:
    env = {"ESPRESSOSCOPE_NETWORKS": "127.0.0.9/32"}
    result = cli.run("discover", env=env)
    assert result.code == 1
    assert "no camera was found" in result.err
    assert "ESPRESSOSCOPE_NETWORKS has cameras looked for in 127.0.0.9/32 only" in result.err
    assert result.out == ""
    result = cli.run("discover", "--network", "127.0.0.9", "--json")
    assert (result.code, result.out) == (1, "")
    assert "ESPRESSOSCOPE_NETWORKS" not in result.err
