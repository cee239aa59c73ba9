"""The same exposure, gain and white balance on many cameras, as far as a camera can tell its own.

Only what is set by hand can be copied. What the sensor regulates by itself it never tells: `/status` gives
the value set last, not the one in use (camera_status_t in sensor.h). So a reference that exposes by itself
cannot be copied, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from espressoscope.errors import CameraError
from espressoscope.model import SetResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.engine.session import CameraSession
    from espressoscope.model import Setting, SettingValue

__all__ = ["ExposureLock", "copy_exposure", "exposure_of"]


@dataclass(frozen=True, slots=True)
class ExposureLock:
    """What became of locking the exposure of a fleet.

    Attributes
    ----------
    reference : str
        Name of the camera that was copied.
    values : Mapping of str to value
        Settings copied from it.
    unequal : Mapping of str to str
        What could not be made equal, ``"exposure"``, ``"gain"`` or ``"white balance"``, and why.
    results : Mapping of str to (Mapping of str to SetResult, or CameraError)
        By camera name, the reference left out: what became of each setting, or why none could be set.
    """

    reference: str
    values: Mapping[str, SettingValue]
    unequal: Mapping[str, str]
    results: Mapping[str, Mapping[str, SetResult] | CameraError]

    @property
    def ok(self) -> bool:
        """Whether all cameras now have the same exposure, gain and white balance as the reference."""
        return not self.unequal and all(
            not isinstance(result, CameraError) and all(each.ok for each in result.values())
            for result in self.results.values()
        )


def exposure_of(settings: Mapping[str, Setting]) -> tuple[dict[str, SettingValue], dict[str, str]]:
    """Read what can be copied from a camera's settings.

    Parameters
    ----------
    settings : Mapping of str to Setting
        Freshly read.

    Returns
    -------
    values : dict of str to value
        Settings to copy, in the order they are to be sent.
    unequal : dict of str to str
        What cannot be copied, and why.
    """
    now = {name: setting.value for name, setting in settings.items()}
    values: dict[str, SettingValue] = {}
    unequal: dict[str, str] = {}

    def copy(*names: str) -> None:
        values.update({name: value for name in names if (value := now.get(name)) is not None})

    if now.get("aec") is None or now.get("aec_value") is None:
        unequal["exposure"] = "it does not tell its exposure"
    elif now["aec"]:
        unequal["exposure"] = (
            "it exposes automatically, and an automatic exposure cannot be read back: "
            "set aec=off and an aec_value first"
        )
    else:
        copy("aec", "aec2", "aec_value")
    if now.get("agc") is None or now.get("agc_gain") is None:
        unequal["gain"] = "it does not tell its gain"
    elif now["agc"]:
        unequal["gain"] = (
            "its gain is automatic, and an automatic gain cannot be read back: "
            "set agc=off and an agc_gain first"
        )
    else:
        copy("agc", "agc_gain")
    mode = now.get("wb_mode")
    if now.get("awb") is None or mode is None:
        unequal["white balance"] = "it does not tell its white balance"
    elif not now["awb"]:
        unequal["white balance"] = (
            "with awb off it keeps gains that it does not tell: set awb=on and a wb_mode other than auto"
        )
    elif mode == "auto" or now.get("awb_gain") is False:
        unequal["white balance"] = (
            "it is automatic and cannot be read back: set awb_gain=on and a wb_mode other than auto first"
        )
    else:
        copy("awb", "awb_gain", "wb_mode")
    return values, unequal


async def copy_exposure(
    session: CameraSession, values: Mapping[str, SettingValue]
) -> Mapping[str, SetResult]:
    """Set a camera to these values, and report, also what it has no setting for.

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError, UnsupportedError, SettingError
    """
    known = session.controls.settings()
    able = {name: value for name, value in values.items() if name in known}
    lacking = {
        name: SetResult(value, None, ok=False, message="this camera has no such setting")
        for name, value in values.items()
        if name not in known
    }
    results = await session.set(able, strict=False) if able else {}
    return {**results, **lacking}
