"""Which of a camera's settings belong together as a profile, and what a profile may hold.

A profile is what a picture depends on and a camera can tell: size, quality, exposure, gain, colours, light,
clock. Applying and comparing need the camera, and are the engine's (`espressoscope.engine.upkeep`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.model import Setting, SettingValue

__all__ = ["LEFT_OUT", "take"]

LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fps_limit": "another face of min_frame_time, or this program's own",
        "rotate": "turns the camera's own web page, not the picture",
        "stack": "starts something: a focus stack with each picture",
        "timelapse": "starts something: the camera's own time-lapse",
        "timelapse_interval": "belongs to the camera's own time-lapse",
        "autofocus_interval": "belongs to the camera's own time-lapse",
    }
)
"""Settings that `take` leaves out although cameras report them, and why."""


def take(settings: Mapping[str, Setting]) -> dict[str, SettingValue]:
    """Give the settings of a camera that make a profile, with their present values.

    Left out are actions, what the camera does not report, what it reports and could not be set to, and
    `LEFT_OUT`.

    Parameters
    ----------
    settings : Mapping of str to Setting
        Freshly read.
    """
    return {
        name: setting.value
        for name, setting in settings.items()
        if setting.value is not None and name not in LEFT_OUT and _can_be_set(setting, setting.value)
    }


def _can_be_set(setting: Setting, value: SettingValue) -> bool:
    if setting.kind == "bool":
        return isinstance(value, bool)
    if setting.kind == "choice":
        return value in setting.choices
    if setting.kind in ("int", "float") and isinstance(value, int | float) and not isinstance(value, bool):
        return (setting.minimum or 0) <= value <= (setting.maximum or 0)
    return False
