"""What can be set on each sensor: kind, range, unit, group and one line for the person at the microscope.

Ranges are those of the drivers (``sensors/ov2640.c``, ``ov3660.c``, ``ov5640.c`` in espressif/esp32-camera) where they
check or clamp, else those of the firmwares' own pages. Canonical names are Matchboxscope's ``/control`` variables; where
that firmware reports a setting under another name than it takes it, `SettingSpec.status_key` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from espressoscope.tables.firmware import FAMILIES, UNKNOWN, Family
from espressoscope.tables.framesizes import NUMBERINGS, SENSOR_LARGEST, SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EFFECTS", "GROUPS", "WHITE_BALANCE_MODES", "SettingSpec", "specs_for"]

GROUPS: Final = ("picture", "exposure", "light", "focus", "system")
EFFECTS: Final = ("none", "negative", "grayscale", "red tint", "green tint", "blue tint", "sepia")
WHITE_BALANCE_MODES: Final = ("auto", "sunny", "cloudy", "office", "home")


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting as data; `espressoscope.model.Setting` is this with its present value.

    Attributes
    ----------
    name, kind, minimum, maximum, step, choices, unit, group, doc
        As in `Setting`.
    var : str
        Name under which the firmware takes it.
    status_key : str or None
        Name under which the firmware reports it; None when it does not.
    aliases : tuple of str
        Other names users and firmwares have for it.
    """

    name: str
    kind: str
    group: str
    doc: str
    var: str
    status_key: str | None
    minimum: int | None = None
    maximum: int | None = None
    step: int | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    aliases: tuple[str, ...] = ()


def _flag(name: str, group: str, doc: str) -> SettingSpec:
    return SettingSpec(name, "bool", group, doc, var=name, status_key=name)


def _number(name: str, low: int, high: int, group: str, doc: str, unit: str = "") -> SettingSpec:
    return SettingSpec(
        name, "int", group, doc, var=name, status_key=name, minimum=low, maximum=high, step=1, unit=unit
    )


def _choice(name: str, choices: tuple[str, ...], group: str, doc: str) -> SettingSpec:
    return SettingSpec(name, "choice", group, doc, var=name, status_key=name, choices=choices)


_SENSOR: Final = (
    _choice("framesize", tuple(SIZES), "picture", "Picture size; smaller ones come faster."),
    _number(
        "quality", 0, 63, "picture", "JPEG compression: a lower number keeps more detail, in more bytes."
    ),
    _number("brightness", -2, 2, "picture", "Lifts or lowers all gray values, after exposure."),
    _number("contrast", -2, 2, "picture", "Spreads or flattens the gray values."),
    _number("saturation", -2, 2, "picture", "Strength of colours; -2 is nearly gray."),
    _choice("special_effect", EFFECTS, "picture", "Colour effect of the sensor; use none for measurements."),
    _flag("hmirror", "picture", "Mirrors the picture left to right."),
    _flag("vflip", "picture", "Turns the picture upside down."),
    _flag(
        "lenc", "picture", "Corrects darker corners of the stock lens; off when another objective is fitted."
    ),
    _flag("raw_gma", "picture", "Gamma curve; off gives gray values closer to proportional to light."),
    _flag("bpc", "picture", "Black-pixel correction: hides dark dead pixels."),
    _flag("wpc", "picture", "White-pixel correction: hides bright dead pixels."),
    _flag("dcw", "picture", "Lets the sensor scale the picture down; needed for sizes below its own."),
    _flag("colorbar", "picture", "Shows a test pattern instead of the specimen."),
    _flag("aec", "exposure", "Automatic exposure time; off to compare brightness between pictures."),
    _flag("aec2", "exposure", "Night mode of the automatic exposure: longer times at a lower frame rate."),
    _number("ae_level", -2, 2, "exposure", "How bright the automatic exposure aims to be."),
    _number("aec_value", 0, 1200, "exposure", "Exposure time when aec is off, in sensor lines.", "lines"),
    _flag("agc", "exposure", "Automatic gain; off to compare brightness and keep noise constant."),
    _number("agc_gain", 0, 30, "exposure", "Gain when agc is off; more gain is brighter and noisier."),
    _number(
        "gainceiling",
        0,
        6,
        "exposure",
        "Most the automatic gain may use: 0 is 2x, each step doubles, 6 is 128x.",
    ),
    _flag("awb", "light", "Automatic white balance; off to compare colours between pictures."),
    _flag("awb_gain", "light", "Lets white balance change the colour gains."),
    _choice(
        "wb_mode", WHITE_BALANCE_MODES, "light", "White balance for a kind of light, when awb_gain is on."
    ),
)

_APP: Final = {
    spec.name: spec
    for spec in (
        _number(
            "xclk",
            1,
            32,
            "system",
            "Clock of the sensor; frame rate grows with it, and so do artefacts.",
            "MHz",
        ),
        _choice(
            "rotate",
            ("-90", "0", "90"),
            "picture",
            "Rotation the camera's own web page shows; bytes do not change.",
        ),
        # Above 2000 ms the firmware's own "Stream timeout" ends the stream for good (app_httpd.cpp).
        _number(
            "min_frame_time",
            0,
            2000,
            "system",
            "Shortest time between frames: a brake for a crowded radio.",
            "ms",
        ),
        _flag("autolamp", "light", "Switches the lamp on only while pictures are taken."),
        _number("lamp", 0, 100, "light", "Brightness of the lamp.", "%"),
        replace(_number("pwm", 0, 512, "light", "Duty of the extra PWM output."), status_key=None),
        replace(_number("neopixel", 0, 255, "light", "Brightness of the LED ring."), status_key=None),
        replace(
            _flag("stack", "focus", "Takes a focus stack with each picture on the SD card."),
            status_key="isStack",
        ),
        replace(
            _flag("timelapse", "system", "Time-lapse of the camera itself, onto its SD card."),
            var="isTimelapse",
            status_key="isTimelapseGeneral",
            aliases=("isTimelapse", "isTimelapseGeneral"),
        ),
        replace(
            _number(
                "timelapse_interval",
                -1,
                600,
                "system",
                "Pause between pictures of the SD-card time-lapse.",
                "s",
            ),
            var="timelapseInterval",
            status_key="timelapseInterval",
            aliases=("timelapseInterval",),
        ),
        replace(
            _number(
                "autofocus_interval",
                0,
                50,
                "focus",
                "Autofocus at every n-th picture of the SD-card time-lapse.",
            ),
            var="autofocusInterval",
            status_key="autofocusInterval",
            aliases=("autofocusInterval",),
        ),
        replace(
            _number("focus_speed", -500, 500, "focus", "Continuous focus drive; 0 stops.", "steps/s"),
            var="focusSlider",
            status_key=None,  # /status says "1" whatever the motor does
            aliases=("focusSlider",),
        ),
    )
}

# OV3660 and OV5640 share ranges (PROTOCOL of their drivers: set_brightness and friends).
_LARGE_SENSOR_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "brightness": (-3, 3),
    "contrast": (-3, 3),
    "saturation": (-4, 4),
    "ae_level": (-5, 5),
    "agc_gain": (0, 64),
    "aec_value": (0, 1536),
    "gainceiling": (0, 511),
}

_TASMOTA_VARS: Final[Mapping[str, str]] = {
    "framesize": "WcResolution",
    "quality": "WcQuality",
    "brightness": "WcBrightness",
    "contrast": "WcContrast",
    "saturation": "WcSaturation",
    "hmirror": "WcMirror",
    "vflip": "WcFlip",
}


def specs_for(firmware: str, sensor: str, numbering: str) -> tuple[SettingSpec, ...]:
    """Give every setting a camera of this family with this sensor has.

    Parameters
    ----------
    firmware : str
        A name of `FAMILIES`, or anything else for an unknown one.
    sensor : {"OV2640", "OV3660", "OV5640"}
        Decides ranges and the largest picture.
    numbering : str
        Framesize numbering; sizes it does not know are left out.

    Returns
    -------
    tuple of SettingSpec
        In the order a form should show them; empty for a family without control requests.
    """
    family = FAMILIES.get(firmware, UNKNOWN)
    if family.control == "none":
        return ()
    largest = SIZES[SENSOR_LARGEST[sensor]]
    sizes = tuple(
        name
        for name in NUMBERINGS[numbering]
        if SIZES[name][0] <= largest[0] and SIZES[name][1] <= largest[1]
    )
    specs = []
    for spec in _SENSOR:
        if spec.name == "framesize":
            spec = replace(spec, choices=sizes)
        elif sensor != "OV2640" and spec.name in _LARGE_SENSOR_RANGES:
            low, high = _LARGE_SENSOR_RANGES[spec.name]
            spec = replace(spec, minimum=low, maximum=high)
        if family.control == "tasmota":
            if spec.name not in _TASMOTA_VARS:
                continue
            spec = replace(
                spec, var=_TASMOTA_VARS[spec.name], status_key=None, aliases=(_TASMOTA_VARS[spec.name],)
            )
        specs.append(spec)
    specs += [_app_spec(name, family) for name in _APP if name in family.app_settings]
    return tuple(specs)


def _app_spec(name: str, family: Family) -> SettingSpec:
    spec = _APP[name]
    if name == "lamp" and family.name == "camerawebserver":
        return replace(
            spec,
            var="led_intensity",
            status_key="led_intensity",
            aliases=("led_intensity",),
            maximum=255,
            unit="",
        )
    return spec
