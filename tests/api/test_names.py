"""Cameras by their names in the fleet file."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def simulated() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=20, framesize="QVGA") as cameras:
        yield cameras


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: list[SimulatedCamera]) -> Path:
    """Give a fleet file in the present folder: A1, B 2 and Küche."""
    monkeypatch.chdir(tmp_path)
    file = es.FleetFile.load("lab.toml")
    for name, camera in zip(("A1", "B 2", "Küche"), simulated, strict=True):
        file.add(camera.info, name)
    file.save()
    return tmp_path / "lab.toml"


@pytest.mark.usefixtures("lab")
def test_a_camera_is_opened_by_its_name(simulated: list[SimulatedCamera]) -> None:
    for name, camera in zip(("A1", "b 2", "KÜCHE"), simulated, strict=True):
        with es.Camera(name) as cam:
            assert cam.info.mac == camera.mac
            assert cam.info.url == camera.url
            assert cam.info.name.casefold() == name.casefold()
            assert cam.snap().camera == cam.latest().camera == cam.info.name


@pytest.mark.usefixtures("lab")
def test_nothing_is_read_before_it_is_opened(lab: Path) -> None:
    lab.write_text("broken", encoding="utf-8")
    cameras = [es.Camera(name) for name in ("A1", "no such name", "cam.local", "127.0.0.1:1")]
    assert repr(cameras[1]) == "<Camera no such name: closed>"
    es.Fleet(["A1", "B 2"])
    for camera in cameras[:3]:
        with pytest.raises(es.FleetFileError) as caught:
            camera.open()
        assert (caught.value.path, caught.value.line) == ("lab.toml", 1)
    with pytest.raises(es.ConnectError, match="nothing listens"):
        cameras[3].open()
    with pytest.raises(es.FleetFileError):
        es.Fleet(["A1"]).open()


@pytest.mark.usefixtures("lab")
def test_addresses_do_not_lead_to_the_file(lab: Path, simulated: list[SimulatedCamera]) -> None:
    lab.write_text("broken", encoding="utf-8")
    for address in (simulated[0].url, simulated[0].url.removeprefix("http://")):
        with es.Camera(address) as cam:
            assert cam.info.mac == simulated[0].mac


def test_what_is_no_address_and_no_name_is_refused_at_once() -> None:
    for text in ("", "a/b", "ftp://x", "http://", "cam:99999", "a\x1bb", "CON:", "u:p@ü"):
        with pytest.raises((es.ConnectError, es.UnsupportedError)):
            es.Camera(text)
    for thing in (None, 5, b"A1", ["A1"]):
        with pytest.raises(TypeError, match="a camera is an address, a name or a CameraInfo"):
            es.Camera(thing)  # type: ignore[arg-type]


@pytest.mark.usefixtures("lab")
def test_an_unknown_name_is_told_with_those_there_are() -> None:
    for name, says in (
        ("A 9", "has A1, B 2, Küche"),
        ("Küchen Licht", "has A1"),
        ("B2 ", "Did you mean B 2"),
    ):
        with pytest.raises(es.ConnectError) as caught:
            es.Camera(name).open()
        assert caught.value.reason is es.ConnectReason.UNRESOLVED
        assert says in str(caught.value)
    with es.Fleet(["A1", "B  2"]) as fleet:
        assert "neither a camera of the fleet file" in fleet.messages()["B  2"]
        with pytest.raises(es.ConnectError, match="Did you mean B 2"):
            fleet["B  2"].status()
    with es.Fleet(["A1", "nosuchcamera"]) as fleet:
        assert "A1" in fleet
        assert "No camera of the fleet file has this name" in str(
            fleet["nosuchcamera"]._session.link.last_error
        )  # type: ignore[union-attr]


def test_without_any_names_it_says_how_to_give_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(es.ConnectError, match="There are no names yet: `espressoscope fleet add`") as told:
        es.Camera("plate 1").open()
    assert "Until then give the address" in str(told.value)


@pytest.mark.usefixtures("lab")
def test_a_name_wins_over_a_host_of_the_same_name(simulated: list[SimulatedCamera]) -> None:
    file = es.FleetFile.load()
    file.rename("A1", "localhost")
    file.save()
    with es.Camera("localhost") as cam:
        assert cam.info.mac == simulated[0].mac
    with es.Camera(f"localhost:{simulated[1].url.rpartition(':')[2]}") as cam:
        assert cam.info.mac == simulated[1].mac


@pytest.mark.usefixtures("lab")
def test_a_fleet_of_names_and_addresses(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(["Küche", simulated[0].url, "B 2", "b 2"]) as fleet:
        assert fleet.names == ("Küche", "Matchboxscope", "B 2")
        assert fleet.add("A1") == "Matchboxscope", "it is in the fleet already"
        assert {name: frame.camera for name, frame in fleet.latest().items() if frame} == {
            n: n for n in fleet
        }


def test_a_fleet_is_loaded_from_its_file(lab: Path, simulated: list[SimulatedCamera], tmp_path: Path) -> None:
    for path in (lab, str(lab), None):
        fleet = es.Fleet.load(path)
    with fleet:
        assert fleet.names == ("A1", "B 2", "Küche")
        assert [camera.info.mac for camera in fleet.values()] == [camera.mac for camera in simulated]
    with pytest.raises(es.FleetFileError, match="there is no such file"):
        es.Fleet.load(tmp_path / "other.toml")
    member = es.FleetFile.load(lab).members["B 2"]
    with es.Camera(member) as cam:
        assert cam.info.name == "B 2"


def test_a_name_of_the_file_stays_whatever_others_call_themselves(lab: Path) -> None:
    with SimulatedCamera(name="A1", fps=20, framesize="QQVGA") as impostor:
        end = impostor.mac.replace(":", "")[-6:]
        for cameras in (["A1", impostor.url], [impostor.url, "A1"]):
            with es.Fleet(cameras) as fleet:
                assert set(fleet.names) == {"A1", f"A1-{end}"}
                assert fleet["A1"].info.mac != impostor.mac


def test_a_password_of_the_file_is_used_and_not_shown(lab: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        port = listening.getsockname()[1]
        lab.write_text(f"[cameras.x]\nurl = 'http://me:sEcReT@127.0.0.1:{port}'\n", encoding="utf-8")
        cam = es.Camera("x")
        errors: list[es.CameraError] = []

        def opened() -> None:
            try:
                cam.open()
            except es.CameraError as error:
                errors.append(error)

        thread = threading.Thread(target=opened)
        thread.start()
        connection, _ = listening.accept()
        with connection:
            request = connection.recv(4096)
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        thread.join(20)
    assert b"Authorization: Basic bWU6c0VjUmVU" in request
    assert errors[0].reason is es.ConnectReason.AUTH  # type: ignore[attr-defined]
    assert "sEcReT" not in str(errors[0]) + repr(cam)


def test_two_members_last_seen_at_one_address_stay_two(lab: Path, simulated: list[SimulatedCamera]) -> None:
    text = lab.read_text(encoding="utf-8").replace(simulated[1].url, simulated[0].url)
    lab.write_text(text, encoding="utf-8")
    with es.Fleet(["A1", "B 2"]) as fleet:
        assert fleet.names == ("A1", "B 2")
        assert fleet.messages()["A1"] == ""
