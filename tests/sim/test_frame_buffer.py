"""Pictures that outgrow the room allotted for one at boot: the driver's ``FB-OVF``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from sim_clients import ChunkedStream, Wire, control, get

from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from espressoscope.sim.device import Device


def device_of(camera: SimulatedCamera, wait_s: float) -> Device:
    assert camera._board is not None
    device = camera._board.device
    assert device.frame_wait_s in (4.0, 5.0)
    device.frame_wait_s = wait_s
    return device


def test_matchboxscope_at_uxga_and_best_quality_gives_none_until_it_is_coarser() -> None:
    with SimulatedCamera(side_delays=False) as camera:
        device = device_of(camera, 0.3)
        assert device.frame_room == 96_000
        assert control(camera, "framesize", 13) == control(camera, "quality", 2) == 200
        with Wire(camera.url) as wire:
            # The picture begun before the change may still come.
            answer = wire.get("/capture")
            if answer.status == 200:
                answer = wire.get("/capture")
            assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (500, None)
            assert wire.ending(2) == "fin"
        with ChunkedStream(camera.stream_url) as stream:
            assert stream.head.startswith(b"HTTP/1.1 200 OK\r\n")
            rest = stream.rest_until_silent(5)
            assert rest == b"24\r\n\r\n--123456789000000000000987654321\r\n\r\n"
        assert control(camera, "quality", 12) == 200
        with ChunkedStream(camera.stream_url) as stream:
            assert b"Content-Type: image/jpeg" in stream.frame()[0]
        assert get(camera.url, "/capture").status == 200


def test_the_driver_waits_four_seconds() -> None:
    with SimulatedCamera(framesize="QQVGA", fps=0, side_delays=False) as camera:
        assert camera._board is not None
        camera._board.device.frame_room = 100
        began = time.monotonic()
        assert get(camera.url, "/capture").status == 500
        assert 4.0 <= time.monotonic() - began < 6.0


@pytest.mark.parametrize(
    ("firmware", "rest"),
    [
        ("camerawebserver", b""),
        (
            "esphome",
            b"--123456789000000000000987654321\r\nContent-Type: text/plain\r\n\r\nNo frames send.\r\n"
            b"--123456789000000000000987654321\r\n",
        ),
        ("tasmota", b""),
    ],
)
@pytest.mark.parametrize("prerender", [False, True])
def test_streams_without_a_picture_close(firmware: str, rest: bytes, prerender: bool) -> None:
    with SimulatedCamera(firmware, framesize="QQVGA", fps=0, prerender=prerender) as camera:
        device_of(camera, 0.1).frame_room = 100
        with Wire(camera.stream_url) as wire:
            wire.ask(urlsplit(camera.stream_url).path)
            wire.read_past(b"\r\n\r\n")
            assert wire.read(1000) == rest
        assert camera.sent.total == 0
        if firmware == "camerawebserver":
            assert get(camera.url, "/capture").status == get(camera.url, "/bmp").status == 500
