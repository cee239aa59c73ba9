"""What boards tell of themselves, read from pages as they print them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from espressoscope.device.http import Response
from espressoscope.lab.doctor_board import Board, parse_dump, restarted
from espressoscope.wire.headers import Headers

DUMP = (
    b"<h1>ESP32 Cam Webserver</h1>\nName: Matchboxscope<br>\n"
    b"<h2>WiFi</h2>\nMode: Client<br>\nSSID: my lab<br>\n"
    b"Rssi: -71<br>\nBSSID: 02:00:5E:00:53:01<br>\nHttp port: 80, Stream port: 8081<br>\n"
    b"MAC: 24:6f:28:aa:bb:cc<br>\n<h2>System</h2>\nUp: 3:04:05:06 (d:h:m:s)<br>\n"
    b"Active streams: 1, Previous streams: 12, Images captured: 5<br>\n"
)
TASMOTA = b'{"StatusSTS":{"Uptime":"0T01:00:00","UptimeSec":3600,"Wifi":{"AP":1,"RSSI":96,"Signal":-52}}}'


def read(body: bytes) -> Board:
    return parse_dump(Response(200, "OK", Headers([]), body))


def test_a_page_for_people() -> None:
    board = read(DUMP)
    assert (board.mac, board.rssi_dbm, board.ssid) == ("24:6F:28:AA:BB:CC", -71, "my lab")
    assert board.uptime_s == ((3 * 24 + 4) * 60 + 5) * 60 + 6
    assert (board.viewers, board.stream_port, board.own_network) == (1, 8081, False)
    assert [finding.code for finding in (*board.radio(), *board.age())] == ["radio-fair", "running"]


def test_tasmotas_status() -> None:
    board = read(TASMOTA)
    assert (board.rssi_dbm, board.uptime_s) == (-52, 3600)


@pytest.mark.parametrize(
    ("rssi", "code"),
    [(-30, "radio"), (-67, "radio"), (-68, "radio-fair"), (-75, "radio-fair"), (-76, "radio-weak")],
)
def test_how_well_it_hears(rssi: int, code: str) -> None:
    assert [finding.code for finding in replace(read(b""), rssi_dbm=rssi).radio()] == [code]


def test_its_own_access_point() -> None:
    board = read(DUMP.replace(b"Mode: Client", b"Mode: AccessPoint").replace(b"Rssi: -71<br>\n", b""))
    assert [finding.code for finding in board.radio()] == ["own-network"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"Rssi: 0<br>",
        b"Rssi: 5<br>",
        b"Rssi: -999",
        b"Rssi: --<br>Up: x<br>",
        b"Stream port: 99999",
    ],
)
def test_what_says_nothing(body: bytes) -> None:
    board = read(body)
    assert list(board.radio()) == list(board.age()) == []
    assert board.stream_port is None


def test_a_page_that_is_an_attack() -> None:
    board = read(b"Rssi: -" + b"9" * 70_000 + b"SSID: " + b"\x1b[2J" * 50)
    assert board.rssi_dbm is None


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((100, 1000.0), (107, 1007.0), False),
        ((100, 1000.0), (105, 1007.9), False),  # whole seconds, and a slow answer
        ((100, 1000.0), (2, 1007.0), True),
        ((3, 1000.0), (6, 1007.0), True),
        ((None, 1000.0), (2, 1007.0), False),
        ((100, 1000.0), (None, 1007.0), False),
    ],
)
def test_a_restart_between_two_readings(
    first: tuple[int | None, float], second: tuple[int | None, float], wanted: bool
) -> None:
    boards = [Board(None, None, uptime_s, read_at_s) for uptime_s, read_at_s in (first, second)]
    assert restarted(*boards) is wanted
    assert not restarted(None, boards[1])
