"""What lies under the simulated microscope: pond water in transmitted light, alive.

Pictures are made as optical density, one byte a colour channel: overlapping things add there, exposure is a
shift, and the whole tone curve becomes one look-up (`develop`). Everything is a function of (seed, frame
number), so any frame can be made in any order, twice the same. No settings, no noise, no JPEG here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from espressoscope.sim import specimen
from espressoscope.sim.specimen import ANGLES, BIAS, DENSITY_STEP, VARIANTS, blur_level, sprite

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scene", "View"]

_BLUR_PER_STEP: Final = 1 / 14_000
"""Blur radius per motor step away from focus, as a share of the field's width."""

_DEPTH_OF_FIELD: Final = 6.0
"""Steps on either side within which nothing blurs."""

_CLEAR: Final = 0.42
"""Density of the empty, evenly lit field: room below it for bright edges."""


class View(NamedTuple):
    """How the scene is looked at.

    Attributes
    ----------
    width, height : int
        Pixels. The field is 4 by 3; a picture of another shape sees the largest middle part that fits.
    focus : float
        Motor steps from best focus, signed.
    lenc : bool
        Vignetting is corrected.
    """

    width: int
    height: int
    focus: float
    lenc: bool

    @property
    def full_width(self) -> float:
        """Width of the whole 4-by-3 field in these pixels."""
        return max(self.width, self.height * 4 / 3)


class _Group(NamedTuple):
    """How one kind of particle lives: lengths are shares of the field's width, motion is per frame."""

    kind: int
    many: int
    smallest: float
    largest: float
    jitter: float  # Brownian step
    turn: float  # random turning, in turns
    depth: float  # spread of depth, in motor steps
    glides: bool


_GROUPS: Final = (
    _Group(specimen.SPIROGYRA, 1, 0.55, 0.70, 0.00006, 0.00002, 5.0, False),
    _Group(specimen.CHAIN, 3, 0.26, 0.38, 0.00012, 0.00010, 5.0, False),
    _Group(specimen.CENTRIC, 5, 0.07, 0.125, 0.00025, 0.0004, 4.0, False),
    _Group(specimen.PENNATE, 6, 0.07, 0.12, 0.0004, 0.0004, 4.0, True),
    _Group(specimen.GREEN_CELL, 9, 0.028, 0.045, 0.0009, 0.004, 8.0, False),
    _Group(specimen.ROD, 16, 0.022, 0.036, 0.0016, 0.010, 8.0, True),
    _Group(specimen.DUST, 16, 0.006, 0.024, 0.0007, 0.003, 10.0, False),
    _Group(specimen.CILIATE, 1, 0.10, 0.13, 0.0004, 0.0, 3.0, True),
)
_SIZES: Final = 5
_FLOATING_SHARE: Final = 0.12
"""Share of the small particles that float far above the plane of focus and are always blurred."""


def _walk(rng: np.random.Generator, count: int, period: int, power: float) -> NDArray[np.float64]:
    """Give closed random walks, (count, period), whose steps have a root mean square of 1.

    Made in frequency space, amplitude falling with frequency to `power`: 1 is Brownian, more is smoother.
    """
    frequency = np.arange(1, period // 2 + 1)
    phases = rng.uniform(0, 2 * np.pi, (count, len(frequency)))
    spectrum = np.concatenate((np.zeros((count, 1)), np.exp(1j * phases) / frequency**power), axis=1)
    walk = np.fft.irfft(spectrum, n=period, axis=1)
    steps = np.diff(walk, axis=1, append=walk[:, :1])
    return np.asarray(walk / np.sqrt((steps**2).mean(axis=1, keepdims=True)))


class Scene:
    """A field of living and drifting things.

    Parameters
    ----------
    seed : int
        Equal seeds, equal scenes.
    period : int
        Frames after which motion repeats, without a seam.
    """

    def __init__(self, seed: int, period: int) -> None:
        rng = np.random.default_rng((abs(seed), 1))
        self.seed = seed
        self.period = period
        kinds, sizes, depths, x, y, angles = [], [], [], [], [], []
        for group in _GROUPS:
            many = group.many
            kinds += [group.kind] * many
            # Few sizes, so that scenes share their sprites.
            sizes.append(rng.choice(np.geomspace(group.smallest, group.largest, _SIZES), many))
            floating = rng.random(many) < _FLOATING_SHARE * (group.largest < 0.05)
            depths.append(rng.normal(0, group.depth, many) + floating * rng.choice([-150, 150], many))
            x.append(self._path(rng, group, many))
            y.append(self._path(rng, group, many) * 0.75)
            turning = rng.random((many, 1)) + group.turn * _walk(rng, many, period, 1.0)
            if group.kind == specimen.CILIATE:  # goes where it looks
                ahead = np.arctan2(-_slope(y[-1]), _slope(x[-1]))
                turning = ahead / (2 * np.pi)
            angles.append(turning)
        self._kinds = kinds
        self._variants = rng.integers(VARIANTS, size=len(kinds)).tolist()
        self._sizes: NDArray[np.float64] = np.concatenate(sizes)
        self._depths: NDArray[np.float64] = np.concatenate(depths)
        # A torus somewhat larger than the field, so that nothing appears or vanishes in sight.
        self._x = (np.concatenate(x) % 1.3 - 0.15).astype(np.float32)
        self._y = (np.concatenate(y) % (0.75 + 0.3) - 0.15).astype(np.float32)
        self._angles = (np.rint(np.concatenate(angles) * ANGLES).astype(np.int64) % ANGLES).astype(np.uint8)

    def _path(self, rng: np.random.Generator, group: _Group, many: int) -> NDArray[np.float64]:
        start = rng.uniform(0, 1.3, (many, 1))
        path = start + group.jitter * _walk(rng, many, self.period, 1.0)
        if group.kind == specimen.CILIATE:
            path += 0.0045 * _walk(rng, many, self.period, 2.2)
        elif group.glides:
            path += 0.0009 * _walk(rng, many, self.period, 1.8)
        return path

    def background(self, view: View) -> NDArray[np.uint8]:
        """Give the density of light path and lens alone, (H, W, 3) uint8; never write to it."""
        return _background(view.width, view.height, view.lenc, self.seed)

    def draw(self, image: NDArray[np.uint8], view: View, frame: int) -> None:
        """Add everything that is in the sample at this frame to a density picture, in place."""
        at = frame % self.period
        full = view.full_width
        blurs = np.maximum(np.abs(view.focus - self._depths) - _DEPTH_OF_FIELD, 0) * (_BLUR_PER_STEP * full)
        xs = np.rint(self._x[:, at] * full - (full - view.width) / 2).astype(int).tolist()
        ys = np.rint(self._y[:, at] * full - (full * 0.75 - view.height) / 2).astype(int).tolist()
        sizes = np.maximum(2, np.rint(self._sizes * full)).astype(int).tolist()
        angles = self._angles[:, at].tolist()
        for kind, variant, size, angle, blur, x, y in zip(
            self._kinds, self._variants, sizes, angles, blurs.tolist(), xs, ys, strict=True
        ):
            reach = size + 3 * blur
            if -reach < x < view.width + reach and -reach < y < view.height + reach:
                _stamp(image, sprite(kind, variant, size, angle, blur_level(blur)), x, y)


def _slope(path: NDArray[np.float64]) -> NDArray[np.float64]:
    slope: NDArray[np.float64] = np.roll(path, -3, axis=1) - np.roll(path, 3, axis=1)
    return slope


@lru_cache(maxsize=12)
def _background(width: int, height: int, lenc: bool, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng((abs(seed), 77))
    full = max(width, height * 4 / 3)
    # Smooth as it is, a coarse grid holds it.
    across, down = max(8, width // 16), max(8, height // 16)
    x = (((np.arange(across) + 0.5) / across - 0.5) * width / full)[None, :, None]
    y = (((np.arange(down) + 0.5) / down - 0.5) * height / full)[:, None, None]
    cx, cy = rng.uniform(-0.18, 0.18, 2)
    distance = (x - cx) ** 2 + (y - cy) ** 2
    # Cheap optics: light falls off towards the corners, and not alike for all colours (real-jpegs).
    fall = np.array([1.0, 1.1, 1.7]) if rng.random() < 0.6 else np.array([1.35, 1.0, 0.75])
    density: NDArray[np.float64] = _CLEAR + (1.2 if lenc else 2.8) * distance * fall
    slope = rng.normal(0, 0.13, (2, 3)) + rng.normal(0, 0.10, (2, 1))
    density = density + x * slope[0] + y * slope[1]
    # Slow unevenness of slide and mounting medium.
    for _ in range(5):
        wave_x, wave_y = rng.normal(0, 9, 2)
        density = density + rng.normal(0, 0.006) * np.cos(wave_x * x + wave_y * y + rng.uniform(0, 7))
    counts = (density / DENSITY_STEP).astype(np.float32)
    # Grain, and dither that hides the steps of whole counts.
    grain = rng.random((height, width), np.float32) + 0.45 * rng.standard_normal((height, width), np.float32)
    planes = [
        np.asarray(Image.fromarray(counts[..., channel]).resize((width, height), Image.Resampling.BICUBIC))
        + grain
        for channel in range(3)
    ]
    return np.ascontiguousarray(np.stack(planes, axis=-1).clip(1, 220).astype(np.uint8))


def _stamp(image: NDArray[np.uint8], part: NDArray[np.uint8], x: int, y: int) -> None:
    """Add a sprite centred at (x, y), within 1 to 255, cut at the picture's edges."""
    tall, wide = part.shape[:2]
    x0, y0 = x - wide // 2, y - tall // 2
    left, top = max(0, x0), max(0, y0)
    right, bottom = min(image.shape[1], x0 + wide), min(image.shape[0], y0 + tall)
    if left >= right or top >= bottom:
        return
    patch = image[top:bottom, left:right]
    total = patch.astype(np.int16)
    total += part[top - y0 : bottom - y0, left - x0 : right - x0]
    total -= BIAS
    np.minimum(np.maximum(total, 1, out=total), 255, out=total)  # np.clip takes three times as long
    np.copyto(patch, total, casting="unsafe")
