"""The simulator's door: public names, loaded late."""

from __future__ import annotations

import subprocess
import sys

import pytest

from espressoscope import sim


def test_public_names() -> None:
    assert sim.__all__ == ["FAULTS", "SimulatedCamera", "StripReading", "read_strip", "simulate"]
    assert set(sim.__all__) <= set(dir(sim))
    for name in sim.__all__:
        assert getattr(sim, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        sim.nothing_of_the_kind  # noqa: B018


def test_the_door_is_light() -> None:
    code = "import sys, espressoscope.sim; print({'numpy', 'PIL', 'asyncio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
