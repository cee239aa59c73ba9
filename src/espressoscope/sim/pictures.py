"""The simulated camera's JPEGs: scene, settings and numbering strip put together.

Live pictures are rendered one by one. Pre-rendered ones come from a cycle of `CYCLE` pictures that cameras
with the same settings share; each is rendered when first asked for and kept, within `CACHE_BYTES` for all
cameras of the process, and only its strip is coded anew. Both follow every setting from the next picture on,
and in both the strip counts all frames up to 65535.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image

from espressoscope.sim.cache import ByteCache
from espressoscope.sim.develop import (
    colour_bars,
    dead_pixels,
    develop,
    noise,
    noise_offset,
    noise_strength,
)
from espressoscope.sim.encode import encode
from espressoscope.sim.exposure import AutoExposure, Exposure
from espressoscope.sim.scene import Scene, View
from espressoscope.sim.splice import Top, can_splice, cut_top, number
from espressoscope.sim.strip import strip_height, strip_row

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from espressoscope.sim.sensor import Sensor

__all__ = ["CACHE_BYTES", "CYCLE", "PictureSource"]

CYCLE: Final = 256
"""Pictures in a pre-rendered cycle."""

CACHE_BYTES: Final = 160_000_000
"""Most that pre-rendered pictures of all cameras take: fifty cycles of VGA, three of UXGA."""

SHARED_SCENES: Final = 4
"""Different samples among pre-rendered cameras."""

_LIVE_PERIOD: Final = 2048
_STAGGER: Final = 37
"""Frames by which a pre-rendered camera is ahead of the one before it; shares no factor with `CYCLE`."""

_SHARP_ENOUGH: Final = 42.0
"""Motor steps from focus within which pre-rendered pictures are sharp: all cameras, before they are moved."""

_tops: ByteCache[Top] = ByteCache(CACHE_BYTES, lambda top: len(top.data) + 200)


@lru_cache(maxsize=SHARED_SCENES)
def _shared_scene(seed: int) -> Scene:
    return Scene(seed, CYCLE)


def _coarse(focus: float) -> float:
    """Round a distance from focus to one of few, so that cameras share cycles."""
    if abs(focus) < _SHARP_ENOUGH:
        return 0.0
    level = math.floor(math.log(abs(focus) / _SHARP_ENOUGH) / math.log(1.8))
    return math.copysign(_SHARP_ENOUGH * 1.8 ** (level + 0.5), focus)


class _Look(NamedTuple):
    """What pre-rendered pictures are found by: settings, and the distance from focus in coarse steps."""

    sensor: Sensor
    focus: float


class PictureSource:
    """Makes the pictures of one simulated camera.

    Parameters
    ----------
    sensor : Sensor
        Its settings; changing them changes the next picture.
    camera_number : int
        Written into the strip, modulo 256.
    seed : int
        Equal seeds, equal scenes. Pre-rendered cameras share `SHARED_SCENES` scenes.
    prerender : bool
        Take pictures from a shared cycle, for many cameras. Exposure is then always settled and focus comes
        in coarse steps. Sizes whose strip does not lie on whole JPEG blocks (XGA, SXGA, HVGA, CIF, HQVGA,
        QCIF, 96X96 and 128X128) are rendered live all the same.
    """

    def __init__(
        self, sensor: Sensor, camera_number: int = 0, seed: int = 0, prerender: bool = False
    ) -> None:
        self._sensor = sensor
        self._camera = camera_number & 0xFF
        self._prerender = prerender
        self._seed = seed % SHARED_SCENES if prerender else seed
        self._scene = _shared_scene(self._seed) if prerender else Scene(seed, _LIVE_PERIOD)
        self._exposure = AutoExposure()
        self._canvas: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)
        self._look: object = None
        self._cycle: list[Top | None] = []

    def render(self, frame_number: int) -> bytes:
        """Make the JPEG of this frame; its strip says ``frame_number % 65536``."""
        sensor = self._sensor.still()
        frame = frame_number & 0xFFFF
        if self._prerender and can_splice(sensor.width, sensor.height):
            look = _Look(sensor, _coarse(sensor.motor.offset))
            return number(self._top(look, self._position(frame)), self._camera, frame)
        image = self._picture(sensor, frame, sensor.motor.offset, self._exposure.step(sensor))
        self._draw_strip(image, frame)
        return encode(image, sensor.quality)

    def repeat(self, frame_number: int) -> bytes | None:
        """Make the JPEG of this frame from a picture at hand; None when there is none.

        That is the right one once the cycle is complete, and until then one of those made already.
        """
        sensor = self._sensor
        look = _Look(sensor, _coarse(sensor.motor.offset))
        if (key := self._key(look, 0)) != self._look:
            self._look = key
            self._cycle = [None] * CYCLE if can_splice(sensor.width, sensor.height) else []
        if not (self._prerender and self._cycle):
            return None
        frame = frame_number & 0xFFFF
        position = self._position(frame)
        top = self._cycle[position]
        if top is None:
            top = self._cycle[position] = _tops.peek(self._key(look, position))
        # `warm` goes from the first picture to the last: the one at half the place is there sooner.
        while top is None and position:
            position //= 2
            top = _tops.peek(self._key(look, position))
        return None if top is None else number(top, self._camera, frame)

    def restart(self) -> None:
        """Begin too dark, as a camera does after a reboot; live pictures only."""
        self._exposure.restart()

    def warm(self, most: int = CYCLE) -> int:
        """Pre-render up to `most` pictures of the cycle for the present settings; any thread may call it.

        Returns
        -------
        int
            How many are missing still; always 0 for live pictures.
        """
        sensor = self._sensor.still()
        if not (self._prerender and can_splice(sensor.width, sensor.height)):
            return 0
        look = _Look(sensor, _coarse(sensor.motor.offset))
        missing = [at for at in range(CYCLE) if self._key(look, at) not in _tops]
        for at in missing[:most]:
            self._top(look, at)
        return max(0, len(missing) - most)

    def _position(self, frame: int) -> int:
        return (frame + self._camera * _STAGGER) % CYCLE

    def _key(self, look: _Look, position: int) -> Hashable:
        return (position, self._seed, look.focus, look.sensor.picture_key())

    def _top(self, look: _Look, position: int) -> Top:
        """Give a picture of the cycle; `look` must not change meanwhile, for other cameras get it too."""

        def make() -> Top:
            exposure = AutoExposure().step(look.sensor, settled=True)
            image = self._picture(look.sensor, position, look.focus, exposure)
            return cut_top(image, look.sensor.quality)

        return _tops.get(self._key(look, position), make)

    def _picture(self, sensor: Sensor, frame: int, focus: float, exposure: Exposure) -> Image.Image:
        width, height = sensor.width, sensor.height
        if sensor["colorbar"]:
            return colour_bars(width, height).copy()
        view = View(width, height, focus, bool(sensor["lenc"]))
        if self._canvas.shape != (height, width, 3):
            self._canvas = np.empty((height, width, 3), np.uint8)
        # Kept from frame to frame, for fresh memory costs page faults; not where `warm` may run meanwhile.
        density = np.empty_like(self._canvas) if self._prerender else self._canvas
        strength = noise_strength(exposure)
        np.add(self._scene.background(view), noise(width, height, strength, frame), out=density)
        self._scene.draw(density, view, frame)
        dead_pixels(density, sensor)
        return develop(density, sensor, exposure, noise_offset(strength))

    def _draw_strip(self, image: Image.Image, frame: int) -> None:
        tall = strip_height(image.height)
        row = Image.fromarray(strip_row(image.width, self._camera, frame)[None, :])
        strip = row.resize((image.width, tall), Image.Resampling.NEAREST)
        # In YCbCr gray is (value, 128, 128); converting keeps it so in both modes.
        image.paste(strip.convert("RGB").convert(image.mode), (0, image.height - tall))
