"""The public Fleet against simulated cameras: membership, names, streams, settings, absent cameras."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera, read_strip, simulate
from support import steady_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def simulated() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=20, framesize="QVGA") as cameras:
        yield cameras


@pytest.fixture
def dead() -> Iterator[str]:
    """Give an address where nothing listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


def camera_number(frame: es.Frame) -> int:
    reading = read_strip(frame.image())
    assert reading is not None
    return reading.camera


def quick_camera(port: int = 0, number: int | None = None, **options: object) -> SimulatedCamera:
    return SimulatedCamera(port=port, fps=20, framesize="QVGA", number=number, side_delays=False, **options)  # type: ignore[arg-type]


# ---- members and names


def test_boards_of_one_name_get_the_end_of_their_mac(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet:
        expected = [f"Matchboxscope-{camera.mac.replace(':', '')[-6:]}" for camera in simulated]
        assert list(fleet) == list(fleet.names) == expected
        assert len(fleet) == 3
        for name, camera in zip(expected, simulated, strict=True):
            assert fleet[name].info.mac == camera.mac
            assert fleet[name].info.name == "Matchboxscope"
        with pytest.raises(KeyError, match="none of this fleet's cameras"):
            fleet["A1"]


def test_cameras_with_names_of_their_own_keep_them() -> None:
    with simulate(2, port=0, name="plate") as cameras, es.Fleet([each.info for each in cameras]) as fleet:
        assert fleet.names == ("plate-1", "plate-2")


def test_one_camera_given_twice_counts_once(simulated: list[SimulatedCamera]) -> None:
    urls = [simulated[0].url, simulated[1].url, simulated[0].url.replace("127.0.0.1", "localhost")]
    with es.Fleet([*urls, urls[0]]) as fleet:
        assert len(fleet) == 2
        assert fleet.add(urls[2]) == fleet.names[0]
        assert len(fleet) == 2


def test_a_string_is_one_camera(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(simulated[0].url) as fleet:
        assert fleet.names == ("Matchboxscope",)


def test_what_is_no_address_is_refused_at_once() -> None:
    with pytest.raises(es.ConnectError, match="not the address of a camera"):
        es.Fleet(["192.168.4.1", "not/an/address"])
    with pytest.raises(TypeError, match="not int"):
        es.Fleet([5])  # type: ignore[list-item]


def test_discover_can_be_given_as_it_is(simulated: list[SimulatedCamera]) -> None:
    ports = [camera.url.rpartition(":")[2] for camera in simulated]
    with es.Fleet(es.discover("127.0.0.1/32", ports)) as fleet:
        assert {camera.info.mac for camera in fleet.values()} == {camera.mac for camera in simulated}
        assert all(camera.info.found_by == "scan" for camera in fleet.values())


def test_cameras_join_and_leave(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet([simulated[0].url]) as fleet:
        fleet.start()
        second = fleet.add(simulated[1].url)
        assert second == f"Matchboxscope-{simulated[1].mac.replace(':', '')[-6:]}"
        assert fleet.add(simulated[2].url, "third") == "third"
        with pytest.raises(ValueError, match="taken"):
            fleet.add(simulated[2].url, "third")
        frames = fleet.latest()
        numbers = {name: camera_number(frame) for name, frame in frames.items() if frame is not None}
        assert numbers == dict(zip(fleet.names, [camera.number for camera in simulated], strict=True))
        assert {name: frame.camera for name, frame in frames.items() if frame} == {n: n for n in fleet.names}
        gone = fleet[second]
        fleet.remove(second)
        assert second not in fleet
        assert gone.stats.state == "stopped"
        assert list(fleet.latest()) == ["Matchboxscope", "third"]
    assert [name for name, figures in fleet.stats().items() if figures.state == "stopped"] == [*fleet.names]


def test_a_fleet_can_be_opened_again(simulated: list[SimulatedCamera]) -> None:
    fleet = es.Fleet([simulated[0].url])
    with pytest.raises(es.CameraError, match="not open"):
        fleet.start()
    with fleet:
        fleet.add(simulated[1].url)
        names = fleet.names
    fleet.close()
    with fleet:
        assert set(fleet.names) == {f"Matchboxscope-{c.mac.replace(':', '')[-6:]}" for c in simulated[:2]}
        assert names[1] in fleet
        assert all(frame is not None for frame in fleet.latest().values())


# ---- absent cameras


def test_a_camera_closed_alone_and_opened_again_is_what_it_was(simulated: list[SimulatedCamera]) -> None:
    shown: Counter[str] = Counter()
    with es.Fleet(camera.url for camera in simulated) as fleet:
        name = fleet.names[0]
        fleet.start()
        fleet.view(lambda frame, image: shown.update([frame.camera]), scale=8)
        sets = fleet.sets(tolerance_ms=500)
        wait_until(lambda: shown[name], what="its picture")
        fleet[name].close()
        assert fleet.messages()[name] == "it has been closed"
        with simulated[0].fault("refuse"), pytest.raises(es.ConnectError):
            fleet[name].open()
        assert fleet.stats()[name].state == "stopped"
        seen = shown[name]
        fleet[name].open()
        frame = wait_until(lambda: fleet.latest()[name], what="its stream")
        assert frame.camera == name
        wait_until(lambda: shown[name] > seen, what="its pictures in the view")
        wait_until(lambda: next(sets).frames[name], what="its frames in sets")
        fleet.remove(name)
        with es.Camera(simulated[0].url) as cam:
            assert cam.snap().camera == "Matchboxscope"


def test_a_generator_that_fails_makes_no_smaller_fleet(simulated: list[SimulatedCamera]) -> None:
    def failing() -> Iterator[str]:
        yield simulated[0].url
        raise OSError("the list is gone")

    fleet = es.Fleet(failing())
    with pytest.raises(OSError, match="the list is gone"):
        fleet.open()
    with pytest.raises(es.CameraError, match="the list is gone"):
        fleet.open()
    assert len(fleet) == 0


def test_a_name_that_is_none_costs_only_itself(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet([simulated[0].url, "nobody of this name"]) as fleet:
        first, nobody = fleet.names
        assert nobody == "nobody of this name"
        assert fleet.messages()[nobody]
        assert fleet.latest()[first] is not None
        assert fleet.latest()[nobody] is None
        assert isinstance(fleet.snap()[nobody], es.ConnectError)
    with pytest.raises(es.ConnectError, match="neither a camera of the fleet file nor an address"):
        es.Camera("nobody of this name").open()


def test_an_absent_camera_costs_only_itself(simulated: list[SimulatedCamera], dead: str) -> None:
    with es.Fleet([simulated[0].url, dead, simulated[1].url]) as fleet:
        assert fleet.names[1] == dead
        assert "nothing listens" in fleet.messages()[dead]
        for _ in range(3):
            frames = fleet.latest()
            assert [frame is not None for frame in frames.values()] == [True, False, True]
        assert fleet.stats()[dead].state in ("connecting", "backing off")
        wait_until(lambda: fleet.messages()[fleet.names[0]] == "", what="no message for a healthy camera")
        report = fleet.set(quality=20)
        assert isinstance(report[dead], es.ConnectError)
        assert [report[name]["quality"].actual for name in (fleet.names[0], fleet.names[2])] == [20, 20]  # type: ignore[index,call-overload]
        pictures = fleet.snap()
        assert isinstance(pictures[dead], es.ConnectError)
        assert sum(isinstance(picture, es.Frame) for picture in pictures.values()) == 2
        with pytest.raises(es.ConnectError):
            fleet[dead].status()
        fleet.stop()
        assert "nothing listens" in fleet.messages()[dead]


def test_a_camera_that_is_switched_on_later_joins() -> None:
    port = steady_port()
    with quick_camera(port) as early:
        info = early.info
    with es.Fleet([info]) as fleet:
        (name,) = fleet.names
        assert name == "Matchboxscope"
        fleet.start()
        assert fleet.latest() == {name: None}
        with quick_camera(port, number=early.number) as late:
            frame = wait_until(lambda: fleet.latest()[name], 30, what="frames of the camera switched on")
            assert camera_number(frame) == late.number
            assert fleet[name].settings["framesize"].value == "QVGA"
            wait_until(lambda: fleet.messages()[name] == "", what="no message")


def test_figures_by_name(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet:
        assert {figures.state for figures in fleet.stats().values()} == {"stopped"}
        fleet.start()
        wait_until(lambda: all(figures.frames > 5 for figures in fleet.stats().values()), what="frames")
        assert {figures.width for figures in fleet.stats().values()} == {320}
        fleet.stop()
        assert {figures.state for figures in fleet.stats().values()} == {"stopped"}
        frames = fleet.latest()
        assert None not in frames.values()


def test_streams_of_others_outlive_stop(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet([simulated[0].url, simulated[1].url]) as fleet:
        first, second = fleet.names
        fleet.start()
        with fleet[first].stream() as frames:
            next(frames)
            fleet.stop()
            assert fleet.stats()[second].state == "stopped"
            before = next(frames).sequence
            assert next(frames).sequence > before


# ---- settings


def test_set_on_all_reports_each(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet:
        report = fleet.set(framesize="VGA", brightness=1)
        for result in report.values():
            assert not isinstance(result, es.CameraError)
            assert result["framesize"] == es.SetResult("VGA", "VGA", ok=True)
            assert result["brightness"].ok
        assert [camera.sensor.width for camera in simulated] == [640] * 3


def test_what_no_camera_can_take_is_wrong_use(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet:
        with pytest.raises(es.SettingError, match="qualty"):
            fleet.set(qualty=3)
        with pytest.raises(es.SettingError):
            fleet.set(quality=300)
        assert not any("/control" in line for camera in simulated for line in camera.requests)


def test_strict_makes_errors_of_refusals_of_each() -> None:
    with (
        SimulatedCamera(fps=10, framesize="QVGA") as able,
        SimulatedCamera("camerawebserver", fps=10, framesize="QVGA") as unable,
        es.Fleet([able.url, unable.url]) as fleet,
    ):
        first, second = fleet.names
        assert fleet.set(strict=False, quality=20)[first]["quality"].ok  # type: ignore[index,call-overload]
        stream = fleet[second].stream("mjpeg")
        report = fleet.set(strict=True, fps_limit=5)
        assert report[first]["fps_limit"].ok  # type: ignore[index]
        assert isinstance(report[second], es.SettingError)
        stream.close()


def test_a_timeout_that_is_no_number_is_refused(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet([simulated[0].url]) as fleet:
        cam = fleet[fleet.names[0]]
        for call in (fleet.sets, fleet.latest, cam.latest, cam.stream):
            with pytest.raises(ValueError, match="timeout"):
                call(timeout=math.nan)
        assert cam.stats.state == "stopped"


def test_what_one_camera_lacks_is_reported() -> None:
    with (
        quick_camera() as first,
        SimulatedCamera("tasmota", fps=20) as second,
        es.Fleet([first.url, second.url]) as fleet,
    ):
        report = fleet.set(quality=20)
        assert report[fleet.names[0]]["quality"].ok  # type: ignore[index,call-overload]
        assert isinstance(report[fleet.names[1]], es.SettingError)


def test_an_automatic_exposure_is_not_copied(simulated: list[SimulatedCamera]) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet:
        lock = fleet.lock_exposure(to=fleet.names[0])
        assert set(lock.unequal) == {"exposure", "gain", "white balance"}
        assert "cannot be read back" in lock.unequal["exposure"]
        assert not lock.ok
        assert lock.values == {}
        assert not any("/control" in line for camera in simulated for line in camera.requests)
        with pytest.raises(KeyError):
            fleet.lock_exposure(to="nobody")


def test_a_manual_exposure_is_copied_to_all(simulated: list[SimulatedCamera], dead: str) -> None:
    with es.Fleet(camera.url for camera in simulated) as fleet:
        first, *others = fleet.names
        fleet[first].set(aec=False, aec_value=321, agc=False, agc_gain=7, wb_mode="office")
        lock = fleet.lock_exposure(to=first)
        assert lock.ok
        assert lock.unequal == {}
        assert set(lock.results) == set(others)
        for name in others:
            status = fleet[name].status()
            assert (status["aec"], status["aec_value"]) == (False, 321)
            assert (status["agc"], status["agc_gain"]) == (False, 7)
            assert (status["awb"], status["awb_gain"], status["wb_mode"]) == (True, True, "office")
        fleet.add(dead)
        lock = fleet.lock_exposure(to=first)
        assert isinstance(lock.results[dead], es.ConnectError)
        assert not lock.ok


# ---- ends


def test_close_ends_calls_that_wait(dead: str) -> None:
    with quick_camera() as camera, camera.fault("silent-second"):
        fleet = es.Fleet([camera.url]).open()
        ended: list[object] = []

        def wait() -> None:
            try:
                ended.append(fleet.snap())
            except es.CameraError as error:
                ended.append(error)

        fleet.start()
        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: fleet._pending, what="the call to wait")
        fleet.close()
        thread.join(5)
        assert len(ended) == 1
        assert isinstance(ended[0], es.CameraError | dict)


def test_a_fleet_left_open_says_so(simulated: list[SimulatedCamera]) -> None:
    fleet = es.Fleet([simulated[0].url]).open()
    with pytest.warns(ResourceWarning, match="never closed"):
        fleet.__del__()
    del fleet


def test_what_opening_has_told_of_a_camera_spares_the_first_latest_the_wait(
    simulated: list[SimulatedCamera],
) -> None:
    with socket.socket() as silent:  # accepts, and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with es.Fleet([simulated[0].url, address]) as fleet:
            assert "no whole answer" in fleet.messages()[address]
            began = time.monotonic()
            frames = fleet.latest()
            assert time.monotonic() - began < 3.0
            assert frames[fleet.names[0]] is not None
            assert frames[address] is None
            assert "no whole answer" in fleet.messages()[address]
