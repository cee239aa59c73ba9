"""The simulated sample: alive, repeatable, without a seam, the same field at every size."""

from __future__ import annotations

import numpy as np
import pytest

from espressoscope.sim.scene import Scene, View
from espressoscope.sim.specimen import ANGLES, BIAS, KINDS, VARIANTS, blur_level, blur_radius, sprite

VIEW = View(320, 240, 0.0, True)


def _density(scene: Scene, frame: int, view: View = VIEW) -> np.ndarray:
    image = scene.background(view).copy()
    scene.draw(image, view, frame)
    return image


def test_equal_seeds_are_equal_scenes() -> None:
    one, two = Scene(4, 256), Scene(4, 256)
    assert np.array_equal(_density(one, 9), _density(two, 9))
    assert np.array_equal(_density(one, 9), _density(one, 9))
    assert not np.array_equal(_density(Scene(5, 256), 9), _density(one, 9))


def test_negative_and_large_seeds_are_fine() -> None:
    for seed in (-3, 0, 2**63):
        assert _density(Scene(seed, 256), 0).any()


def test_every_frame_of_a_cycle_differs() -> None:
    scene = Scene(2, 256)
    assert len({_density(scene, frame, View(160, 120, 0.0, True)).tobytes() for frame in range(256)}) == 256


def test_the_cycle_closes_without_a_seam() -> None:
    scene = Scene(2, 256)
    assert np.array_equal(_density(scene, 0), _density(scene, 256))
    steps = [
        np.abs(_density(scene, frame + 1).astype(int) - _density(scene, frame)).mean()
        for frame in (10, 50, 100, 150, 200, 255)
    ]
    assert steps[-1] < 1.5 * max(steps[:-1])


def test_things_drift_apart_with_time() -> None:
    scene = Scene(3, 2048)
    first = _density(scene, 0).astype(int)
    near, far = (np.abs(_density(scene, frame) - first).mean() for frame in (1, 400))
    assert 0 < near < far / 2


def test_density_stays_in_its_range() -> None:
    image = _density(Scene(3, 256), 7)
    assert image.min() >= 1  # 0 is a dead pixel
    assert 30 < np.median(image) < 120


def test_larger_pictures_show_the_same_field() -> None:
    scene = Scene(6, 256)
    small = _density(scene, 20).astype(float)
    large = _density(scene, 20, View(1280, 960, 0.0, True)).astype(float)
    halved = large.reshape(240, 4, 320, 4, 3).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), halved.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("width", "height"), [(320, 180), (240, 240)])
def test_other_shapes_see_the_middle(width: int, height: int) -> None:
    scene = Scene(6, 256)
    whole = _density(scene, 20).astype(float)
    part = _density(scene, 20, View(width, height, 0.0, True)).astype(float)
    top, left = (240 - height) // 2, (320 - width) // 2
    middle = whole[top : top + height, left : left + width]
    assert np.corrcoef(part.ravel(), middle.ravel())[0, 1] > 0.9


def test_lens_correction_evens_the_light() -> None:
    corrected, raw = (
        Scene(1, 256).background(View(320, 240, 0.0, lenc)).astype(float)[..., 1] for lenc in (True, False)
    )
    assert raw.std() > 1.5 * corrected.std()
    assert raw[:20, :20].mean() > corrected[:20, :20].mean()


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_sprites(kind: int) -> None:
    for variant in range(VARIANTS):
        for angle in (0, 7, ANGLES - 1):
            sharp, soft = (sprite(kind, variant, 60, angle, blur) for blur in (0, blur_level(4.0)))
            assert sharp.dtype == np.uint8
            assert sharp.shape[2] == 3
            assert max(sharp.shape[:2]) <= 90
            assert sharp.max() > BIAS + 15
            assert soft.max() < sharp.max()
            # Blur spreads what there is, it does not make more.
            amount = [float((part.astype(int) - BIAS).clip(0).sum()) for part in (sharp, soft)]
            assert 0.6 < amount[1] / amount[0] < 1.2


def test_blur_levels_go_up_in_even_ratios() -> None:
    assert blur_level(0.0) == 0
    assert blur_radius(0) == 0
    for radius in (0.4, 1.0, 3.3, 20.0):
        assert blur_radius(blur_level(radius)) == pytest.approx(radius, rel=0.1)
