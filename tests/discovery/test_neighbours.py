"""The system's table of neighbours, as three systems write it."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import time

import pytest

from espressoscope.discovery.neighbours import MOST_NEIGHBOURS, Neighbours, output_of, parse_table, write_mac
from espressoscope.discovery.networks import Link, local_links

LINUX = b"""\
IP address       HW type     Flags       HW address            Mask     Device
192.168.1.1      0x1         0x2         00:11:22:aa:0b:0c     *        wlan0
192.168.1.23     0x1         0x0         00:00:00:00:00:00     *        wlan0
192.168.1.24     0x1         0x0         24:0a:c4:00:00:24     *        wlan0
192.168.1.50     0x1         0x2         a4:cf:12:05:6e:f0     *        wlan0
192.168.1.51     0x1         0x6         a4:cf:12:05:6e:f1     *        wlan0
"""
MACOS = b"""\
? (192.168.1.1) at 0:11:22:aa:b:c on en0 ifscope [ethernet]
? (192.168.1.23) at (incomplete) on en0 ifscope [ethernet]
? (192.168.1.50) at a4:cf:12:5:6e:f0 on en0 ifscope [ethernet]
esp.local (192.168.1.51) at a4:cf:12:5:6e:f1 on en0 ifscope permanent [ethernet]
? (192.168.1.255) at ff:ff:ff:ff:ff:ff on en0 ifscope [ethernet]
? (224.0.0.251) at 1:0:5e:0:0:fb on en0 ifscope permanent [ethernet]
"""
WINDOWS = b"""\
\r
Schnittstelle: 192.168.1.7 --- 0x5\r
  Internetadresse       Physische Adresse     Typ\r
  192.168.1.1           00-11-22-aa-0b-0c     dynamisch \r
  192.168.1.50          a4-cf-12-05-6e-f0     dynamisch \r
  192.168.1.51          a4-cf-12-05-6e-f1     statisch  \r
  192.168.1.255         ff-ff-ff-ff-ff-ff     statisch  \r
  224.0.0.22            01-00-5e-00-00-16     statisch  \r
"""
TABLE = {
    "192.168.1.1": "00:11:22:AA:0B:0C",
    "192.168.1.50": "A4:CF:12:05:6E:F0",
    "192.168.1.51": "A4:CF:12:05:6E:F1",
}


@pytest.mark.parametrize("text", [LINUX, MACOS, WINDOWS], ids=["linux", "macos", "windows"])
def test_tables(text: bytes) -> None:
    assert parse_table(text) == TABLE


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe\0", b"arp: not found", b"192.168.1.1", b"1.2.3.4.5 at 0:1:2:3:4:5", bytes(9999)]
)
def test_what_is_no_table_is_empty(text: bytes) -> None:
    assert parse_table(text) == {}


def test_an_address_of_two_networks_has_no_mac() -> None:
    twice = LINUX + LINUX.replace(b"12:05", b"77:07").replace(b"wlan0", b"eth0")
    assert parse_table(twice) == {"192.168.1.1": "00:11:22:AA:0B:0C"}
    assert parse_table(LINUX + LINUX) == TABLE


def test_only_so_many_are_read(caplog: pytest.LogCaptureFixture) -> None:
    many = b"".join(
        b"10.0.%d.%d 0x1 0x2 02:00:00:00:%02x:%02x * eth0\n" % (n >> 8, n & 255, n >> 8, n & 255)
        for n in range(5000)
    )
    assert len(parse_table(many)) == MOST_NEIGHBOURS
    assert "more than" in caplog.text


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("a4:cf:12:5:6e:f0", "A4:CF:12:05:6E:F0"),
        ("A4-CF-12-05-6E-F0", "A4:CF:12:05:6E:F0"),
        ("a4cf12056ef0", "A4:CF:12:05:6E:F0"),
        ("00:00:00:00:00:00", None),
        ("ff:ff:ff:ff:ff:ff", None),
        ("01:00:5e:00:00:fb", None),
        ("a4:cf:12:05:6e", None),
        ("a4:cf:12:05:6e:f0:11", None),
        ("a4cf12056ef", None),
        ("a4:cf:12:05:6e:g0", None),
        ("+4:cf:12:05:6e:f0", None),
        ("", None),
    ],
)
def test_macs(text: str, mac: str | None) -> None:
    assert write_mac(text) == mac


def link(address: str, interface: str = "eth0") -> Link:
    ours = ipaddress.IPv4Interface(address)
    return Link(interface, ours.ip, ours.network)


def test_near_is_what_is_reached_without_a_router() -> None:
    table = Neighbours([link("127.0.0.1/8", "lo"), link("192.168.1.7/24"), link("10.9.0.2/30", "vpn")])
    for host in ("192.168.1.1", "192.168.1.254", "10.9.0.1"):
        assert table.near(host)
    for host in ("192.168.1.7", "192.168.2.1", "127.0.0.1", "127.0.0.2", "8.8.8.8", "fe80::1", "cam.local"):
        assert not table.near(host)


def test_loopback_has_no_neighbours() -> None:
    assert asyncio.run(Neighbours([link("127.0.0.1/8", "lo")]).macs()) == {}
    assert asyncio.run(Neighbours([]).macs()) == {}


def test_the_table_of_this_computer_can_be_read() -> None:
    async def check() -> None:
        table = Neighbours([*local_links(), link("192.0.2.1/24")])
        for macs in await asyncio.gather(*(table.macs() for _ in range(10))):
            assert all(write_mac(mac) == mac for mac in macs.values())

    asyncio.run(check())


# --- the program arp

Script = str
PRINTS: Script = f"import sys; sys.stdout.buffer.write({MACOS!r})"
HANGS: Script = "import time; print('? (192.168.1.50) at', flush=True); time.sleep(60)"
FLOODS: Script = "while True: print('x' * 9999)"


def run(script: Script, timeout_s: float = 20.0) -> bytes:
    return asyncio.run(output_of([sys.executable, "-c", script], timeout_s))


def test_what_a_program_prints_is_read() -> None:
    assert parse_table(run(PRINTS)) == TABLE


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(TimeoutError):
        run(HANGS, 0.5)


def test_a_program_that_prints_for_ever_is_ended() -> None:
    assert len(run(FLOODS)) < 2 * 1024 * 1024


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(output_of(["/nonexistent/arp", "-an"]))


def test_a_search_that_ends_ends_the_program_too() -> None:
    async def check() -> float:
        task = asyncio.create_task(output_of([sys.executable, "-c", HANGS], 60))
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        task.cancel()
        await asyncio.wait([task])
        return time.monotonic() - begun

    assert asyncio.run(check()) < 5
