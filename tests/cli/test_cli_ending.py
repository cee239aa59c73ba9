"""Ctrl-C, SIGTERM, a reader that goes away: a clean end, the right exit code, nothing left running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cli_support import REPO
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from cli_support import Cli
    from espressoscope.sim import SimulatedCamera

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"), pytest.mark.fresh]
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDS)
def test_stream_ends_with_a_summary(cli: Cli, address: str, number: int) -> None:
    running = cli.start("stream", address, "--json", "-o", "frames")
    running.lines(3)
    running.send(number)
    result = running.finish(5)
    assert result.code == 0
    assert " frames in " in result.err
    assert "Error" not in result.err
    assert not list((cli.folder / "frames").glob(".*")), "a temporary file was left"


@pytest.mark.parametrize("number", ENDS)
def test_simulate_ends(cli: Cli, number: int) -> None:
    running = cli.start("simulate", "--port", "0", "--json")
    running.lines(1)
    running.send(number)
    result = running.finish(10)
    assert (result.code, result.err.strip()) == (0, "Ctrl-C ends")


def test_a_second_ctrl_c_does_not_interrupt_the_tidying_up(cli: Cli) -> None:
    running = cli.start("simulate", "--port", "0", "-n", "3", "--json")
    running.lines(3)
    for _ in range(3):
        running.send(signal.SIGINT)
        time.sleep(0.005)
    assert running.finish(10).code == 0


def test_ctrl_c_works_where_a_shell_has_switched_it_off(cli: Cli, address: str) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for a job in the background
    try:
        running = cli.start("stream", address, "--json")
    finally:
        signal.signal(signal.SIGINT, before)
    running.lines(1)
    running.send(signal.SIGINT)
    assert running.finish(5).code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_with_an_end_of_its_own_says_that_it_was_stopped(cli: Cli, number: int, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        running = cli.start("snap", f"127.0.0.1:{silent.getsockname()[1]}")
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            running.send(number)
            result = running.finish(5)
    assert (result.code, result.err) == (code, "Stopped.\n")
    assert not list(cli.folder.iterdir())


@pytest.mark.parametrize("module", ["espressoscope.cli.app", "rich.table"])
def test_ctrl_c_before_the_command_has_begun(module: str) -> None:
    code = """
import sys
class Interrupted:
    def find_spec(name, path=None, target=None):
        if name == sys.argv[1]:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted)
from espressoscope.cli import main
main(["discover"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, module], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_simulate_ends_with_the_program_that_started_it(cli: Cli) -> None:
    """The middle program dies by SIGKILL, which nobody can answer."""
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-m', 'espressoscope', 'simulate', '--port', '0', '--json',"
        " '--exit-with-parent'], start_new_session=True)\ntime.sleep(60)"
    )
    mark = "ESPRESSOSCOPE_TEST_MARK"
    middle = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPO / "src"), mark: "parent-test"},
    )
    with middle:
        assert middle.stdout is not None
        assert b'"url"' in middle.stdout.readline()
        middle.kill()
        middle.wait()
        # The pipe ends when its last writer has: the simulator.
        os.set_blocking(middle.stdout.fileno(), False)
        wait_until(lambda: middle.stdout is not None and middle.stdout.read(1) == b"", 10, what="its end")


@pytest.mark.parametrize("arguments", [["stream", "{}", "--json"], ["stream", "{}", "-v"], ["status", "{}"]])
def test_a_reader_that_goes_away_ends_it_quietly(cli: Cli, address: str, arguments: list[str]) -> None:
    """As ``| head -1`` does."""
    reading, writing = os.pipe()
    try:
        running = cli.start(*(word.format(address) for word in arguments), stdout=writing)
    finally:
        os.close(writing)
    os.read(reading, 10)
    os.close(reading)
    if arguments[-1] == "-v":  # without --json nothing more is said for a while
        running.send(signal.SIGINT)
    result = running.finish(20)
    assert result.code == 0
    assert "Error: " not in result.err
    assert "BrokenPipe" not in result.err or "-v" in arguments


def test_a_demo_whose_reader_goes_away_takes_its_simulator_along(cli: Cli) -> None:
    reading, writing = os.pipe()
    try:
        running = cli.start("demo", "--cameras", "1", "--seconds", "30", stdout=writing)
    finally:
        os.close(writing)
    os.read(reading, 10)
    os.close(reading)
    assert running.finish(20).code == 0


@pytest.mark.parametrize("command", ["status ADDRESS --json", "status ADDRESS", "--help", "--version"])
def test_a_full_disk_behind_stdout_is_told(cli: Cli, address: str, command: str) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        message = cli.fails(1, *command.replace("ADDRESS", address).split(), stdout=full)
    assert "No space left" in message


def test_a_stream_closed_by_ctrl_c_is_free_for_the_next(
    cli: Cli, matchbox: SimulatedCamera, address: str
) -> None:
    for _ in range(2):
        running = cli.start("stream", address, "--json")
        running.lines(1)
        running.send(signal.SIGINT)
        assert running.finish(5).code == 0


def test_files_are_whole_however_it_ends(
    cli: Cli, matchbox: SimulatedCamera, address: str, tmp_path: Path
) -> None:
    running = cli.start("stream", address, "--json", "-o", "frames")
    running.lines(5)
    running.process.kill()
    running.process.wait()
    files = list((tmp_path / "frames").glob("*.jpg"))
    sent = {record.jpeg for record in matchbox.sent}
    assert len(files) >= 5
    assert {file.read_bytes() for file in files} <= sent
