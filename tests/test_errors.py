"""errors: the tree as drawn, what each says, what each carries, and that all of it survives a pickle."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from espressoscope import errors
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
from espressoscope.model import SetResult

# One of each, and every piece of data it carries.
EXAMPLES = [
    (
        CameraError("it broke", camera="A1", hint="Mend it"),
        {"message": "it broke", "camera": "A1", "hint": "Mend it"},
    ),
    (DiscoveryError("no network"), {"message": "no network", "camera": None, "hint": None}),
    (
        ConnectError(
            "nothing listens there", reason=ConnectReason.REFUSED, camera="10.0.0.9", hint="Is it on?"
        ),
        {"reason": ConnectReason.REFUSED, "camera": "10.0.0.9", "hint": "Is it on?"},
    ),
    (
        CameraTimeout("no answer to /status", phase="status", timeout_s=5.0, camera="A1"),
        {"phase": "status", "timeout_s": 5.0, "camera": "A1"},
    ),
    (
        RemoteProtocolError("not HTTP", offset=12, sample=b"\x00" * 100, camera="A1"),
        {"offset": 12, "sample": b"\x00" * 64, "camera": "A1"},
    ),
    (
        SettingError("lamp did not take", results={"lamp": SetResult(50, 0, False, "still 0")}, camera="A1"),
        {"results": {"lamp": SetResult(50, 0, False, "still 0")}, "camera": "A1"},
    ),
    (SettingError("unknown"), {"results": {}}),
    (
        ExportError("it is there", path="out.zarr", camera="A1", hint="Another name"),
        {"path": "out.zarr", "camera": "A1", "hint": "Another name"},
    ),
    (UnsupportedError("ESPHome has no settings", camera="A1"), {"camera": "A1"}),
    (
        DecodeError("cut off", sequence=7, nbytes=900, width=640, height=480, camera="A1", hint="Skip it"),
        {"sequence": 7, "nbytes": 900, "width": 640, "height": 480, "camera": "A1", "hint": "Skip it"},
    ),
    (DecodeError("empty"), {"sequence": None, "nbytes": 0, "width": 0, "height": 0}),
    (
        RecordingError("disk full", frames_written=90, frames_dropped=3, camera="A1"),
        {"frames_written": 90, "frames_dropped": 3, "camera": "A1"},
    ),
    (
        FleetFileError(path="lab.toml", line=3, reason="no such key"),
        {"path": "lab.toml", "line": 3, "reason": "no such key", "camera": None},
    ),
    (FleetFileError(path="lab.toml", line=None, reason="not TOML"), {"line": None}),
]

every_error = pytest.mark.parametrize(
    ("error", "data"), EXAMPLES, ids=[f"{type(error).__name__}-{i}" for i, (error, _) in enumerate(EXAMPLES)]
)


def test_the_tree_is_as_drawn_and_named_in_all():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    found = [name for name in vars(errors) if isinstance(getattr(errors, name), type)]
    found = [name for name in found if issubclass(getattr(errors, name), BaseException)]
    assert drawn == [name for name in found if name != "CameraError"]
    assert sorted([*found, "ConnectReason"]) == sorted(errors.__all__)
    assert {type(error) for error, _ in EXAMPLES} == {getattr(errors, name) for name in found}
    for name in drawn:
        wanted = (CameraError, ValueError) if name == "SettingError" else (CameraError,)
        assert getattr(errors, name).__bases__ == wanted
    assert CameraError.__bases__ == (Exception,)


def test_the_drawing_names_the_data():
    lines = {line.split()[1]: line for line in (errors.__doc__ or "").splitlines() if "── " in line}
    for error, data in EXAMPLES:
        name = type(error).__name__
        for attribute in data:
            if attribute not in ("message", "camera", "hint"):
                assert f"`{attribute}`" in lines[name], f"{name}.{attribute}"


@every_error
def test_carries_its_data(error, data):
    for name, value in data.items():
        assert getattr(error, name) == value


@every_error
def test_says_who_what_and_what_to_try(error, data):
    text = str(error)
    assert error.message in text
    assert text.startswith(f"{error.camera}: " if error.camera else error.message)
    assert text.endswith(f". {error.hint}" if error.hint else error.message)
    assert "None" not in text


@every_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_survives_a_pickle(error, data, protocol):
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)


@every_error
def test_survives_copies(error, data):
    for again in (copy.copy(error), copy.deepcopy(error)):
        assert again is not error
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


@every_error
def test_can_be_raised_again_after_a_pickle(error, data):
    with pytest.raises(type(error), match=re.escape(error.message)):
        raise pickle.loads(pickle.dumps(error))


def test_a_setting_error_is_a_value_error():
    with pytest.raises(ValueError, match="lamp"):
        raise SettingError("lamp cannot be 700")


def test_results_are_its_own():
    results = {"lamp": SetResult(1, 1, True)}
    error = SettingError("no", results=results)
    results.clear()
    assert list(error.results) == ["lamp"]


def test_reasons_are_those_of_the_contract_and_strings():
    assert ConnectError.Reason is ConnectReason
    assert {str(reason) for reason in ConnectReason} == {
        *("UNRESOLVED", "REFUSED", "UNREACHABLE", "NOT_A_CAMERA", "BUSY", "AUTH")
    }
    assert all(reason == reason.name for reason in ConnectReason)


def test_notes_and_causes_stay_python_s():
    error = CameraError("it broke")
    error.add_note("while testing")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while testing"]


def test_the_fleet_file_is_named_with_its_line():
    assert str(FleetFileError(path="lab.toml", line=3, reason="no such key")).startswith(
        "lab.toml, line 3: no such key"
    )
    assert str(FleetFileError(path="lab.toml", line=None, reason="not TOML")).startswith("lab.toml: not TOML")
