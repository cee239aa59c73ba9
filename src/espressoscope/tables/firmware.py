"""Firmware families: where each one listens, what it understands and what is odd about it.

Read in the firmwares' sources; the evidence for each is named in `Family.evidence`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAMILIES", "UNKNOWN", "ControlStyle", "Family", "family_of", "recognise_status", "sensor_of"]

ControlStyle = Literal["var-val", "tasmota", "none"]


@dataclass(frozen=True, slots=True)
class Family:
    """What one firmware family does.

    Attributes
    ----------
    name : str
        As used by ``--firmware`` and `CameraInfo.firmware`.
    title : str
        As its authors call it.
    control_port, stream_port : int
        Defaults; equal for families with a single port.
    stream_path : str
        Path of the MJPEG stream on the stream port.
    snapshot_path : str or None
        Path of a single JPEG on the control port.
    control : {"var-val", "tasmota", "none"}
        How settings are sent.
    status_path : str or None
        Path of the JSON that tells the present settings.
    status_command : str or None
        Console command (``/cm?cmnd=...``) whose JSON answer tells the present settings, for families
        without `status_path`.
    status_root : str or None
        Key of that answer under which the object with the settings stands; None when it is the answer.
    numbering : str
        Framesize numbering of the builds most in use; what a frame shows overrules it.
    sensor : str
        Sensor assumed until the camera tells.
    stamps_frames : bool
        Stream parts carry ``X-Timestamp``.
    newcomer_steals : bool
        A second stream client takes the stream from the first, instead of waiting for it.
    app_settings : frozenset of str
        Canonical names of settings beyond the sensor's own.
    evidence : str
        Source read, and version.
    """

    name: str
    title: str
    control_port: int
    stream_port: int
    stream_path: str
    snapshot_path: str | None
    control: ControlStyle
    status_path: str | None
    numbering: str
    sensor: str
    stamps_frames: bool
    newcomer_steals: bool
    app_settings: frozenset[str]
    evidence: str
    status_command: str | None = None
    status_root: str | None = None


_MATCHBOXSCOPE = Family(
    name="matchboxscope",
    title="Matchboxscope / ESPressoscope (simplecamera)",
    control_port=80,
    stream_port=81,
    stream_path="/",
    snapshot_path="/capture",
    control="var-val",
    status_path="/status",
    numbering="N5",
    sensor="OV2640",
    stamps_frames=False,
    newcomer_steals=False,
    app_settings=frozenset(
        {"xclk", "rotate", "min_frame_time", "autolamp", "lamp", "pwm", "neopixel", "stack", "timelapse"}
        | {"timelapse_interval", "autofocus_interval", "focus_speed"}
    ),
    evidence="Matchboxscope/matchboxscope-simplecamera 5449fb9 (2024-11-13), main/app_httpd.cpp",
)

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        "matchboxscope": _MATCHBOXSCOPE,
        "easytarget": Family(
            name="easytarget",
            title="easytarget/esp32-cam-webserver 4.x",
            control_port=80,
            stream_port=81,
            stream_path="/",
            snapshot_path="/capture",
            control="var-val",
            status_path="/status",
            numbering="N5",
            sensor="OV2640",
            stamps_frames=False,
            newcomer_steals=False,
            app_settings=frozenset({"xclk", "rotate", "min_frame_time", "autolamp", "lamp"}),
            evidence="easytarget/esp32-cam-webserver 4c9ab6e (2022-05-08, v4)",
        ),
        "camerawebserver": Family(
            name="camerawebserver",
            title="Arduino CameraWebServer",
            control_port=80,
            stream_port=81,
            stream_path="/stream",
            snapshot_path="/capture",
            control="var-val",
            status_path="/status",
            numbering="N6",
            sensor="OV2640",
            stamps_frames=True,
            newcomer_steals=False,
            app_settings=frozenset({"lamp"}),
            evidence="espressif/arduino-esp32 25484e1 (3.x), CameraWebServer/app_httpd.cpp",
        ),
        "esphome": Family(
            name="esphome",
            title="ESPHome esp32_camera_web_server",
            control_port=8080,
            stream_port=8080,
            stream_path="/",
            snapshot_path=None,
            control="none",
            status_path=None,
            numbering="N5",
            sensor="OV2640",
            stamps_frames=False,
            newcomer_steals=False,
            app_settings=frozenset(),
            evidence="esphome/esphome 33fdbbe (2024-10), esp32_camera_web_server",
        ),
        "tasmota": Family(
            name="tasmota",
            title="Tasmota (ESP32 webcam)",
            control_port=80,
            stream_port=81,
            stream_path="/stream",
            snapshot_path="/wc.jpg",
            control="tasmota",
            status_path=None,
            numbering="N5",
            sensor="OV2640",
            stamps_frames=False,
            newcomer_steals=True,
            app_settings=frozenset({"xclk"}),
            evidence="arendst/Tasmota 01154e9, xdrv_81_esp32_webcam.ino",
            # {"WC":{"Stream":1,"Resolution":8,"Mirror":0,...}}: all numbers, unlike the answers of the single
            # commands ({"WCMirror":"OFF"}); a value out of range changes nothing and is not an error.
            status_command="Wc",
            status_root="WC",
        ),
    }
)
"""The families that are simulated and recognised."""

UNKNOWN: Final = Family(
    name="unknown",
    title="unknown firmware with /status",
    control_port=80,
    stream_port=81,
    stream_path="/",
    snapshot_path="/capture",
    control="var-val",
    status_path="/status",
    numbering="N5",
    sensor="OV2640",
    stamps_frames=False,
    newcomer_steals=False,
    app_settings=_MATCHBOXSCOPE.app_settings,
    evidence="settings are offered as far as its /status names them",
)
"""Stands for a camera that answers `/status` like one and is none of `FAMILIES`."""


def family_of(name: str) -> Family:
    """Look a family up by name; `UNKNOWN` for any other."""
    return FAMILIES.get(name, UNKNOWN)


def recognise_status(status: Mapping[str, object]) -> str | None:
    """Tell the family from the keys of a parsed `/status`.

    Returns
    -------
    str or None
        A name of `FAMILIES`, ``"unknown"`` for a camera of another family, None when these are not a
        camera's words at all.
    """
    keys = status.keys()
    if "cam_name" in keys and "framesize" in keys:
        # Matchboxscope is easytarget v4 and seven keys more (main/app_httpd.cpp, status_handler);
        # builds of 2023 had only the slider.
        if keys & {"anglerfishSlider", "isStack", "isTimelapseGeneral", "timelapseInterval"}:
            return "matchboxscope"
        # v5 (abratchik) names the sensor in its JSON and has no MJPEG stream.
        return "unknown" if "cam_pid" in keys else "easytarget"
    if "framesize" in keys and ("led_intensity" in keys or "face_detect" in keys or "pixformat" in keys):
        return "camerawebserver"
    if "omniscope" in keys or "cam_name" in keys or ("framesize" in keys and "quality" in keys):
        return "unknown"
    return None


_PIDS: Final[Mapping[int, str]] = MappingProxyType({0x26: "OV2640", 0x3660: "OV3660", 0x5640: "OV5640"})


def sensor_of(status: Mapping[str, object]) -> str | None:
    """Tell the sensor from a parsed `/status`, where it can be told.

    CameraWebServer (2.x, 3.x) leads with raw registers: ``0xd3`` is the OV2640's, ``0x3400`` that of the
    OV3660 and OV5640, which share their register map. esp32-cam-webserver v5 gives the chip's ids.
    """
    pid = status.get("cam_pid")
    if isinstance(pid, int) and pid in _PIDS:
        return _PIDS[pid]
    if "0xd3" in status:
        return "OV2640"
    return "OV5640" if "0x3400" in status else None
