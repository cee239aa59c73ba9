"""Finds cameras that have moved, for all links of this process together.

A board that was given another address is still in its network, so that is where it is looked for: the 254
addresses around its last one, at its own port; one whose address nobody knows is looked for where `discover`
looks. ``ESPRESSOSCOPE_NETWORKS`` narrows this to the networks it names. Cameras of one network that are
missing at the same time share one search.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
from typing import TYPE_CHECKING, Final

from espressoscope.device.address import parse_address
from espressoscope.discovery.census import mac_at
from espressoscope.discovery.places import find_places
from espressoscope.discovery.search import search
from espressoscope.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from espressoscope.device.address import Address
    from espressoscope.discovery.places import Places
    from espressoscope.engine.locator import Locator
    from espressoscope.model import CameraInfo

__all__ = ["SearchLocator", "locating", "shared_locator"]

SEARCH_S: Final = 15.0
"""Longest search for cameras that have moved, in seconds."""

_log = logging.getLogger(__name__)


class SearchLocator:
    """A `Locator` that scans the network of the address a camera had."""

    def __init__(self) -> None:
        self._searches: dict[Places, _SharedSearch] = {}

    async def locate(self, info: CameraInfo) -> str | None:
        """Look for the camera with this MAC; see `Locator.locate`."""
        places = _places_near(info)
        if places is None or info.mac is None:
            return None
        shared = self._searches.get(places)
        if shared is None or not shared.running:
            shared = self._searches[places] = _SharedSearch(places)
            shared.task.add_done_callback(lambda task: self._forget(places, task))
        return await shared.wait_for(info.mac)

    def _forget(self, places: Places, task: asyncio.Task[None]) -> None:
        known = self._searches.get(places)
        if known is not None and known.task is task:
            del self._searches[places]

    async def mac_at(self, address: Address) -> str | None:
        """Look it up in the system's table of neighbours; see `Locator.mac_at`."""
        return await mac_at(address.host, address.port)


class _SharedSearch:
    """One search for every camera that is missing in its places."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._waiting: dict[asyncio.Future[str | None], str] = {}
        self._found: dict[str, str] = {}
        self.task = asyncio.get_running_loop().create_task(self._run(), name="espressoscope-locate")

    @property
    def running(self) -> bool:
        """Whether it will answer: it is not over, and its loop is the one that asks."""
        return not self.task.done() and self.task.get_loop() is asyncio.get_running_loop()

    async def wait_for(self, mac: str) -> str | None:
        """Wait until this camera is found, or all has been searched."""
        if mac in self._found:
            return self._found[mac]
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = mac
        try:
            return await answer
        finally:
            del self._waiting[answer]
            if not self._waiting:
                self.task.cancel()  # nobody wants to know any more

    async def _run(self) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SEARCH_S), contextlib.aclosing(search(self._places)) as found:
                    async for info in found:
                        self._take(info)
        except DiscoveryError as error:
            _log.info("no search for cameras that have moved: %s", error)
        except Exception:  # noqa: BLE001 - a task boundary; those who wait get no answer, and try again
            _log.exception("the search for cameras that have moved failed")
        finally:
            for answer in self._waiting:
                if not answer.done():
                    answer.set_result(None)

    def _take(self, info: CameraInfo) -> None:
        if info.mac is None:
            return
        self._found.setdefault(info.mac, info.url)
        for answer, mac in self._waiting.items():
            if mac == info.mac and not answer.done():
                answer.set_result(info.url)


def _places_near(info: CameraInfo) -> Places | None:
    """Give where a camera may be by now; None when that cannot be told."""
    try:
        if not info.url or os.environ.get("ESPRESSOSCOPE_NETWORKS", "").strip():
            return find_places()
        address = parse_address(info.url)
        host = ipaddress.ip_address(address.host)
        if host.version != 4:
            return None  # a /64 cannot be searched
        if host.is_loopback:
            return find_places(f"{host}/32")
        return find_places(ipaddress.ip_network(f"{host}/24", strict=False), address.port)
    except DiscoveryError as error:
        _log.warning("no search for cameras that have moved: %s", error)
        return None
    except ValueError:
        return None  # a host name: whoever gives it out knows the new address


_shared = SearchLocator()


def shared_locator() -> Locator:
    """Give the one locator of this process; it holds nothing while nobody is missing."""
    return _shared


def locating(info: CameraInfo | None) -> Callable[[], Awaitable[str | None]] | None:
    """Give a function that looks for a camera, and gives its URL or None; None where no MAC is known."""
    if info is None or info.mac is None:
        return None
    known = info
    return lambda: _shared.locate(known)
