"""Cameras that come back at another address, and others that take their place."""

from __future__ import annotations

import logging
import socket
import time

import pytest

import espressoscope as es
from espressoscope.engine import whereabouts
from espressoscope.sim import SimulatedCamera, read_strip
from support import wait_until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whereabouts, "_DOUBT_AFTER_S", 0.2)
    monkeypatch.setattr(whereabouts, "_SEARCH_AFTER_S", (0.4, 0.5))


@pytest.fixture
def ports() -> list[int]:
    """Give ports that a search on this computer asks, each with the next one free too."""
    free = []
    for port in range(8110, 8174, 2):
        try:
            for each in (port, port + 1):
                socket.create_server(("127.0.0.1", each)).close()
        except OSError:
            continue
        free.append(port)
    assert len(free) >= 3
    return free


def camera_at(port: int, number: int) -> SimulatedCamera:
    return SimulatedCamera(port=port, number=number, fps=20, framesize="QVGA", side_delays=False)


def shown(frame: es.Frame) -> int:
    reading = read_strip(frame.image())
    assert reading is not None
    return reading.camera


def test_a_moved_camera_is_found_again(ports: list[int], caplog: pytest.LogCaptureFixture) -> None:
    with camera_at(ports[0], 7) as simulated:
        cam = es.Camera(simulated.url).open()
    with cam, cam.stream(timeout=20) as frames, camera_at(ports[1], 7) as moved:
        with caplog.at_level(logging.WARNING, "espressoscope"):
            frame = next(frames)
        assert shown(frame) == 7
        assert frame.sequence == 0
        assert cam.info.url == moved.url
        assert cam.info.stream_url == moved.stream_url
        assert cam.set(quality=33)["quality"].ok
        assert cam.status()["quality"] == 33
        assert any("quality" in line for line in moved.requests)
    assert "has moved from" in caplog.text


def test_numbers_and_subscriptions_go_on_over_a_move(ports: list[int]) -> None:
    with camera_at(ports[0], 9) as simulated:
        cam = es.Camera(simulated.url).open()
        frames = cam.stream(timeout=20)
        numbers = [next(frames).sequence for _ in range(5)]
    with cam, frames, camera_at(ports[2], 9):
        while frames.dropped or numbers[-1] < 5 or cam.info.url == simulated_url(ports[0]):
            numbers.append(next(frames).sequence)
        numbers.append(next(frames).sequence)
    assert numbers == list(range(len(numbers)))
    assert cam.stats.reconnects >= 1


def simulated_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def test_another_camera_at_its_address_is_not_taken_for_it(ports: list[int]) -> None:
    with camera_at(ports[0], 3) as simulated:
        fleet = es.Fleet([simulated.info]).open()
        (name,) = fleet.names
        assert fleet.latest()[name] is not None
    # No board starts sooner than a break that lets its place be doubted.
    wait_until(lambda: (fleet.stats()[name].age_s or 0) > 0.4, what="a break")
    received = fleet.stats()[name].frames
    with fleet, camera_at(ports[0], 4) as other:
        wait_until(lambda: "another camera" in fleet.messages()[name], 15, what="the camera to be recognised")
        assert fleet.stats()[name].frames == received
        assert fleet[name].info.mac == simulated.mac
        with camera_at(ports[1], 3):
            received = fleet.stats()[name].frames
            wait_until(lambda: fleet.stats()[name].frames > received, 20, what="its own frames")
            frame = fleet[name].latest()
            assert shown(frame) == 3
            assert fleet[name].info.url == simulated_url(ports[1])
        with es.Camera(other.url) as cam:
            assert cam.info.mac == other.mac


def test_a_camera_known_by_its_mac_is_not_mixed_up_when_opened(ports: list[int]) -> None:
    with camera_at(ports[0], 5) as simulated:
        info = simulated.info
    with camera_at(ports[0], 6), pytest.raises(es.ConnectError, match="another camera answers") as caught:
        es.Camera(info).open()
    assert caught.value.reason is es.ConnectReason.NOT_A_CAMERA


def test_a_search_does_not_hold_up_close(ports: list[int]) -> None:
    with camera_at(ports[0], 8) as simulated:
        fleet = es.Fleet([simulated.info]).open()
        fleet.start()
    (name,) = fleet.names
    session = fleet[name]._session
    assert session is not None
    wait_until(lambda: session._whereabouts._search is not None, 10, what="a search")
    began = time.monotonic()
    fleet.close()
    assert time.monotonic() - began < 1
