"""The user's cap on a camera's frame rate: ``fps_limit``, a setting no firmware has by that name.

Where the firmware has ``min_frame_time`` (Matchboxscope, easytarget) the camera itself holds back, and the
radio is spared. Elsewhere the stream is replaced by single pictures at that pace.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from espressoscope.errors import SettingError, UnsupportedError
from espressoscope.model import SetResult, Setting
from espressoscope.tables.sensors import nominal_fps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.device.camera import CameraDevice
    from espressoscope.model import SettingValue

__all__ = ["BRAKE", "FPS_LIMIT", "Pace", "PacePlan"]

FPS_LIMIT = "fps_limit"
_LOWEST = 0.5
"""Frames per second. With ``min_frame_time`` above 2000 ms a Matchboxscope ends its own stream for good
("Stream timeout" in app_httpd.cpp)."""
_HIGHEST = 60.0
BRAKE = "min_frame_time"
_STREAMS = (
    f"its firmware has no {BRAKE}, and a stream that was asked for as such runs: single pictures cannot take "
    "its place"
)


@dataclass(frozen=True, slots=True)
class PacePlan:
    """What a call of `set` means once ``fps_limit`` has been translated.

    Attributes
    ----------
    sent : Mapping of str to value
        Settings for the camera.
    limit : float or None
        The limit asked for, in frames per second, 0 for none; None when it was not mentioned.
    by_brake : bool
        The camera keeps it itself, by ``min_frame_time``.
    refusal : str
        Why nothing can keep it now; "" when something can.
    """

    sent: Mapping[str, SettingValue]
    limit: float | None
    by_brake: bool
    refusal: str = ""

    def report(self, device: CameraDevice, results: dict[str, SetResult]) -> dict[str, SetResult]:
        """Translate the results back."""
        if self.limit is None:
            return results
        if self.refusal:
            return {**results, FPS_LIMIT: SetResult(self.limit, 0.0, ok=False, message=self.refusal)}
        if not self.by_brake:
            return {**results, FPS_LIMIT: SetResult(self.limit, self.limit, ok=True)}
        brake = results.pop(BRAKE)
        actual = _as_fps(brake.actual)
        return {**results, FPS_LIMIT: SetResult(self.limit, actual, brake.ok, brake.message)}


class Pace:
    """The limit of one camera.

    Attributes
    ----------
    promised : float
        The limit that the camera was told to keep itself, which it forgets when it restarts; 0 for none.
    """

    def __init__(self) -> None:
        self._limit = 0.0
        self.promised = 0.0

    @property
    def by_snapshots(self) -> bool:
        """Whether single pictures take the stream's place."""
        return self._limit > 0

    def slowed(self, interval_s: float) -> float:
        """Give the time from one single picture to the next, in seconds, for a wish."""
        return 1 / self._limit if self._limit > 0 else interval_s

    def plan(
        self, device: CameraDevice, values: Mapping[str, SettingValue], *, streams: bool = False
    ) -> PacePlan:
        """Translate what was asked for; nothing is sent yet.

        Parameters
        ----------
        streams : bool
            A stream runs that was asked for as such: single pictures cannot take its place.

        Raises
        ------
        SettingError
            The limit is no number, negative, too high, or below 0.5.
        UnsupportedError
            This camera can be slowed by nothing.
        """
        if FPS_LIMIT not in values:
            return PacePlan(values, None, by_brake=False)
        sent = {name: value for name, value in values.items() if name != FPS_LIMIT}
        limit = _checked(values[FPS_LIMIT], device.camera)
        if BRAKE in device.settings():
            if BRAKE in sent:
                raise SettingError(
                    f"{FPS_LIMIT} and {BRAKE} are the same brake",
                    camera=device.camera,
                    hint="Set one of them",
                )
            return PacePlan({**sent, BRAKE: math.ceil(1000 / limit) if limit else 0}, limit, by_brake=True)
        if limit and device.family.snapshot_path is None:
            raise UnsupportedError(
                f"{device.family.title} has neither {BRAKE} nor single pictures: its rate cannot be limited",
                camera=device.camera,
                hint="A larger framesize or a lower quality number slows it too",
            )
        return PacePlan(sent, limit, by_brake=False, refusal=_STREAMS if limit and streams else "")

    def take(self, device: CameraDevice, plan: PacePlan, results: Mapping[str, SetResult]) -> bool:
        """Keep a limit; true when it is one of ours, and another one than before."""
        for name, result in results.items():
            if device.table.means(name, BRAKE) and result.ok:
                self.promised = plan.limit or 0.0
        if plan.limit is None or plan.by_brake or plan.refusal or plan.limit == self._limit:
            return False
        self._limit = plan.limit
        return True

    def with_limit(self, device: CameraDevice) -> dict[str, Setting]:
        """Give the camera's settings with the limit among them."""
        settings = device.settings()
        brake = settings.get(BRAKE)
        if brake is None and device.family.snapshot_path is None:
            return settings
        value = self._limit if brake is None else _as_fps(brake.value)
        settings[FPS_LIMIT] = Setting(
            FPS_LIMIT,
            value,
            "float",
            _LOWEST,
            _HIGHEST,
            None,
            (),
            "fps",
            "system",
            "Most frames a second, to spare a crowded radio; 0 for as many as there are.",
        )
        return settings

    def sensor_fps(self, device: CameraDevice) -> float | None:
        """Give the rate at which its sensor makes frames now, as far as known; the brake counts."""
        settings = device.settings()
        framesize, clock = settings.get("framesize"), settings.get("xclk")
        xclk = clock.value if clock is not None and isinstance(clock.value, int) and clock.value else None
        rate = None
        if framesize is not None and isinstance(framesize.value, str):
            rate = nominal_fps(device.table.sensor, framesize.value, xclk)
        brake = settings.get(BRAKE)
        limit = self._limit if brake is None else (_as_fps(brake.value) or 0.0)
        if limit:
            return limit if rate is None else min(limit, rate)
        return rate


def _as_fps(brake_ms: SettingValue | None) -> float | None:
    if not isinstance(brake_ms, int):
        return None
    return round(1000 / brake_ms, 2) if brake_ms > 0 else 0.0


def _checked(value: SettingValue, camera: str) -> float:
    try:
        limit = float(value)
    except (TypeError, ValueError, OverflowError):
        limit = math.nan
    if limit == 0 or _LOWEST <= limit <= _HIGHEST:
        return limit
    why = f"{FPS_LIMIT} is 0 (no limit) or {_LOWEST:g} to {_HIGHEST:g} frames per second, not {value!r}"
    hint = None
    if 0 < limit < _LOWEST:
        hint = "Slower frames end a Matchboxscope's stream for good: take single pictures with snap() instead"
    raise SettingError(why, camera=camera, hint=hint)
