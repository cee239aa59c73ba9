"""Standard streams that are closed, as daemons and pythonw.exe leave them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from espressoscope.cli.watch import clock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(os.name == "nt", reason="there is no such shell")
@pytest.mark.parametrize(("closed", "said"), [("2>&-", True), (">&- 2>&- <&-", False)])
def test_closed_streams_cost_words_and_not_the_command(closed: str, said: bool, tmp_path: Path) -> None:
    command = ["sh", "-c", f'exec "$0" -m espressoscope fleet list {closed}', sys.executable]
    env = {**os.environ, "ESPRESSOSCOPE_FLEET": str(tmp_path / "lab.toml")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("There are no cameras" in done.stdout) is said


def test_a_minute_has_sixty_seconds() -> None:
    assert [clock(past_s) for past_s in (0, 59.7, 60.2, 3599.9)] == ["0:00", "0:59", "1:00", "59:59"]
