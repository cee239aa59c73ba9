"""Lets the tests of discovery share `fake_hosts`, and keeps them from remembering anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for remembered hosts."""
    folder = tmp_path / "state"
    monkeypatch.setenv("ESPRESSOSCOPE_STATE", str(folder))
    return folder
