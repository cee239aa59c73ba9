"""`wifi` as a program: where the password comes from, and where it must never show."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli_support import REPO
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli_support import Cli

SECRET = "Correct;Horse-7"
ENV = {"ESPRESSOSCOPE_WIFI_PASSWORD": SECRET}
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


@pytest.fixture
def camera() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(side_delays=False, boot_s=60) as running:
        yield running


@pytest.mark.fresh
def test_the_password_from_the_environment(cli: Cli, camera: SimulatedCamera) -> None:
    running = cli.start("wifi", camera.url, "--ssid", "lab", "--timeout", "7", "--verbose", "--json", env=ENV)
    running.lines(2)
    if sys.platform == "linux":
        for process in Path("/proc").glob("[0-9]*"):
            if process.name == str(running.process.pid):
                assert SECRET.encode() not in (process / "cmdline").read_bytes()
    result = running.finish(60)
    assert f"/control?var=password&val={SECRET}" in "".join(camera.requests)
    assert SECRET not in result.out + result.err
    assert "raw and unencrypted" in result.err
    assert result.code == 1
    assert [step["code"] for step in result.objects] == ["reached", "told", "looking", "not-found"]


def test_without_terminal_and_environment(cli: Cli, camera: SimulatedCamera) -> None:
    said = cli.run("wifi", camera.url, "--ssid", "lab")
    assert said.code == 2
    assert "ESPRESSOSCOPE_WIFI_PASSWORD" in said.err
    assert not camera.requests


@posix
def test_the_password_is_asked_for_and_not_echoed(camera: SimulatedCamera, tmp_path: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "espressoscope", "wifi", camera.url, "--ssid", "lab", "--timeout", "5"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        start_new_session=True,  # without a terminal of its own: /dev/tty is not there
    )
    os.close(follower)
    seen = b""
    sent = False
    try:
        while True:
            try:
                seen += os.read(leader, 4096)
            except OSError:  # the other end has been closed
                break
            if not sent and b"Password of lab" in seen:
                time.sleep(0.3)
                os.write(leader, SECRET.encode() + b"\n")
                sent = True
        assert process.wait(30) == 1
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert sent
    assert SECRET.encode() not in seen
    assert b"raw and unencrypted" in seen
    assert seen.index(b"unencrypted") < seen.index(b"Password of lab")
    assert f"/control?var=password&val={SECRET}" in "".join(camera.requests)


@pytest.mark.parametrize(
    ("ssid", "password", "says"),
    [("my lab", SECRET, "' '"), ("lab", "with%percent", "'%'"), ("lab", "7 chars", "at least 8")],
)
def test_what_is_refused(cli: Cli, camera: SimulatedCamera, ssid: str, password: str, says: str) -> None:
    message = cli.fails(2, "wifi", camera.url, "--ssid", ssid, env={"ESPRESSOSCOPE_WIFI_PASSWORD": password})
    assert says in message
    assert password not in message
    assert not any("control" in line for line in camera.requests)


def test_a_firmware_that_cannot_be_told(cli: Cli) -> None:
    with SimulatedCamera("camerawebserver", side_delays=False) as camera:
        said = cli.run("wifi", camera.url, "--ssid", "lab", "--json", env=ENV)
    assert (said.code, said.out) == (1, "")
    assert "cannot be told a network this way" in said.err


def test_there_is_no_option_for_the_password(cli: Cli) -> None:
    text = cli.run("wifi", "--help").out
    assert "--password" not in text
    assert "ESPRESSOSCOPE_WIFI_PASSWORD" in text
    assert cli.run("wifi", "192.168.4.1", "--ssid", "lab", "--password", SECRET).code == 2


@posix
@pytest.mark.fresh
def test_ctrl_c(cli: Cli, camera: SimulatedCamera) -> None:
    running = cli.start("wifi", camera.url, "--ssid", "lab", "--json", env=ENV)
    wait_until(lambda: running.out.count("\n") >= 2, 20, what="two steps")
    running.send(signal.SIGINT)
    result = running.finish(5)
    assert result.code == 130
    assert result.err.endswith("Stopped.\n")
    assert [json.loads(line)["code"] for line in result.out.splitlines()][:2] == ["reached", "told"]


@posix
def test_ctrl_c_at_the_question(camera: SimulatedCamera, tmp_path: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "espressoscope", "wifi", camera.url, "--ssid", "lab"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        start_new_session=True,
    )
    os.close(follower)
    seen = b""
    try:
        while b"Password of lab" not in seen:
            seen += os.read(leader, 4096)
        # One that comes just before the terminal is read wakes nobody; people press the keys again, too.
        for _ in range(10):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
                break
        assert process.returncode == 130
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert not camera.requests
