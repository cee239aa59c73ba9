"""A minute of the soak: 24 cameras, half of them struck by every fault, closed again and again afterwards.

The long form is ``python tests/soak``; what is required of it stands in that folder.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 60
"""With faults in force; the start, and closing again and again, come on top."""


@pytest.mark.timeout(360)
def test_a_minute_of_every_fault_at_random(repo: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(Path("tests", "soak")), "--seconds", str(SECONDS), "--seed", "1"],
        cwd=repo,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert "close(), 25 times" in ended.stdout
