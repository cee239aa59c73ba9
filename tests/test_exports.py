"""The public names and their signatures: changing one changes every user's program."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from typing import Any

import pytest

import espressoscope as es
import espressoscope.sim
from support import REPO

NAMES = [
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


def test_public_names() -> None:
    assert es.__all__ == NAMES
    assert dir(es) == sorted(NAMES)
    for name in NAMES:
        assert getattr(es, name) is not None


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Kamera'"):
        _ = es.Kamera
    with pytest.raises(AttributeError, match="no attribute 'Kamera'"):
        _ = espressoscope.sim.Kamera


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((REPO / "src" / "espressoscope" / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("espressoscope.")
        for alias in node.names
    }
    assert seen == {name: f"espressoscope.{home}" for name, home in es._HOME.items()}
    assert {*seen, "__version__"} == set(NAMES)


def test_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert version("espressoscope") == es.__version__


def defaults(function: Any) -> dict[str, Any]:
    """Parameters of a public callable and their defaults; those without one have `...`."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: ... if p.default is p.empty else p.default for p in parameters if p.name != "self"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("status", {}),
        ("set", {"strict": True, "values": ...}),
        ("focus_up", {}),
        ("focus_down", {}),
        ("focus_speed", {"speed": ...}),
        ("autofocus", {"minimum": -100, "maximum": 100, "step": 5}),
        ("reboot", {"wait": True}),
        ("save_prefs", {}),
        ("clear_prefs", {}),
        ("set_wifi", {"ssid": ..., "password": ...}),
        ("snap", {"framesize": None}),
        ("stream", {"source": "auto", "buffer": 32, "timeout": 10, "damaged": False}),
        ("latest", {"timeout": 5, "after": None}),
        ("record", {"path": ..., "seconds": None, "frames": None, "before": None}),
        ("keep", {"seconds": ..., "max_bytes": None}),
        ("open", {}),
        ("close", {}),
        ("__enter__", {}),
    ],
)
def test_camera_methods(name: str, wanted: dict[str, Any]) -> None:
    have = defaults(getattr(es.Camera, name))
    assert {key: have.get(key, "missing") for key in wanted} == wanted
    assert all(default is not ... for key, default in have.items() if key not in wanted)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("__init__", {"cameras": ...}),
        ("start", {"source": "auto"}),
        ("stop", {}),
        ("latest", {"timeout": 5}),
        ("stats", {}),
        ("messages", {}),
        ("set", {"values": ...}),
        ("snap", {"framesize": None}),
        ("sets", {"tolerance_ms": 50, "timeout": 10}),
        ("mosaic", {"tile": None, "columns": None}),
        ("view", {"use": ..., "scale": 1, "gray": False, "order": "RGB"}),
        ("lock_exposure", {"to": ...}),
        ("record", {"path": ..., "seconds": None, "frames": None, "before": None}),
        ("keep", {"seconds": ..., "max_bytes": None}),
        ("add", {"camera": ..., "name": None}),
        ("remove", {"name": ...}),
        ("open", {}),
        ("close", {}),
    ],
)
def test_fleet_methods(name: str, wanted: dict[str, Any]) -> None:
    have = defaults(getattr(es.Fleet, name))
    assert {key: have.get(key, "missing") for key in wanted} == wanted
    assert all(default is not ... for key, default in have.items() if key not in wanted)


def test_camera_caches_are_properties() -> None:
    for name in ("info", "settings", "stats"):
        assert isinstance(inspect.getattr_static(es.Camera, name), property)


def test_discover() -> None:
    wanted = {"networks": None, "ports": None, "mdns": None, "timeout": 1.0}
    have = defaults(es.discover)
    assert {key: have.get(key, "missing") for key in wanted} == wanted


def test_diagnose_and_join_wifi() -> None:
    assert defaults(es.diagnose) == {"camera": None, "networks": None, "search": True}
    wanted = {"camera": ..., "ssid": ..., "password": ..., "timeout": 180.0, "networks": None}
    assert defaults(es.join_wifi) == wanted


def test_export_run() -> None:
    wanted = {"run": ..., "to": ..., "out": ..., "cameras": None, "begin": None, "end": None, "force": False}
    have = defaults(es.export_run)
    assert {key: have.get(key, "missing") for key in wanted} == wanted


def test_frame() -> None:
    frame = es.Frame(b"\xff\xd8", 0, 1)
    for name in "jpeg sequence received_ns device_ns width height camera status jpeg_end".split():
        assert hasattr(frame, name)
    image = defaults(es.Frame.image)
    wanted = {"scale": 1, "gray": False, "order": "RGB", "out": None}
    assert {key: image.get(key, "missing") for key in wanted} == wanted
    assert hasattr(es.Frame, "__array__")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("CameraInfo", "name url stream_url mac firmware found_by"),
        ("Setting", "name value kind minimum maximum step choices unit group doc"),
        ("SetResult", "asked actual ok message"),
        (
            "StreamStats",
            "state frames bytes fps kb_per_s age_s interval_p50_ms interval_p99_ms reconnects damaged "
            "dropped superseded width height frozen sensor_fps clock_offset_s",
        ),
        ("FrameSet", "time_ns frames"),
        ("KeptFrames", "frames bytes seconds let_go"),
        ("Finding", "code ok words advice"),
        ("Exported", "path cameras notes"),
        ("ExportProgress", "camera state frames total left_out damaged bytes path"),
        ("WifiStep", "code ok words advice camera"),
        ("ExposureLock", "reference values unequal results"),
    ],
)
def test_plain_data(name: str, fields: str) -> None:
    cls = getattr(es, name)
    assert [field.name for field in dataclasses.fields(cls)] == fields.split()
    assert cls.__dataclass_params__.frozen


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("Error", "Timeout"))])
def test_errors_are_camera_errors(name: str) -> None:
    assert issubclass(getattr(es, name), es.CameraError)


def test_error_data() -> None:
    reasons = {"UNRESOLVED", "REFUSED", "UNREACHABLE", "NOT_A_CAMERA", "BUSY", "AUTH"}
    assert {reason.name for reason in es.ConnectReason} == reasons
    assert es.ConnectError("no", reason=es.ConnectReason.BUSY).reason == "BUSY"
    timeout = es.CameraTimeout("no", phase="status", timeout_s=5.0)
    assert (timeout.phase, timeout.timeout_s) == ("status", 5.0)
    broken = es.RemoteProtocolError("no", offset=3, sample=b"x")
    assert (broken.offset, broken.sample) == (3, b"x")
    assert issubclass(es.SettingError, ValueError)
    assert es.SettingError("no").results == {}
    lost = es.RecordingError("no", frames_written=1, frames_dropped=2)
    assert (lost.frames_written, lost.frames_dropped) == (1, 2)


def test_simulator() -> None:
    assert {"SimulatedCamera", "read_strip"} <= set(espressoscope.sim.__all__)
    for name in espressoscope.sim.__all__:
        assert getattr(espressoscope.sim, name) is not None
    have = defaults(espressoscope.sim.SimulatedCamera)
    assert {"firmware", "host", "port", "fps", "framesize", "name", "seed"} <= set(have)
    assert ... not in have.values()
    for name in ("url", "stream_url", "sent"):
        assert isinstance(inspect.getattr_static(espressoscope.sim.SimulatedCamera, name), property)
    assert callable(espressoscope.sim.SimulatedCamera.fault)
    faults = (
        "slow stall cut wrong-length no-length junk stale-bytes two-jpegs corrupt reboot vanish refuse "
        "silent-second bad-json stale-capture frozen size-change"
    )
    assert set(espressoscope.sim.FAULTS) == set(faults.split())


def test_command_line_is_the_one_installed() -> None:
    from importlib.metadata import entry_points

    scripts = entry_points(group="console_scripts", name="espressoscope")
    assert [script.value for script in scripts] == ["espressoscope.cli:main"]
    assert callable(scripts["espressoscope"].load())
