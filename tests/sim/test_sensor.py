"""Settings with the driver's manners: what is clamped, rejected, echoed, and how fast pictures come."""

from __future__ import annotations

import pytest
from pictures_support import StillClock

from espressoscope.sim.sensor import Sensor
from espressoscope.tables.firmware import FAMILIES
from espressoscope.tables.framesizes import SIZES, index_of


@pytest.mark.parametrize(
    ("var", "asked", "stored"),
    [
        ("quality", -1, 0),
        ("quality", 64, 63),
        ("quality", 17, 17),
        ("agc_gain", 31, 30),
        ("agc_gain", -5, 0),
        ("aec_value", 1201, 1200),
        ("aec_value", -1, 0),
        ("lamp", 150, 100),
        ("lamp", -3, 0),
    ],
)
def test_clamped(var: str, asked: int, stored: int) -> None:
    sensor = Sensor()
    assert sensor.set(var, asked)
    assert sensor.status_values()[var] == stored


@pytest.mark.parametrize("var", ["brightness", "contrast", "saturation", "ae_level"])
def test_levels_outside_two_are_rejected(var: str) -> None:
    sensor = Sensor()
    for value in (-2, -1, 0, 1, 2):
        assert sensor.set(var, value)
        assert sensor.status_values()[var] == value
    for value in (-3, 3, 100):
        assert not sensor.set(var, value)
    assert sensor.status_values()[var] == 2


@pytest.mark.parametrize(("var", "last"), [("special_effect", 6), ("wb_mode", 4)])
def test_modes(var: str, last: int) -> None:
    sensor = Sensor()
    assert sensor.set(var, last)
    assert not sensor.set(var, last + 1)
    assert not sensor.set(var, -1)
    assert sensor.status_values()[var] == last


@pytest.mark.parametrize("var", ["sharpness", "denoise", "nonsense", "", "Framesize", "pixformat", "sd_card"])
def test_never_taken(var: str) -> None:
    assert not Sensor().set(var, 0)


def test_flags_echo_what_was_set() -> None:
    sensor = Sensor()
    assert sensor.set("hmirror", 2)
    assert sensor.status_values()["hmirror"] == 2  # uint8_t, not checked


def test_gain_ceiling_is_not_checked() -> None:
    sensor = Sensor()
    assert sensor.set("gainceiling", 300)
    assert sensor.status_values()["gainceiling"] == 44  # shown modulo 256


def test_framesize_is_not_checked_and_status_lies() -> None:
    sensor = Sensor(framesize="VGA")
    assert sensor.set("framesize", 14)  # FHD in N5: more than the sensor has
    assert sensor.status_values()["framesize"] == 14
    assert sensor.framesize == "VGA"
    assert sensor.set("framesize", 99)
    assert (sensor.status_values()["framesize"], sensor.width) == (99, 640)


@pytest.mark.parametrize(
    ("firmware", "vga"), [("matchboxscope", 8), ("easytarget", 8), ("camerawebserver", 10)]
)
def test_framesize_speaks_the_firmwares_numbering(firmware: str, vga: int) -> None:
    sensor = Sensor(firmware, "UXGA")
    assert sensor.set("framesize", vga)
    assert (sensor.framesize, sensor.width, sensor.height) == ("VGA", 640, 480)
    assert sensor.status_values()["framesize"] == vga
    assert Sensor(firmware, "vga").status_values()["framesize"] == vga


@pytest.mark.parametrize(
    ("firmware", "framesize", "quality", "xclk"),
    [
        ("matchboxscope", "SVGA", 12, 8),
        ("easytarget", "SVGA", 12, 8),
        ("camerawebserver", "QVGA", 10, 20),
        ("tasmota", "QVGA", 12, 20),
    ],
)
def test_after_boot(firmware: str, framesize: str, quality: int, xclk: int) -> None:
    sensor = Sensor(firmware)
    assert sensor["framesize"] == index_of(FAMILIES[firmware].numbering, framesize)
    assert (sensor.framesize, sensor.quality, sensor["xclk"]) == (framesize, quality, xclk)


@pytest.mark.parametrize("firmware", sorted(FAMILIES))
def test_every_family_has_a_sensor(firmware: str) -> None:
    sensor = Sensor(firmware)
    assert sensor.width > 0
    assert sensor.max_fps() > 0
    assert bool(sensor.status_values()) == (FAMILIES[firmware].status_path is not None)


def test_status_of_matchboxscope_is_the_documented_one() -> None:
    keys = list(Sensor().status_values())
    assert keys[:6] == ["lamp", "autolamp", "min_frame_time", "framesize", "quality", "xclk"]
    assert keys[-3:] == ["focusSlider", "timelapseInterval", "autofocusInterval"]
    # CameraWebServer forgets vflip, and has a lamp of its own.
    other = Sensor("camerawebserver").status_values()
    assert "vflip" not in other
    assert list(other)[-1] == "led_intensity"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"firmware": "toaster"}, "unknown firmware"),
        ({"framesize": "HUGE"}, "none of"),
        ({"framesize": "QXGA"}, "UXGA"),
    ],
)
def test_what_cannot_be_built(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Sensor(**arguments)


@pytest.mark.parametrize(
    ("framesize", "xclk", "fps"),
    [
        ("QVGA", 8, 20),
        ("VGA", 8, 10),
        ("SVGA", 8, 10),
        ("UXGA", 8, 5),
        ("VGA", 20, 19),
        ("CIF", 20, 31),
        ("VGA", 4, 5),
    ],
)
def test_frame_rate_follows_size_and_clock(framesize: str, xclk: int, fps: float) -> None:
    sensor = Sensor(framesize=framesize)
    assert sensor.set("xclk", xclk)
    assert sensor.max_fps() == pytest.approx(fps)


def test_every_size_has_a_rate_and_larger_ones_are_no_faster() -> None:
    sizes = sorted(
        ("QQVGA", "QVGA", "CIF", "VGA", "SVGA", "XGA", "SXGA", "UXGA"), key=lambda name: SIZES[name]
    )
    rates = [Sensor("tasmota", name).max_fps() for name in sizes]
    assert rates == sorted(rates, reverse=True)


def test_min_frame_time_brakes() -> None:
    sensor = Sensor(framesize="VGA")
    assert sensor.set("min_frame_time", 500)
    assert sensor.max_fps() == pytest.approx(2)


@pytest.mark.parametrize("value", [0, -8, 41])
def test_clock_generator_refuses(value: int) -> None:
    sensor = Sensor()
    assert not sensor.set("xclk", value)
    assert sensor.status_values()["xclk"] == 8


def test_only_what_the_family_has_can_be_set() -> None:
    assert Sensor().set("neopixel", 3)
    assert not Sensor("easytarget").set("neopixel", 3)
    assert not Sensor("camerawebserver").set("xclk", 10)
    assert Sensor("camerawebserver").set("led_intensity", -1)


def test_app_settings_are_reported_under_their_other_names() -> None:
    sensor = Sensor()
    for var, key, value in (
        ("stack", "isStack", 1),
        ("isTimelapse", "isTimelapseGeneral", 1),
        ("timelapseInterval", "timelapseInterval", 60),
    ):
        assert sensor.set(var, value)
        assert sensor.status_values()[key] == value


def test_focus_buttons_and_slider() -> None:
    clock = StillClock()
    sensor = Sensor(clock=clock)
    for var, value, position in (("mFocusUp", 1, 50), ("mFocusDown", 1, 0), ("focusSlider", 100, 100)):
        assert sensor.set(var, value)
        clock.now += 1
        assert sensor.focus_position == pytest.approx(position)
    assert sensor.set("focusSlider", 0)
    clock.now += sensor.autofocus(-200, 200, 5)
    assert abs(sensor.motor.offset) <= 2.5


def test_best_focus_belongs_to_the_seed() -> None:
    assert Sensor(seed=4).motor.best == Sensor(seed=4).motor.best != Sensor(seed=5).motor.best


def test_lamp_follows_the_firmwares_curve() -> None:
    sensor = Sensor()
    light = []
    for value in (0, 25, 50, 100):
        sensor.set("lamp", value)
        light.append(sensor.lamp)
    assert light[0] == 0
    assert light[-1] == pytest.approx(1)
    assert light == sorted(light)
    assert light[2] < 0.5  # logarithmic


def test_prefs_outlive_a_reboot() -> None:
    sensor = Sensor(framesize="SVGA")
    sensor.set("framesize", 8)
    sensor.set("quality", 20)
    sensor.reboot()
    assert (sensor.framesize, sensor.quality) == ("SVGA", 12)
    sensor.set("framesize", 8)
    sensor.set("quality", 20)
    sensor.save_prefs()
    sensor.set("quality", 30)
    sensor.reboot()
    assert (sensor.framesize, sensor.quality) == ("VGA", 20)
    sensor.clear_prefs()
    sensor.reboot()
    assert (sensor.framesize, sensor.quality) == ("SVGA", 12)


def test_frame_buffer_is_that_of_the_boot_size() -> None:
    sensor = Sensor()
    sensor.set("framesize", 13)
    assert sensor.framesize == "UXGA"
    assert sensor.frame_buffer_bytes == 96_000
    assert Sensor("matchboxscope", "UXGA").frame_buffer_bytes == 384_000
    assert Sensor("matchboxscope", "QVGA").frame_buffer_bytes == 96_000
    assert Sensor("camerawebserver").frame_buffer_bytes == 384_000
    assert Sensor("esphome").frame_buffer_bytes == 61_440


def test_key_changes_with_every_setting_pictures_depend_on() -> None:
    sensor = Sensor()
    seen = {sensor.picture_key()}
    for var, value in (
        ("quality", 9),
        ("framesize", 8),
        ("lamp", 3),
        ("vflip", 1),
        ("xclk", 16),
        ("ae_level", 1),
    ):
        sensor.set(var, value)
        assert sensor.picture_key() not in seen
        seen.add(sensor.picture_key())
    sensor.set("rotate", 90)
    assert sensor.picture_key() in seen
