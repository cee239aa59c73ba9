"""What this computer knows of its networks, and what that says about a camera that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from espressoscope.discovery.neighbours import Neighbours
from espressoscope.discovery.places import ACCESS_POINT, find_places
from espressoscope.errors import DiscoveryError
from espressoscope.lab.doctor_words import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from espressoscope.discovery.networks import Link, Network

__all__ = ["Surroundings", "held_here"]

_ACCESS_POINT_NETWORK: Final = ipaddress.IPv4Network("192.168.4.0/24")
"""What a camera's own access point gives out: ESP-IDF's default, kept by every firmware."""

_ANYWHERE: Final = ("192.0.2.1", 9)
"""An address of nobody (RFC 5737), to ask which way packets to the internet would leave."""

_DISCARD: Final = 9
_ENOUGH: Final = 256
"""So many addresses asked tell something of a network."""
_POKES_TOGETHER: Final = 32
_POKE_PAUSE_S: Final = 0.01
_POKE_WAIT_S: Final = 0.7
"""Radios that sleep take up to 0.6 s."""

_FORBIDDEN: Final = {errno.EPERM, errno.EACCES}
_TCP_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED: Final = "01"
_MOST_NAMED: Final = 3
_MOST_BYTES: Final = 4 * 1024 * 1024


class Surroundings:
    """The networks of this computer.

    Parameters
    ----------
    links : iterable of Link
        Its addresses, as `discovery.networks.local_links` gives them.
    platform : str
        As `sys.platform`.
    """

    def __init__(self, links: Iterable[Link], platform: str = sys.platform) -> None:
        self.links = tuple(link for link in links if not link.address.is_loopback)
        self.platform = platform
        self._neighbours = Neighbours(self.links)
        self._real = [link for link in self.links if not link.address.is_link_local]

    @property
    def names(self) -> str:
        """Its networks, for a sentence."""
        return ", ".join(dict.fromkeys(str(link.network) for link in self._real)) or "none"

    def describe(self) -> Iterator[Finding]:
        """Say in which networks it is, and what is odd about that."""
        if self._real:
            named = (
                f"{link.network} ({link.interface}, {link.address})" for link in self._real[:_MOST_NAMED]
            )
            yield finding("network", networks=", ".join(named))
        yield from self.oddities()

    def oddities(self) -> Iterator[Finding]:
        """Say only what is odd about its networks."""
        if not self._real:
            yield finding("no-network")
        for link in self.links:
            if link.address.is_link_local:
                yield finding("self-assigned", address=link.address, interface=link.interface)
        for link in self._real:
            if link.network.subnet_of(_ACCESS_POINT_NETWORK) and str(link.address) != ACCESS_POINT:
                source = source_towards(*_ANYWHERE)
                outside = source is not None and source != str(link.address)
                internet = "" if outside else ", and there is no internet in it"
                yield finding("access-point", network=link.network, internet=internet)
                break

    def unknown(self, networks: Iterable[Network]) -> Iterator[Finding]:
        """Say which of the networks to be searched this computer is not in."""
        for network in networks:
            if not network.is_loopback and not any(network.overlaps(link.network) for link in self.links):
                yield finding("foreign-network", network=network, networks=self.names)

    def is_own(self, host: str) -> bool:
        """Tell whether an address is this computer's."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or any(link.address == address for link in self.links)

    def near(self, host: str) -> bool:
        """Tell whether an address is reached without a router, as far as is known."""
        return self._neighbours.near(host)

    def astray(self, host: str) -> Finding | None:
        """Say so when packets to a near address leave another way than by its network."""
        source = source_towards(host, 80)
        if source is None or not self.near(host):
            return None
        address = ipaddress.ip_address(host)
        ways = [link for link in self.links if address in link.network]
        if not ways or any(str(link.address) == source for link in ways):
            return None
        return finding("way-astray", host=host, source=source, network=ways[0].network)

    # --- what a failure to connect means

    def no_way(self, host: str, error: OSError | None) -> Finding:
        """Say why the system gave no way to an address."""
        number = None if error is None else error.errno
        why = "no route" if number is None else os.strerror(number)
        if number in _FORBIDDEN:
            return finding("firewall", host=host, why=why)
        if host == ACCESS_POINT and not self.near(host):
            return finding("not-at-access-point", host=host)
        return finding("no-way", host=host, why=why)

    async def unanswered(self, host: str, port: int, seconds: float) -> list[Finding]:
        """Say what silence means, now that it has been tried to connect."""
        if self.is_own(host):
            return [finding("silent", host=host, port=port, seconds=f"{seconds:.0f}")]
        if not self.near(host):
            if host == ACCESS_POINT:
                return [finding("not-at-access-point", host=host)]
            if self.links and ":" not in host:
                return [finding("beyond", host=host, networks=self.names)]
            return [finding("silent", host=host, port=port, seconds=f"{seconds:.0f}")]
        near = ipaddress.IPv4Network(f"{host}/24", strict=False)
        around = [link.network for link in self._real if ipaddress.ip_address(host) in link.network]
        awake = await _wake_table(near, around)
        macs = await self._neighbours.macs()
        if host in macs:
            return [finding("deaf", host=host, port=port, mac=macs[host])]
        if not macs and self.platform != "linux":  # perhaps the table could not be read
            found = [finding("silent", host=host, port=port, seconds=f"{seconds:.0f}")]
        else:
            found = [finding("absent", host=host)]
        return [*found, *await self.alive([near])] if awake else found

    async def alive(self, networks: Iterable[Network]) -> list[Finding]:
        """Say how many devices have answered in networks whose addresses were all asked for just now.

        Of few addresses nothing is concluded: that nobody has these says nothing of the others.
        """
        networks = tuple(networks)
        macs = await self._neighbours.macs()
        found: list[Finding] = []
        told = macs or self.platform == "linux"
        for link in self._real:
            part = _part_asked(link.network, networks) if told else None
            if part is None:
                continue
            there = [host for host in macs if ipaddress.ip_address(host) in part]
            if not there:
                found.append(finding("network-silent", network=part))
            elif len(there) == 1:
                found.append(finding("one-neighbour", network=part, host=there[0]))
            else:
                found.append(finding("neighbours", network=part, count=len(there)))
        if self.platform == "darwin" and self._real:
            found.append(finding("local-network-permission"))
        return found


def _part_asked(own: ipaddress.IPv4Network, networks: Iterable[Network]) -> ipaddress.IPv4Network | None:
    """Give a network if it was asked as a whole, or else a part of it that was, of a /24 or more."""
    for network in networks:
        if isinstance(network, ipaddress.IPv4Network) and network.overlaps(own):
            part = max(network, own, key=lambda each: each.prefixlen)
            if part == own or part.num_addresses >= _ENOUGH:
                return part
    return None


def _askable(near: ipaddress.IPv4Network, around: Iterable[ipaddress.IPv4Network]) -> list[str]:
    """List the addresses of a network that are near; none where one of them must not be searched for."""
    there = [address for address in near.hosts() if any(address in network for network in around)]
    try:
        searched = find_places().networks
    except DiscoveryError:
        return []
    if not all(any(address in network for network in searched) for address in there):
        return []
    return [str(address) for address in there]


async def _wake_table(near: ipaddress.IPv4Network, around: Iterable[ipaddress.IPv4Network]) -> bool:
    """Have the system ask for every address of a network, so that its table tells who is there.

    An empty datagram to the discard port of each of 254 addresses: the system first asks who has the address.
    Who is there answers on that level, whatever ports are open. Tells whether it could be done: nothing is
    sent where ``ESPRESSOSCOPE_NETWORKS`` leaves some of them out.
    """
    addresses = _askable(near, around)
    if not addresses:
        return False
    asked = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for number, address in enumerate(addresses):
            with contextlib.suppress(OSError):
                sock.sendto(b"", (address, _DISCARD))
                asked += 1
            if number % _POKES_TOGETHER == 0:
                await asyncio.sleep(_POKE_PAUSE_S)
    await asyncio.sleep(_POKE_WAIT_S)
    return asked > 0


def source_towards(host: str, port: int) -> str | None:
    """Give the own address from which packets to an address would leave; None where there is no way.

    Connecting a datagram socket only asks the routing table: nothing is sent.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((host, port))
        return str(sock.getsockname()[0])
    return None


def held_here(host: str, port: int) -> int:
    """Count the connections that programs on this computer hold to a port; 0 where the system does not tell.

    Linux tells in ``/proc/net/tcp``, also about other users' programs.
    """
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        return 0
    count = 0
    for table in _TCP_TABLES:
        try:
            with table.open("rb") as file:
                lines = file.read(_MOST_BYTES).decode("ascii", "replace").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if len(words) > 3 and words[3] == _ESTABLISHED and _remote(words[2]) == (wanted, port):
                count += 1
    return count


def _remote(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int] | None:
    """Read an address as the kernel writes it: words of four bytes in this machine's own order."""
    written, _, port = text.partition(":")
    try:
        raw = bytes.fromhex(written)
        words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
        if sys.byteorder == "little":
            words = [word[::-1] for word in words]
        address = ipaddress.ip_address(b"".join(words))
        number = int(port, 16)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address, number
