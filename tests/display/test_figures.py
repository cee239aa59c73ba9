"""Sharpness and brightness: they follow focus and light, and not the lamp or the scale shown."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

import espressoscope as es
from espressoscope.display import figures_of, measure
from espressoscope.sim import SimulatedCamera


@pytest.fixture(scope="module")
def specimen() -> Image.Image:
    noise = np.random.default_rng(7).integers(40, 120, (240, 320), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1))


def test_sharpness_falls_with_every_step_out_of_focus(specimen: Image.Image) -> None:
    figures = [
        figures_of(np.asarray(specimen.filter(ImageFilter.GaussianBlur(radius)))).sharpness
        for radius in (0, 1, 2, 4, 8)
    ]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 3 * figures[-1] > 0


def test_a_brighter_lamp_is_not_taken_for_a_sharper_picture(specimen: Image.Image) -> None:
    dim = np.asarray(specimen)
    bright = np.clip(dim * 1.8, 0, 255).astype(np.uint8)
    assert figures_of(bright).sharpness == pytest.approx(figures_of(dim).sharpness, rel=0.05)
    assert figures_of(bright).brightness == pytest.approx(1.8 * figures_of(dim).brightness, rel=0.02)


def test_the_units_are_what_they_are_said_to_be() -> None:
    ramp = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (50, 1))  # 2 gray values per pixel
    figures = figures_of(ramp)
    assert figures.sharpness == pytest.approx(100 * 2 / figures.brightness, rel=1e-4)
    half = np.full((48, 48), 255, np.uint8)
    half[:, :24] = 10
    assert figures_of(half).saturated == pytest.approx(0.5)
    assert figures_of(np.zeros((9, 9), np.uint8)) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="too small"):
        figures_of(np.zeros((2, 2), np.uint8))


def test_a_frame_is_measured_without_its_full_size() -> None:
    with SimulatedCamera(framesize="SVGA", fps=10) as camera, es.Camera(camera.url) as cam:
        frame = cam.latest()
    figures = measure(frame)
    assert figures == figures_of(frame.image(2, gray=True))
    assert 20 < figures.brightness < 235
    assert figures.sharpness > 0
