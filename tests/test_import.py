"""Importing the package is quick, loads nothing heavy and starts nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

HEAVY = (
    "PIL asyncio av cv2 dask ifaddr napari numpy platformdirs qtpy rich simplejpeg socket tifffile tomlkit "
    "typer zarr zeroconf"
).split()
# What using the public names must not load either: windows, terminal and export belong to other commands.
NEVER_FOR_NAMES = "PIL av cv2 dask napari qtpy rich tifffile typer zarr".split()


def in_fresh_interpreter(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def loaded_by(code: str) -> set[str]:
    """Give the top-level modules a piece of code loads."""
    report = "\nimport sys; print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    return set(in_fresh_interpreter(f"import sys; before = set(sys.modules)\n{code}{report}").stdout.split())


def test_import_loads_nothing_heavy() -> None:
    loaded = loaded_by("import espressoscope")
    assert "espressoscope" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_public_names_load_no_other_face() -> None:
    loaded = loaded_by("import espressoscope as es\nfor name in es.__all__: getattr(es, name)")
    assert loaded.isdisjoint(NEVER_FOR_NAMES)


def test_simulator_is_no_part_of_the_public_names() -> None:
    code = "import sys, espressoscope as es\nfor name in es.__all__: getattr(es, name)\n"
    loaded = in_fresh_interpreter(
        code + "print(*(n for n in sys.modules if n.startswith('espressoscope.sim')))"
    )
    assert loaded.stdout.split() == []


def test_import_starts_no_thread() -> None:
    code = "import threading, espressoscope as es\nfor name in es.__all__: getattr(es, name)\n"
    assert in_fresh_interpreter(code + "print(threading.active_count())").stdout.split() == ["1"]


def test_import_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    """The best of five interpreters: what the import costs, not what the machine does meanwhile."""
    best_ms = min(import_ms() for _ in range(5))
    with capsys.disabled():
        print(f" import espressoscope: {best_ms:.1f} ms", end="")
    assert best_ms < 150


def import_ms() -> float:
    lines = in_fresh_interpreter("import espressoscope", "-X", "importtime").stderr.splitlines()
    total = next(line for line in reversed(lines) if line.rpartition("|")[2].strip() == "espressoscope")
    return int(total.split("|")[1]) / 1000
