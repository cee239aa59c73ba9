"""What lies under the simulated microscope: pond water with algae, rods and dust, seen in transmitted light.

Pictures are made as optical density, one byte a colour channel: light adds up as sums there, exposure is
a shift, and the whole tone curve becomes one look-up (`develop`). Everything is a function of (seed,
frame number), so any frame can be made in any order, twice the same. No settings, no JPEG here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DENSITY_STEP", "Scene", "View"]

DENSITY_STEP: Final = 0.0125
"""Natural-log units of density per count: 255 is e^-3.2, four per cent of the light."""

PERIOD: Final = 256
"""Frames after which motion repeats: the length of a pre-rendered cycle."""

_ANGLES: Final = 24
_BLUR_STEPS: Final = 1.25


class View(NamedTuple):
    """How the scene is looked at.

    Attributes
    ----------
    width, height : int
        Pixels.
    blur : float
        Radius of the blur, as a share of the sensor's full width.
    lenc : bool
        Vignetting of the stock lens is corrected.
    """

    width: int
    height: int
    blur: float
    lenc: bool


class _Particle(NamedTuple):
    kind: int
    variant: int
    size: float  # length, as a share of the full width
    x: float
    y: float
    drift: int  # times it crosses the whole field in one period, whole so that motion closes
    wander: NDArray[np.float64]  # (4, 5): amplitude x, phase x, amplitude y, phase y, amplitude of turning
    angle: float
    turns: int


def _canvas(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    return axis[None, :].repeat(n, 0), axis[:, None].repeat(n, 1)


def _diatom(rng: np.random.Generator) -> NDArray[np.float64]:
    """A round cell: dark rim, striae, green-brown plastids."""
    x, y = _canvas(96)
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    rim = np.exp(-(((radius - 0.78) / 0.05) ** 2)) * 1.0 + 0.25 * (radius < 0.8)
    striae = 0.12 * (np.cos(turn * 36) > 0.3) * (radius > 0.45) * (radius < 0.75)
    plastids = np.zeros_like(x)
    for _ in range(9):
        at, where = rng.uniform(0.1, 0.55), rng.uniform(0, 2 * np.pi)
        spread = rng.uniform(0.09, 0.16)
        plastids += np.exp(-(((x - at * np.cos(where)) ** 2 + (y - at * np.sin(where)) ** 2) / spread**2))
    plastids = np.minimum(plastids, 1.1) * (radius < 0.76)
    shell = rim + striae
    return np.stack(
        [0.9 * shell + 0.55 * plastids, 0.85 * shell + 0.3 * plastids, shell + 0.95 * plastids], -1
    )


def _rod(rng: np.random.Generator) -> NDArray[np.float64]:
    """A bacterium or pennate cell: a capsule with a bright middle line."""
    x, y = _canvas(64)
    half = rng.uniform(0.10, 0.16)
    along = np.maximum(np.abs(x) - 0.72, 0)
    distance = np.hypot(along, y)
    wall = np.exp(-(((distance - half) / 0.045) ** 2))
    body = 0.45 * (distance < half)
    shell = wall + body
    return np.stack([shell, 0.9 * shell, 1.05 * shell], -1)


def _dust(rng: np.random.Generator) -> NDArray[np.float64]:
    """An opaque grain with a ragged outline."""
    x, y = _canvas(48)
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    edge = 0.5 + sum(rng.normal(0, 0.11) * np.cos(k * turn + rng.uniform(0, 7)) for k in range(2, 7))
    grain = np.clip((edge - radius) * 12, 0, 1) * rng.uniform(1.6, 2.6)
    return np.stack([grain, grain, grain * 1.05], -1)


_KINDS: Final = (_diatom, _rod, _dust)
_VARIANTS: Final = 4


@lru_cache(maxsize=64)
def _master(kind: int, variant: int, seed: int) -> NDArray[np.uint8]:
    density = _KINDS[kind](np.random.default_rng((seed, kind, variant)))
    return np.clip(density / DENSITY_STEP, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1500)
def _sprite(kind: int, variant: int, seed: int, size: int, angle: int, blur: int) -> NDArray[np.uint8]:
    """One particle as it adds to the density: (h, w, 3) uint8; `blur` in quarter pixels."""
    master = Image.fromarray(_master(kind, variant, seed))
    radius = blur / 4
    scale = size / master.width
    turned = master.rotate(angle * 360 / _ANGLES, Image.Resampling.BICUBIC, expand=False)
    small = turned.resize((max(2, size), max(2, size)), Image.Resampling.BOX if scale < 1 else 2)
    pad = int(2 * radius) + 1
    canvas = Image.new("RGB", (small.width + 2 * pad, small.height + 2 * pad))
    canvas.paste(small, (pad, pad))
    if radius > 0:
        canvas = canvas.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(canvas)


@lru_cache(maxsize=16)
def _background(width: int, height: int, lenc: bool, seed: int) -> NDArray[np.uint8]:
    """Density of light path and lens alone: (H, W, 3) uint8, dithered."""
    rng = np.random.default_rng((seed, 77))
    scale = max(width / 4, height / 3)
    x = (np.arange(width) + 0.5 - width / 2)[None, :] / scale / 2
    y = (np.arange(height) + 0.5 - height / 2)[:, None] / scale / 2
    cx, cy = rng.uniform(-0.25, 0.25, 2)
    fall = (x - cx) ** 2 + (y - cy) ** 2
    strength = 0.22 if lenc else 0.75
    tint = np.array([1.15, 1.0, 0.8]) if rng.random() < 0.5 else np.array([0.9, 1.0, 1.15])
    density = 0.12 + strength * fall[..., None] / 2 * tint
    density = density + 0.03 * rng.normal(size=3) * (x + 0 * y)[..., None]
    counts = density / DENSITY_STEP + rng.random((height, width, 1)) * 1.5
    return np.clip(counts, 0, 120).astype(np.uint8)


class Scene:
    """A field of moving particles.

    Parameters
    ----------
    seed : int
        Equal seeds, equal scenes.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng((seed, 1))
        self.seed = seed
        self._particles = [self._particle(rng, index) for index in range(46)]

    @staticmethod
    def _particle(rng: np.random.Generator, index: int) -> _Particle:
        kind = 0 if index < 9 else 1 if index < 26 else 2
        size = (rng.uniform(0.06, 0.11), rng.uniform(0.03, 0.05), rng.uniform(0.008, 0.03))[kind]
        wander = rng.normal(size=(4, 5)) * np.array([[0.012], [6], [0.012], [6]]) / np.arange(1, 6)
        drift = int(rng.integers(-1, 2)) if kind == 1 else 0
        return _Particle(
            kind, int(rng.integers(_VARIANTS)), float(size), rng.random(), rng.random(), drift, wander,
            rng.random(), int(rng.integers(-1, 2)) * (kind == 1),
        )  # fmt: skip

    def density(self, view: View, frame: int) -> NDArray[np.uint8]:
        """Make the optical density of a frame: (H, W, 3) uint8 in units of `DENSITY_STEP`, a new array."""
        width, height = view.width, view.height
        image = _background(width, height, view.lenc, self.seed).copy()
        # The field is 4 by 3; other shapes see the largest middle part that fits.
        full = max(width, height * 4 / 3)
        left, top = (full - width) / 2, (full * 0.75 - height) / 2
        blur = round(4 * view.blur * full)
        phase = 2 * np.pi * (frame % PERIOD) / PERIOD
        harmonics = np.arange(1, 6)
        for p in self._particles:
            x = (
                p.x
                + p.drift * phase / (2 * np.pi)
                + (p.wander[0] * np.sin(harmonics * phase + p.wander[1])).sum()
            )
            y = p.y + (p.wander[2] * np.sin(harmonics * phase + p.wander[3])).sum()
            turn = p.angle + p.turns * phase / (2 * np.pi)
            size = max(2, round(p.size * full))
            sprite = _sprite(p.kind, p.variant, self.seed, size, round(turn * _ANGLES) % _ANGLES, blur)
            # Around a torus a little larger than the field, so that nothing appears at once.
            sx = (x % 1.0) * full * 1.2 - 0.1 * full - left
            sy = (y % 1.0) * full * 0.9 - 0.075 * full - top
            _stamp(image, sprite, round(sx), round(sy))
        return image


def _stamp(image: NDArray[np.uint8], sprite: NDArray[np.uint8], x: int, y: int) -> None:
    """Add a sprite centred at (x, y), saturating at 255, cut at the edges."""
    h, w = sprite.shape[:2]
    x0, y0 = x - w // 2, y - h // 2
    left, top = max(0, x0), max(0, y0)
    right, bottom = min(image.shape[1], x0 + w), min(image.shape[0], y0 + h)
    if left >= right or top >= bottom:
        return
    part = sprite[top - y0 : bottom - y0, left - x0 : right - x0]
    patch = image[top:bottom, left:right]
    np.minimum(patch, 255 - part, out=patch)
    patch += part
