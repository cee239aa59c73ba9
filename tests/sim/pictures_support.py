"""Figures of decoded pictures, for tests of the simulated sensor."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from espressoscope.sim.pictures import PictureSource
from espressoscope.sim.sensor import Sensor
from espressoscope.sim.strip import strip_height


class StillClock:
    """Time that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def decode(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def field(image: np.ndarray) -> np.ndarray:
    """Give the part above the strip, as float."""
    return image[: image.shape[0] - strip_height(image.shape[0])].astype(float)


def sharpness(image: np.ndarray) -> float:
    """Variance of the Laplacian of the brightness."""
    gray = field(image).mean(axis=2)
    laplacian = 4 * gray[1:-1, 1:-1] - gray[:-2, 1:-1] - gray[2:, 1:-1] - gray[1:-1, :-2] - gray[1:-1, 2:]
    return float(laplacian.var())


def roughness(image: np.ndarray) -> float:
    """Median deviation between neighbours: noise, and hardly any scene."""
    gray = field(image).mean(axis=2)
    return float(np.median(np.abs(np.diff(gray, axis=1))) + np.abs(np.diff(gray, axis=1)).mean())


def shoot(
    settings: dict[str, int] | None = None,
    *,
    framesize: str = "VGA",
    quality: int = 4,
    seed: int = 3,
    frame: int = 50,
    prerender: bool = False,
    focus: float = 0.0,
    **options: Any,
) -> bytes:
    """Take one picture with these settings, `focus` steps from the sharp position."""
    sensor = Sensor(framesize=framesize, quality=quality, clock=StillClock(), **options)
    sensor.motor.best = -focus
    for var, value in (settings or {}).items():
        assert sensor.set(var, value)
    return PictureSource(sensor, 7, seed, prerender).render(frame)


def picture(settings: dict[str, int] | None = None, **kwargs: Any) -> np.ndarray:
    return decode(shoot(settings, **kwargs))
