"""Asking many addresses: so many at a time, at a pace the network bears, twice where radios may sleep."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from espressoscope.discovery.prober import Outcome
from espressoscope.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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

_BEGIN_TOGETHER: Final = 32
"""Connections begun before the answers of earlier ones are looked at."""
_STARVED_PAUSE_S: Final = 0.05
_STARVED_LIMIT_S: Final = 5.0
_MOST_AGAIN: Final = 1280


class Pace:
    """Gives turns at an even rate."""

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._interval_s
        if mine > now:
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
    *,
    timeout_s: float,
    at_once: int,
    on_asked: Callable[[], None],
) -> None:
    """Ask every target; those that keep silent, once more with more patience where they are few.

    Parameters
    ----------
    rounds : iterable of iterators of Target
        Each begins when the one before it is over; targets are taken one by one, in order.
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
        await _ask_all(targets, prober, timeout_s, at_once, silent, on_asked)
    if silent:
        patience_s = min(2 * timeout_s, timeout_s + 2)
        await _ask_all(iter(silent), prober, patience_s, min(at_once, len(silent)), [], on_asked)


async def _ask_all(
    targets: Iterator[Target],
    prober: Prober,
    timeout_s: float,
    at_once: int,
    silent: list[Target],
    on_asked: Callable[[], None],
) -> None:
    pace = Pace(PACE_PER_S)
    starved: deque[Target] = deque()
    working = at_once

    def following() -> Target | None:
        return starved.popleft() if starved else next(targets, None)

    async def work() -> None:
        nonlocal working
        loop = asyncio.get_running_loop()
        starved_since: float | None = None
        try:
            while (target := following()) is not None:
                if target.paced:
                    await pace.turn()
                outcome = await prober.ask(target.host, target.port, target.found_by, timeout_s)
                if outcome is Outcome.STARVED:
                    starved.append(target)
                    if working > _FEWEST_AT_ONCE:
                        return  # as many go on as there are descriptors
                    starved_since = starved_since or loop.time()
                    if loop.time() - starved_since > _STARVED_LIMIT_S:
                        raise _no_descriptors()
                    await asyncio.sleep(_STARVED_PAUSE_S)
                    continue
                starved_since = None
                if _deserves_more(target, outcome) and len(silent) < _MOST_AGAIN:
                    silent.append(target)
                on_asked()
        finally:
            working -= 1

    try:
        async with asyncio.TaskGroup() as workers:
            for number in range(1, at_once + 1):
                workers.create_task(work())
                if number % _BEGIN_TOGETHER == 0:
                    await asyncio.sleep(0)
    except* DiscoveryError as group:
        raise group.exceptions[0] from None


def _deserves_more(target: Target, outcome: Outcome) -> bool:
    if not target.again or outcome not in (Outcome.SILENT, Outcome.MUTE):
        return False
    # This computer does not sleep: a port of its own that does not accept is not listened on.
    return outcome is Outcome.MUTE or not target.host.startswith("127.")


def _no_descriptors() -> DiscoveryError:
    return DiscoveryError(
        "this program may not open more files, so no connection can be made",
        hint="Close cameras and files, or raise the limit: ulimit -n 4096",
    )
