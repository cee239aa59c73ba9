"""Simulated ESP32 cameras: cameras on the network that behave like real ones, for people without hardware.

The public names, loaded when first used. The picture half (`sensor`, `scene`, `pictures`, `encode`,
`strip`) makes the JPEGs a camera with those settings would send; the server half (`camera`, `many`,
`faults`, `families`, `httpd`) says them on the wire. Nothing here imports the parser: simulator and
parser must not share a mistake.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espressoscope.sim.camera import SimulatedCamera
    from espressoscope.sim.faults import FAULTS
    from espressoscope.sim.many import simulate
    from espressoscope.sim.strip import StripReading, read_strip

_HOME = {
    "FAULTS": "faults",
    "SimulatedCamera": "camera",
    "StripReading": "strip",
    "read_strip": "strip",
    "simulate": "many",
}

__all__ = ["FAULTS", "SimulatedCamera", "StripReading", "read_strip", "simulate"]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
