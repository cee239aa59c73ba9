"""Making one camera's lamp blink, to see which of many it is; everything is put back afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from espressoscope.errors import CameraError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.model import CameraInfo, SetResult, Setting, SettingValue

__all__ = ["blink_lamp"]

_SHARE = 0.3
"""Of full brightness: easily seen, kind to eyes, and to the power supply of an ESP32-CAM."""


class _Settable(Protocol):
    @property
    def info(self) -> CameraInfo: ...

    @property
    def settings(self) -> Mapping[str, Setting]: ...

    def status(self) -> object: ...

    def set(self, *, strict: bool = True, **values: SettingValue) -> dict[str, SetResult]: ...


def blink_lamp(camera: _Settable, times: int, pause_s: float) -> None:
    """Blink; see `Camera.blink`."""
    camera.status()
    lamp, automatic = camera.settings.get("lamp"), camera.settings.get("autolamp")
    brightness = None if lamp is None else lamp.value
    if lamp is None or not isinstance(brightness, int) or not 0 <= brightness <= (lamp.maximum or 0):
        raise UnsupportedError(
            "it has no lamp that could blink",
            camera=camera.info.name,
            hint="Tell it by its picture (cover its lens with a finger), or by the MAC on its sticker",
        )
    bright = brightness or max(1, round(_SHARE * (lamp.maximum or 0)))
    by_itself = automatic is not None and automatic.value is True

    def restore(*, strict: bool) -> None:
        camera.set(lamp=brightness, strict=strict)
        if by_itself:
            camera.set(autolamp=True, strict=strict)

    try:
        if by_itself:  # it would light the lamp for pictures only
            camera.set(autolamp=False)
        for _ in range(times):
            for level in (0, bright) if brightness else (bright, 0):
                result = camera.set(lamp=level, strict=False)["lamp"]
                if not result.ok:
                    raise UnsupportedError(
                        f"its lamp does not obey: {result.message}", camera=camera.info.name
                    )
                time.sleep(pause_s)  # what the eye is to see
    except BaseException as error:
        # Also after Ctrl-C; what had gone wrong is the news.
        try:
            restore(strict=False)
        except CameraError:
            if isinstance(error, CameraError):
                error.hint = "Its lamp may be on: look after it when it answers again"
        raise
    restore(strict=True)
