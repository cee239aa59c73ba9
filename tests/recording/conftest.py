"""Fixtures of the recorder's tests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from espressoscope.recording import run_folder
from espressoscope.recording.writer import RunWriter
from recording_support import SOFTWARE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    """A run that has not begun; closed in the end."""
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    yield writer
    writer.close()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a run's lock was refused to somebody, who may wait for it."""
    lock, told = run_folder._lock, threading.Event()

    def tell(descriptor: int) -> None:
        try:
            lock(descriptor)
        except OSError:
            told.set()
            raise

    monkeypatch.setattr(run_folder, "_lock", tell)
    return told
