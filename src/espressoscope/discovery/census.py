"""Telling cameras apart: which ones a search has listed, and the MAC of those that do not tell it.

A camera's own word comes first (`identify` has asked for it). Otherwise the MAC is borrowed: from the table
of neighbours, or from an announcement. A borrowed one is believed only where nothing else can have lent it:

- not behind a router, where a neighbour's MAC is the router's (`Neighbours.near`);
- at port 80 only: what answers elsewhere may be one of several servers of one computer;
- not at the access point's address, whose MAC is not the one the board has in other networks;
- not where another host that answers has the same: WiFi extenders lend theirs to all behind them.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from espressoscope.discovery.neighbours import Neighbours, write_mac
from espressoscope.discovery.networks import local_links
from espressoscope.discovery.places import ACCESS_POINT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from espressoscope.model import CameraInfo

__all__ = ["Census", "mac_at"]

MOST_CAMERAS: Final = 4096
"""Most cameras one search lists: a network on which everything claims to be one costs bounded memory."""
_MOST_HINTS: Final = 1024
_LOOPBACK: Final = "127.0.0.1"

_log = logging.getLogger(__name__)


class Census:
    """The cameras of one search.

    Parameters
    ----------
    neighbours : Neighbours
        Where MACs are looked up.
    own : iterable of str
        This computer's addresses.

    Attributes
    ----------
    found : int
        Cameras entered.
    """

    def __init__(self, neighbours: Neighbours, own: Iterable[str] = ()) -> None:
        self.found = 0
        self._full = False
        self._neighbours = neighbours
        self._own = frozenset(own)
        self._told: set[str] = set()
        self._borrowed: dict[str, str] = {}  # MAC to the host it was borrowed for
        self._announced: dict[str, str] = {}  # host to MAC
        self._alive: set[str] = set()
        self._on_this_computer: dict[tuple[int, str, str], set[str]] = {}

    def seen(self, host: str) -> None:
        """Note that a host answers, whatever it is."""
        if self._neighbours.near(host):
            self._alive.add(host)

    def announced(self, host: str, mac: str) -> None:
        """Note the MAC that a host announces."""
        if len(self._announced) < _MOST_HINTS:
            self._announced[host] = mac

    async def enter(self, info: CameraInfo, host: str, port: int) -> CameraInfo | None:
        """List a camera, unless it has been; a camera reached by two addresses is one camera.

        Returns
        -------
        CameraInfo or None
            With its MAC, where that can be had; None when it is listed already, or too many are.
        """
        told = None if info.mac is None else write_mac(info.mac)  # some boards report no address, all zeros
        borrowed = await self._borrow(host, port) if told is None else None
        # From here on nothing waits: two of one MAC cannot both be new.
        if borrowed is not None and self._borrowed.setdefault(borrowed, host) != host:
            borrowed = None  # whoever lent it to both is a camera at most once
        if told is not None:
            new = told not in self._told and told not in self._borrowed
            self._told.add(told)
        elif borrowed is not None:
            new = borrowed not in self._told
        else:
            new = self._is_new_on_this_computer(info, host, port)
        if new and self.found >= MOST_CAMERAS:
            if not self._full:
                _log.warning("more than %d cameras found; the rest is not listed", MOST_CAMERAS)
            new, self._full = False, True
        if not new:
            return None
        self.found += 1
        return replace(info, mac=told or borrowed)

    async def _borrow(self, host: str, port: int) -> str | None:
        if port != 80:
            return None
        mac, others = await _lent(self._neighbours, host)
        if mac is not None and self._alive.isdisjoint(others):
            return mac
        return self._announced.get(host)

    def _is_new_on_this_computer(self, info: CameraInfo, host: str, port: int) -> bool:
        """Tell a new server of this computer from one that was reached by another of its addresses."""
        if host != _LOOPBACK and host not in self._own:
            return True
        # A server that listens on every own address answers on loopback and on each of them. Two servers on
        # the same port of different addresses are two, as long as loopback is none of them.
        hosts = self._on_this_computer.setdefault((port, info.firmware, info.name), set())
        same = bool(hosts) and (host == _LOOPBACK or _LOOPBACK in hosts)
        hosts.add(host)
        return not same


async def mac_at(host: str, port: int) -> str | None:
    """Look up the MAC of a camera that has just answered, outside a search; None where it is in doubt.

    Here nobody knows which other hosts answer: one that was there with the same MAC is doubt enough.
    """
    if port != 80:
        return None
    mac, others = await _lent(Neighbours(local_links()), host)
    return None if others else mac


async def _lent(neighbours: Neighbours, host: str) -> tuple[str | None, set[str]]:
    """Give the MAC in the table of neighbours, and the other hosts that have the same there."""
    if host == ACCESS_POINT or not neighbours.near(host):
        return None, set()
    macs = await neighbours.macs()
    mac = macs.get(host)
    return mac, {other for other, its in macs.items() if its == mac and other != host}
