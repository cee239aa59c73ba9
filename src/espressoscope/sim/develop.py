"""From light to the sensor's RGB: exposure, gain, noise, white balance, tone curve, effects, mirroring.

All that is linear in log space and all that is a curve is one look-up per channel; the rest are Pillow
operations.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageChops, ImageEnhance

from espressoscope.sim.scene import DENSITY_STEP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from espressoscope.sim.sensor import Sensor

__all__ = ["AutoExposure", "colour_bars", "develop"]

_AE_TARGETS: Final = {-2: 0.16, -1: 0.27, 0: 0.40, 1: 0.52, 2: 0.72}
"""Mean light the automatic exposure aims at; spacing after AEW/AEB in ov2640_settings.h (ae_levels_regs)."""

_WB_GAINS: Final = {
    # wb_modes_regs of ov2640_settings.h over 0x41, its green
    1: (0x5E / 0x41, 1.0, 0x54 / 0x41),
    2: (0x65 / 0x41, 1.0, 0x4F / 0x41),
    3: (0x52 / 0x41, 1.0, 0x66 / 0x41),
    4: (0x42 / 0x41, 0x3F / 0x41, 0x71 / 0x41),
}
_LAMP_COLOUR: Final = (1 / 1.35, 1.0, 1 / 1.32)
"""What the Bayer filter leaves of a neutral light: green wins."""

_TINTS: Final = {2: (0x80, 0x80), 3: (0x40, 0xC0), 4: (0x40, 0x40), 5: (0xA0, 0x40), 6: (0x40, 0xA6)}
"""Cb and Cr of the effects (special_effects_regs)."""

_FIELD_TRANSMISSION: Final = 0.72
"""Mean light that comes through the scene."""

_REFERENCE_LINES: Final = 300.0
"""Exposure, at 8 MHz and gain 1, that gives the microscope's own light a mean of 0.4."""

_MAX_AUTO_LINES: Final = 1200.0


class AutoExposure:
    """Exposure lines and gain in force, settling over frames as the sensor's loop does."""

    def __init__(self) -> None:
        self._lines = self._gain = 0.0

    def step(self, sensor: Sensor, *, settled: bool = False) -> float:
        """Move on by one frame; give the exposure: 1 is full scale for an empty, evenly lit field."""
        light = (1 + 2.5 * sensor.lamp) * 8 / sensor["xclk"]
        unit = 0.4 / _FIELD_TRANSMISSION / _REFERENCE_LINES * light
        wanted = _AE_TARGETS[sensor["ae_level"]] / _FIELD_TRANSMISSION / unit  # lines times gain
        ceiling = 2.0 ** (1 + (sensor["gainceiling"] & 7))
        longest = _MAX_AUTO_LINES * (4 if sensor["aec2"] else 1)
        manual_gain = 1 + sensor["agc_gain"]
        lines = float(sensor["aec_value"])
        if sensor["aec"]:
            lines = min(longest, max(1.0, wanted / (1 if sensor["agc"] else manual_gain)))
        gain = float(manual_gain)
        if sensor["agc"]:
            gain = min(ceiling, max(1.0, wanted / max(lines, 1.0)))
        if settled or not self._gain:
            self._lines, self._gain = lines, gain
        else:
            # The loop closes about a third of the way each frame; manual values take hold at once.
            pull = 0.35
            self._lines = lines if not sensor["aec"] else self._lines * (lines / self._lines) ** pull
            self._gain = gain if not sensor["agc"] else self._gain * (gain / self._gain) ** pull
        self._lines = max(self._lines, 0.25)
        return self._lines * self._gain * unit

    @property
    def gain(self) -> float:
        """Gain in force."""
        return self._gain


def _white_balance(sensor: Sensor) -> tuple[float, float, float]:
    if not sensor["awb_gain"]:
        return (1.0, 1.0, 1.0)
    if sensor["wb_mode"]:
        return _WB_GAINS[sensor["wb_mode"]]
    if sensor["awb"]:
        return (1.35, 1.0, 1.32)
    return (1.25, 1.0, 1.15)  # automatic off: gains rest near daylight's


def _curve(sensor: Sensor, exposure: float) -> list[int]:
    """Tables of 256 for R, G, B one after another: density to byte."""
    light = np.exp(-np.arange(256) * DENSITY_STEP) * exposure
    tables = []
    for colour, gain in zip(_LAMP_COLOUR, _white_balance(sensor), strict=True):
        level = np.minimum(light * colour * gain, 1.0)
        if sensor["raw_gma"]:
            level = level ** (1 / 2.0)
        value = level * 255
        contrast = 1 + 0.22 * sensor["contrast"]
        value = (value - 128) * contrast + 128 + 22 * sensor["brightness"]
        if sensor["special_effect"] == 1:
            value = 255 - value
        tables.append(np.clip(np.rint(value), 0, 255).astype(int))
    return [int(v) for table in tables for v in table]


@lru_cache(maxsize=8)
def _noise(width: int, height: int, strength: int) -> Image.Image:
    """A picture of noise around 128, larger than asked, to cut from at random places."""
    rng = np.random.default_rng(5)
    noise = rng.normal(128.5, strength / 4, (height + 64, width + 64)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noise).convert("RGB")


@lru_cache(maxsize=8)
def colour_bars(width: int, height: int) -> Image.Image:
    """Eight vertical bars: the sensor's test pattern, untouched by scene and exposure."""
    bars = Image.new("RGB", (8, 1))
    bars.putdata(
        [(255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0)]
        + [(255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0)]
    )
    return bars.resize((width, height), Image.Resampling.NEAREST)


def develop(
    density: NDArray[np.uint8], sensor: Sensor, exposure: float, gain: float, frame: int
) -> Image.Image:
    """Turn optical density into the picture the sensor hands to its JPEG encoder.

    Parameters
    ----------
    density : (H, W, 3) uint8
        From `Scene.density`.
    sensor : Sensor
        Its settings.
    exposure, gain : float
        From `AutoExposure`.
    frame : int
        Chooses the noise.
    """
    image = Image.fromarray(density)
    image = image.point(_curve(sensor, exposure))
    strength = max(1, min(48, round(4 * 1.1 * gain**0.6)))
    noise = _noise(image.width, image.height, strength)
    shift = np.random.default_rng((frame, 9)).integers(0, 64, 2)
    dx, dy = int(shift[0]), int(shift[1])
    noise = noise.crop((dx, dy, dx + image.width, dy + image.height))
    image = ImageChops.add(image, noise, 1, -128)
    effect = sensor["special_effect"]
    if effect in _TINTS:
        cb, cr = _TINTS[effect]
        luma = image.convert("L")
        planes = [luma, Image.new("L", luma.size, cb), Image.new("L", luma.size, cr)]
        image = Image.merge("YCbCr", planes).convert("RGB")
    elif sensor["saturation"]:
        image = ImageEnhance.Color(image).enhance(1 + 0.4 * sensor["saturation"])
    if sensor["hmirror"]:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if sensor["vflip"]:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return image
