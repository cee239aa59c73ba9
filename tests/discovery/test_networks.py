"""Networks, ports and timeouts as people write them."""

from __future__ import annotations

import ipaddress

import pytest

from espressoscope.discovery.networks import (
    Link,
    check_timeout,
    local_links,
    local_networks,
    parse_networks,
    parse_ports,
)
from espressoscope.errors import DiscoveryError


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        ("192.168.1.0/24", ["192.168.1.0/24"]),
        ("192.168.1.77/24", ["192.168.1.0/24"]),
        ("192.168.1.7", ["192.168.1.7/32"]),
        (" 10.0.0.0/24 , 10.0.1.0/24,", ["10.0.0.0/24", "10.0.1.0/24"]),
        (["10.0.0.0/24", "10.0.0.9", "10.0.0.0/24"], ["10.0.0.0/24"]),
        (ipaddress.ip_network("10.0.0.0/16"), ["10.0.0.0/16"]),
        (["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"], [f"10.0.0.{n}/32" for n in (4, 5, 6, 7)]),
        ("fe80::1, ::1", ["::1/128", "fe80::1/128"]),
        ("fd00::/120", ["fd00::/120"]),
        ([], []),
    ],
)
def test_networks(given: str | list[str], networks: list[str]) -> None:
    assert [str(network) for network in parse_networks(given)] == networks


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("192.168.1.0/33", "'192.168.1.0/33' is not a network"),
        ("home", "'home' is not a network"),
        ("192.168.1.0/24; reboot\x1b[31m", "is not a network"),
        ([5], "'5' is not a network"),
        ([b"\x0a\x00\x00\x01"], "is not a network"),
        ("10.0.0.0/15", "10.0.0.0/15 is too large a network: 131,072 addresses"),
        ("0.0.0.0/0", "too large"),
        ("fd00::/64", "IPv6 networks cannot be scanned"),
        ("224.0.0.0/24", "no addresses of hosts"),
        ("0.0.0.0", "no addresses of hosts"),
    ],
)
def test_no_networks(given: str, words: str) -> None:
    with pytest.raises(DiscoveryError) as caught:
        parse_networks(given)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_error_says_where_the_network_was_written() -> None:
    with pytest.raises(DiscoveryError, match="ESPRESSOSCOPE_NETWORKS: 'x' is not a network"):
        parse_networks("x", source="ESPRESSOSCOPE_NETWORKS")


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        (8080, [8080]),
        ("8080", [8080]),
        ("8080-8083", [8080, 8081, 8082, 8083]),
        ("8080, 80", [80, 8080]),
        ([81, "80-82"], [80, 81, 82]),
        (range(9000, 9003), [9000, 9001, 9002]),
        ("65535", [65535]),
    ],
)
def test_ports(given: int | str | list[int | str], ports: list[int]) -> None:
    assert list(parse_ports(given)) == ports


@pytest.mark.parametrize(
    "given",
    [0, 65536, -1, "", [], "80-", "90-80", "http", "8080-8090-9000", "１２", [True], [80.0], "999999"],
)
def test_no_ports(given: int | str | list[int | str]) -> None:
    with pytest.raises(DiscoveryError):
        parse_ports(given)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_no_timeouts(timeout: float) -> None:
    with pytest.raises(DiscoveryError):
        check_timeout(timeout)


def link(address: str) -> Link:
    interface = ipaddress.IPv4Interface(address)
    return Link("eth0", interface.ip, interface.network)


def test_local_networks_are_cut_around_the_own_address() -> None:
    links = [
        link("192.168.178.20/24"),
        link("10.17.33.99/8"),
        link("127.0.0.1/8"),
        link("169.254.7.7/16"),
        link("192.168.178.21/24"),
    ]
    assert [str(n) for n in local_networks(links)] == ["10.17.32.0/22", "192.168.178.0/24"]


def test_this_computer_has_loopback() -> None:
    assert any(str(link.address) == "127.0.0.1" for link in local_links())
