"""Every setting does to the picture what it says: measured on decoded JPEGs."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pictures_support import StillClock, decode, field, picture, roughness, sharpness, shoot
from PIL import Image

from espressoscope.sim import pictures as pictures_module
from espressoscope.sim.cache import ByteCache
from espressoscope.sim.encode import header
from espressoscope.sim.pictures import CACHE_BYTES, CYCLE, PictureSource
from espressoscope.sim.sensor import Sensor
from espressoscope.sim.strip import read_strip
from espressoscope.tables.framesizes import SIZES

MANUAL = {"aec": 0, "agc": 0}
# QQVGA2 is in none of the numberings simulated.
SENSOR_SIZES = [
    name for name, (width, height) in SIZES.items() if width <= 1600 and height <= 1200 and name != "QQVGA2"
]


def _mean(settings: dict[str, int], **kwargs: float) -> float:
    return float(field(picture(settings, **kwargs)).mean())


# --- exposure and light


def test_longer_exposure_is_brighter() -> None:
    means = [_mean(MANUAL | {"aec_value": lines}) for lines in (0, 50, 150, 300, 600)]
    assert means == sorted(means)
    assert means[0] < 30
    assert means[-1] > 200


def test_gain_is_brighter_and_noisier() -> None:
    dim = MANUAL | {"aec_value": 40}
    means = [_mean(dim | {"agc_gain": gain}) for gain in (0, 4, 12)]
    assert means == sorted(means)
    assert means[-1] > 2 * means[0]
    rough = [roughness(picture(dim | {"agc_gain": gain})) for gain in (0, 6)]
    assert rough[1] > 1.5 * rough[0]


def test_little_light_with_gain_is_noisier_than_much_light_without() -> None:
    short = picture(MANUAL | {"aec_value": 30, "agc_gain": 9})
    long = picture(MANUAL | {"aec_value": 300, "agc_gain": 0})
    assert field(short).mean() == pytest.approx(field(long).mean(), rel=0.05)
    assert roughness(short) > 1.5 * roughness(long)


@pytest.mark.parametrize("change", [{"lamp": 100}, {"xclk": 20}, {"agc": 0, "agc_gain": 3}])
def test_automatic_exposure_keeps_the_brightness(change: dict[str, int]) -> None:
    assert _mean(change) == pytest.approx(_mean({}), rel=0.05)


def test_lamp_is_brighter_when_exposure_is_fixed() -> None:
    fixed = MANUAL | {"aec_value": 100}
    means = [_mean(fixed | {"lamp": lamp}) for lamp in (0, 40, 100)]
    assert means == sorted(means)
    assert means[-1] > means[0] + 40


def test_a_faster_clock_makes_lines_shorter() -> None:
    assert _mean(MANUAL | {"aec_value": 200, "xclk": 20}) < _mean(MANUAL | {"aec_value": 200}) - 20


def test_exposure_level_moves_the_goal() -> None:
    means = [_mean({"ae_level": level}) for level in (-2, -1, 0, 1, 2)]
    assert means == sorted(means)
    assert means[-1] - means[0] > 60


def test_gain_ceiling_limits_the_automatic_gain() -> None:
    dark = {"aec": 0, "aec_value": 10}
    means = [_mean(dark | {"gainceiling": ceiling}) for ceiling in (0, 2, 4)]
    assert means == sorted(means)
    assert means[-1] > 2 * means[0]


def test_night_mode_exposes_longer() -> None:
    # At 40 MHz and with the gain held, the longest usual exposure is too short for the highest goal.
    dark = {"agc": 0, "xclk": 40, "ae_level": 2}
    assert _mean(dark | {"aec2": 1}) > _mean(dark) + 3


def test_automatic_exposure_settles_over_some_frames() -> None:
    sensor = Sensor(framesize="QVGA", clock=StillClock())
    source = PictureSource(sensor, 0, 3)
    before = field(decode(source.render(0))).mean()
    sensor.set("ae_level", 2)
    after = [field(decode(source.render(frame))).mean() for frame in range(1, 15)]
    assert before + 2 < after[0] < after[1] < after[3] < after[-1]
    assert after[-1] - after[-2] < 1
    assert after[0] - before < 0.6 * (after[-1] - before)


def test_first_frames_after_a_restart_are_dark() -> None:
    sensor = Sensor(framesize="QVGA", clock=StillClock())
    source = PictureSource(sensor, 0, 3)
    usual = field(decode(source.render(0))).mean()
    source.restart()
    means = [field(decode(source.render(frame))).mean() for frame in range(1, 20)]
    assert means[0] < usual / 2
    assert means[-1] == pytest.approx(usual, rel=0.03)


# --- tone and colour


@pytest.mark.parametrize("prerender", [False, True])
def test_brightness_lifts_and_contrast_spreads(prerender: bool) -> None:
    means = [_mean({"brightness": level}, prerender=prerender) for level in (-2, 0, 2)]
    assert means[0] + 25 < means[1] < means[2] - 15
    spreads = [float(field(picture({"contrast": level}, prerender=prerender)).std()) for level in (-2, 0, 2)]
    assert spreads[0] < 0.8 * spreads[1]
    assert spreads[1] < 0.9 * spreads[2]


def test_gamma_off_is_nearer_to_proportional() -> None:
    exposures = [MANUAL | {"aec_value": lines} for lines in (100, 200)]
    ratio = [
        field(picture(exposures[1] | {"raw_gma": gamma})).mean()
        / field(picture(exposures[0] | {"raw_gma": gamma})).mean()
        for gamma in (0, 1)
    ]
    assert ratio[0] == pytest.approx(2, rel=0.1)
    assert ratio[1] == pytest.approx(2**0.5, rel=0.1)


def _colourfulness(image: np.ndarray) -> float:
    return float(np.ptp(field(image), axis=2).mean())


def test_saturation() -> None:
    colours = [_colourfulness(picture({"saturation": level})) for level in (-2, -1, 0, 1, 2)]
    assert colours == sorted(colours)
    assert colours[0] < 0.6 * colours[2]


def test_grayscale_has_no_colour_and_tints_have_one() -> None:
    gray = field(picture({"special_effect": 2}))
    assert np.ptp(gray, axis=2).max() <= 2
    for effect, strongest in ((3, 0), (4, 1), (5, 2)):
        tinted = field(picture({"special_effect": effect})).mean(axis=(0, 1))
        assert int(tinted.argmax()) == strongest, effect
    red, green, blue = field(picture({"special_effect": 6})).mean(axis=(0, 1))
    assert red > green > blue


def test_negative_is_the_positive_turned_over() -> None:
    positive, negative = field(picture({})), field(picture({"special_effect": 1}))
    assert np.abs(positive + negative - 255).mean() < 3


def test_white_balance() -> None:
    def balance(settings: dict[str, int]) -> tuple[float, float]:
        red, green, blue = field(picture(settings)).mean(axis=(0, 1))
        return red / green, blue / green

    automatic = balance({})
    assert automatic == pytest.approx((1, 1), abs=0.12)
    raw = balance({"awb_gain": 0})
    assert max(raw) < 0.93  # nothing corrects the filters' green
    sunny, home = balance({"wb_mode": 1}), balance({"wb_mode": 4})
    assert sunny[0] > home[0]
    assert sunny[1] < home[1]
    assert balance({"awb_gain": 0, "wb_mode": 4}) == raw


def test_lens_correction_brightens_the_corners() -> None:
    corrected, raw = (field(picture({"lenc": lenc})) for lenc in (1, 0))
    corner, middle = (slice(0, 60), slice(0, 60)), (slice(200, 260), slice(290, 350))
    assert corrected[corner].mean() / corrected[middle].mean() > 1.1 * raw[corner].mean() / raw[middle].mean()


def test_colour_bars_replace_the_scene() -> None:
    image = picture({"colorbar": 1} | MANUAL | {"aec_value": 0})
    bars = [tuple(int(v > 128) for v in image[100, 40 + 80 * bar]) for bar in range(8)]
    assert bars == [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)]
    assert read_strip(image) == (7, 50)


def test_dead_pixels_show_without_their_correction() -> None:
    quiet = {"special_effect": 2} | MANUAL | {"aec_value": 200}
    masked, white, black = (
        field(picture(quiet | {"bpc": bpc, "wpc": wpc}, quality=1))[..., 0]
        for bpc, wpc in ((1, 1), (1, 0), (0, 1))
    )
    assert (white - masked).max() > 40
    assert (masked - black).max() > 60
    assert np.count_nonzero(np.abs(white - masked) > 20) < 100


# --- geometry


@pytest.mark.parametrize("prerender", [False, True])
def test_mirrors_turn_the_picture_and_not_the_strip(prerender: bool) -> None:
    quiet = {"special_effect": 2}
    plain = picture(quiet, prerender=prerender)
    for settings, turned in (({"hmirror": 1}, np.s_[:, ::-1]), ({"vflip": 1}, np.s_[::-1])):
        image = picture(quiet | settings, prerender=prerender)
        assert read_strip(image) == (7, 50)
        # The strip hides rows of the field, others after a flip: compare the rows seen in both.
        shown = field(image)[32:] if "vflip" in settings else field(image)
        expected = field(plain)[turned]
        expected = expected[: len(shown)] if "vflip" in settings else expected
        assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("name", SENSOR_SIZES)
@pytest.mark.parametrize("prerender", [False, True])
def test_every_size_comes_as_asked_with_its_strip(name: str, prerender: bool) -> None:
    firmware = "camerawebserver" if name in ("128X128", "320X320") else "tasmota"
    image = picture(framesize=name, quality=12, prerender=prerender, firmware=firmware)
    assert image.shape == (SIZES[name][1], SIZES[name][0], 3)
    assert read_strip(image) == (7, 50)


def test_framesize_changes_from_one_frame_to_the_next() -> None:
    for prerender in (False, True):
        sensor = Sensor(framesize="VGA", clock=StillClock())
        source = PictureSource(sensor, 1, 1, prerender)
        assert decode(source.render(0)).shape == (480, 640, 3)
        sensor.set("framesize", 5)
        small = decode(source.render(1))
        assert small.shape == (240, 320, 3)
        assert read_strip(small) == (1, 1)


# --- focus


def test_defocus_blurs_more_and_more() -> None:
    figures = [sharpness(picture(focus=steps)) for steps in (0, 20, 50, 120, 400)]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 3 * figures[-1]
    assert sharpness(picture(focus=-120)) == pytest.approx(figures[3], rel=0.25)


def test_bytes_tell_the_sharpest_position_as_the_firmwares_autofocus_expects() -> None:
    sizes = {steps: len(shoot(focus=steps, quality=12)) for steps in range(-200, 201, 40)}
    assert max(sizes, key=sizes.__getitem__) in (-40, 0, 40)
    assert min(sizes.values()) < 0.9 * sizes[0]


def test_pictures_follow_the_motor_while_it_runs() -> None:
    clock = StillClock()
    sensor = Sensor(framesize="QVGA", quality=4, clock=clock)
    source = PictureSource(sensor, 0, 3)
    sharp = sharpness(decode(source.render(0)))
    sensor.set("focusSlider", 300)
    clock.now += 1.0
    assert sharpness(decode(source.render(0))) < 0.7 * sharp
    sensor.set("focusSlider", 0)
    clock.now += sensor.autofocus(-500, 500, 10)
    assert sharpness(decode(source.render(0))) > 0.9 * sharp


# --- compression


@pytest.mark.parametrize("prerender", [False, True])
def test_quality_is_in_the_tables_and_in_the_bytes(prerender: bool) -> None:
    jpegs = {quality: shoot(quality=quality, prerender=prerender) for quality in (4, 12, 63)}
    for quality, jpeg in jpegs.items():
        assert Image.open(io.BytesIO(jpeg)).quantization[0][0] == quality
    assert len(jpegs[4]) > 1.5 * len(jpegs[12]) > 1.5 * len(jpegs[63])


@pytest.mark.parametrize(
    ("framesize", "smallest", "largest"),
    [("QVGA", 2_300, 8_000), ("VGA", 7_000, 20_000), ("UXGA", 45_000, 250_000)],
)
def test_pictures_are_as_large_as_real_ones(framesize: str, smallest: int, largest: int) -> None:
    seeds = range(5) if framesize != "UXGA" else (3,)
    sizes = [len(shoot(framesize=framesize, quality=12, seed=seed)) for seed in seeds]
    assert smallest < min(sizes) <= max(sizes) < largest


# --- sequences


@pytest.mark.parametrize("prerender", [False, True])
def test_pictures_are_repeatable_and_never_twice_the_same(prerender: bool) -> None:
    sources = [PictureSource(Sensor(framesize="QVGA", clock=StillClock()), 5, 8, prerender) for _ in range(2)]
    series = [[source.render(frame) for frame in range(20)] for source in sources]
    assert series[0] == series[1]
    assert len(set(series[0])) == 20


def test_a_still_sample_still_has_noise() -> None:
    rough = roughness(picture())
    assert 0.5 < rough < 8


def test_cameras_differ() -> None:
    live = [field(picture(seed=seed)) for seed in (1, 2)]
    assert np.abs(live[0] - live[1]).mean() > 3
    sensors = [Sensor(framesize="QVGA", clock=StillClock()) for _ in range(2)]
    shared = [
        field(decode(PictureSource(sensor, number, 4, True).render(9)))
        for number, sensor in enumerate(sensors)
    ]
    assert np.abs(shared[0] - shared[1]).mean() > 0.5, "same sample, another moment"


def test_prerendered_is_what_live_would_show() -> None:
    # Same scene: motion is tied to the length of the cycle, so compare what does not move.
    live, ready = (field(picture({}, seed=2, prerender=prerender)) for prerender in (False, True))
    assert live.mean() == pytest.approx(ready.mean(), abs=4)
    assert np.abs(np.median(live, axis=(0, 1)) - np.median(ready, axis=(0, 1))).max() < 6


def test_a_cycle_is_shared_warmed_and_used() -> None:
    sensors = [Sensor(framesize="QQVGA", quality=33, seed=number, clock=StillClock()) for number in range(3)]
    sources = [PictureSource(sensor, number, 1, True) for number, sensor in enumerate(sensors)]
    assert sources[0].warm(most=10) == CYCLE - 10
    assert sources[1].warm() == 0
    assert [source.warm(most=0) for source in sources] == [0, 0, 0]
    jpegs = [sources[2].render(frame) for frame in range(CYCLE)]
    assert len({jpeg[:1500] for jpeg in jpegs}) == CYCLE
    sensors[2].set("quality", 34)
    assert sources[2].warm(most=0) == CYCLE


def test_live_pictures_need_no_warming() -> None:
    assert PictureSource(Sensor(framesize="VGA"), 0, 0).warm() == 0
    assert PictureSource(Sensor(framesize="XGA"), 0, 0, prerender=True).warm() == 0


def test_prerendered_pictures_stay_within_their_memory() -> None:
    assert pictures_module._tops.bytes <= CACHE_BYTES


def test_warming_beside_rendering_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def series(threads: int) -> list[bytes]:
        monkeypatch.setattr(pictures_module, "_tops", ByteCache(CACHE_BYTES, lambda top: len(top.data)))
        source = PictureSource(Sensor(framesize="QQVGA", clock=StillClock()), 2, 1, True)
        with ThreadPoolExecutor(2) as pool:
            warming = [pool.submit(source.warm, 60) for _ in range(threads)]
            jpegs = [source.render(frame) for frame in range(60)]
            for work in warming:
                work.result(timeout=60)
        return jpegs

    assert series(2) == series(0)


def test_a_setting_changed_meanwhile_spoils_no_picture_of_the_cycle() -> None:
    source = PictureSource(sensor := Sensor(framesize="QQVGA", quality=41, clock=StillClock()), 0, 3, True)
    with ThreadPoolExecutor(1) as pool:
        for turn in range(120):
            warming = pool.submit(source.warm, 2)
            time.sleep(0.0001 * (turn % 11))
            sensor.set("quality", 42 if turn % 2 else 41)
            warming.result(timeout=60)
    assert sensor.quality == 42
    jpegs = [jpeg for frame in range(CYCLE) if (jpeg := source.repeat(frame)) is not None]
    assert len(jpegs) > 30
    assert {jpeg[: len(header(160, 120, 42))] for jpeg in jpegs} == {header(160, 120, 42)}


def test_more_than_the_memory_is_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    small = ByteCache(10_000, lambda top: len(top.data))
    monkeypatch.setattr(pictures_module, "_tops", small)
    source = PictureSource(Sensor(framesize="QQVGA", clock=StillClock()), 2, 1, True)
    first = [source.render(frame) for frame in range(30)]
    assert small.bytes <= 10_000
    assert len(small) < 30
    assert [source.render(frame) for frame in range(30)] == first
