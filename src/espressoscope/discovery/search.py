"""One search: all sources side by side, each camera once, as it is found."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from espressoscope.discovery.census import Census
from espressoscope.discovery.neighbours import Neighbours
from espressoscope.discovery.prober import Outcome, Prober
from espressoscope.discovery.scan import connections_at_once, scan
from espressoscope.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from espressoscope.discovery.mdns import Announced
    from espressoscope.discovery.places import Places
    from espressoscope.model import CameraInfo

__all__ = ["SearchProgress", "search"]

_WAITING_CAMERAS: Final = 16
"""Cameras found and not taken before the search pauses."""
_PROGRESS_INTERVAL_S: Final = 0.05
_ANNOUNCED_AT_ONCE: Final = 32
_NEIGHBOURS_S: Final = 0.15
"""Longest wait for the table of neighbours, in seconds: it only decides who is asked first."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search is.

    Attributes
    ----------
    asked, total : int
        Addresses asked, and to be asked, ports counted singly. Announced hosts and second tries are not in
        them.
    found : int
        Cameras found.
    """

    asked: int
    total: int
    found: int


async def search(
    places: Places,
    *,
    timeout_s: float = 1.0,
    on_progress: Callable[[SearchProgress], None] | None = None,
) -> AsyncGenerator[CameraInfo, None]:
    """Look for cameras; give each once, when it is found.

    A generator: close it (`contextlib.aclosing`) to end the search early, and all its connections with it.

    Parameters
    ----------
    places : Places
        Where to look.
    timeout_s : float
        Longest wait for a connection and for each answer of one address; mDNS is listened for as long, or
        while the scan lasts.
    on_progress : callable, optional
        Told how far it is, on the loop's thread: it must return at once.

    Raises
    ------
    DiscoveryError
        There was no way to any of the addresses, or this process may not open connections.
    """
    found: asyncio.Queue[CameraInfo | None] = asyncio.Queue(_WAITING_CAMERAS)
    run = _Search(places, timeout_s, found, on_progress)
    task = asyncio.create_task(run.run(), name="espressoscope-search")
    try:
        while (info := await found.get()) is not None:
            yield info
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


class _Search:
    def __init__(
        self,
        places: Places,
        timeout_s: float,
        found: asyncio.Queue[CameraInfo | None],
        on_progress: Callable[[SearchProgress], None] | None,
    ) -> None:
        self._places = places
        self._timeout_s = timeout_s
        self._found = found
        self._on_progress = on_progress
        self._total = 0
        self._asked = 0
        self._told_at = 0.0
        self._neighbours = Neighbours(places.links)
        self._census = Census(self._neighbours, own=(str(link.address) for link in places.links))
        self._prober = Prober(self._census, found.put)

    async def run(self) -> None:
        """Search to the end, then put None; raise what `search` raises."""
        problem: Exception | None = None
        try:
            await self._all_sources()
        except Exception as error:  # noqa: BLE001 (the task's boundary: whoever waits for cameras gets it)
            problem = _first_of(error)
        # Not when cancelled: then nobody takes it, and the queue may be full.
        await self._found.put(None)
        if problem is not None:
            raise problem

    async def _all_sources(self) -> None:
        scanned = asyncio.Event()
        async with asyncio.TaskGroup() as sources:
            if self._places.mdns_on:
                sources.create_task(self._listen(scanned))
            elif self._places.mdns_wanted:
                _log.warning("no mDNS: this computer has no interface in %s", self._places.describe())
            places = self._places.with_neighbours(await self._hosts_known())
            self._total = places.size
            await scan(
                [places.targets(behind=behind) for behind in (False, True)],
                self._prober,
                self._neighbours,
                timeout_s=self._timeout_s,
                at_once=min(connections_at_once(), self._total),
                on_asked=self._note,
            )
            scanned.set()
        self._tell()
        prober = self._prober
        if prober.asked and prober.no_route == prober.asked:
            raise DiscoveryError(
                f"there is no way to {self._places.describe()} from this computer",
                hint="Is it connected to the cameras' network, and is this program allowed to use it?",
            )

    async def _hosts_known(self) -> list[str]:
        """Give the hosts that the system knows as neighbours, if it tells soon."""
        try:
            async with asyncio.timeout(_NEIGHBOURS_S):
                return [host for host in await self._neighbours.macs() if self._neighbours.near(host)]
        except TimeoutError:
            return []

    # --- mDNS

    async def _listen(self, scanned: asyncio.Event) -> None:
        from espressoscope.discovery import mdns

        await mdns.load()
        over = asyncio.Event()
        room = asyncio.Semaphore(_ANNOUNCED_AT_ONCE)
        async with asyncio.TaskGroup() as asking:

            def heard(announced: Announced) -> None:
                if announced.mac is not None:
                    self._census.announced(announced.host, announced.mac)
                asking.create_task(self._ask_announced(announced, room))

            async def end() -> None:
                await asyncio.sleep(self._timeout_s)
                await scanned.wait()
                over.set()

            ending = asking.create_task(end())
            try:
                await mdns.listen(self._places.mdns_on, self._places.links, heard, over)
            except OSError as error:
                self._no_mdns(error)
            except Exception:  # noqa: BLE001 (the scan goes on)
                _log.exception("mDNS failed; cameras are looked for by scan only")
            finally:
                ending.cancel()

    def _no_mdns(self, error: Exception) -> None:
        level = logging.WARNING if self._places.mdns_wanted else logging.INFO
        _log.log(level, "no mDNS (%s): cameras are looked for by scan only", error)

    async def _ask_announced(self, announced: Announced, room: asyncio.Semaphore) -> None:
        host, port, _ = announced
        async with room:
            outcome = await self._prober.ask(host, port, "mdns", self._timeout_s)
            if outcome in (Outcome.SILENT, Outcome.MUTE, Outcome.STARVED):
                await self._prober.ask(host, port, "mdns", 2 * self._timeout_s)

    # --- progress

    def _note(self) -> None:
        self._asked = min(self._asked + 1, self._total)
        if self._on_progress is not None:
            now = asyncio.get_running_loop().time()
            if now - self._told_at >= _PROGRESS_INTERVAL_S:
                self._told_at = now
                self._tell()

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(SearchProgress(self._asked, self._total, self._census.found))


def _first_of(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
