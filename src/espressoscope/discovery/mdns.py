"""Listening for hosts that announce themselves by mDNS; what is there is found out by asking them (`prober`).

zeroconf is imported only when a search listens. ESPHome announces its API port, and nothing of a camera
server: such a host is asked for `/status` on port 80 like any other, and an ESPHome camera, which has nothing
but a stream, stays unlisted. To find out, its one stream would have to be opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import socket
import sys
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.discovery.neighbours import write_mac

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from zeroconf import ServiceStateChange, Zeroconf

    from espressoscope.discovery.networks import Link

__all__ = ["Announced", "announced_mac", "listen", "load"]

SERVICES: Final = {
    "_http._tcp.local.": None,
    "_esp-cam._tcp.local.": None,
    "_arduino._tcp.local.": 80,
    "_esphomelib._tcp.local.": 80,
}
"""Service type to the port to ask; None means the announced one (the others are update and API ports)."""

_GROUP: Final = "224.0.0.251"
MOST_ANNOUNCED: Final = 1024
_MAC_AT_END: Final = re.compile(r"(?:^|[-_ :.])((?:[0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2})$")
_LOOKUP_MS: Final = 1500
_HEAD_START_S: Final = 0.2

_log = logging.getLogger(__name__)


class Announced(NamedTuple):
    """A host that announced itself.

    Attributes
    ----------
    host : str
        IPv4 address, on a network this computer is in.
    port : int
        Port to ask.
    mac : str or None
        As announced, where it is: ESPHome has it in a TXT record, others at the end of a name.
    """

    host: str
    port: int
    mac: str | None = None


async def load() -> None:
    """Import zeroconf on a thread of its own, a moment later.

    It takes the processor for a tenth of a second, by which the first answers to the scan would be late.
    """
    if "zeroconf.asyncio" in sys.modules:
        return
    await asyncio.sleep(_HEAD_START_S)
    loop = asyncio.get_running_loop()
    loaded: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not loaded.done():
            loaded.set_result(None)

    def import_it() -> None:
        with contextlib.suppress(ImportError):  # said by `listen`, which imports it too
            import zeroconf.asyncio  # noqa: F401
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, nobody waits any more
            loop.call_soon_threadsafe(tell)

    # Nobody waits for its end: an import cannot be broken off.
    threading.Thread(target=import_it, name="espressoscope-import", daemon=True).start()
    await loaded


async def listen(
    interfaces: Iterable[str],
    links: Iterable[Link],
    heard: Callable[[Announced], None],
    until: asyncio.Event,
) -> None:
    """Browse until told to stop.

    Parameters
    ----------
    interfaces : iterable of str
        Own addresses, one for each interface to listen on.
    links : iterable of Link
        This computer's addresses: an announced address that lies in none of their networks is not believed.
    heard : callable
        Told each address and port once, and once more when a MAC turns up.
    until : asyncio.Event
        Ends it.

    Raises
    ------
    OSError
        No multicast, no interface, no permission.
    """
    from zeroconf import Error, IPVersion
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

    on = _joinable(interfaces)
    lookups = _Lookups(_believable(on, links), heard)
    try:
        daemon = AsyncZeroconf(interfaces=on, ip_version=IPVersion.V4Only)
        try:
            # A browser cancelled before the start is over takes that with it, and the sockets stay open.
            await asyncio.shield(asyncio.ensure_future(daemon.zeroconf.async_wait_for_start()))
            browser = AsyncServiceBrowser(daemon.zeroconf, list(SERVICES), handlers=[lookups.changed])
            try:
                await until.wait()
            finally:
                await lookups.cancel()
                await browser.async_cancel()
        finally:
            await daemon.async_close()
    except Error as error:
        raise OSError(str(error) or type(error).__name__) from error


def _joinable(interfaces: Iterable[str]) -> list[str]:
    """Choose the interfaces on which multicast can be had; zeroconf leaks a socket where it cannot."""
    joined: list[str] = []
    problem: OSError | None = None
    for address in interfaces:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            try:
                group = socket.inet_aton(_GROUP) + socket.inet_aton(address)
                trial.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
                joined.append(address)
            except OSError as error:
                problem = error
                _log.debug("mDNS: no multicast on %s (%s)", address, error)
    if not joined and problem is not None:
        raise problem
    return joined


def _believable(interfaces: list[str], links: Iterable[Link]) -> list[ipaddress.IPv4Network]:
    names = {link.interface for link in links if str(link.address) in interfaces}
    return [link.network for link in links if link.interface in names]


def announced_mac(name: str, server: str, texts: Mapping[bytes, bytes | None]) -> str | None:
    """Find a MAC in what a service announces.

    Parameters
    ----------
    name, server : str
        Its own name and its host's; believed when they end in twelve digits of a MAC.
    texts : Mapping of bytes to bytes or None
        Its TXT record.
    """
    for key, value in texts.items():
        if value is not None and key.lower() in (b"mac", b"mac_address", b"macaddress"):
            mac = write_mac(value[:17].decode("latin-1"))
            if mac is not None:
                return mac
    for text in (name, server.rstrip(".").removesuffix(".local")):
        found = _MAC_AT_END.search(text)
        if found is not None and (mac := write_mac(found[1])) is not None:
            return mac
    return None


class _Lookups:
    """Asks for address and port of every service that turns up."""

    def __init__(self, networks: list[ipaddress.IPv4Network], heard: Callable[[Announced], None]) -> None:
        self._networks = networks
        self._heard = heard
        self._told: set[Announced] = set()
        self._asked: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    # zeroconf passes these by name.
    def changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """Take note of a service that appeared, changed or left."""
        if self._over or state_change.name == "Removed" or len(self._tasks) >= MOST_ANNOUNCED:
            return
        task = asyncio.get_running_loop().create_task(self._look_up(zeroconf, service_type, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        from zeroconf import Error, IPVersion
        from zeroconf.asyncio import AsyncServiceInfo

        try:
            info = AsyncServiceInfo(service_type, name)
            await info.async_request(zeroconf, _LOOKUP_MS)
            port = SERVICES.get(service_type) or info.port
            addresses = info.ip_addresses_by_version(IPVersion.V4Only)
        except (OSError, Error) as error:
            _log.debug("mDNS: no address for %r (%s)", name, error)
            return
        except Exception:  # noqa: BLE001 (a task of its own)
            _log.exception("mDNS: looking up %r failed", name)
            return
        mac = announced_mac(name.removesuffix(f".{service_type}"), info.server or "", info.properties)
        for address in addresses if port else ():
            announced = Announced(str(address), port or 80, mac)
            told = announced in self._told or (mac is None and announced[:2] in self._asked)
            if not told and len(self._told) < MOST_ANNOUNCED and self._near(announced.host):
                self._told.add(announced)
                self._asked.add(announced[:2])
                self._heard(announced)

    def _near(self, host: str) -> bool:
        # Multicast does not leave the link: an address beyond it is a mistake, or a trick to make this
        # computer ask a stranger.
        return any(ipaddress.IPv4Address(host) in network for network in self._networks)

    async def cancel(self) -> None:
        """Give up every look-up under way, and begin no more."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
