"""What recording, time-lapse and export show on a terminal while they are at work."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from cli_support import Cli, Terminal
from espressoscope.sim import simulate
from export_support import Tape, write_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    runner = Cli(tmp_path)
    yield runner
    runner.close()


def shown(terminal: Terminal) -> str:
    """Give what was written, without colours and movements."""
    return _ESCAPE.sub("", terminal.text)


def test_figures_of_each_camera_are_shown_while_it_goes_on(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path / "long", [Tape("A1").steady(3000, size=(16, 16))])
    with contextlib.ExitStack() as stack:
        cameras = stack.enter_context(simulate(2, port=0, framesize="QVGA"))
        urls = [camera.url for camera in cameras]
        commands = {
            "record": (*urls, "--seconds", "4", "-o", "run"),
            "timelapse": (*urls, "--every", "3s", "--window", "3s", "--count", "2", "-o", "lapse"),
            "export": (tmp_path / "long", "--to", "jpeg", "-o", "files"),
        }
        terminals = {}
        for name in commands:
            terminals[name] = Terminal(150, 24)
            stack.callback(terminals[name].close)
        running = {
            name: cli.start(name, *words, stdout=terminals[name].file, env={"TERM": "xterm-256color"})
            for name, words in commands.items()
        }
        results = {name: process.finish(60) for name, process in running.items()}
    assert {name: (result.code, result.err) for name, result in results.items()} == dict.fromkeys(
        commands, (0, "")
    )
    for terminal in terminals.values():
        assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l"), "the cursor is hidden"
    recorded, lapsed, exported = map(shown, terminals.values())
    for name, recording in es.open_run(tmp_path / "run").items():
        row = rf"^{re.escape(name)} +\w+ +[\d.]+ +(\d+) +[\d.]+ +\d+ +\d+ +\d+"
        counts = [int(count) for count in re.findall(row, recorded, re.M)]
        assert len(counts) > 2, recorded
        assert counts == sorted(counts)
        assert counts[0] < counts[-1] == len(recording.records)
    assert re.search(r"^ *disk: room for \d+ \w+", recorded, re.M), recorded
    for name in es.open_run(tmp_path / "lapse"):
        points = re.findall(rf"^{re.escape(name)} +(\d) +0 .*(taken +[\d-]| 0, )", lapsed, re.M)
        assert {taken for taken, _ in points} >= {"1", "2"}, lapsed
    done = [tuple(map(int, found)) for found in re.findall(r"A1 [━╸╺ ]+ +(\d+)/(\d+)", exported)]
    assert {total for _, total in done} == {3000}, exported
    assert len({count for count, _ in done}) > 2, exported
