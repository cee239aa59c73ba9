"""A program that closes nothing ends all the same, and what it left open is closed in order."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import espressoscope as es
from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from pathlib import Path

LEAVES_ALL = """
import sys
import espressoscope as es
camera = es.Camera(sys.argv[1]).open()
stream = camera.stream()
recorder = camera.record(sys.argv[3])
fleet = es.Fleet([sys.argv[2]]).open()
fleet.start()
fleet.latest()
lapse = es.TimeLapse([sys.argv[1]], every="5s", count=3, path=sys.argv[3] + "-lapse")
lapse.prepare()
while recorder.frames_written < 5:
    next(stream)
print("done", flush=True)
1 / 0
"""
OPENS_AT_THE_END = """
import atexit, sys
atexit.register(lambda: globals().update(camera=es.Camera(sys.argv[1]).open()))
import espressoscope as es
"""
"""What is registered before ours is called after it: its camera is left to the interpreter."""


def _end(code: str, *arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout


def test_what_is_left_open_is_closed_when_the_program_ends(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with SimulatedCamera(name="a", fps=20) as one, SimulatedCamera(name="b", fps=20) as other:
        code, said = _end(LEAVES_ALL, one.url, other.url, str(path))
        assert (code, said.splitlines()[0]) == (1, "done"), said
        assert said.count("Traceback") == 1, said
        assert "ZeroDivisionError" in said
    run = es.open_run(path)
    assert run.info["state"] == "closed"
    assert len(run["a"].records) >= 5


def test_what_is_opened_even_later_does_not_hold_up_the_end() -> None:
    with SimulatedCamera() as camera:
        code, said = _end(OPENS_AT_THE_END, camera.url)
        # Some versions of Python let nobody start a thread so late.
        assert code == 0, said
        assert "Traceback" not in said or "can't create new thread" in said, said
