"""Faults of one camera at the same time: each lasts until its own end, in whatever order they end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from sim_clients import ChunkedStream, Wire, control, get

from espressoscope.sim import FAULTS, SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def camera() -> Iterator[SimulatedCamera]:
    options = {"framesize": "QVGA", "fps": 50, "side_delays": False, "prerender": True, "boot_s": 0.3}
    with SimulatedCamera(**options) as camera:  # type: ignore[arg-type]
        yield camera


def answers(camera: SimulatedCamera) -> bool:
    with contextlib.suppress(OSError):
        return get(camera.url, "/status", timeout_s=0.3).status == 200
    return False


@pytest.mark.parametrize("name", list(FAULTS))
@pytest.mark.parametrize("inner_ends_first", [True, False])
def test_a_fault_begun_twice_lasts_until_both_have_ended(
    camera: SimulatedCamera, name: str, inner_ends_first: bool
) -> None:
    faults = [camera.fault(name), camera.fault(name)]
    for fault in faults:
        fault.__enter__()
    board = camera._started()
    for fault in reversed(faults) if inner_ends_first else faults:
        assert name in board.device.faults
        fault.__exit__(None, None, None)
    assert name not in board.device.faults
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
    assert get(camera.url, "/status").status == 200


def test_the_fault_before_is_in_force_again_with_its_own_options(camera: SimulatedCamera) -> None:
    with camera.fault("bad-json", kind="empty"):
        with camera.fault("bad-json", kind="html"):
            assert b"<html>" in get(camera.url, "/status").body
        assert get(camera.url, "/status").body == b"{}"


@pytest.mark.parametrize("order", [("vanish", "reboot"), ("reboot", "vanish"), ("vanish", "vanish")])
def test_power_is_back_when_the_last_outage_has_ended(
    camera: SimulatedCamera, order: tuple[str, str]
) -> None:
    assert control(camera, "brightness", 2) == 200
    first, second = (camera.fault(name, seconds=60) for name in order)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not answers(camera)
    second.__exit__(None, None, None)
    assert get(camera.url, "/status").status == 200
    assert camera.reboots == order.count("reboot")
    assert camera.sensor["brightness"] == (0 if "reboot" in order else 2)


def test_a_camera_that_crashes_while_it_is_away_stays_away(camera: SimulatedCamera) -> None:
    board = camera._started()
    with Wire(camera.url) as wire:
        wire.ask("/control?var=autofocus&val=-100;100;0")  # divides by zero, and boots after 0.3 s
        wait_until(lambda: board._tasks, what="the crash")
        with camera.fault("vanish"):
            wait_until(lambda: not board._tasks, what="the end of the boot")
            assert camera.reboots == 0
            assert not answers(camera)
        assert camera.reboots == 1
    assert get(camera.url, "/status").status == 200


def test_a_camera_without_power_does_not_answer_when_it_no_longer_refuses(camera: SimulatedCamera) -> None:
    with camera.fault("vanish"):
        with camera.fault("refuse"):
            pass
        assert not answers(camera)
    assert get(camera.url, "/status").status == 200


def test_a_camera_that_still_refuses_when_power_is_back(camera: SimulatedCamera) -> None:
    with camera.fault("refuse"):
        with camera.fault("vanish"):
            pass
        with pytest.raises(ConnectionRefusedError):
            Wire(camera.url)
    assert get(camera.url, "/status").status == 200


def test_a_number_taken_twice_is_in_use_until_both_have_given_it_back() -> None:
    with SimulatedCamera(number=0) as first:
        with SimulatedCamera(number=0), SimulatedCamera() as other:
            assert other.number == 1
        with SimulatedCamera() as other:
            assert (first.number, other.number) == (0, 1)
    with SimulatedCamera() as again:
        assert again.number == 0


def test_a_whole_picture_in_a_part_that_is_cut_counts_as_sent(camera: SimulatedCamera) -> None:
    with camera.fault("two-jpegs", every=1), camera.fault("cut", every=1, part=0.8):
        with ChunkedStream(camera.stream_url) as stream:
            rest = stream.rest_until_silent(5.0)
        (sent,) = camera.sent
        assert sent.jpeg in rest


def test_a_whole_picture_in_a_part_that_drips_counts_as_sent(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        size = len(stream.frame()[1])
    with camera.fault("two-jpegs", every=1), camera.fault("slow", size=size * 3 // 2, pause=60) as slow:
        with ChunkedStream(camera.stream_url) as stream:
            wait_until(lambda: slow.hits, what="the first drop")
            rest = stream.rest_until_silent(0.3)
        wait_until(lambda: camera.sent[-1].jpeg in rest, what="the other picture to be taken back")


def test_what_a_client_said_before_a_restart_is_not_answered_after_it(camera: SimulatedCamera) -> None:
    with ChunkedStream(camera.stream_url) as stream:
        stream.frame()
        stream.send(b"\r\n")
        stream.frame()
        with camera.fault("reboot", seconds=60):
            pass
        stream.rest_until_silent(0.3)
        assert stream.ending(0.3) == "open"
        stream.send(b"\r\n")
        assert stream.ending(2.0) == "reset"
