"""The simulated camera's JPEGs: scene, settings and numbering strip put together.

Live pictures follow every setting at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image

from espressoscope.sim.develop import AutoExposure, colour_bars, develop
from espressoscope.sim.encode import encode
from espressoscope.sim.scene import Scene, View
from espressoscope.sim.strip import strip_height, strip_row

if TYPE_CHECKING:
    from espressoscope.sim.sensor import Sensor

__all__ = ["PictureSource"]

_BLUR_PER_STEP: Final = 1 / 12000
"""Blur radius per motor step from best focus, as a share of the picture's width."""

_DEPTH_OF_FIELD: Final = 6.0
"""Steps around best focus in which nothing blurs."""


class PictureSource:
    """Makes the pictures of one simulated camera.

    Parameters
    ----------
    sensor : Sensor
        Its settings; changing them changes the next picture.
    camera_number : int
        Written into the strip, modulo 256.
    seed : int
        Equal seeds, equal scenes.
    prerender : bool
        Make pictures once and send them again and again, with a true number in each strip.
    """

    def __init__(
        self, sensor: Sensor, camera_number: int = 0, seed: int = 0, prerender: bool = False
    ) -> None:
        self._sensor = sensor
        self._camera = camera_number & 0xFF
        self._prerender = prerender
        self._scene = Scene(seed)
        self._exposure = AutoExposure()

    def render(self, frame_number: int) -> bytes:
        """Make the JPEG of this frame; its strip says ``frame_number % 65536``."""
        sensor = self._sensor
        width, height = sensor.width, sensor.height
        if sensor["colorbar"]:
            image = colour_bars(width, height).copy()
        else:
            blur = max(0.0, sensor.motor.distance - _DEPTH_OF_FIELD) * _BLUR_PER_STEP
            density = self._scene.density(View(width, height, blur, bool(sensor["lenc"])), frame_number)
            exposure = self._exposure.step(sensor)
            image = develop(density, sensor, exposure, self._exposure.gain, frame_number)
        row = strip_row(width, self._camera, frame_number & 0xFFFF)
        tall = strip_height(height)
        strip = Image.fromarray(row[None, :]).resize((width, tall), Image.Resampling.NEAREST)
        image.paste(strip.convert("RGB"), (0, height - tall))
        return encode(image, sensor.quality)
