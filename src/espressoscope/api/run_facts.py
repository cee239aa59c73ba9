"""What the files of a run tell of this program and of its cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.model import CameraInfo, Setting, SettingValue

__all__ = ["facts_of", "software", "values_of"]


def software() -> str:
    """Give name and version, as recordings say them."""
    from importlib.metadata import PackageNotFoundError, version  # takes a moment

    try:
        return f"espressoscope {version('espressoscope')}"
    except PackageNotFoundError:  # run from its sources
        return "espressoscope"


def facts_of(info: CameraInfo) -> dict[str, Any]:
    """Give what is written of a camera: url, stream_url, mac, firmware; no password is among it."""
    info = info.shown  # its queries may hold passwords
    return {"url": info.url, "stream_url": info.stream_url, "mac": info.mac, "firmware": info.firmware}


def values_of(settings: Mapping[str, Setting]) -> dict[str, SettingValue | None]:
    """Give the values of those settings that the camera tells."""
    return {name: setting.value for name, setting in settings.items() if setting.value is not None}
