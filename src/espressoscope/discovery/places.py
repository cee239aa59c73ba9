"""Where a search looks: the rules of docs/architecture.md, turned into networks, single hosts and interfaces.

Reads the environment, this computer's interfaces and the remembered hosts; sends nothing.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from espressoscope.discovery.memory import recall
from espressoscope.discovery.networks import local_links, local_networks, parse_networks, parse_ports
from espressoscope.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from espressoscope.discovery.networks import Link, Network

__all__ = ["ACCESS_POINT", "Places", "Target", "find_places"]

ACCESS_POINT = "192.168.4.1"
"""Address of a camera that is its own access point: ESP-IDF's default, kept by every firmware."""

DEFAULT_PORTS = (80,)
LOOPBACK_PORTS = (80, *range(8080, 8176))
"""On loopback also where `espressoscope simulate` puts up to 48 cameras, two ports each."""

_LOOPBACK = ipaddress.IPv4Network("127.0.0.1/32")

MOST_CONNECTIONS = 1 << 18
"""Most pairs of address and port in one search: one port on four /16, or four on one."""

# The kernel's neighbour table holds 1024 entries, and an address nobody answers for occupies one for 3 s
# (three requests, 1 s apart). Up to AT_ONCE addresses are asked as fast as connections allow; of more, only
# OPENING in small networks, and all others at the pace of `scan`.
AT_ONCE = 512
_OPENING = 256
_MOST_KNOWN = 512


class Target(NamedTuple):
    """An address to ask.

    Attributes
    ----------
    host : str
    port : int
    found_by : str
        For `CameraInfo.found_by`.
    paced : bool
        Part of so many addresses that they must be asked slowly.
    again : bool
        Worth a second try when it does not answer.
    """

    host: str
    port: int
    found_by: str
    paced: bool = False
    again: bool = True


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look.

    Attributes
    ----------
    networks : tuple of IPv4Network or IPv6Network
        Every address in them is asked.
    ports : tuple of int or None
        The ports asked there; None means the usual ones, which differ on loopback.
    spots : tuple of Target
        Single hosts asked before the networks.
    mdns_on : tuple of str
        Own addresses whose interfaces are listened on for mDNS; empty for no mDNS.
    mdns_wanted : bool
        mDNS was asked for by name, so that it matters when it cannot be had.
    links : tuple of Link
        This computer's addresses.
    remembers : bool
        What is found shall be remembered.
    asks_neighbours : bool
        Hosts known to the system as neighbours are asked wherever they are; otherwise only in `networks`.
    known : tuple of str
        Such hosts, asked before others; see `with_neighbours`.
    """

    networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] | None = None
    spots: tuple[Target, ...] = ()
    mdns_on: tuple[str, ...] = ()
    mdns_wanted: bool = False
    links: tuple[Link, ...] = ()
    remembers: bool = False
    asks_neighbours: bool = False
    known: tuple[str, ...] = ()

    def with_neighbours(self, hosts: Iterable[str]) -> Places:
        """Give the same places, where these hosts are asked first: they are there, or were a moment ago."""
        known = [host for host in hosts if self.asks_neighbours or self._holds(host)]
        return replace(self, known=tuple(known[:_MOST_KNOWN]))

    def _holds(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        return any(address.version == network.version and address in network for network in self.networks)

    def ports_of(self, network: Network) -> tuple[int, ...]:
        """Give the ports asked in a network."""
        if self.ports is not None:
            return self.ports
        return LOOPBACK_PORTS if network.is_loopback else DEFAULT_PORTS

    @property
    def size(self) -> int:
        """Number of pairs of address and port to ask, mDNS aside."""
        pairs = sum(_hosts(network) * len(self.ports_of(network)) for network in self.networks)
        beyond = sum(not self._holds(host) for host in self.known)
        return len(self.spots) + pairs + beyond * len(self.ports or DEFAULT_PORTS)

    def targets(self, *, behind: bool) -> Iterator[Target]:
        """Give pairs of address and port: single hosts, known ones, loopback, then port by port, upwards.

        The own addresses and the gateway are asked like all others: a camera that is its own access point is
        the gateway, and simulated cameras may listen on any own address.

        Parameters
        ----------
        behind : bool
            Only ports right behind one that is asked, or only the others. A camera streams on the port behind
            its control port: once it is found there is nothing to ask there, and while somebody watches
            there would be no answer.
        """
        if not behind:
            yield from self.spots
        loopback = [network for network in self.networks if network.is_loopback]
        # Small networks first: they are over before a wide one has begun in earnest.
        others = sorted((n for n in self.networks if not n.is_loopback), key=_hosts)
        slow = sum(map(_hosts, others)) + len({spot.host for spot in self.spots}) > AT_ONCE
        again = self.size - len(self.spots) <= 2 * AT_ONCE
        for port in _choose(self.ports or DEFAULT_PORTS, behind):
            for host in self.known:
                yield Target(host, port, "scan")
        for network in loopback:
            for port in _choose(self.ports_of(network), behind):
                for address in network.hosts():
                    yield Target(str(address), port, "scan", again=again)
        opening, known = 0 if behind else _OPENING, frozenset(self.known)
        for port in _choose(self.ports_of(others[0]), behind) if others else ():
            for network in others:
                paced = slow and _hosts(network) > opening
                if slow and not paced:
                    opening -= _hosts(network)
                for host in map(str, network.hosts()):
                    if host not in known:
                        yield Target(host, port, "scan", paced, again and not slow)

    def describe(self) -> str:
        """Name the places, for a message."""
        names = [str(network) for network in self.networks]
        names += dict.fromkeys(spot.host for spot in self.spots)
        shown = ", ".join(names[:4])
        return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown


def _choose(ports: tuple[int, ...], only_behind: bool) -> list[int]:
    """Give the ports that follow one chosen as a control port, or those chosen, in their order."""
    asked, behind = set(ports), set[int]()
    for port in sorted(asked):
        if port - 1 in asked and port - 1 not in behind:
            behind.add(port)
    return [port for port in ports if (port in behind) is only_behind]


def _hosts(network: Network) -> int:
    # Network and broadcast address of an IPv4 network, router address of an IPv6 one are not asked.
    single = network.max_prefixlen - network.prefixlen < 2
    if isinstance(network, ipaddress.IPv4Network):
        return network.num_addresses if single else network.num_addresses - 2
    return network.num_addresses if single else network.num_addresses - 1


def find_places(
    networks: str | Network | Iterable[str | Network] | None = None,
    ports: int | str | Iterable[int | str] | None = None,
    mdns: bool | None = None,
) -> Places:
    """Work out where to look.

    Parameters
    ----------
    networks : str, network or iterable of them, optional
        Exactly these. Without: the local IPv4 networks cut to /22, mDNS, the system's neighbours, the access
        point's address, remembered hosts and 127.0.0.1; or what ``ESPRESSOSCOPE_NETWORKS`` names, instead of
        all of these.
    ports : int, str or iterable of them, optional
        Exactly these. Without: 80, on loopback also the simulator's.
    mdns : bool, optional
        Listen for announcements. Without: only with the default places and ports. With given networks it
        listens on their interfaces only.

    Raises
    ------
    DiscoveryError
        Networks or ports that cannot be used, too many of them, or nowhere to look.
    """
    wanted_ports = None if ports is None else parse_ports(ports)
    named = os.environ.get("ESPRESSOSCOPE_NETWORKS", "").strip()
    links = local_links()
    spots: tuple[Target, ...] = ()
    default = networks is None and not named
    if networks is not None:
        chosen = parse_networks(networks)
    elif named:
        chosen = parse_networks(named, source="ESPRESSOSCOPE_NETWORKS")
    else:
        chosen = (*local_networks(links), _LOOPBACK)
        spots = _spots(wanted_ports)
    listens = mdns if mdns is not None else default and wanted_ports is None
    on = _interfaces(links, None if default else chosen) if listens else ()
    if not chosen and not on:
        raise DiscoveryError(
            "there is nowhere to look", hint="Give at least one network, like 192.168.1.0/24"
        )
    places = Places(
        chosen, wanted_ports, spots, on, mdns is True, links, remembers=not named, asks_neighbours=default
    )
    if places.size > MOST_CONNECTIONS:
        raise DiscoveryError(
            f"{places.describe()} on so many ports are {places.size:,} connections",
            hint=f"Give fewer ports or smaller networks, at most {MOST_CONNECTIONS:,} connections",
        )
    return places


def _spots(ports: tuple[int, ...] | None) -> tuple[Target, ...]:
    spots = {(ACCESS_POINT, port): "access-point" for port in ports or DEFAULT_PORTS}
    for host in recall():
        if ports is None or host.port in ports:
            spots.setdefault((host.host, host.port), "remembered")
    return tuple(Target(host, port, found_by) for (host, port), found_by in spots.items())


def _interfaces(links: tuple[Link, ...], networks: tuple[Network, ...] | None) -> tuple[str, ...]:
    """Choose interfaces for mDNS, one address each: all but loopback, or those of the given networks."""
    chosen: dict[str, str] = {}
    for link in links:
        if networks is None:
            fits = not link.address.is_loopback
        else:
            fits = any(n.version == 4 and n.overlaps(link.network) for n in networks)
        if fits:
            chosen.setdefault(link.interface, str(link.address))
    return tuple(chosen.values())
