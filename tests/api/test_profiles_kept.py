"""Profiles taken from cameras, given to them, compared, given again after a restart; the lamp that blinks."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.engine import whereabouts
from espressoscope.sim import SimulatedCamera, simulate
from espressoscope.tables.firmware import FAMILIES
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAF = {"framesize": "QQVGA", "quality": 20, "aec": False, "aec_value": 300, "lamp": 40}


def quick_camera(firmware: str = "matchboxscope", **options: object) -> SimulatedCamera:
    return SimulatedCamera(firmware, fps=20, side_delays=False, boot_s=0.5, **options)  # type: ignore[arg-type]


@pytest.fixture
def simulated() -> Iterator[SimulatedCamera]:
    with quick_camera(framesize="QVGA") as camera:
        yield camera


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whereabouts, "_DOUBT_AFTER_S", 0.2)


def controls(camera: SimulatedCamera) -> list[str]:
    return [line.split("var=")[1].split(" ")[0] for line in camera.requests if "/control?" in line]


# ---- taking, giving, comparing


@pytest.mark.parametrize("firmware", [name for name, family in FAMILIES.items() if family.control != "none"])
def test_a_profile_taken_can_be_given_back(firmware: str) -> None:
    with quick_camera(firmware) as first, es.Camera(first.url) as cam:
        profile = cam.take_profile()
        assert {"framesize", "aec", "agc_gain", "awb"} <= set(profile)
        assert not {"fps_limit", "rotate", "timelapse", "focus_speed"} & set(profile)
        assert all(result.ok for result in cam.apply_profile(profile).values())
        cam.set(brightness=2, hmirror=True, framesize="QQVGA")
        different = cam.compare_profile(profile)
        assert list(different) == list(profile)
        assert {name for name, result in different.items() if not result.ok} == {
            "brightness",
            "hmirror",
            "framesize",
        }
        assert different["brightness"] == es.SetResult(
            profile["brightness"], 2, ok=False, message=f"wanted {profile['brightness']}, the camera has 2"
        )
        assert all(result.ok for result in cam.apply_profile(profile).values())
        assert all(result.ok for result in cam.compare_profile(profile).values())
        assert cam.take_profile() == profile


def test_only_what_differs_is_sent_in_the_order_of_the_sensor(simulated: SimulatedCamera) -> None:
    profile = {
        "lamp": 40,
        "aec_value": 300,
        "brightness": 0,
        "aec": "off",
        "framesize": "qqvga",
        "neopixel": 9,
    }
    with es.Camera(simulated.url) as cam:
        report = cam.apply_profile(profile)
        assert [line.partition("&")[0] for line in controls(simulated)] == [
            "framesize", "aec", "aec_value", "lamp", "neopixel",
        ]  # fmt: skip
        assert list(report) == list(profile)
        assert all(result.ok for result in report.values())
        assert report["aec"] == es.SetResult("off", False, ok=True)
        before = len(controls(simulated))
        assert all(result.ok for result in cam.apply_profile(profile).values())
        assert controls(simulated)[before:] == ["neopixel&val=9"], "what it does not tell is sent each time"


def test_what_a_camera_cannot_have_is_reported_and_the_rest_is_given(simulated: SimulatedCamera) -> None:
    profile = {**LEAF, "brightness": 9, "sharpness": 2, "framesize": "5MP"}
    with es.Camera(simulated.url) as cam:
        report = cam.apply_profile(profile)
    assert {name for name, result in report.items() if not result.ok} == {
        "brightness",
        "sharpness",
        "framesize",
    }
    assert report["sharpness"] == es.SetResult(2, None, ok=False, message="it has no setting 'sharpness'")
    assert "cannot be" in report["brightness"].message
    assert simulated.sensor["quality"] == 20


def test_a_setting_that_does_not_take_is_reported(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        report = cam.apply_profile({"fps_limit": 60, "quality": 13})
        assert report["fps_limit"].ok
        assert cam.compare_profile({"fps_limit": 60})["fps_limit"].ok
        assert not cam.compare_profile({"fps_limit": 5})["fps_limit"].ok
        assert "0.5" in cam.compare_profile({"fps_limit": 0.1})["fps_limit"].message


def test_cameras_without_settings_or_profile_say_so(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        for use in (cam.apply_profile, cam.compare_profile):
            with pytest.raises(es.UnsupportedError, match="it has no profile"):
                use()
            with pytest.raises(es.UnsupportedError, match="this profile is empty"):
                use({})
            with pytest.raises(KeyError, match="has no profile 'leaf'"):
                use("leaf")
    with quick_camera("esphome") as bare, es.Camera(bare.url) as cam:
        with pytest.raises(es.UnsupportedError):
            cam.take_profile()
        with pytest.raises(es.UnsupportedError):
            cam.apply_profile(LEAF)


def test_profiles_by_name_and_the_own_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = es.FleetFile.load("lab.toml")
    file.put_profile("leaf", LEAF)
    file.put_profile("root", {"quality": 30})
    with simulate(3, port=0, framesize="QVGA") as cameras:
        for name, camera, profile in zip(("A1", "A2", "A3"), cameras, ("leaf", "root", None), strict=True):
            file.add(camera.info, name)
            file.set_profile(name, profile)
        file.save()
        with es.Fleet.load() as fleet:
            report = fleet.compare_profile()
            assert isinstance(report["A3"], es.UnsupportedError)
            assert set(report["A1"]) == set(LEAF)  # type: ignore[arg-type]
            report = fleet.apply_profile()
            assert [camera.sensor["quality"] for camera in cameras] == [20, 30, 12]
            report = fleet.apply_profile("LEAF")
            assert all(result.ok for each in report.values() for result in each.values())  # type: ignore[union-attr]
            assert [camera.sensor["quality"] for camera in cameras] == [20, 20, 20]
            with pytest.raises(KeyError):
                fleet.apply_profile("stem")
        with es.Camera("A2") as cam:
            assert cam.apply_profile()["quality"] == es.SetResult(30, 30, ok=True)
            assert cam.apply_profile("leaf")["quality"] == es.SetResult(20, 20, ok=True)


# ---- kept over a restart


def restart(camera: SimulatedCamera) -> None:
    before = camera.reboots
    with camera.fault("reboot"):
        wait_until(lambda: camera.reboots > before, 20, what="a restart")


def test_a_kept_profile_is_given_again_after_a_restart(
    simulated: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    with es.Camera(simulated.url) as cam:
        assert all(result.ok for result in cam.apply_profile(LEAF, keep=True).values())
        cam.set(quality=25)  # on purpose: this is what it is to keep now
        with cam.stream(timeout=30) as frames, caplog.at_level(logging.WARNING, "espressoscope"):
            wait_until(lambda: next(frames).width == 160, what="frames of the new size")
            restart(simulated)
            assert simulated.sensor.width == 320, "the board forgot"
            wait_until(lambda: next(frames) and cam.stats.reconnects, 30, what="frames again")
            assert [next(frames).width for _ in range(5)][2:] == [160, 160, 160]
        assert (simulated.sensor["quality"], simulated.sensor["aec_value"]) == (25, 300)
        assert all(result.ok for result in cam.compare_profile({**LEAF, "quality": 25}).values())
    assert "had lost settings, as a restart does" in caplog.text


def test_what_is_set_on_purpose_is_kept_by_whatever_name(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.apply_profile({"min_frame_time": 0, "autofocus_interval": 3, "quality": 20}, keep=True)
        cam.set(fps_limit=10, autofocusInterval=5)
        restart(simulated)
        cam.snap()
        assert (simulated.sensor["min_frame_time"], simulated.sensor["autofocusInterval"]) == (100, 5)
        assert simulated.sensor["quality"] == 20


def test_a_profile_that_is_not_to_be_kept_is_not(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.apply_profile(LEAF)
        with cam.stream(timeout=30) as frames:
            next(frames)
            restart(simulated)
            wait_until(lambda: next(frames) and cam.stats.reconnects, 30, what="frames again")
        assert simulated.sensor.width == 320


def test_stills_and_single_pictures_keep_it_too(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.apply_profile(LEAF, keep=True)
        assert cam.snap().width == 160
        restart(simulated)
        assert cam.snap().width == 160
        restart(simulated)
        with cam.stream("snapshots", interval=0.05) as frames:
            assert next(frames).width == 160


def test_a_restart_that_was_asked_for_keeps_it(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.apply_profile(LEAF, keep=True)
        cam.reboot()
        assert simulated.reboots == 1
        assert simulated.sensor["quality"] == 20


def test_the_fleet_file_says_whose_profile_is_kept(
    simulated: SimulatedCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = es.FleetFile.load("lab.toml")
    file.add(simulated.info, "A1")
    file.put_profile("leaf", LEAF)
    file.set_profile("A1", "leaf", keep=True)
    file.save()
    with es.Camera("A1") as cam:
        assert cam.settings["quality"].value == 12
        assert not cam.compare_profile()["quality"].ok, "to open and to look changes nothing"
        assert controls(simulated) == []
        assert cam.snap().width == 160, "pictures are taken with it"
        assert simulated.sensor["quality"] == 20
    file.set_profile("A1", "leaf", keep=False)
    file.save()
    simulated.sensor.set("quality", 50)
    with es.Camera("A1") as cam:
        cam.snap()
        assert simulated.sensor["quality"] == 50


@pytest.mark.parametrize("begin", ["snap", "stream"])
def test_a_kept_limit_that_single_pictures_keep_is_there_from_the_first(
    begin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with quick_camera("camerawebserver") as camera:
        file = es.FleetFile.load("lab.toml")
        file.add(camera.info, "A1")
        file.put_profile("slow", {"fps_limit": 20})
        file.set_profile("A1", "slow", keep=True)
        file.save()
        with es.Camera("A1") as cam:
            assert cam.settings["fps_limit"].value == 0
            ends = threading.Timer(15, cam.close)
            ends.start()
            try:
                if begin == "snap":
                    cam.snap()
                else:
                    with cam.stream(timeout=8) as frames:
                        next(frames)
                        assert cam.stats.state == "live"
                        next(frames)
            finally:
                ends.cancel()
            assert cam.settings["fps_limit"].value == 20
        assert camera.captured
        assert not camera.sent.total, "no stream, which nothing would slow"


# ---- the lamp


def lamps(camera: SimulatedCamera) -> list[int]:
    return [
        int(line.rpartition("=")[2])
        for line in controls(camera)
        if line.startswith(("lamp&", "led_intensity&"))
    ]


@pytest.mark.parametrize("firmware", ["matchboxscope", "camerawebserver"])
def test_the_lamp_blinks_and_is_as_it_was(firmware: str) -> None:
    with quick_camera(firmware) as camera, es.Camera(camera.url) as cam:
        cam.blink(times=2, pause=0.01)
        bright, *rest = lamps(camera)
        assert bright > 10
        assert rest == [0, bright, 0, 0]
        cam.set(lamp=70)
        cam.blink(times=1, pause=0.01)
        assert lamps(camera)[-3:] == [0, 70, 70]
        with pytest.raises(ValueError, match="positive"):
            cam.blink(0)


def test_an_automatic_lamp_is_automatic_again(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        cam.set(autolamp=True, lamp=30)
        cam.blink(times=1, pause=0.01)
        assert cam.status()["autolamp"] is True
        assert cam.status()["lamp"] == 30


@pytest.mark.parametrize("firmware", ["tasmota", "easytarget"])
def test_a_board_without_a_lamp_says_so(firmware: str) -> None:
    with quick_camera(firmware) as camera:
        if firmware == "easytarget":
            camera.sensor._values["lamp"] = -1
        with (
            es.Camera(camera.url) as cam,
            pytest.raises(es.UnsupportedError, match="no lamp that could blink"),
        ):
            cam.blink()
        assert lamps(camera) == []


def test_what_breaks_off_the_blinking_leaves_the_lamp_as_it_was(
    simulated: SimulatedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    from espressoscope.api import blink

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(blink.time, "sleep", interrupted)
    with es.Camera(simulated.url) as cam:
        cam.set(lamp=7)
        with pytest.raises(KeyboardInterrupt):
            cam.blink()
        assert simulated.sensor["lamp"] == 7
