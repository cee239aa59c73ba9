"""model: frames as numpy sees them, and data that stays what it was."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import pickle
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from espressoscope import model
from espressoscope.errors import DecodeError
from espressoscope.model import (
    CameraInfo,
    Frame,
    FrameStatus,
    LinkState,
    SetResult,
    Setting,
    StreamStats,
)

_FILE = io.BytesIO()
Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(_FILE, "JPEG")
JPEG = _FILE.getvalue()

STATS = StreamStats(
    state=LinkState.LIVE,
    frames=10,
    bytes=190_000,
    fps=9.8,
    kb_per_s=186.2,
    age_s=0.04,
    interval_p50_ms=101.0,
    interval_p99_ms=140.0,
    reconnects=1,
    damaged=2,
    dropped=3,
    superseded=4,
    width=640,
    height=480,
    frozen=False,
)
INFO = CameraInfo(
    "A1", "http://10.0.0.9", "http://10.0.0.9:81/", "AA:BB:CC:DD:EE:FF", "matchboxscope", "scan"
)
SETTING = Setting("lamp", 50, "int", 0, 100, 1, (), "%", "light", "Brightness of the lamp.")
RESULT = SetResult(50, 50, True)


def frame(data: bytes = JPEG) -> Frame:
    return Frame(data, sequence=7, received_ns=1_700_000_000_000_000_000, width=64, height=48, camera="A1")


# --- a frame as an array


def test_asarray_is_the_image():
    array = np.asarray(frame())
    assert array.shape == (48, 64, 3)
    assert array.dtype == np.uint8
    assert np.array_equal(array, frame().image())


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, "int64", np.uint8])
def test_asarray_takes_a_dtype(dtype):
    array = np.asarray(frame(), dtype=dtype)
    assert array.dtype == np.dtype(dtype)
    assert np.array_equal(array, frame().image())


def test_array_copies_and_no_copy_is_refused():
    assert np.array(frame(), copy=True).shape == (48, 64, 3)
    with pytest.raises(ValueError, match="always a new one"):
        frame().__array__(copy=False)


def test_numpy_functions_take_frames():
    assert np.mean(frame()) == pytest.approx(np.mean(frame().image()))
    assert np.stack([frame(), frame()]).shape == (2, 48, 64, 3)


def test_a_frame_that_cannot_be_decoded_says_so_as_an_array_too():
    with pytest.raises(DecodeError, match="A1: frame 7"):
        np.asarray(frame(JPEG[:-40]))


def test_image_passes_everything_on():
    out = np.empty((12, 16), np.uint8)
    assert frame().image(4, True, "BGR", out) is out
    assert frame().image(scale=2, order="BGR").shape == (24, 32, 3)
    assert frame(JPEG[:-40]).image(partial=True).shape == (48, 64, 3)


# --- a frame as data


def test_a_frame_has_no_room_for_more():
    with pytest.raises(AttributeError):
        frame().colour = "red"  # type: ignore[attr-defined]


def test_a_frame_shows_what_it_is_and_not_its_bytes():
    assert repr(frame()) == f"<Frame 7 of A1: 64x48, {len(JPEG)} bytes, ok>"
    assert "of ?" in repr(Frame(b"", 0, 0))


def test_defaults_of_a_frame():
    bare = Frame(JPEG, 0, 1)
    assert (bare.device_ns, bare.width, bare.height, bare.camera, bare.status) == (None, 0, 0, "", "ok")
    assert get_args(FrameStatus) == ("ok", "truncated", "corrupt", "duplicate")


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (JPEG, len(JPEG)),
        (JPEG + b"\0" * 20 + b"\xff\xd9", len(JPEG)),
        (JPEG + JPEG, len(JPEG)),
        (JPEG[:-2], len(JPEG) - 2),
        (b"", 0),
        (b"no picture", 10),
    ],
)
def test_jpeg_end_is_the_end_of_the_picture(data, end):
    taken = frame(data)
    assert taken.jpeg_end == end
    assert taken.jpeg_end == end
    assert taken.jpeg == data


def test_frames_survive_pickles_and_copies():
    for again in (pickle.loads(pickle.dumps(frame())), copy.copy(frame()), copy.deepcopy(frame())):
        for name in ("jpeg", "sequence", "received_ns", "device_ns", "width", "height", "camera", "status"):
            assert getattr(again, name) == getattr(frame(), name)


# --- the rest


@pytest.mark.parametrize("value", [INFO, SETTING, RESULT, STATS], ids=lambda value: type(value).__name__)
def test_data_cannot_be_changed_and_survives_a_pickle(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert hash(value) == hash(copy.copy(value))
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")


def test_fields_are_those_of_the_contract():
    def names(kind: type) -> str:
        return " ".join(field.name for field in dataclasses.fields(kind))

    assert names(CameraInfo) == "name url stream_url mac firmware found_by"
    assert names(Setting) == "name value kind minimum maximum step choices unit group doc"
    assert names(SetResult) == "asked actual ok message"
    assert names(StreamStats) == (
        "state frames bytes fps kb_per_s age_s interval_p50_ms interval_p99_ms reconnects damaged dropped"
        " superseded width height frozen sensor_fps clock_offset_s"
    )


def test_the_label_of_a_camera_tells_boards_of_one_name_apart():
    assert INFO.label == "A1-DDEEFF"
    moved = dataclasses.replace(INFO, url="http://10.0.0.77")
    assert moved.label == INFO.label
    assert dataclasses.replace(moved, mac=None).label == "A1-10.0.0.77"


def test_statistics_go_through_json():
    again = json.loads(json.dumps({name: getattr(STATS, name) for name in StreamStats.__slots__}))
    assert again == dataclasses.asdict(STATS)
    assert again["state"] == "live"


def test_link_states_are_words():
    assert all(isinstance(state, str) and state.islower() for state in LinkState)


def test_all_names_exist():
    assert [name for name in model.__all__ if not hasattr(model, name)] == []


def test_importing_model_loads_no_heavy_module():
    code = (
        "import sys, espressoscope.model, espressoscope.errors, espressoscope.tables.settings\n"
        "print([name for name in ('numpy', 'simplejpeg', 'PIL', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
