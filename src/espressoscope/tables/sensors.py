"""How fast a sensor makes frames, by picture size and clock.

Read in the driver (window modes of ``ov2640.c`` in espressif/esp32-camera) and in Tasmota's table of native
intervals (xdrv_81_esp32_webcam_task.ino). What arrives over the radio is less.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from espressoscope.tables.framesizes import SENSOR_LARGEST, SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["USUAL_XCLK_MHZ", "nominal_fps"]

USUAL_XCLK_MHZ: Final = 20
"""Sensor clock of most builds, in MHz, where a camera does not tell its own."""

# OV2640 at 20 MHz: one window of the sensor for all sizes up to CIF, one up to SVGA, all lines above.
_CIF, _SVGA = 400 * 296, 800 * 600
_OV2640_AT_20_MHZ: Final[Mapping[int, float]] = MappingProxyType({_CIF: 50.0, _SVGA: 25.0})
_OV2640_WHOLE = 12.5


def nominal_fps(sensor: str, framesize: str, xclk_mhz: float | None = None) -> float | None:
    """Give the rate at which a sensor makes frames, before exposure, compression and radio slow it.

    Parameters
    ----------
    sensor : {"OV2640", "OV3660", "OV5640"}
    framesize : str
        Name of the picture size.
    xclk_mhz : float, optional
        Sensor clock; the rate is proportional to it.

    Returns
    -------
    float or None
        Frames per second; None where no source tells it, and for sizes the sensor cannot deliver.
    """
    size = SIZES.get(framesize)
    largest = SIZES[SENSOR_LARGEST["OV2640"]]
    if sensor != "OV2640" or size is None or size[0] > largest[0] or size[1] > largest[1]:
        return None
    pixels = size[0] * size[1]
    rate = next((fps for most, fps in _OV2640_AT_20_MHZ.items() if pixels <= most), _OV2640_WHOLE)
    return rate * (xclk_mhz or USUAL_XCLK_MHZ) / 20
