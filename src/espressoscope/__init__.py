"""Espressoscope: ten-euro ESP32 cameras as trustworthy scientific instruments.

The public names, loaded when first used: importing this package runs nothing and pulls in no heavy module.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing itself takes a while
if TYPE_CHECKING:
    from typing import Any

    from espressoscope.api.camera import Camera
    from espressoscope.api.diagnose import Finding, diagnose
    from espressoscope.api.discover import SearchProgress, discover
    from espressoscope.api.export import Exported, ExportProgress, export_run
    from espressoscope.api.exposure import ExposureLock
    from espressoscope.api.fleet import Fleet
    from espressoscope.api.keeper import FrameKeeper, KeptFrames
    from espressoscope.api.recorder import Recorder, RecordProgress
    from espressoscope.api.runs import open_run, repair_run
    from espressoscope.api.timelapse import TimeLapse, timelapse_status
    from espressoscope.api.wifi import WifiStep, join_wifi
    from espressoscope.errors import (
        CameraError,
        CameraTimeout,
        ConnectError,
        ConnectReason,
        DecodeError,
        DiscoveryError,
        ExportError,
        FleetFileError,
        RecordingError,
        RemoteProtocolError,
        SettingError,
        UnsupportedError,
    )
    from espressoscope.lab.entries import Member
    from espressoscope.lab.fleet_file import FleetFile
    from espressoscope.model import CameraInfo, Frame, FrameSet, LinkState, SetResult, Setting, StreamStats
    from espressoscope.timelapse.status import LapseStatus

__version__ = "0.1.0"

_HOME = {
    "Camera": "api.camera",
    "CameraError": "errors",
    "CameraInfo": "model",
    "CameraTimeout": "errors",
    "ConnectError": "errors",
    "ConnectReason": "errors",
    "DecodeError": "errors",
    "DiscoveryError": "errors",
    "ExportError": "errors",
    "ExportProgress": "api.export",
    "Exported": "api.export",
    "ExposureLock": "api.exposure",
    "Finding": "api.diagnose",
    "Fleet": "api.fleet",
    "FleetFile": "lab.fleet_file",
    "FleetFileError": "errors",
    "Frame": "model",
    "FrameKeeper": "api.keeper",
    "FrameSet": "model",
    "KeptFrames": "api.keeper",
    "LapseStatus": "timelapse.status",
    "LinkState": "model",
    "Member": "lab.entries",
    "RecordProgress": "api.recorder",
    "Recorder": "api.recorder",
    "RecordingError": "errors",
    "RemoteProtocolError": "errors",
    "SearchProgress": "api.discover",
    "SetResult": "model",
    "Setting": "model",
    "SettingError": "errors",
    "StreamStats": "model",
    "TimeLapse": "api.timelapse",
    "UnsupportedError": "errors",
    "WifiStep": "api.wifi",
    "diagnose": "api.diagnose",
    "discover": "api.discover",
    "export_run": "api.export",
    "join_wifi": "api.wifi",
    "open_run": "api.runs",
    "repair_run": "api.runs",
    "timelapse_status": "api.timelapse",
}

__all__ = [
    "Camera",
    "CameraError",
    "CameraInfo",
    "CameraTimeout",
    "ConnectError",
    "ConnectReason",
    "DecodeError",
    "DiscoveryError",
    "ExportError",
    "ExportProgress",
    "Exported",
    "ExposureLock",
    "Finding",
    "Fleet",
    "FleetFile",
    "FleetFileError",
    "Frame",
    "FrameKeeper",
    "FrameSet",
    "KeptFrames",
    "LapseStatus",
    "LinkState",
    "Member",
    "RecordProgress",
    "Recorder",
    "RecordingError",
    "RemoteProtocolError",
    "SearchProgress",
    "SetResult",
    "Setting",
    "SettingError",
    "StreamStats",
    "TimeLapse",
    "UnsupportedError",
    "WifiStep",
    "__version__",
    "diagnose",
    "discover",
    "export_run",
    "join_wifi",
    "open_run",
    "repair_run",
    "timelapse_status",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
