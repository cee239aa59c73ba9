"""Which cameras are the same one, and whose MAC is believed."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING

from espressoscope.discovery.census import Census
from espressoscope.discovery.neighbours import Neighbours
from espressoscope.discovery.networks import Link
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

LAN = Link("wlan0", ipaddress.IPv4Address("10.0.0.2"), ipaddress.IPv4Network("10.0.0.0/24"))
ACCESS_POINT = Link("wlan0", ipaddress.IPv4Address("192.168.4.2"), ipaddress.IPv4Network("192.168.4.0/24"))
A, B = "A4:CF:12:00:00:0A", "A4:CF:12:00:00:0B"


class Table(Neighbours):
    """A table of neighbours that says what it is told to."""

    def __init__(self, macs: Mapping[str, str], link: Link = LAN) -> None:
        super().__init__([link])
        self.table = macs

    async def macs(self) -> Mapping[str, str]:
        return self.table


def census(*, link: Link = LAN, **macs: str) -> Census:
    return Census(Table({host.replace("_", ".").strip("."): mac for host, mac in macs.items()}, link))


def enter(where: Census, host: str, mac: str | None = None, port: int = 80) -> str | None:
    """Enter the camera there; give its MAC, ``"?"`` where none is known, None when it is not a new one."""
    where.seen(host)
    info = CameraInfo("cam", f"http://{host}:{port}", None, mac, "camerawebserver", "scan")
    entered = asyncio.run(where.enter(info, host, port))
    return None if entered is None else entered.mac or "?"


def test_a_camera_that_tells_its_mac_is_one_at_all_its_addresses() -> None:
    here = census(_10_0_0_5=B)
    assert enter(here, "10.0.0.5", A) == A
    assert enter(here, "192.168.9.5", A) is None
    assert enter(here, "10.0.0.5", A, 8080) is None
    assert here.found == 1


def test_a_camera_that_does_not_has_that_of_its_neighbour() -> None:
    here = census(_10_0_0_5=A, _10_0_0_6=B)
    assert enter(here, "10.0.0.5") == A
    assert enter(here, "10.0.0.6") == B
    assert enter(here, "10.0.0.7") == "?"
    assert enter(here, "10.0.0.8", "00:00:00:00:00:00") == "?"
    assert here.found == 4


def test_a_router_lends_no_mac_to_what_is_behind_it() -> None:
    here = census(_10_0_0_1=A, _192_168_9_5=A)
    assert enter(here, "192.168.9.5") == "?"


def test_another_port_may_be_another_server_of_the_same_computer() -> None:
    here = census(_10_0_0_5=A)
    assert enter(here, "10.0.0.5", port=8080) == "?"
    assert enter(here, "10.0.0.5", port=8082) == "?"
    assert enter(here, "10.0.0.5") == A


def test_an_access_point_has_another_mac_there() -> None:
    here = census(link=ACCESS_POINT, _192_168_4_1=A, _192_168_4_3=B)
    assert enter(here, "192.168.4.1") == "?"
    assert enter(here, "192.168.4.3") == B


def test_an_extender_that_answers_for_many_lends_none() -> None:
    here = census(_10_0_0_5=A, _10_0_0_6=A, _10_0_0_200=A)
    here.seen("10.0.0.200")  # the extender itself
    assert [enter(here, host) for host in ("10.0.0.5", "10.0.0.6")] == ["?", "?"]


def test_the_place_a_camera_has_left_does_not_count() -> None:
    # The kernel keeps an address for a while after nobody answers there any more.
    here = census(_10_0_0_5=A, _10_0_0_9=A)
    assert enter(here, "10.0.0.9") == A


def test_a_mac_lent_once_is_not_lent_to_another() -> None:
    here = census(_10_0_0_5=A)
    assert enter(here, "10.0.0.5") == A
    here._neighbours.table = {"10.0.0.6": A}  # type: ignore[attr-defined]
    assert enter(here, "10.0.0.6") == "?"


def test_one_board_told_here_and_lent_there() -> None:
    here = census(_10_0_0_5=A)
    assert enter(here, "10.0.0.6", A) == A
    here._neighbours.table = {"10.0.0.5": A}  # type: ignore[attr-defined]
    assert enter(here, "10.0.0.5") is None
    there = census(_10_0_0_5=A)
    assert enter(there, "10.0.0.5") == A
    assert enter(there, "10.0.0.6", A) is None


def test_an_announced_mac_is_the_last_resort() -> None:
    here = census(_10_0_0_5=A)
    for host in ("10.0.0.5", "10.0.0.6", "10.0.0.7"):
        here.announced(host, B)
    assert enter(here, "10.0.0.5") == A
    assert enter(here, "10.0.0.6") == B
    assert enter(here, "10.0.0.7") == "?", "two cannot have the same"


def test_two_at_the_same_moment_are_one() -> None:
    async def check() -> list[CameraInfo | None]:
        here = Census(Table({}))
        info = CameraInfo("cam", "http://x", None, A, "tasmota", "scan")
        return list(
            await asyncio.gather(*(here.enter(info, host, 80) for host in ("10.0.0.5", "192.168.9.5")))
        )

    assert sum(info is not None for info in asyncio.run(check())) == 1
