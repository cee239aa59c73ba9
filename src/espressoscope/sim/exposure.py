"""The sensor's automatic exposure and gain: a loop that settles over frames, or the values set by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from espressoscope.sim.sensor import Sensor

__all__ = ["AutoExposure", "Exposure"]

_TARGETS: Final = {-2: 0.18, -1: 0.32, 0: 0.50, 1: 0.62, 2: 0.80}
"""Mean light aimed at per `ae_level`; order and spacing after ae_levels_regs in ov2640_settings.h."""

_REFERENCE_LINES: Final = 300.0
"""Lines of exposure that give a mean of 0.5 by the microscope's own light, at 8 MHz and gain 1."""

_REFERENCE_MHZ: Final = 8
_LONGEST_LINES: Final = 1200.0
_NIGHT_MODE: Final = 4.0
"""Times longer than usual that night mode (`aec2`) lets the exposure get."""

_LAMP: Final = 2.5
"""Light of the lamp at full power, against the microscope's own."""

_PULL: Final = 0.35
"""Part of the way to its goal, in log space, that the loop goes in one frame."""


class Exposure(NamedTuple):
    """What one frame is exposed with.

    Attributes
    ----------
    level : float
        Mean light in the picture, 1 is full scale.
    light : float
        Light gathered before gain, 1 at the reference exposure: less of it is noisier.
    gain : float
        Amplification.
    """

    level: float
    light: float
    gain: float


class AutoExposure:
    """Exposure lines and gain in force."""

    def __init__(self) -> None:
        self._lines = self._gain = 0.0

    def restart(self) -> None:
        """Start from too dark, as after a reboot."""
        self._lines, self._gain = 12.0, 1.0

    def step(self, sensor: Sensor, *, settled: bool = False) -> Exposure:
        """Move on by one frame.

        Parameters
        ----------
        sensor : Sensor
            Its settings and lamp.
        settled : bool
            Go all the way at once.
        """
        per_line = (1 + _LAMP * sensor.lamp) * _REFERENCE_MHZ / max(1, sensor["xclk"]) / _REFERENCE_LINES
        wanted = _TARGETS[sensor["ae_level"]] / _TARGETS[0] / per_line  # lines times gain
        lines = float(max(sensor["aec_value"], 0.25))
        gain = 1.0 + sensor["agc_gain"]
        if sensor["aec"]:
            longest = _LONGEST_LINES * (_NIGHT_MODE if sensor["aec2"] else 1)
            lines = min(longest, max(1.0, wanted / (1.0 if sensor["agc"] else gain)))
        if sensor["agc"]:
            ceiling = 2.0 ** (1 + (sensor["gainceiling"] & 7))
            gain = min(ceiling, max(1.0, wanted / lines))
        if settled or not self._lines:
            self._lines, self._gain = lines, gain
        # Values set by hand take hold at once, those of the loop bit by bit.
        self._lines = self._lines * (lines / self._lines) ** _PULL if sensor["aec"] else lines
        self._gain = self._gain * (gain / self._gain) ** _PULL if sensor["agc"] else gain
        light = self._lines * per_line
        return Exposure(_TARGETS[0] * light * self._gain, light, self._gain)
