"""mDNS, on this computer's loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

import pytest
from fake_hosts import camera, hosting, until
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from espressoscope.discovery import mdns
from espressoscope.discovery.networks import Link
from espressoscope.discovery.places import Places, find_places
from espressoscope.discovery.search import search

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = Link("lo", ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv4Network("127.0.0.0/8"))


@contextlib.asynccontextmanager
async def announcing(
    *services: tuple[str, str, str, int], texts: dict[str, str] | None = None
) -> AsyncIterator[None]:
    """Announce (name, type, address, port) on loopback."""
    daemon = AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    try:
        for name, kind, address, port in services:
            info = ServiceInfo(
                f"{kind}.local.",
                f"{name}.{kind}.local.",
                port=port,
                addresses=[socket.inet_aton(address)],
                properties=texts or {},
                server=f"{name}.local.",
            )
            await daemon.async_register_service(info, cooperating_responders=True)
        yield
    finally:
        await daemon.async_close()


async def heard_of(*expected: mdns.Announced) -> list[mdns.Announced]:
    """Listen until these have been heard, and a little more."""
    heard: list[mdns.Announced] = []
    over = asyncio.Event()
    task = asyncio.create_task(mdns.listen(["127.0.0.1"], [LOOPBACK], heard.append, over))
    await until(lambda: set(expected) <= set(heard) or task.done())
    over.set()
    await task
    return heard


def test_services_are_heard_with_the_port_to_ask() -> None:
    async def check() -> None:
        async with announcing(
            ("far", "_http._tcp", "192.0.2.77", 80),
            ("web", "_http._tcp", "127.0.0.1", 8099),
            ("esp", "_esp-cam._tcp", "127.0.0.2", 8080),
            ("ota", "_arduino._tcp", "127.0.0.3", 3232),
            ("home", "_esphomelib._tcp", "127.0.0.4", 6053),
        ):
            expected = {
                mdns.Announced("127.0.0.1", 8099),
                mdns.Announced("127.0.0.2", 8080),
                mdns.Announced("127.0.0.3", 80),
                mdns.Announced("127.0.0.4", 80),
            }
            # What lies on none of this computer's networks is not believed.
            assert set(await heard_of(*expected)) == expected

    asyncio.run(check())


def test_macs_are_heard() -> None:
    async def check() -> None:
        text = {"mac": "a0b1c2d3e4f5", "version": "2024.6.1"}
        async with announcing(("home", "_esphomelib._tcp", "127.0.0.4", 6053), texts=text):
            expected = mdns.Announced("127.0.0.4", 80, "A0:B1:C2:D3:E4:F5")
            assert await heard_of(expected) == [expected]

    asyncio.run(check())


def test_a_mac_that_turns_up_later_is_told_once_more() -> None:
    async def check() -> None:
        plain = mdns.Announced("127.0.0.4", 80)
        named = mdns.Announced("127.0.0.4", 80, "A0:B1:C2:D3:E4:F5")
        async with announcing(("a-cam", "_http._tcp", "127.0.0.4", 80)):
            heard: list[mdns.Announced] = []
            over = asyncio.Event()
            task = asyncio.create_task(mdns.listen(["127.0.0.1"], [LOOPBACK], heard.append, over))
            await until(lambda: heard == [plain])
            async with announcing(
                ("b-cam", "_http._tcp", "127.0.0.4", 80),
                ("cam-a0b1c2d3e4f5", "_arduino._tcp", "127.0.0.4", 3232),
            ):
                await until(lambda: len(heard) > 1)
            over.set()
            await task
            assert heard == [plain, named]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("name", "server", "texts", "mac"),
    [
        ("Matchboxscope", "Matchboxscope.local.", {}, None),
        ("Matchboxscope-A4CF12056EF0", "x.local.", {}, "A4:CF:12:05:6E:F0"),
        ("cam", "esp32-a4cf12056ef0.local.", {}, "A4:CF:12:05:6E:F0"),
        ("a4-cf-12-05-6e-f0", "x.local.", {}, "A4:CF:12:05:6E:F0"),
        ("esp32-056EF0", "esp32-056EF0.local.", {}, None),  # half of one is none
        ("printer 1234567890123456", "x.local.", {}, None),
        ("cam-ffffffffffff", "x.local.", {}, None),
        ("cam", "x.local.", {b"mac": b"a4cf12056ef0"}, "A4:CF:12:05:6E:F0"),
        ("cam", "x.local.", {b"MAC": b"A4:CF:12:05:6E:F0"}, "A4:CF:12:05:6E:F0"),
        ("cam", "x.local.", {b"mac": None, b"path": b"/"}, None),
        ("cam", "x.local.", {b"mac": b"\xff" * 300}, None),
        ("cam", "", {b"board": b"esp32cam"}, None),
    ],
)
def test_macs_in_announcements(
    name: str, server: str, texts: dict[bytes, bytes | None], mac: str | None
) -> None:
    assert mdns.announced_mac(name, server, texts) == mac


def test_an_announced_camera_is_found_where_the_scan_does_not_look() -> None:
    async def check() -> None:
        async with (
            hosting(camera("announced")) as host,
            announcing(("cam", "_http._tcp", "127.0.0.1", host.port)),
        ):
            places = find_places("127.0.0.1", 9, mdns=True)
            found = [info async for info in search(places, timeout_s=3)]
            assert [(info.name, info.found_by) for info in found] == [("announced", "mdns")]
            assert host.paths == ["/status", "/dump"]

    asyncio.run(check())


def test_a_host_scanned_and_announced_is_one_camera() -> None:
    async def check() -> None:
        async with hosting(camera()) as host, announcing(("cam", "_http._tcp", "127.0.0.1", host.port)):
            places = find_places("127.0.0.1", host.port, mdns=True)
            assert len([info async for info in search(places, timeout_s=2)]) == 1
            assert host.paths.count("/status") == 1

    asyncio.run(check())


@pytest.mark.parametrize("wanted", [True, False])
def test_mdns_that_cannot_be_had_ends_nothing(wanted: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with hosting(camera("scanned")) as host:
            # An address this computer does not have: joining the group there fails.
            networks = (ipaddress.IPv4Network("127.0.0.1"),)
            places = Places(networks, (host.port,), (), ("192.0.2.1",), wanted, (LOOPBACK,))
            assert [info.name async for info in search(places, timeout_s=0.3)] == ["scanned"]

    asyncio.run(check())
    said = [record for record in caplog.records if record.name.startswith("espressoscope")]
    assert [record.levelname for record in said] == (["WARNING"] if wanted else [])
    assert not any(record.exc_info for record in said)


def test_no_interface_for_mdns_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        places = Places((ipaddress.IPv4Network("127.0.0.1"),), (9,), mdns_wanted=True)
        assert [info async for info in search(places)] == []

    asyncio.run(check())
    assert "no interface in 127.0.0.1/32" in caplog.text


def test_ending_while_listening_leaves_nothing() -> None:
    async def check() -> None:
        places = find_places("127.0.0.1", 9, mdns=True)
        found = search(places, timeout_s=60)
        waiting = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await found.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(check())
