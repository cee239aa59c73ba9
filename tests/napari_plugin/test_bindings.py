"""The other binding of Qt: tests of this folder run by it. All others here run by PyQt6."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import REPO

HERE = Path(__file__).parent
# Layers, table and settings of a live camera; closing amid all that can be under way.
SOME = (
    "test_live.py::test_one_camera_is_shown_as_it_is",
    "test_settings.py::test_focus_is_stepped_driven_and_searched",
    "test_closing.py::test_closing_amid_a_recording_a_function_and_a_snap",
)


def test_by_pyside6_too(tmp_path: Path) -> None:
    if importlib.util.find_spec("PySide6") is None:
        pytest.skip("PySide6 is not installed")
    said = tmp_path / "said"
    with said.open("wb") as file:  # not a pipe, which a screen left behind would hold open
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
            + [str(HERE / each) for each in SOME],
            cwd=REPO,
            env={**os.environ, "QT_API": "pyside6", "PYTEST_QT_API": "pyside6"},
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=170,
            check=False,
        )
    words = said.read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, words[-5000:]
    assert f"{len(SOME)} passed" in words
