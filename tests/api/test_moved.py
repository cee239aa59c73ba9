"""Cameras that come back at another address, and others that take their place."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from cli_support import server
from espressoscope.api import locator
from espressoscope.engine import whereabouts
from espressoscope.sim import SimulatedCamera, read_strip
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_still_without_a_stream_is_not_taken_by_another_camera(ports: list[int]) -> None:
    with camera_at(ports[0], 8) as simulated:
        cam = es.Camera(simulated.url).open()
        assert shown(cam.snap()) == 8
    time.sleep(0.5)  # as the break above
    with cam, camera_at(ports[0], 9) as other:
        for framesize in (None, "SVGA"):
            with pytest.raises(es.ConnectError, match="another camera answers"):
                cam.snap(framesize)
        assert not other.captured.total
        with camera_at(ports[1], 8):

            def found() -> bool:
                with contextlib.suppress(es.ConnectError):
                    return shown(cam.snap()) == 8
                return False

            wait_until(found, 20, what="a still of its own")
            assert cam.info.url == simulated_url(ports[1])


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


# ---- a camera that is elsewhere already when it is opened


def test_a_camera_that_has_moved_is_found_when_it_is_opened(
    ports: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with camera_at(ports[0], 11) as simulated:
        info = simulated.info
    with camera_at(ports[1], 11) as moved, caplog.at_level(logging.WARNING, "espressoscope"):
        began = time.monotonic()
        with es.Camera(info) as cam:
            assert time.monotonic() - began < 6
            assert (cam.info.url, cam.info.stream_url) == (moved.url, moved.stream_url)
            assert shown(cam.snap()) == 11
    assert f"has moved from {info.url} to {moved.url}" in caplog.text


def test_a_camera_whose_place_another_one_has_taken_is_found_when_it_is_opened(ports: list[int]) -> None:
    with camera_at(ports[0], 12) as simulated:
        info = simulated.info
    with camera_at(ports[0], 13), camera_at(ports[1], 12) as moved, es.Camera(info) as cam:
        assert cam.info.mac == moved.mac
        assert shown(cam.snap()) == 12


def test_a_camera_that_keeps_silent_is_looked_for_beside(ports: list[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        info = es.CameraInfo(
            "x", f"http://127.0.0.1:{silent.getsockname()[1]}", None, None, "unknown", "given"
        )
        with camera_at(ports[1], 14) as moved:
            began = time.monotonic()
            with es.Camera(replace(info, mac=moved.mac)) as cam:
                assert cam.info.url == moved.url
            assert time.monotonic() - began < 4.5, "it waited for the silent host"


def test_a_camera_of_which_only_the_mac_is_known_is_found(
    ports: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with camera_at(ports[0], 15) as simulated:
        (tmp_path / "lab.toml").write_text(f"[cameras.A1]\nmac = '{simulated.mac}'\n", encoding="utf-8")
        with es.Camera("A1") as cam:
            assert cam.info.url == simulated.url
        with es.Fleet.load() as fleet:
            assert fleet["A1"].info.url == simulated.url
    with pytest.raises(es.ConnectError, match="nobody knows where A1 is, and it was not found"):
        es.Camera("A1").open()


def test_members_swap_their_addresses(
    ports: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = es.FleetFile.load("lab.toml")
    with camera_at(ports[0], 16) as first, camera_at(ports[1], 17) as second:
        for name, simulated in (("A1", first), ("A2", second)):
            file.add(simulated.info, name)
    file.save()
    before = (tmp_path / "lab.toml").read_bytes()
    with camera_at(ports[1], 16), camera_at(ports[0], 17), es.Fleet.load() as fleet:
        frames = fleet.latest()
        assert {name: shown(frame) for name, frame in frames.items() if frame} == {"A1": 16, "A2": 17}
        assert fleet["A1"].info.url == simulated_url(ports[1])
    assert (tmp_path / "lab.toml").read_bytes() == before, "the user's file was rewritten unasked"


def test_looking_elsewhere_is_not_repeated_for_every_call(
    ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with camera_at(ports[0], 18) as simulated:
        info = simulated.info
    searches = []
    locate = locator.SearchLocator.locate

    async def counted(self: locator.SearchLocator, info: es.CameraInfo) -> str | None:
        searches.append(info.mac)
        return await locate(self, info)

    monkeypatch.setattr(locator.SearchLocator, "locate", counted)
    with es.Fleet([info]) as fleet:
        for _ in range(3):
            assert isinstance(fleet.set(quality=12)["Matchboxscope"], es.ConnectError)
    assert len(searches) == 1


def test_a_refused_password_is_no_reason_to_look_elsewhere(ports: list[int]) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with server(refuse) as where, camera_at(ports[0], 19) as simulated:
        info = replace(simulated.info, url=f"http://{where}")
        with pytest.raises(es.ConnectError) as caught:
            es.Camera(info).open()
    assert caught.value.reason is es.ConnectReason.AUTH


def test_another_camera_at_its_address_is_not_set(ports: list[int]) -> None:
    with camera_at(ports[0], 11) as simulated:
        cam = es.Camera(simulated.url).open()
    with cam, camera_at(ports[0], 12) as other:
        wait_until(lambda: cam._session is not None and cam._session._whereabouts.doubtful, what="doubt")
        with pytest.raises(es.ConnectError, match="another camera answers"):
            cam.set(quality=40)
        assert not any("/control" in line for line in other.requests)


@pytest.mark.parametrize("kind", ["trailing-comma", "truncated", "unescaped", "html", "empty", "unsigned"])
def test_a_camera_that_is_back_and_talks_nonsense_is_the_same_all_the_same(kind: str) -> None:
    with (
        SimulatedCamera(fps=20, framesize="QVGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
        cam.stream(timeout=20) as frames,
        simulated.fault("bad-json", kind=kind) as nonsense,
    ):
        next(frames)
        with simulated.fault("vanish"):
            time.sleep(0.5)
            back_ns = time.time_ns()
        for frame in frames:
            if frame.received_ns > back_ns + 300_000_000:
                break
        assert nonsense.hits, "it was asked who it is"
        assert cam.stats.reconnects == 1
        assert "another camera" not in cam.message
