"""What can be set on each sensor: kind, range, unit, group and one line for the person at the microscope.

Ranges are those of the drivers (``sensors/ov2640.c``, ``ov3660.c``, ``ov5640.c`` in espressif/esp32-camera)
where they check or clamp, else those of the firmwares' own pages. Canonical names are Matchboxscope's
``/control`` variables; where a firmware takes or reports a setting under another name, `SettingSpec.var` and
`SettingSpec.status_key` say so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

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
        As in `Setting`. On the wire a choice is its place in `choices`, a framesize its index in the
        camera's numbering.
    var : str
        Name under which the firmware takes it.
    status_key : str or None
        Name under which the firmware reports it, where the build at hand does; None when none does.
    aliases : tuple of str
        Other names users and firmwares have for it.
    """

    name: str
    kind: Literal["bool", "int", "choice", "text", "action"]
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


def _known_as(spec: SettingSpec, native: str) -> SettingSpec:
    """Give the setting the name under which a firmware both takes and reports it."""
    return replace(spec, var=native, status_key=native, aliases=(native,))


# In the order a form should show them.
_SENSOR: Final = (
    _choice("framesize", tuple(SIZES), "picture", "Picture size; smaller pictures come faster."),
    _number(
        "quality", 0, 63, "picture", "JPEG compression; a lower number keeps more detail, in more bytes."
    ),
    _number("brightness", -2, 2, "picture", "Lifts or lowers all gray values, after exposure."),
    _number("contrast", -2, 2, "picture", "Spreads or flattens the gray values."),
    _number("saturation", -2, 2, "picture", "Strength of the colours; the lowest is nearly gray."),
    _choice("special_effect", EFFECTS, "picture", "Colour effect of the sensor; use none for measurements."),
    _flag("hmirror", "picture", "Mirrors the picture left to right."),
    _flag("vflip", "picture", "Turns the picture upside down."),
    _flag("lenc", "picture", "Brightens the corners for the stock lens; off with any other objective."),
    _flag("raw_gma", "picture", "Gamma curve; off keeps gray values closer to proportional to light."),
    _flag("bpc", "picture", "Black-pixel correction: hides dead pixels, and the finest dark detail."),
    _flag("wpc", "picture", "White-pixel correction: hides hot pixels, and the finest bright detail."),
    _flag("dcw", "picture", "Lets the sensor scale the picture down; sizes below its own need it."),
    _flag("colorbar", "picture", "Shows a test pattern instead of the specimen."),
    _flag("aec", "exposure", "Automatic exposure time; off to compare brightness between pictures."),
    _flag("aec2", "exposure", "Night mode of the automatic exposure: longer times, fewer frames a second."),
    _number("ae_level", -2, 2, "exposure", "How bright the automatic exposure aims to be."),
    _number("aec_value", 0, 1200, "exposure", "Exposure time while aec is off.", "lines"),
    _flag("agc", "exposure", "Automatic gain; off to compare brightness and keep the noise constant."),
    _number("agc_gain", 0, 30, "exposure", "Gain while agc is off; more is brighter and noisier."),
    _number(
        "gainceiling", 0, 6, "exposure", "Most the automatic gain may use: 0 is 2x, 1 is 4x ... 6 is 128x."
    ),
    _flag("awb", "light", "Automatic white balance; off to compare colours between pictures."),
    _flag("awb_gain", "light", "Lets the white balance change the gains of red, green and blue."),
    _choice("wb_mode", WHITE_BALANCE_MODES, "light", "White balance for a kind of light; needs awb_gain."),
)

# OV3660 and OV5640 share these (set_brightness and friends in ov3660.c and ov5640.c).
_LARGE_SENSOR_RANGES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "brightness": (-3, 3),
        "contrast": (-3, 3),
        "saturation": (-4, 4),
        "ae_level": (-5, 5),
        "agc_gain": (0, 64),
        "aec_value": (0, 1536),
        "gainceiling": (0, 511),
    }
)
# The driver keeps it in a uint8_t, so what /status shows is modulo 256 (sensor.h, camera_status_t).
_LARGE_SENSOR_GAINCEILING: Final = "Most the automatic gain may use; above 255 the camera reports 256 less."

_APP: Final = (
    _number(
        "xclk", 1, 32, "system", "Clock of the sensor; frame rate grows with it, and so do artefacts.", "MHz"
    ),
    # The firmwares' pages offer -90, 0 and 90; what is kept is any number, as text (app_httpd.cpp).
    replace(
        _number(
            "rotate",
            -90,
            180,
            "picture",
            "Turn the camera's own page shows the picture with; bytes stay.",
            "deg",
        ),
        step=90,
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
        aliases=("isStack",),
    ),
    replace(
        _flag("timelapse", "system", "Time-lapse of the camera itself, onto its SD card."),
        var="isTimelapse",
        status_key="isTimelapseGeneral",
        aliases=("isTimelapse", "isTimelapseGeneral"),
    ),
    # -1 is the firmware's own "never set".
    _known_as(
        _number(
            "timelapse_interval", -1, 600, "system", "Pause between pictures of the SD-card time-lapse.", "s"
        ),
        "timelapseInterval",
    ),
    # frameIndex % autofocusInterval is taken before it is compared with 0 (main.ino, loop).
    _known_as(
        _number(
            "autofocus_interval",
            0,
            50,
            "focus",
            "Autofocus at every n-th picture of the SD-card time-lapse, which crashes while this is 0.",
        ),
        "autofocusInterval",
    ),
    replace(
        _number("focus_speed", -500, 500, "focus", "Continuous focus drive; 0 stops.", "steps/s"),
        var="focusSlider",
        status_key=None,  # /status says "1" whatever the motor does
        aliases=("focusSlider",),
    ),
)

# Canonical name to console command without its prefix Wc, which is also the key in what the command Wc
# answers (kWCCommands and CmndWebcam in xdrv_81_esp32_webcam.ino). There is none for quality.
_TASMOTA_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "framesize": "Resolution",
        "brightness": "Brightness",
        "contrast": "Contrast",
        "saturation": "Saturation",
        "special_effect": "SpecialEffect",
        "hmirror": "Mirror",
        "vflip": "Flip",
        "lenc": "LensCorrect",
        "raw_gma": "GammaCorrect",
        "bpc": "BPC",
        "wpc": "WPC",
        "dcw": "DCW",
        "colorbar": "Colorbar",
        "aec": "AEC",
        "aec2": "AECDSP",
        "ae_level": "AELevel",
        "aec_value": "AECValue",
        "agc": "AGC",
        "agc_gain": "AGCGain",
        "gainceiling": "GainCeiling",
        "awb": "AWB",
        "awb_gain": "AWBGain",
        "wb_mode": "WBMode",
        "xclk": "Clock",
    }
)


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
    app = [_for_family(spec, family) for spec in _APP if spec.name in family.app_settings]
    if family.control == "tasmota":
        # It checks the OV2640's ranges and sizes itself, whatever the sensor (CmndWebcamResolution ff.).
        sensor_specs = [_for_sensor(spec, "OV2640", numbering) for spec in _SENSOR]
        return tuple(_for_tasmota(spec) for spec in (*sensor_specs, *app) if spec.name in _TASMOTA_COMMANDS)
    return (*(_for_sensor(spec, sensor, numbering) for spec in _SENSOR), *app)


def _for_sensor(spec: SettingSpec, sensor: str, numbering: str) -> SettingSpec:
    if spec.name == "framesize":
        width, height = SIZES[SENSOR_LARGEST[sensor]]
        fitting = (
            name for name in NUMBERINGS[numbering] if SIZES[name][0] <= width and SIZES[name][1] <= height
        )
        return replace(spec, choices=tuple(fitting))
    if sensor == "OV2640" or spec.name not in _LARGE_SENSOR_RANGES:
        return spec
    low, high = _LARGE_SENSOR_RANGES[spec.name]
    doc = _LARGE_SENSOR_GAINCEILING if spec.name == "gainceiling" else spec.doc
    return replace(spec, minimum=low, maximum=high, doc=doc)


def _for_family(spec: SettingSpec, family: Family) -> SettingSpec:
    if spec.name == "lamp" and family.name == "camerawebserver":
        return replace(_known_as(spec, "led_intensity"), maximum=255, unit="")
    return spec


def _for_tasmota(spec: SettingSpec) -> SettingSpec:
    command = _TASMOTA_COMMANDS[spec.name]
    spec = replace(spec, var=f"Wc{command}", status_key=command, aliases=(f"Wc{command}",))
    if spec.name == "ae_level":
        # Negative levels are kept and reported, but never reach the sensor (WcSetOptions, case 12).
        return replace(spec, minimum=0)
    if spec.name == "xclk":
        # CmndWebcamClock takes 10 and more; the answer of Wc leaves it out.
        return replace(spec, minimum=10, status_key=None)
    return spec
