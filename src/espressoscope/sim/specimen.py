"""What swims in the simulated sample, drawn once as optical density and cached at every size, angle and blur.

Each kind is a function from a random generator to an (h, w, 3) array of density, in natural-log units for
red, green and blue; negative values are light gathered beside an edge, the bright line that transmitted light
shows there.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

from espressoscope.sim.cache import ByteCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Plane = NDArray[np.float64]

__all__ = ["ANGLES", "BIAS", "DENSITY_STEP", "KINDS", "VARIANTS", "blur_level", "blur_radius", "sprite"]

DENSITY_STEP: Final = 0.0125
"""Natural-log units of density per count: 255 counts pass e^-3.2, four per cent of the light."""

BIAS: Final = 48
"""Count that stands for no density in a sprite; less is brighter than the background."""

ANGLES: Final = 48
VARIANTS: Final = 4

_BLUR_FIRST: Final = 0.4
_BLUR_RATIO: Final = 1.2
_COARSE_FROM: Final = 300
_CACHE_BYTES: Final = 48_000_000

_sprites: ByteCache[NDArray[np.uint8]] = ByteCache(_CACHE_BYTES, lambda item: item.nbytes)


def blur_level(radius_px: float) -> int:
    """Give the number of the nearest of the blur radii that sprites are kept at; 0 is sharp."""
    if radius_px < _BLUR_FIRST * 0.7:
        return 0
    return 1 + max(0, round(math.log(radius_px / _BLUR_FIRST) / math.log(_BLUR_RATIO)))


def blur_radius(level: int) -> float:
    """Give the blur radius of a level in pixels."""
    return 0.0 if level == 0 else _BLUR_FIRST * _BLUR_RATIO ** (level - 1)


def _axes(n: int, tall: float = 1.0) -> tuple[Plane, Plane]:
    """Give x from -1 to 1 over n pixels, and y from -tall to tall."""
    rows = round(n * tall)
    across = (np.arange(n) + 0.5) / n * 2 - 1
    down = ((np.arange(rows) + 0.5) / rows * 2 - 1) * tall
    return across[None, :].repeat(rows, 0), down[:, None].repeat(n, 1)


def _bump(distance: Plane, width: float) -> Plane:
    bump: Plane = np.exp(-((distance / width) ** 2))
    return bump


def _edge(inside: Plane, wall: float, width: float) -> Plane:
    """Draw a wall where `inside`, the distance to the outline, is 0, and the bright line around it."""
    return wall * _bump(inside, width) - 0.35 * wall * _bump(inside + 2.6 * width, 1.3 * width)


def _blobs(x: Plane, y: Plane, spots: list[tuple[float, float, float]]) -> Plane:
    total = np.zeros_like(x)
    for cx, cy, size in spots:
        total += _bump(np.hypot(x - cx, y - cy), size)
    return np.minimum(total, 1.15)


def _colour(plane: Plane, red: float, green: float, blue: float) -> Plane:
    coloured: Plane = plane[..., None] * np.array([red, green, blue])
    return coloured


def _centric(rng: np.random.Generator) -> Plane:
    """Draw a round diatom: glassy rim, radial striae, golden-brown plastids around the edge."""
    x, y = _axes(112)
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    inside = 0.78 - radius
    shell = _edge(inside, 0.75, 0.035) + 0.12 * (inside > 0)
    shell += 0.10 * (np.cos(turn * int(rng.integers(26, 40))) > 0.2) * (inside > 0.05) * (radius > 0.35)
    count = int(rng.integers(7, 15))
    spots = [
        (r * math.cos(a), r * math.sin(a), rng.uniform(0.07, 0.13))
        for r, a in zip(
            rng.uniform(0.25, 0.62, count),
            np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.2),
            strict=True,
        )
    ]
    plastids = _blobs(x, y, spots) * (inside > 0.03)
    return _colour(shell, 0.9, 0.95, 1.0) + _colour(plastids, 0.2, 0.55, 1.35)


def _pennate(rng: np.random.Generator) -> Plane:
    """Draw a boat-shaped diatom: pointed outline, middle line, two long plastids."""
    x, y = _axes(112)
    half = rng.uniform(0.15, 0.22)
    outline = half * np.clip(1 - (np.abs(x) / 0.92) ** 2.2, 0, None) ** 0.8
    inside = outline - np.abs(y)
    inside = np.where(np.abs(x) > 0.92, np.minimum(inside, 0.92 - np.abs(x)), inside)
    shell = _edge(inside, 0.7, 0.022) + 0.15 * (inside > 0)
    shell += 0.3 * _bump(y, 0.014) * (inside > 0.02) * (np.abs(x) > 0.08)
    shell += 0.10 * (np.cos(x * 90) > 0.3) * (inside > 0.03)
    plastids = _blobs(
        x * 0.55, y, [(sign * 0.22, 0.0, half * 0.62) for sign in (-1, 1)]
    ) * (inside > 0.02)  # fmt: skip
    return _colour(shell, 0.9, 0.95, 1.0) + _colour(plastids, 0.25, 0.6, 1.35)


def _green_cell(rng: np.random.Generator) -> Plane:
    """Draw a green alga: thin wall, cup of chlorophyll, a clear vacuole, a small red eye."""
    x, y = _axes(72)
    squeeze = rng.uniform(1.0, 1.35)
    inside = 0.72 - np.hypot(x, y * squeeze)
    wall = _edge(inside, 0.6, 0.05)
    away = rng.uniform(0, 2 * np.pi)
    vacuole = _bump(np.hypot(x - 0.3 * math.cos(away), y - 0.3 * math.sin(away)), 0.27)
    cup = np.clip(inside * 9, 0, 1) * (1 - 0.8 * vacuole)
    grain = 0.12 * rng.normal(size=x.shape)
    eye = _bump(np.hypot(x + 0.42 * math.cos(away), y + 0.42 * math.sin(away)), 0.07)
    green = _colour(cup * (1 + grain), 1.05, 0.32, 1.35)
    return _colour(wall, 0.9, 0.9, 1.0) + green + _colour(eye, 0.1, 0.9, 0.9)


def _rod(rng: np.random.Generator) -> Plane:
    """Draw a bacillus: a capsule, darker at its wall."""
    x, y = _axes(48)
    half = rng.uniform(0.11, 0.17)
    inside = half - np.hypot(np.maximum(np.abs(x) - 0.68, 0), y)
    cell = _edge(inside, 0.55, 0.06) + 0.38 * np.clip(inside * 16, 0, 1)
    return _colour(cell, 0.95, 0.95, 1.05)


def _dust(rng: np.random.Generator) -> Plane:
    """Draw an opaque grain with a ragged outline."""
    x, y = _axes(48)
    squeeze = rng.uniform(1.0, 2.2)
    radius, turn = np.hypot(x, y * squeeze), np.arctan2(y, x)
    outline = np.full_like(x, 0.52)
    for wave in range(2, 8):
        outline += rng.normal(0, 0.16 / wave**0.5) * np.cos(wave * turn + rng.uniform(0, 7))
    inside = np.clip(outline, 0.1, 0.85) - radius
    grain = rng.uniform(1.2, 2.1) * np.clip(inside * 10 + 0.5, 0, 1)
    return _colour(grain - 0.2 * _bump(inside + 0.16, 0.09), 1.0, 1.0, 1.05)


def _spirogyra(rng: np.random.Generator) -> Plane:
    """Draw a piece of Spirogyra: two or three cells in a row, a helical green band in each."""
    x, y = _axes(560, tall=0.14)
    half, reach = 0.068, 0.97
    across = (y - 0.02 * np.sin(x * 2.2 + rng.uniform(0, 6))) / half
    past_end = np.maximum(np.abs(x) - (reach - half), 0) / half
    inside = (1 - np.hypot(across, past_end)) * half
    cell = 2 * reach / int(rng.integers(3, 6))
    to_wall = np.abs((x + reach + cell / 2) % cell - cell / 2)
    wall = _edge(inside, 0.55, 0.0075) + 0.08 * (inside > 0)
    wall += 0.45 * _bump(to_wall, 0.006) * (inside > 0) * (np.abs(x) < reach - half)
    pitch = 2 * np.pi / rng.uniform(0.13, 0.17)
    band = np.zeros_like(x)
    for start in (0.0, np.pi):
        # A helix seen from the side: a sine along the cell, its far half fainter.
        turn = x * pitch + start
        band = np.maximum(
            band, _bump(across - 0.76 * np.sin(turn), 0.24) * (0.62 + 0.38 * np.tanh(3 * np.cos(turn)))
        )
    band *= np.clip(inside * 160, 0, 1) * np.clip((to_wall - 0.012) * 70, 0, 1)
    return _colour(wall, 0.9, 0.9, 1.0) + _colour(band, 1.15, 0.38, 1.4)


def _chain(rng: np.random.Generator) -> Plane:
    """Draw a chain of Anabaena: blue-green beads on a curve, one of them large and pale."""
    x, y = _axes(360, tall=0.42)
    along = np.linspace(-0.92, 0.92, 38)
    bend = 0.2 * np.sin(along * rng.uniform(1.8, 3.0) + rng.uniform(0, 6)) + 0.06 * np.sin(along * 7)
    bend -= bend.mean()
    large = int(rng.integers(8, 30))
    shell, green = np.zeros_like(x), np.zeros_like(x)
    for at, (cx, cy) in enumerate(zip(along, bend, strict=True)):
        size = 0.036 if at == large else 0.0265
        near = np.s_[:, max(0, round((cx - 0.1) * 180) + 180) : round((cx + 0.1) * 180) + 180]
        inside = size - np.hypot(x[near] - cx, y[near] - cy)
        shell[near] = np.maximum(shell[near], _edge(inside, 0.5, 0.008))
        clear = 0.25 if at == large else 1.0
        green[near] = np.maximum(green[near], np.clip(inside * 60, 0, 1) * clear)
    return _colour(shell, 0.9, 0.9, 0.9) + _colour(green, 0.85, 0.36, 0.55)


def _ciliate(rng: np.random.Generator) -> Plane:
    """Draw a swimming ciliate, its front to the right: food vacuoles, nucleus, fuzzy rim of cilia."""
    x, y = _axes(128)
    half = 0.30 * (1 + 0.18 * x) * np.sqrt(np.clip(1 - (x / 0.86) ** 2, 0, None))
    inside = np.where(np.abs(x) < 0.86, half - np.abs(y), -1.0)
    body = _edge(inside, 0.35, 0.03) + 0.22 * np.clip(inside * 12, 0, 1)
    cilia = 0.16 * _bump(inside + 0.05, 0.05) * (np.sin(x * 140) > 0)
    spots = [
        (at, off, size)
        for at, off, size in zip(
            rng.uniform(-0.6, 0.55, 9), rng.uniform(-0.14, 0.14, 9), rng.uniform(0.04, 0.085, 9), strict=True
        )
    ]
    food = _blobs(x, y, spots) * (inside > 0.02)
    nucleus = _bump(np.hypot((x - 0.05) * 0.8, y), 0.16) * (inside > 0)
    return (
        _colour(body + cilia, 0.9, 0.95, 1.05)
        + _colour(food, 0.45, 0.5, 0.75)
        + _colour(nucleus, 0.22, 0.25, 0.22)
    )


KINDS: Final[tuple[Callable[[np.random.Generator], Plane], ...]] = (
    *(_centric, _pennate, _green_cell, _rod, _dust, _spirogyra, _chain, _ciliate),
)
CENTRIC, PENNATE, GREEN_CELL, ROD, DUST, SPIROGYRA, CHAIN, CILIATE = range(len(KINDS))


@lru_cache(maxsize=64)
def _master(kind: int, variant: int) -> Image.Image:
    density = KINDS[kind](np.random.default_rng((kind, variant, 2640)))
    counts = np.clip(np.rint(density / DENSITY_STEP) + BIAS, 0, 255)
    return Image.fromarray(counts.astype(np.uint8))


def sprite(kind: int, variant: int, size: int, angle: int, blur: int) -> NDArray[np.uint8]:
    """Give a particle as it adds to the density, (h, w, 3) uint8, `BIAS` where clear; never write to it.

    Parameters
    ----------
    kind, variant : int
        Which.
    size : int
        Length in pixels.
    angle : int
        0 to `ANGLES` - 1, anticlockwise.
    blur : int
        A `blur_level`.
    """
    return _sprites.get(
        (kind, variant, size, angle, blur), lambda: _draw_sprite(kind, variant, size, angle, blur)
    )


def _draw_sprite(kind: int, variant: int, size: int, angle: int, blur: int) -> NDArray[np.uint8]:
    clear = (BIAS, BIAS, BIAS)
    master = _master(kind, variant)
    # Twice the size before turning keeps thin walls even; the reduction that follows averages.
    fine = 2 if size < _COARSE_FROM else 1
    tall = max(1, round(size * master.height / master.width))
    work = master.resize((fine * size, fine * tall), Image.Resampling.BICUBIC, reducing_gap=2.0)
    if angle:
        degrees = angle * 360 / ANGLES
        work = work.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=clear)
    small = work.reduce(fine)
    radius = blur_radius(blur)
    pad = math.ceil(2.5 * radius)
    if pad:
        roomy = Image.new("RGB", (small.width + 2 * pad, small.height + 2 * pad), clear)
        roomy.paste(small, (pad, pad))
        small = roomy.filter(ImageFilter.GaussianBlur(radius))
    counts = np.asarray(small)
    # Long turned shapes leave most of their square empty: keep the part that shows.
    shows = (counts != BIAS).any(axis=2)
    rows, columns = np.flatnonzero(shows.any(axis=1)), np.flatnonzero(shows.any(axis=0))
    if not len(rows):
        return np.full((1, 1, 3), BIAS, np.uint8)
    # Cut alike on both sides, so that the middle stays the middle.
    cut_y = min(rows[0], counts.shape[0] - 1 - rows[-1])
    cut_x = min(columns[0], counts.shape[1] - 1 - columns[-1])
    kept = counts[cut_y : counts.shape[0] - cut_y, cut_x : counts.shape[1] - cut_x]
    return np.ascontiguousarray(kept)
