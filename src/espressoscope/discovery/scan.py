"""Asking many addresses: so many at a time, at a pace the network bears, twice where radios may sleep."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from espressoscope.discovery.knock import Knocks
from espressoscope.discovery.prober import Outcome
from espressoscope.errors import DiscoveryError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator

    from espressoscope.discovery.neighbours import Neighbours
    from espressoscope.discovery.places import Target
    from espressoscope.discovery.prober import Prober

__all__ = ["PACE_PER_S", "Pace", "connections_at_once", "scan"]

MOST_AT_ONCE: Final = 512
_FEWEST_AT_ONCE: Final = 4
_RESERVED_DESCRIPTORS: Final = 64
"""Left to the rest of the program: files, streams, mDNS."""
PACE_PER_S: Final = 220
"""New addresses a second in wide networks.

An address that nobody answers for occupies one of the 1024 entries of the kernel's neighbour table for 3 s;
when it is full, live cameras are missed without a word. Measured on a /20: 250 a second find all of them, 512
at a time do not; 220 leave room for the small networks asked before."""

_TOGETHER_S: Final = 0.05
_BEGIN_TOGETHER: Final = 64
"""Connections begun before the answers of earlier ones are looked at."""
_STARVED_PAUSE_S: Final = 0.05
_STARVED_LIMIT_S: Final = 5.0
_MOST_AGAIN: Final = 1280
_MOST_DOUBTFUL: Final = 256


class Pace:
    """Gives turns at a rate, a few together: a pause after each would cost more than what it is for."""

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._interval_s
        if mine - now > _TOGETHER_S:
            await asyncio.sleep(mine - now)


def connections_at_once() -> int:
    """Give how many connections a scan may have open: 512, less where the process may open fewer files."""
    if sys.platform == "win32":
        return MOST_AT_ONCE
    else:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY:
            return MOST_AT_ONCE
        try:
            in_use = len(os.listdir("/dev/fd"))
        except OSError:
            in_use = _RESERVED_DESCRIPTORS
        return max(_FEWEST_AT_ONCE, min(MOST_AT_ONCE, limit - in_use - _RESERVED_DESCRIPTORS))


async def scan(
    rounds: Iterable[Iterator[Target]],
    prober: Prober,
    neighbours: Neighbours,
    *,
    timeout_s: float,
    at_once: int,
    on_asked: Callable[[], None],
) -> None:
    """Ask every target; those that keep silent, once more with more patience where that is promising.

    Parameters
    ----------
    rounds : iterable of iterators of Target
        Each begins when the one before it is over; targets are taken one by one, in order.
    neighbours : Neighbours
        Tells which of many silent hosts are there all the same, and are asked once more.
    timeout_s : float
        Longest wait for a connection, and for each answer. The second time it is twice that, at most 2 s
        more: a radio that sleeps between beacons may take longer than one wait, and a kernel that looks for
        a neighbour asks only once a second.
    at_once : int
        Connections open at the same time.
    on_asked : callable
        Called after each target.

    Raises
    ------
    DiscoveryError
        No connection could be opened for 5 s, because this process may not open more files.
    """
    silent: list[Target] = []
    for targets in rounds:
        first = _Round(prober, timeout_s, at_once, on_asked)
        silent += await first.ask(targets, neighbours)
        del silent[_MOST_AGAIN:]
    if silent:
        patience_s = min(2 * timeout_s, timeout_s + 2)
        second = _Round(prober, patience_s, min(at_once, len(silent)), on_asked)
        await second.ask(iter(silent), None)


class _Round:
    """Targets asked once, one after the other, without waiting for the answers."""

    def __init__(self, prober: Prober, timeout_s: float, at_once: int, on_asked: Callable[[], None]) -> None:
        self._prober = prober
        self._timeout_s = timeout_s
        self._at_once = at_once
        self._on_asked = on_asked
        self._under_way = 0
        self._ended = asyncio.Event()  # something has, since it was last looked at
        self._starved: deque[Target] = deque()
        self._starved_since: float | None = None
        self._silent: list[Target] = []
        self._doubtful: list[Target] = []

    async def ask(self, targets: Iterator[Target], neighbours: Neighbours | None) -> list[Target]:
        """Ask all of them, and give those that deserve a second try."""
        try:
            async with (
                asyncio.TaskGroup() as visits,
                Knocks(self._timeout_s, self._visitor(visits), self._no_connection) as knocks,
            ):
                await self._begin_all(targets, knocks, neighbours)
        except* DiscoveryError as group:
            raise group.exceptions[0] from None
        return self._silent

    async def _begin_all(
        self, targets: Iterator[Target], knocks: Knocks, neighbours: Neighbours | None
    ) -> None:
        pace = Pace(PACE_PER_S)
        begun = 0
        while True:
            if self._starved:
                await self._starve()
            target = self._starved.popleft() if self._starved else next(targets, None)
            if target is not None:
                while self._under_way >= self._at_once:
                    await self._wait_for_an_end()
                if target.paced:
                    await pace.turn()
                self._begin(target, knocks)
                begun += 1
                if begun % _BEGIN_TOGETHER == 0:
                    await asyncio.sleep(0)
            elif self._under_way:
                await self._wait_for_an_end()
            else:
                break
            if len(self._doubtful) >= _MOST_DOUBTFUL:
                await self._sort_out(neighbours)
        await self._sort_out(neighbours)

    def _begin(self, target: Target, knocks: Knocks) -> None:
        if self._prober.claim(target.host, target.port):
            self._under_way += 1
            knocks.begin(target)
        else:
            self._on_asked()

    async def _wait_for_an_end(self) -> None:
        self._ended.clear()
        await self._ended.wait()

    def _visitor(self, visits: asyncio.TaskGroup) -> Callable[[Target, socket.socket], None]:
        def visit(target: Target, sock: socket.socket) -> None:
            task = visits.create_task(self._visit(target, sock))
            # A task that is cancelled before its first step closes nothing.
            task.add_done_callback(lambda task: sock.close() if task.cancelled() else None)

        return visit

    async def _visit(self, target: Target, sock: socket.socket) -> None:
        host, port, found_by = target[:3]
        self._end(target, await self._prober.visit(host, port, found_by, self._timeout_s, sock))

    def _no_connection(self, target: Target, error: OSError | None) -> None:
        self._end(target, self._prober.failed(target.host, target.port, error))

    def _end(self, target: Target, outcome: Outcome) -> None:
        self._under_way -= 1
        self._ended.set()
        if outcome is Outcome.STARVED:
            self._starved.append(target)
            return
        self._starved_since = None
        if outcome is Outcome.MUTE:
            self._silent.append(target)
        elif outcome is Outcome.SILENT and not target.host.startswith("127."):
            # This computer does not sleep: a port of its own that does not accept is not listened on.
            (self._silent if target.again else self._doubtful).append(target)
        self._on_asked()

    async def _sort_out(self, neighbours: Neighbours | None) -> None:
        """Keep those of many silent hosts that are there: they answered on the link, though not in TCP."""
        doubtful, self._doubtful = self._doubtful, []
        if doubtful and neighbours is not None:
            there = await neighbours.macs()
            self._silent += [target for target in doubtful if target.host in there]

    async def _starve(self) -> None:
        """Go on with as many connections as there are descriptors; give up when there are none for long."""
        now = asyncio.get_running_loop().time()
        self._at_once = max(_FEWEST_AT_ONCE, min(self._at_once, self._under_way))
        self._starved_since = self._starved_since or now
        if now - self._starved_since > _STARVED_LIMIT_S:
            raise _no_descriptors()
        await asyncio.sleep(_STARVED_PAUSE_S)


def _no_descriptors() -> DiscoveryError:
    return DiscoveryError(
        "this program may not open more files, so no connection can be made",
        hint="Close cameras and files, or raise the limit: ulimit -n 4096",
    )
