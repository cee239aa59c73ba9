"""From optical density to the sensor's RGB: exposure, noise, white balance, tone curve, effects, mirroring.

All that multiplies is a shift of density, and all that is a curve joins it in one look-up per channel; the
rest is done by Pillow. Noise goes in before the scene's particles, as density, where shot noise belongs.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageEnhance

from espressoscope.sim.cache import ByteCache
from espressoscope.sim.specimen import DENSITY_STEP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from espressoscope.sim.exposure import Exposure
    from espressoscope.sim.sensor import Sensor

__all__ = ["colour_bars", "develop", "noise", "noise_strength"]

_WB_GAINS: Final = {
    # Red, green, blue gains of wb_modes_regs in ov2640_settings.h, over 0x41.
    1: (0x5E / 0x41, 1.0, 0x54 / 0x41),
    2: (0x65 / 0x41, 1.0, 0x4F / 0x41),
    3: (0x52 / 0x41, 1.0, 0x66 / 0x41),
    4: (0x42 / 0x41, 0x3F / 0x41, 0x71 / 0x41),
}
_AUTO_GAINS: Final = (1.42, 1.0, 1.36)
_RESTING_GAINS: Final = (1.36, 1.0, 1.22)
"""Gains that stay when the automatic is switched off."""

_RAW_COLOUR: Final = (1 / 1.42, 1.0, 1 / 1.36)
"""What the sensor's filters leave of a neutral light: green wins."""

_TINTS: Final = {2: (0x80, 0x80), 3: (0x40, 0xC0), 4: (0x40, 0x40), 5: (0xA0, 0x40), 6: (0x40, 0xA6)}
"""Cb and Cr of the effects (special_effects_regs)."""

_MEAN_TRANSMISSION: Final = 0.58
"""Mean light that comes through the scene, the density of the empty field included."""

_GAMMA: Final = 1 / 2.0
_SHOT: Final = 1.15
_READ: Final = 0.35
_MOST_NOISE: Final = 96
_NOISE_BYTES: Final = 48_000_000
_NOISE_FRESH: Final = 300_007
"""Pixels of noise that are drawn; larger pictures repeat it, no multiple of a picture's width apart."""

_WHITE_DEAD, _BLACK_DEAD = 0, 255


def noise_strength(exposure: Exposure) -> int:
    """Give the noise as a standard deviation in quarter counts of density.

    Relative noise is what density shows: shot noise falls with the root of the light gathered, read noise
    with the light itself. Gain changes neither, and makes both visible.
    """
    light = max(exposure.light, 1e-3)
    deviation = math.hypot(_SHOT / math.sqrt(light), _READ / light)
    return max(2, min(_MOST_NOISE, round(4 * deviation)))


def noise_offset(strength: int) -> int:
    """Give the count around which noise of this strength lies."""
    return math.ceil(2.5 * strength / 4)


_tiles: ByteCache[NDArray[np.uint8]] = ByteCache(_NOISE_BYTES, lambda item: item.nbytes)


def noise(width: int, height: int, strength: int, frame: int) -> NDArray[np.uint8]:
    """Give a frame's noise, (H, W, 3) uint8 around `noise_offset`; never write to it."""
    pixels = width * height
    tile = _tiles.get((pixels, strength), lambda: _make_noise(pixels + pixels // 3, strength))
    start = (frame * 7919 + 13) * 3 % (tile.size - pixels * 3) // 3 * 3
    return tile[start : start + pixels * 3].reshape(height, width, 3)


def _make_noise(pixels: int, strength: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(strength)
    fresh = min(pixels, _NOISE_FRESH)
    gray = rng.standard_normal((fresh, 1), np.float32)
    colour = rng.standard_normal((fresh, 3), np.float32)
    counts = (0.92 * gray + 0.4 * colour) * (strength / 4) + noise_offset(strength)
    counts += rng.random((fresh, 3), np.float32)  # dither: whole counts are coarse for weak noise
    return np.resize(np.clip(counts, 0, 255).astype(np.uint8), pixels * 3)


def _gains(sensor: Sensor) -> tuple[float, float, float]:
    if not sensor["awb_gain"]:
        return (1.0, 1.0, 1.0)
    if sensor["wb_mode"]:
        return _WB_GAINS[sensor["wb_mode"]]
    return _AUTO_GAINS if sensor["awb"] else _RESTING_GAINS


@lru_cache(maxsize=256)
def _curve(
    level: float, offset: int, gains: tuple[float, float, float], tone: tuple[int, int, bool, bool]
) -> list[int]:
    """Make the tables from count to byte for red, green and blue, one behind the other."""
    brightness, contrast, gamma, negative = tone
    light = np.exp((offset - np.arange(256)) * DENSITY_STEP) * level / _MEAN_TRANSMISSION
    tables = []
    for colour, gain in zip(_RAW_COLOUR, gains, strict=True):
        value = np.minimum(light * colour * gain, 1.0)
        if gamma:
            value = value**_GAMMA
        value = (value * 255 - 128) * (1 + 0.22 * contrast) + 128 + 20 * brightness
        value[_WHITE_DEAD], value[_BLACK_DEAD] = 255, min(8.0, value[_BLACK_DEAD])
        tables.append(np.clip(np.rint(255 - value if negative else value), 0, 255))
    return [int(entry) for entry in np.concatenate(tables)]


@lru_cache(maxsize=8)
def colour_bars(width: int, height: int) -> Image.Image:
    """Give the sensor's test pattern, eight vertical bars; never draw on it."""
    bars = [0xFFFFFF, 0xFFFF00, 0x00FFFF, 0x00FF00, 0xFF00FF, 0xFF0000, 0x0000FF, 0x000000]
    row = b"".join(bar.to_bytes(3, "big") for bar in bars)
    return Image.frombytes("RGB", (8, 1), row).resize((width, height), Image.Resampling.NEAREST)


def dead_pixels(image: NDArray[np.uint8], sensor: Sensor) -> None:
    """Put the chip's few dead pixels into a density picture, unless their correction is on."""
    height, width = image.shape[:2]
    for correction, count in (("bpc", _BLACK_DEAD), ("wpc", _WHITE_DEAD)):
        if not sensor[correction]:
            for across, down in ((0.13, 0.71), (0.52, 0.17), (0.83, 0.44)):
                if correction == "wpc":
                    across, down = down, across
                image[int(down * height), int(across * width)] = count


def develop(density: NDArray[np.uint8], sensor: Sensor, exposure: Exposure, offset: int) -> Image.Image:
    """Turn optical density into the picture the sensor hands to its JPEG encoder.

    Parameters
    ----------
    density : (H, W, 3) uint8
        Scene and noise.
    sensor : Sensor
        Its settings.
    exposure : Exposure
        In force for this frame.
    offset : int
        Counts the noise lifted the density by.
    """
    effect = sensor["special_effect"]
    tone = (sensor["brightness"], sensor["contrast"], bool(sensor["raw_gma"]), effect == 1)
    # Exposure in steps of half a per cent, so that tables are found again once it has settled.
    level = math.exp(round(math.log(max(exposure.level, 1e-6)) * 200) / 200)
    if sensor["hmirror"]:
        density = density[:, ::-1]
    if sensor["vflip"]:
        density = density[::-1]
    image = Image.fromarray(density).point(_curve(level, offset, _gains(sensor), tone))
    if effect in _TINTS:
        cb, cr = _TINTS[effect]
        luma = image.convert("L")
        image = Image.merge("YCbCr", [luma, Image.new("L", luma.size, cb), Image.new("L", luma.size, cr)])
    elif sensor["saturation"]:
        image = ImageEnhance.Color(image).enhance(1 + 0.35 * sensor["saturation"])
    return image
