"""Short forms of the trials; `python tests/trials` has the long ones."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest

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


def test_every_byte_of_24_cameras(tmp_path: Path) -> None:
    told = every_byte(tmp_path / "run", 24, 25.0, 2.0, "QVGA")
    assert told.good, str(told)
    assert told.frames > 24 * 10
