"""Where a camera's stream is, and what its MAC is: believed as far as it can know it, no further."""

from __future__ import annotations

import pytest

from espressoscope.device.address import Address
from espressoscope.device.identify import mac_from_dump, settings_in, stream_address
from espressoscope.device.settings import SettingTable
from espressoscope.tables.firmware import family_of

BASE = Address("10.0.0.7", 80)


@pytest.mark.parametrize(
    ("claimed", "url"),
    [
        ("http://192.168.137.69:81/", "http://10.0.0.7:81/"),
        ("http://cam.local:8082/mjpeg/1", "http://10.0.0.7:8082/mjpeg/1"),
        ("http://evil.example/stream", "http://10.0.0.7/stream"),
        ("http://10.0.0.7:99999/", "http://10.0.0.7:81/"),
        ("http://[broken/", "http://10.0.0.7:81/"),
        ("http://10.0.0.7:81/a b\r\nX: y", "http://10.0.0.7:81/"),
        ("ftp://10.0.0.7/", "http://10.0.0.7:81/"),
        (81, "http://10.0.0.7:81/"),
        (None, "http://10.0.0.7:81/"),
    ],
)
def test_a_stream_url_is_believed_for_port_and_path_only(claimed: object, url: str) -> None:
    status = {} if claimed is None else {"stream_url": claimed}
    address = stream_address(BASE, family_of("matchboxscope"), status)
    assert address is not None
    assert address.url == url


@pytest.mark.parametrize(
    ("firmware", "port", "url"),
    [
        ("camerawebserver", 80, "http://10.0.0.7:81/stream"),
        ("camerawebserver", 8080, "http://10.0.0.7:8081/stream"),
        ("tasmota", 80, "http://10.0.0.7:81/stream"),
        ("esphome", 8080, "http://10.0.0.7:8080/"),
    ],
)
def test_firmwares_that_say_nothing_stream_one_port_above(firmware: str, port: int, url: str) -> None:
    address = stream_address(Address("10.0.0.7", port), family_of(firmware), {})
    assert address is not None
    assert address.url == url


@pytest.mark.parametrize(
    ("page", "mac"),
    [
        (b"IP: 10.0.0.7<br>\nMAC: a0:b1:c2:d3:e4:f5<br>", "A0:B1:C2:D3:E4:F5"),
        (b"<b>MAC:</b> A0-B1-C2-D3-E4-F5", "A0:B1:C2:D3:E4:F5"),
        (b"MAC: none", None),
        (b"", None),
        (b"MAC: 00:00:00:00:00:00<br>", None),
        (b"MAC: ff:ff:ff:ff:ff:ff<br>", None),
    ],
)
def test_the_mac_is_read_from_the_dump_page(page: bytes, mac: str | None) -> None:
    assert mac_from_dump(page) == mac


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"WC":{"Resolution":8,"Mirror":1}}', {"Resolution": 8, "Mirror": 1}),
        (b'{"WC":{"Resolution":NaN,"Mirror":Infinity}}', {"Resolution": None, "Mirror": None}),
        (b'{s}Webcam Frame rate{m}0.0 FPS{e}{"WC":{"Resolution":8}}', {"Resolution": 8}),
        (b'{"Command":"Unknown"}', {}),
    ],
)
def test_what_a_tasmota_tells_of_its_camera(answer: bytes, told: dict[str, object]) -> None:
    family = family_of("tasmota")
    settings = settings_in(answer, family)
    assert settings == told
    table = SettingTable(family, "OV2640", "cam")
    table.update(settings)
    assert table.settings()["framesize"].value == ("VGA" if told.get("Resolution") else None)
