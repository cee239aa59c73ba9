"""The live view's soak in short, and its judgement; the long form is ``python -m tests.soak.napari_live``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from soak.findings import Findings
from soak.napari_live import LONG_S, Sample, judge

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_some_seconds_of_24_cameras(repo: Path) -> None:
    """Nothing grows at once, and nothing is left. Faults need more room than this to begin and to be over."""
    if importlib.util.find_spec("napari") is None:
        pytest.skip("napari is not installed here")
    if sys.platform == "linux" and "DISPLAY" not in os.environ and shutil.which("Xvfb") is None:
        pytest.skip("napari needs a screen: Xvfb is not installed (Debian: xvfb)")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak.napari_live", "--minutes", "0.07", "--seed", "3"],
        cwd=repo,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "nothing is left" in ended.stdout
    assert "threads:" in ended.stdout


def test_what_grows_is_found() -> None:
    def run(**growth: float) -> Findings:
        findings = Findings()
        samples = [
            Sample(
                float(at), *(round(100 + growth.get(name, 0) * at / LONG_S) for name in Sample._fields[1:])
            )
            for at in range(int(LONG_S))
        ]
        judge(samples, findings, LONG_S)
        return findings

    assert not run().any
    assert not run(memory=3.0).any
    for name, growth in (
        ("memory", 15),
        ("threads", 6),
        ("files", 30),
        ("timers", 6),
        ("objects", 90),
        ("layers", 5),
    ):
        assert set(run(**{name: growth}).count) == {name}
    short = Findings()
    judge([Sample(0.0, 1, 1, 1, 1, 1, 1)], short, 10)
    assert set(short.count) == {"samples"}
