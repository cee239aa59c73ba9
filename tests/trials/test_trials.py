"""Short forms of the trials; `python tests/trials` has the long ones."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest

from espressoscope.sim import simulate
from trials import struck
from trials.fidelity import every_byte
from trials.struck import Striker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no signals to another program")
@pytest.mark.parametrize("kill", [True, False], ids=["kills", "interrupts"])
def test_struck_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path, kill: bool) -> None:
    seed = random.randrange(1 << 31)
    report = Striker(tmp_path, seed, kill=kill).strike(10 if kill else 5, 5)
    assert report.good, f"seed {seed}: {report}"
    assert report.struck == (10 if kill else 5)
    assert report.acknowledged > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no signals to another program")
def test_a_program_that_hangs_is_ended_and_tells_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(struck, "END_S", 0.2)
    with simulate(2, port=0, framesize="QVGA") as cameras:
        recorder = struck._Recorder(cameras, tmp_path / "run", (True, 0.0))
        recorder.strike(0)  # no signal at all: it goes on
        said = recorder.end()
    assert recorder.hangs
    assert "most recent call first" in said
    assert "recorder.py" in said


def test_every_byte_of_24_cameras(tmp_path: Path) -> None:
    told = every_byte(tmp_path / "run", 24, 25.0, 2.0, "QVGA")
    assert told.good, str(told)
    assert told.frames > 24 * 10
