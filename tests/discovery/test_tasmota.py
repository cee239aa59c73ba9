"""Tasmota is recognised by its own words, and no other host hears a command of its."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fake_hosts import found_at, hosting

from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from fake_hosts import Visit

    from espressoscope.model import CameraInfo

SERVER = "Server: Tasmota/13.1.0 (ESP32-D0WD-V3 v3.0)\r\n"
SETTINGS = '{"WC":{"Stream":1,"Resolution":8,"Mirror":0}}'
STATUS = (
    '{"Status":{"Module":1,"DeviceName":"Pond\\u001b[2J","FriendlyName":["Microscope"],"Topic":"tasmota_A1"},'
    '"StatusNET":{"Hostname":"tasmota-a1","Mac":"a0:b1:c2:d3:e4:f5","Webserver":2}}'
)


class Tasmota:
    def __init__(self, settings: str = SETTINGS, status: str = STATUS, code: str = "200 OK") -> None:
        self.answers = {b"/cm?cmnd=Wc": settings, b"/cm?cmnd=Status%200": status}
        self.code = code

    async def __call__(self, visit: Visit) -> None:
        answer = self.answers.get(visit.request.split()[1])
        if answer is None:
            await visit.answer(b"File Not Found\n\nURI: /status\n", "404 Not Found", SERVER)
        else:
            await visit.answer(answer.encode(), self.code, SERVER)


def search(serve: Tasmota) -> tuple[list[CameraInfo], list[str]]:
    async def check() -> tuple[list[CameraInfo], list[str]]:
        async with hosting(serve) as host:
            return await found_at([host.port], timeout_s=2), host.paths

    return asyncio.run(check())


def test_a_webcam_is_found_with_name_and_mac() -> None:
    (info,), paths = search(Tasmota())
    assert info.firmware == "tasmota"
    assert info.name == "Pond[2J"
    assert info.mac == "A0:B1:C2:D3:E4:F5"
    assert info.stream_url is not None
    assert info.stream_url.endswith("/stream")
    assert paths == ["/status", "/cm?cmnd=Wc", "/cm?cmnd=Status%200"]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ('{"Status":{"DeviceName":"","FriendlyName":["Microscope"],"Topic":"t"}}', "Microscope"),
        ('{"Status":{"FriendlyName":[""],"Topic":"tasmota_A1"}}', "tasmota_A1"),
        ('{"Status":{"FriendlyName":"Old"}}', "Old"),
        ('{s}Webcam Frame rate{m}8 FPS{e}{"Status":{"DeviceName":"Damaged"}}', "Damaged"),
        ('{"Status":{"DeviceName":"A \\"B\\" C"}}', 'A "B" C'),
        ("", "tasmota"),
        ("[]", "tasmota"),
        ('{"Status":{"DeviceName":"' + "x" * 70_000, "tasmota"),
    ],
)
def test_names(status: str, name: str) -> None:
    (info,), _ = search(Tasmota(status=status))
    assert info.name == name
    assert info.mac is None


@pytest.mark.parametrize(
    "settings", ['{"Command":"Unknown"}', '{"WC":{}}', '{"WC":5}', "[]", "", "<html></html>", "[" * 50_000]
)
def test_a_device_without_camera_is_not_listed(settings: str) -> None:
    found, paths = search(Tasmota(settings=settings))
    assert found == []
    assert paths == ["/status", "/cm?cmnd=Wc"]


def test_a_device_with_a_password_is_not_listed() -> None:
    warning = '{"WARNING":"Need user=<username>&password=<password>"}'
    for code in ("401 Unauthorized", "200 OK"):
        found, paths = search(Tasmota(settings=warning, code=code))
        assert found == []
        assert paths == ["/status", "/cm?cmnd=Wc"]


def test_the_simulated_one() -> None:
    with SimulatedCamera("tasmota", name="Kitchen") as cam:
        port = int(cam.url.rpartition(":")[2])
        (info,) = asyncio.run(found_at([port]))
        assert info.name == "Kitchen"
        assert info.mac == cam.mac
        assert info.stream_url == cam.stream_url
        assert not any("/stream" in line or "mjpeg" in line for line in cam.requests)
