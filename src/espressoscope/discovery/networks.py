"""Networks and ports as a user writes them, and the networks this computer has.

Where a search looks is decided in `places`.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from espressoscope.device.address import clean_text
from espressoscope.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Link",
    "Network",
    "check_timeout",
    "local_links",
    "local_networks",
    "parse_networks",
    "parse_ports",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_N = TypeVar("_N", ipaddress.IPv4Network, ipaddress.IPv6Network)

_WIDEST = 16
"""Shortest prefix taken: a /16 already has 65,534 addresses, five minutes at the pace `scan` keeps."""
_LARGEST_V6 = 256
_LOCAL_CUT = 22
"""Local networks wider than this are cut to it around the own address."""
_MOST_LINKS = 32


@dataclass(frozen=True, slots=True)
class Link:
    """One IPv4 address of this computer.

    Attributes
    ----------
    interface : str
        The interface's name, as the system calls it.
    address : IPv4Address
        The own address.
    network : IPv4Network
        What is reached through it without a router.
    """

    interface: str
    address: ipaddress.IPv4Address
    network: ipaddress.IPv4Network


def local_links() -> tuple[Link, ...]:
    """List this computer's IPv4 addresses, loopback included; empty where the system does not tell."""
    import ifaddr

    links: list[Link] = []
    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:
        return ()
    for adapter in adapters:
        for ip in adapter.ips:
            if isinstance(ip.ip, str):  # an IPv6 address is a tuple
                interface = ipaddress.IPv4Interface(f"{ip.ip}/{ip.network_prefix}")
                links.append(Link(str(adapter.nice_name), interface.ip, interface.network))
    return tuple(links[:_MOST_LINKS])


def local_networks(links: Iterable[Link]) -> tuple[ipaddress.IPv4Network, ...]:
    """Give the networks around the own addresses, none wider than a /22; without loopback and 169.254/16.

    A self-assigned address (169.254) means that nobody gave this interface a network, and cameras assign
    themselves none.
    """
    found = [
        ipaddress.IPv4Interface(f"{link.address}/{max(link.network.prefixlen, _LOCAL_CUT)}").network
        for link in links
        if not link.address.is_loopback and not link.address.is_link_local
    ]
    return _without_inner(found)


def _without_inner(networks: Iterable[_N]) -> tuple[_N, ...]:
    """Leave out networks that lie in another.

    `ipaddress.collapse_addresses` would also join neighbours to larger ones, whose first and last addresses
    are not asked.
    """
    kept: list[_N] = []
    for network in sorted(networks, key=lambda n: (int(n.network_address), n.prefixlen)):
        if not kept or network.broadcast_address > kept[-1].broadcast_address:
            kept.append(network)
    return tuple(kept)


def parse_networks(
    given: str | Network | Iterable[str | Network], *, source: str = ""
) -> tuple[Network, ...]:
    """Read networks; those inside another are left out.

    Parameters
    ----------
    given : str, network, or iterable of them
        ``"192.168.1.0/24"``, ``"192.168.1.7"``, several with commas; objects of `ipaddress` too. Host bits
        may be set.
    source : str
        Where they were written, for the error.

    Raises
    ------
    DiscoveryError
        Not a network, wider than a /16 (IPv6: more than 256 addresses), or multicast.
    """
    words: list[str | Network] = []
    for item in [given] if isinstance(given, str | Network) else given:
        if isinstance(item, str):
            words += [word for word in (part.strip() for part in item.split(",")) if word]
        else:
            words.append(item)
    four: list[ipaddress.IPv4Network] = []
    six: list[ipaddress.IPv6Network] = []
    for word in words:
        network = _parse_network(word, f"{source}: " if source else "")
        if isinstance(network, ipaddress.IPv4Network):
            four.append(network)
        else:
            six.append(network)
    return (*_without_inner(four), *_without_inner(six))


def _parse_network(word: object, prefix: str) -> Network:
    shown = clean_text(str(word), 60)
    try:
        # Only these: ip_network() would also take integers and packed bytes.
        if not isinstance(word, str | Network | ipaddress.IPv4Address | ipaddress.IPv6Address):
            raise ValueError
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise DiscoveryError(
            f"{prefix}{shown!r} is not a network",
            hint="Write it like 192.168.1.0/24, or 192.168.1.7 for a single address",
        ) from None
    if isinstance(network, ipaddress.IPv4Network) and network.prefixlen < _WIDEST:
        raise DiscoveryError(
            f"{prefix}{shown} is too large a network: {network.num_addresses:,} addresses",
            hint=f"Give a part of it, at most a /{_WIDEST}; cameras are usually in one /24",
        )
    if isinstance(network, ipaddress.IPv6Network) and network.num_addresses > _LARGEST_V6:
        raise DiscoveryError(
            f"{prefix}{shown} is too large a network: IPv6 networks cannot be scanned",
            hint="Give single IPv6 addresses, or a /120 at most",
        )
    if network.is_multicast or network.network_address.is_unspecified:
        raise DiscoveryError(f"{prefix}{shown} holds no addresses of hosts")
    return network


def parse_ports(given: int | str | Iterable[int | str]) -> tuple[int, ...]:
    """Read TCP ports: numbers, ``"8080"``, ``"8080-8090"``, several with commas; 80 comes first.

    Raises
    ------
    DiscoveryError
        Not a port or range of ports, or none at all.
    """
    items = [given] if isinstance(given, int | str) else list(given)
    ports: dict[int, None] = {}
    for item in items:
        words = item.split(",") if isinstance(item, str) else [item]
        for word in words:
            ports.update(dict.fromkeys(_parse_port(word)))
    if not ports:
        raise DiscoveryError("no port given", hint="Leave ports out for the usual ones")
    return tuple(sorted(ports, key=lambda port: port != 80))


def _parse_port(word: object) -> range:
    first, last = 0, -1
    if isinstance(word, int) and not isinstance(word, bool):
        first = last = word
    elif isinstance(word, str):
        low, dash, high = (part.strip() for part in word.partition("-"))
        if low.isascii() and low.isdigit() and len(low) <= 5:
            first = last = int(low)
            if dash:
                last = int(high) if high.isascii() and high.isdigit() and len(high) <= 5 else -1
    if not 0 < first <= last < 65536:
        raise DiscoveryError(
            f"{clean_text(str(word), 40)!r} is not a port",
            hint="A port is a number from 1 to 65535; write several as 8080-8090",
        )
    return range(first, last + 1)


def check_timeout(timeout: float) -> float:
    """Give the timeout back when a search can use it.

    Raises
    ------
    DiscoveryError
        Not a positive, finite number of seconds.
    """
    if not 0 < timeout < math.inf:
        raise DiscoveryError(
            f"a search cannot wait {clean_text(str(timeout), 40)} s for an answer",
            hint="Give a timeout above 0; 1 s suits most networks",
        )
    return float(timeout)
