"""The camera's setting state with the driver's manners: what it clamps, rejects, or merely believes.

From ``sensors/ov2640.c`` in espressif/esp32-camera and the firmwares' control handlers (PROTOCOL §2, §4,
§7). The board is an ESP32 with an OV2640; the Matchboxscope one is the AI-Thinker build with the XIAO
build's focus motor, so that focus can be tried on the default camera. Nothing here knows HTTP or pixels.
"""

from __future__ import annotations

import copy
import random
import time
from typing import TYPE_CHECKING, Final

from espressoscope.sim.motor import FocusMotor
from espressoscope.tables.firmware import FAMILIES
from espressoscope.tables.framesizes import NUMBERINGS, SENSOR_LARGEST, SIZES, index_of, name_of
from espressoscope.tables.sensors import nominal_fps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Sensor"]

_DEFAULTS: Final[Mapping[str, tuple[str, int, int]]] = {
    # Size, quality and xclk in MHz after boot (PROTOCOL §2 to §6).
    "matchboxscope": ("SVGA", 12, 8),
    "easytarget": ("SVGA", 12, 8),
    "camerawebserver": ("QVGA", 10, 20),
    "esphome": ("VGA", 10, 20),
    "tasmota": ("QVGA", 12, 20),
}
_INITIALISED_AT: Final[Mapping[str, str]] = {
    # Size the driver is started with, where it is not the one after boot: what the frame buffer is cut for.
    "camerawebserver": "UXGA",
    "tasmota": "UXGA",
}

# Frames per second that processor and radio deliver at most (comments of Tasmota's nativeIntervals20ms).
_DELIVERED: Final[tuple[tuple[str, float], ...]] = (
    *(("QQVGA", 47), ("HQVGA", 37), ("240X240", 39), ("QVGA", 35), ("CIF", 31), ("HVGA", 24)),
    *(("VGA", 19), ("SVGA", 15.5), ("XGA", 10), ("HD", 9), ("SXGA", 7.5), ("UXGA", 5)),
)

_LEVELS: Final = frozenset({"brightness", "contrast", "saturation", "ae_level"})
_CLAMPED: Final[Mapping[str, int]] = {"quality": 63, "agc_gain": 30, "aec_value": 1200}
_MODES: Final[Mapping[str, int]] = {"special_effect": 6, "wb_mode": 4}
_FLAGS: Final = frozenset(
    {"awb", "awb_gain", "aec", "aec2", "agc", "bpc", "wpc", "raw_gma", "lenc", "vflip", "hmirror", "dcw"}
    | {"colorbar"}
)
_AT_START: Final[Mapping[str, int]] = {
    # As a fresh board reports them (sample in PROTOCOL §2).
    **dict.fromkeys(("brightness", "contrast", "saturation", "sharpness", "special_effect", "wb_mode"), 0),
    **{
        "awb": 1,
        "awb_gain": 1,
        "aec": 1,
        "aec2": 0,
        "ae_level": 0,
        "aec_value": 204,
        "agc": 1,
        "agc_gain": 0,
    },
    **{"gainceiling": 0, "bpc": 0, "wpc": 1, "raw_gma": 1, "lenc": 1, "vflip": 0, "hmirror": 0, "dcw": 1},
    "colorbar": 0,
}
_APP_AT_START: Final[Mapping[str, int]] = {
    **{
        "lamp": 0,
        "autolamp": 0,
        "min_frame_time": 0,
        "rotate": 0,
        "sd_card": 0,
        "isStack": 0,
        "images_served": 0,
    },
    **{"isTimelapseGeneral": 0, "anglerfishSlider": 1, "focusSlider": 1, "timelapseInterval": -1},
    **{"autofocusInterval": 0, "pwm": 0, "neopixel": 0, "led_intensity": 0, "pixformat": 4},
}

_PICTURE = (
    *("framesize", "quality", "xclk", "brightness", "contrast", "saturation", "sharpness", "special_effect"),
    *("wb_mode", "awb", "awb_gain", "aec", "aec2", "ae_level", "aec_value", "agc", "agc_gain", "gainceiling"),
    *("bpc", "wpc", "raw_gma", "lenc", "vflip", "hmirror", "dcw", "colorbar"),
)
_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "easytarget": ("lamp", "autolamp", "min_frame_time", *_PICTURE, "rotate"),
    "matchboxscope": (
        *("lamp", "autolamp", "min_frame_time", *_PICTURE, "rotate", "sd_card", "isStack", "images_served"),
        *("isTimelapseGeneral", "anglerfishSlider", "focusSlider", "timelapseInterval", "autofocusInterval"),
    ),
    # CameraWebServer 2.x and 3.x report hmirror and forget vflip.
    "camerawebserver": (
        *("xclk", "pixformat", *(name for name in _PICTURE if name not in ("xclk", "vflip"))),
        "led_intensity",
    ),
}

_EASYTARGET_APP = frozenset({"xclk", "rotate", "min_frame_time", "autolamp", "lamp"})
_APP_VARS: Final[Mapping[str, frozenset[str]]] = {
    "easytarget": _EASYTARGET_APP,
    "matchboxscope": _EASYTARGET_APP
    | {"pwm", "neopixel", "stack", "isTimelapse", "timelapseInterval", "autofocusInterval"}
    | {"mFocusUp", "mFocusDown", "focusSlider", "mAutoFocus"},
    "camerawebserver": frozenset({"led_intensity"}),
}
_STORED_AS: Final = {"stack": "isStack", "isTimelapse": "isTimelapseGeneral"}


class Sensor:
    """The settings of one simulated camera.

    Parameters
    ----------
    firmware : str
        A family of `espressoscope.tables.firmware`; decides names, numbering and what is there after boot.
    framesize : str, optional
        Name of the size instead of the firmware's own, for example ``"VGA"``.
    quality : int, optional
        JPEG quality setting instead of the firmware's own.
    seed : int
        Decides where best focus is.
    clock : callable
        Seconds, monotonic; for the focus motor.

    Raises
    ------
    ValueError
        The firmware or the size is unknown, or the sensor cannot deliver the size.

    Attributes
    ----------
    motor : FocusMotor
        Where the stage is.
    """

    def __init__(
        self,
        firmware: str = "matchboxscope",
        framesize: str | None = None,
        quality: int | None = None,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if firmware not in FAMILIES:
            raise ValueError(f"unknown firmware {firmware!r}; known are {', '.join(FAMILIES)}")
        self.firmware = firmware
        self.numbering = FAMILIES[firmware].numbering
        size, start_quality, xclk = _DEFAULTS[firmware]
        size = framesize.upper() if framesize else size
        index = index_of(self.numbering, size)
        if index is None or not self._deliverable(size):
            known = ", ".join(name for name in NUMBERINGS[self.numbering] if self._deliverable(name))
            raise ValueError(f"framesize {size!r} is none of {known}")
        self._boot: dict[str, int] = {
            **_AT_START,
            **_APP_AT_START,
            "framesize": index,
            "quality": max(0, min(63, start_quality if quality is None else quality)),
            "xclk": xclk,
        }
        self._prefs: dict[str, int] = {}
        self._values = dict(self._boot)
        self._size = self._boot_size = size
        self._key: tuple[int | str, ...] | None = None
        self.motor = FocusMotor(random.Random(f"focus {seed}").uniform(-40.0, 40.0), clock)

    @staticmethod
    def _deliverable(size: str) -> bool:
        largest = SIZES[SENSOR_LARGEST["OV2640"]]
        return SIZES[size][0] <= largest[0] and SIZES[size][1] <= largest[1]

    # What it is now -------------------------------------------------------------------------------

    def __getitem__(self, var: str) -> int:
        """Raw value of a variable, as stored."""
        return self._values[var]

    @property
    def framesize(self) -> str:
        """Name of the size pictures really have; `/status` may claim another."""
        return self._size

    @property
    def width(self) -> int:
        """Picture width in pixels."""
        return SIZES[self._size][0]

    @property
    def height(self) -> int:
        """Picture height in pixels."""
        return SIZES[self._size][1]

    @property
    def quality(self) -> int:
        """JPEG quality setting, 0 to 63, lower is better."""
        return self._values["quality"]

    @property
    def lamp(self) -> float:
        """Light of the lamp, 0 to 1, as the firmware's curve makes it of the setting.

        ``autolamp`` makes no difference here: it only darkens the lamp while nobody takes pictures.
        """
        if self.firmware == "camerawebserver":
            return min(255, max(0, self._values["led_intensity"])) / 255
        # setLamp() in main.ino: (2^(1 + 0.02 v) - 2) / 6 of full duty.
        return float((2.0 ** (1 + 0.02 * self._values["lamp"]) - 2) / 6)

    @property
    def frame_buffer_bytes(self) -> int:
        """Room for one JPEG: allotted at boot, never grown (driver 2.x: ``width * height / 5``).

        For the size the firmware starts its driver with, or the size at boot where that is larger.
        """
        own = _INITIALISED_AT.get(self.firmware, _DEFAULTS[self.firmware][0])
        return max(width * height for width, height in (SIZES[own], SIZES[self._boot_size])) // 5

    def still(self) -> Sensor:
        """Give a copy that no later change reaches, to make one picture by; it has the same motor."""
        still = copy.copy(self)
        still._values = dict(self._values)
        still._key = None
        return still

    def status_values(self) -> dict[str, int]:
        """Give the numbers `/status` prints, in its order; empty for a firmware without `/status`.

        ``images_served`` is 0 here: only the server knows.
        """
        return {name: self._values[name] for name in _STATUS.get(self.firmware, ())}

    def picture_key(self) -> tuple[int | str, ...]:
        """Everything set that pictures depend on, focus aside: equal keys, equal pictures."""
        if self._key is None:
            lamp = ("lamp", "led_intensity")
            self._key = (self._size, *(self._values[name] for name in (*_PICTURE[1:], *lamp)))
        return self._key

    def max_fps(self) -> float:
        """Frames per second the camera delivers with these settings.

        The sensor's native rate for the size at this xclk, no more than processor and radio were seen to
        deliver, and no more than `min_frame_time` allows. VGA on a Matchboxscope, at its 8 MHz: 10.
        """
        pixels = self.width * self.height
        fps = next(fps for name, fps in _DELIVERED if pixels <= SIZES[name][0] * SIZES[name][1])
        native = nominal_fps("OV2640", self._size, self._values["xclk"])
        if native is not None:
            fps = min(fps, native)
        if self._values["min_frame_time"] > 0:
            fps = min(fps, 1000 / self._values["min_frame_time"])
        return fps

    # Changing it ----------------------------------------------------------------------------------

    def set(self, var: str, value: int) -> bool:
        """Set a sensor or application variable as `/control` does.

        Returns
        -------
        bool
            False where driver or firmware reject it (HTTP 500): unknown variable, value out of a checked
            range.
        """
        values = self._values
        self._key = None
        if var == "framesize":
            # Not checked by the OV2640 driver: `/status` echoes anything, pictures keep a size that exists.
            values["framesize"] = value & 0xFF
            name = name_of(self.numbering, value)
            if name is not None and self._deliverable(name):
                self._size = name
        elif var in _CLAMPED:
            values[var] = max(0, min(_CLAMPED[var], value))
        elif var in _LEVELS:
            if not -2 <= value <= 2:
                return False
            values[var] = value
        elif var in _MODES:
            if not 0 <= value <= _MODES[var]:
                return False
            values[var] = value
        elif var in _FLAGS or var == "gainceiling":
            values[var] = value & 0xFF  # uint8_t in the driver's status structure, not checked
        elif var in _APP_VARS.get(self.firmware, ()):
            return self._set_app(var, value)
        else:
            return False
        return True

    def _set_app(self, var: str, value: int) -> bool:
        if var == "xclk":
            return self.set_xclk(value)
        elif var == "lamp":
            self._values["lamp"] = max(0, min(100, value))
        elif var == "autolamp":
            self._values["autolamp"] = int(value != 0)
        elif var == "mFocusUp":
            self.focus_up()
        elif var == "mFocusDown":
            self.focus_down()
        elif var == "focusSlider":
            self.motor.drive(value)
        elif var == "mAutoFocus":
            self.autofocus()
        else:
            self._values[_STORED_AS.get(var, var)] = value
        return True

    def set_xclk(self, megahertz: int) -> bool:
        """Change the sensor's clock; False where the clock generator refuses."""
        if not 1 <= megahertz <= 40:
            return False
        self._values["xclk"] = megahertz
        self._key = None
        return True

    def focus_up(self) -> None:
        """Move the stage 50 steps up."""
        self.motor.move_by(50)

    def focus_down(self) -> None:
        """Move the stage 50 steps down."""
        self.motor.move_by(-50)

    def autofocus(self, minimum: int = -500, maximum: int = 500, step: int = 25) -> float:
        """Sweep around the present position and rest at the sharpest.

        Returns
        -------
        float
            Seconds until the stage rests; the firmware answers only then.

        Raises
        ------
        ZeroDivisionError
            `step` is 0; the firmware crashes.
        """
        return self.motor.autofocus(minimum, maximum, step)

    @property
    def focus_position(self) -> float:
        """Where the stage is now, in steps from where it was at the start."""
        return self.motor.position

    def save_prefs(self) -> None:
        """Keep the present settings for the next boot."""
        self._prefs = dict(self._values)

    def clear_prefs(self) -> None:
        """Forget saved settings; the present ones stay until the next boot."""
        self._prefs = {}

    def reboot(self) -> None:
        """Start anew: saved settings, or the firmware's own. The stage stays where it is."""
        self.motor.drive(0)
        self._values = dict(self._boot)
        self._size = self._boot_size
        self._key = None
        if self._prefs:
            saved, self._values = self._prefs, dict(self._prefs)
            self.set("framesize", saved["framesize"])
