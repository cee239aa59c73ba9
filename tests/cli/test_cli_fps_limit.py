"""The cap on a camera's frame rate, typed: `set`, `status`, `stream --fps-limit`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli_support import Cli


@pytest.fixture
def braked() -> Iterator[SimulatedCamera]:
    """A camera that keeps a limit itself."""
    with SimulatedCamera(framesize="QVGA", fps=20, side_delays=False) as camera:
        yield camera


@pytest.fixture
def brakeless() -> Iterator[SimulatedCamera]:
    """A camera that keeps none."""
    with SimulatedCamera("camerawebserver", framesize="QVGA", fps=20, side_delays=False) as camera:
        yield camera


def test_set_keeps_it_in_the_camera(cli: Cli, braked: SimulatedCamera) -> None:
    result = cli.run("set", braked.url, "fps_limit=5")
    assert result.code == 0, result
    assert re.search(r"^fps_limit +5 +5 +ok$", result.out, re.MULTILINE)
    assert braked.sensor["min_frame_time"] == 200
    shown = cli.run("status", braked.url).out
    assert re.search(r"^  fps_limit +5 +0\.5 to 60 fps\. Most frames a second", shown, re.MULTILINE)
    (line,) = cli.run("set", braked.url, "fps_limit=0", "--json").objects
    assert line == {
        "camera": "Matchboxscope",
        "setting": "fps_limit",
        "asked": 0,
        "actual": 0,
        "ok": True,
        "message": "",
    }
    assert braked.sensor["min_frame_time"] == 0


@pytest.mark.parametrize("value", ["0.4", "61", "-1", "fast", "nan"])
def test_set_refuses_what_would_kill_the_stream(cli: Cli, braked: SimulatedCamera, value: str) -> None:
    assert "0.5 to 60" in cli.fails(2, "set", braked.url, f"fps_limit={value}")
    assert not any("min_frame_time" in line for line in braked.requests)


def test_set_promises_no_limit_that_ends_with_it(cli: Cli, brakeless: SimulatedCamera) -> None:
    message = cli.fails(1, "set", brakeless.url, "fps_limit=5", "quality=20")
    assert "--fps-limit" in message
    assert not any("/control" in line for line in brakeless.requests), "something was sent"
    assert "fps_limit" not in cli.run("status", brakeless.url).out


def test_stream_is_slowed_by_the_camera(cli: Cli, braked: SimulatedCamera) -> None:
    result = cli.run("stream", braked.url, "--fps-limit", "5", "--frames", "4", "--json")
    assert result.code == 0, result
    assert braked.sensor["min_frame_time"] == 200
    times = [frame["received_ns"] for frame in result.objects]
    assert (times[-1] - times[1]) / 1e9 > 0.3


def test_stream_is_slowed_by_single_pictures(cli: Cli, brakeless: SimulatedCamera) -> None:
    result = cli.run("stream", brakeless.url, "--fps-limit", "5", "--frames", "4", "--json")
    assert result.code == 0, result
    assert len(brakeless.captured) >= 4
    assert len(brakeless.sent) == 0
    message = cli.fails(1, "stream", brakeless.url, "--fps-limit", "5", "--source", "mjpeg")
    assert "cannot be slowed" in message


def test_stream_of_a_bare_source_cannot_be_slowed(cli: Cli, braked: SimulatedCamera) -> None:
    assert braked.stream_url is not None
    assert "bare MJPEG" in cli.fails(1, "stream", braked.stream_url, "--fps-limit", "5")
