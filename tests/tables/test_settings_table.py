"""tables.settings: every family and sensor gives a form that makes sense, with the drivers' ranges."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from espressoscope.tables.firmware import FAMILIES
from espressoscope.tables.framesizes import NUMBERINGS, SIZES
from espressoscope.tables.settings import EFFECTS, GROUPS, WHITE_BALANCE_MODES, SettingSpec, specs_for

SENSORS = ("OV2640", "OV3660", "OV5640")
FIRMWARES = (*FAMILIES, "unknown")
EVERY = list(itertools.product(FIRMWARES, SENSORS, NUMBERINGS))

# What sensors/ov2640.c, and ov3660.c with ov5640.c, check or clamp to.
RANGES = {
    "OV2640": {
        "quality": (0, 63),
        "brightness": (-2, 2),
        "contrast": (-2, 2),
        "saturation": (-2, 2),
        "ae_level": (-2, 2),
        "agc_gain": (0, 30),
        "aec_value": (0, 1200),
        "gainceiling": (0, 6),
    },
    "OV3660": {
        "quality": (0, 63),
        "brightness": (-3, 3),
        "contrast": (-3, 3),
        "saturation": (-4, 4),
        "ae_level": (-5, 5),
        "agc_gain": (0, 64),
        "aec_value": (0, 1536),
        "gainceiling": (0, 511),
    },
}
RANGES["OV5640"] = RANGES["OV3660"]

FLAGS = "hmirror vflip lenc raw_gma bpc wpc dcw colorbar aec aec2 agc awb awb_gain"
# /control of each family beyond what the sensors share (cmd_handler in each app_httpd.cpp).
OWN = {
    "matchboxscope": "xclk rotate min_frame_time autolamp lamp pwm neopixel stack timelapse "
    "timelapse_interval autofocus_interval focus_speed",
    "easytarget": "xclk rotate min_frame_time autolamp lamp",
    "camerawebserver": "lamp",
}


def by_name(firmware: str, sensor: str = "OV2640", numbering: str = "N5") -> dict[str, SettingSpec]:
    return {spec.name: spec for spec in specs_for(firmware, sensor, numbering)}


@pytest.mark.parametrize(("firmware", "sensor", "numbering"), EVERY)
def test_every_form_makes_sense(firmware, sensor, numbering):
    specs = specs_for(firmware, sensor, numbering)
    spoken = [name for spec in specs for name in {spec.name, *spec.aliases}]
    assert len(spoken) == len(set(spoken)), "two settings answer to one name"
    for field in ("var", "doc"):
        values = [getattr(spec, field) for spec in specs]
        assert len(values) == len(set(values)), field
    keys = [spec.status_key for spec in specs if spec.status_key]
    assert len(keys) == len(set(keys))
    for spec in specs:
        assert spec.group in GROUPS
        assert spec.name.isidentifier()
        assert spec.name.islower()
        assert len(spec.var) <= 31, "the firmwares' buffers"
        assert spec.var.isidentifier()
        assert spec.var in (spec.name, *spec.aliases)
        assert spec.doc.endswith(".")
        assert "\n" not in spec.doc
        assert spec.doc[0].isupper()
        assert len(spec.doc) <= 100
        assert spec.doc == spec.doc.strip()


@pytest.mark.parametrize(("firmware", "sensor", "numbering"), EVERY)
def test_every_kind_has_what_it_needs_and_no_more(firmware, sensor, numbering):
    for spec in specs_for(firmware, sensor, numbering):
        limits = (spec.minimum, spec.maximum, spec.step)
        if spec.kind == "int":
            assert None not in limits
            assert spec.minimum < spec.maximum
            assert spec.step >= 1
            assert (spec.maximum - spec.minimum) % spec.step == 0
            assert spec.choices == ()
        else:
            assert limits == (None, None, None)
            assert spec.unit == ""
        if spec.kind == "choice":
            assert len(spec.choices) >= 2
            assert len(set(spec.choices)) == len(spec.choices)
        else:
            assert spec.kind in ("int", "bool")


@pytest.mark.parametrize("firmware", ["matchboxscope", "easytarget", "camerawebserver", "unknown"])
@pytest.mark.parametrize("sensor", SENSORS)
def test_ranges_are_the_drivers(firmware, sensor):
    specs = by_name(firmware, sensor)
    for name, limits in RANGES[sensor].items():
        assert (specs[name].minimum, specs[name].maximum) == limits, name
    assert specs["special_effect"].choices == EFFECTS
    assert len(EFFECTS) == 7
    assert specs["wb_mode"].choices == WHITE_BALANCE_MODES
    assert len(WHITE_BALANCE_MODES) == 5
    assert {name for name, spec in specs.items() if spec.kind == "bool"} >= set(FLAGS.split())


@pytest.mark.parametrize("firmware", OWN)
def test_each_family_has_exactly_its_settings(firmware):
    shared = {"framesize", "special_effect", "wb_mode", *FLAGS.split(), *RANGES["OV2640"]}
    assert set(by_name(firmware)) == shared | set(OWN[firmware].split())


def test_a_family_without_control_has_no_settings():
    assert specs_for("esphome", "OV2640", "N5") == ()


def test_no_family_offers_what_the_drivers_refuse():
    for firmware in FIRMWARES:
        assert not {"sharpness", "denoise"} & set(by_name(firmware))


@pytest.mark.parametrize(("sensor", "largest"), [("OV2640", "UXGA"), ("OV3660", "QXGA"), ("OV5640", "QSXGA")])
def test_framesizes_end_where_the_sensor_does(sensor, largest):
    for numbering, names in NUMBERINGS.items():
        choices = by_name("matchboxscope", sensor, numbering)["framesize"].choices
        assert choices == tuple(name for name in names if name in choices), "in the order of their index"
        assert "VGA" in choices
        assert "UXGA" in choices
        assert (largest in choices) == (largest in names)
        if sensor == "OV2640":
            assert all(SIZES[name][0] <= 1600 and SIZES[name][1] <= 1200 for name in choices)
        if sensor == "OV3660":
            assert not {"QHD", "WQXGA", "QSXGA", "P_FHD"} & set(choices)
    assert ("5MP" in by_name("matchboxscope", sensor, "N6")["framesize"].choices) == (sensor == "OV5640")


def test_native_names_are_aliases():
    specs = by_name("matchboxscope")
    native = {
        "timelapse": "isTimelapse",
        "timelapse_interval": "timelapseInterval",
        "autofocus_interval": "autofocusInterval",
        "focus_speed": "focusSlider",
    }
    for name, var in native.items():
        assert specs[name].var == var
        assert var in specs[name].aliases


def test_what_matchboxscope_does_not_report_is_write_only():
    # status_handler leaves out pwm and neopixel, and prints focusSlider as a constant "1".
    write_only = {spec.name for spec in specs_for("matchboxscope", "OV2640", "N5") if spec.status_key is None}
    assert write_only == {"pwm", "neopixel", "focus_speed"}


def test_the_lamp_of_camerawebserver_is_its_led():
    lamp = by_name("camerawebserver")["lamp"]
    assert (lamp.var, lamp.status_key, lamp.minimum, lamp.maximum) == (
        "led_intensity",
        "led_intensity",
        0,
        255,
    )
    assert lamp.unit == ""
    assert "led_intensity" in lamp.aliases


# xdrv_81_esp32_webcam.ino: the commands with the range each accepts, in the order of the list in its head.
TASMOTA = """
framesize WcResolution 0 13
hmirror WcMirror 0 1
vflip WcFlip 0 1
saturation WcSaturation -2 2
brightness WcBrightness -2 2
contrast WcContrast -2 2
special_effect WcSpecialEffect 0 6
awb WcAWB 0 1
wb_mode WcWBMode 0 4
awb_gain WcAWBGain 0 1
aec WcAEC 0 1
aec2 WcAECDSP 0 1
aec_value WcAECValue 0 1200
ae_level WcAELevel 0 2
agc WcAGC 0 1
agc_gain WcAGCGain 0 30
gainceiling WcGainCeiling 0 6
raw_gma WcGammaCorrect 0 1
lenc WcLensCorrect 0 1
wpc WcWPC 0 1
dcw WcDCW 0 1
bpc WcBPC 0 1
colorbar WcColorbar 0 1
xclk WcClock 10 32
"""


@pytest.mark.parametrize("sensor", SENSORS)
def test_tasmota_takes_its_own_commands_whatever_the_sensor(sensor):
    specs = by_name("tasmota", sensor)
    expected = {}
    for line in TASMOTA.split("\n")[1:-1]:
        name, command, low, high = line.split()
        expected[name] = (command, int(low), int(high))
    assert set(specs) == set(expected)
    for name, (command, low, high) in expected.items():
        spec = specs[name]
        assert spec.var == command
        limits = {
            "bool": (0, 1),
            "int": (spec.minimum, spec.maximum),
            "choice": (0, len(spec.choices) - 1),
        }[spec.kind]
        assert limits == (low, high), name


def test_tasmota_reports_under_the_bare_name():
    # CmndWebcam: {"WC":{"Stream":%d,"Resolution":%d,"Mirror":%d,...}}; the clock is not among them.
    for spec in specs_for("tasmota", "OV2640", "N5"):
        assert spec.status_key == (None if spec.name == "xclk" else spec.var.removeprefix("Wc"))


def test_a_spec_cannot_be_changed():
    spec = by_name("matchboxscope")["lamp"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.maximum = 7  # type: ignore[misc]


def test_an_unknown_firmware_gets_the_widest_form():
    assert set(by_name("anything")) == set(by_name("unknown")) == set(by_name("matchboxscope"))
