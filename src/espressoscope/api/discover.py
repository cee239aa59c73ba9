"""`discover`: cameras as they are found, as a plain iterator."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Self

from espressoscope.api.background import SLICE_S, Background
from espressoscope.discovery.memory import remember
from espressoscope.discovery.networks import check_timeout
from espressoscope.discovery.places import find_places
from espressoscope.discovery.search import SearchProgress, search
from espressoscope.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Network, IPv6Network

    from espressoscope.discovery.places import Places
    from espressoscope.model import CameraInfo

__all__ = ["Discovery", "SearchProgress", "discover"]

_WAITING_CAMERAS = 256
"""Cameras found and not taken before the search pauses."""

_log = logging.getLogger(__name__)


def discover(
    networks: str | IPv4Network | IPv6Network | Iterable[str | IPv4Network | IPv6Network] | None = None,
    ports: int | str | Iterable[int | str] | None = None,
    mdns: bool | None = None,
    timeout: float = 1.0,
    *,
    progress: Callable[[SearchProgress], None] | None = None,
) -> Discovery:
    """Find cameras on the network.

    The search begins with the call, in the background; cameras found wait to be taken. Stream URLs are never
    opened, and nothing but what looks like a camera is listed.

    Parameters
    ----------
    networks : str, network or iterable of them, optional
        Look exactly there: ``"192.168.1.0/24"``, ``"192.168.1.7"``, none wider than a /16. Without: in the
        local IPv4 networks cut to /22, at 192.168.4.1 (a camera's own access point), where cameras were found
        before, on this computer, at hosts the system knows as neighbours, and by mDNS; or in the networks
        that ``ESPRESSOSCOPE_NETWORKS`` names, instead of all these.
    ports : int, str or iterable of them, optional
        Ask exactly these: ``80``, ``"8080-8090"``. Without: 80, on this computer also the simulator's.
    mdns : bool, optional
        Listen for announcements too, or do not. Without: only where neither networks nor ports are given.
    timeout : float
        Longest wait for a connection and for each answer of one address, and for mDNS, in seconds; not for
        the whole search. Addresses that keep silent are asked once more, twice as patiently, if they are few.
    progress : callable, optional
        Called with a `SearchProgress` while you wait for the next camera, on your thread, at most ten times a
        second.

    Returns
    -------
    Discovery
        An iterator of `CameraInfo`; also a context manager.

    Raises
    ------
    DiscoveryError
        Networks, ports or a timeout that cannot be used: at once, nothing has been sent. While iterating:
        there was no way to any of the addresses, or this program may not open connections.

    Examples
    --------
    >>> import espressoscope as es
    >>> for info in es.discover(timeout=0.5):  # doctest: +SKIP
    ...     print(info.name, info.url)
    """
    timeout_s = check_timeout(timeout)
    places = find_places(networks, ports, mdns)
    return Discovery(places, timeout_s, progress)


class _Feed:
    """Between the search, on the loop, and the iterator, on its user's thread; refers to neither."""

    def __init__(self) -> None:
        self.problem: DiscoveryError | None = None
        self.progress: SearchProgress | None = None
        self._cameras: deque[CameraInfo] = deque()
        self._over = False
        self._changed = threading.Condition()
        self._room: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- on the loop

    async def fill(self, places: Places, timeout_s: float) -> None:
        """Search."""
        self._loop = asyncio.get_running_loop()
        self._room = room = asyncio.Event()
        try:
            async with contextlib.aclosing(
                search(places, timeout_s=timeout_s, on_progress=self._note)
            ) as found:
                async for info in found:
                    while len(self._cameras) >= _WAITING_CAMERAS:
                        room.clear()
                        await room.wait()
                    with self._changed:
                        self._cameras.append(info)
                        self._changed.notify()
        except DiscoveryError as error:
            self.problem = error
        except Exception as error:  # noqa: BLE001 (the task ends here; the iterator says why)
            _log.exception("the search for cameras failed")
            self.problem = DiscoveryError(
                f"the search failed ({type(error).__name__}: {error})",
                hint="This is a mistake of Espressoscope: please report it with the log",
            )
        with self._changed:
            self._over = True
            self._changed.notify()

    def _note(self, progress: SearchProgress) -> None:
        self.progress = progress

    # --- on the user's thread

    def take(self) -> tuple[CameraInfo | None, bool]:
        """Wait a moment for a camera; give it, and whether the search is over."""
        with self._changed:
            if not self._cameras and not self._over:
                self._changed.wait(SLICE_S)
            if not self._cameras:
                return None, self._over
            info = self._cameras.popleft()
        if self._loop is not None and self._room is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the search
                self._loop.call_soon_threadsafe(self._room.set)
        return info, False


class Discovery(Background):
    """Cameras as they are found: an iterator, made by `discover`.

    The search ends with the last camera, with `close`, with its ``with`` block, or when nobody refers to the
    iterator any more. Use it from one thread; `close` may be called from another one, and ends the wait.
    """

    def __init__(
        self, places: Places, timeout_s: float, progress: Callable[[SearchProgress], None] | None
    ) -> None:
        self._remembers = places.remembers
        self._progress = progress
        self._told: SearchProgress | None = None
        self._found: list[CameraInfo] = []
        self._feed = feed = _Feed()
        super().__init__(lambda: feed.fill(places, timeout_s), "espressoscope-discover")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> CameraInfo:
        """Wait for the next camera.

        Raises
        ------
        DiscoveryError
            There was no way to any of the addresses, or this program may not open connections.
        RuntimeError
            Called on the loop's own thread, or in a forked process.
        """
        try:
            while self.is_running():
                info, over = self._feed.take()
                self._tell()
                if info is not None:
                    self._found.append(info)
                    return info
                if over:
                    self.close()
                    if self._feed.problem is not None:
                        raise self._feed.problem
        except BaseException:
            self.close()
            raise
        raise StopIteration

    def _tell(self) -> None:
        progress = self._feed.progress
        if self._progress is not None and progress is not None and progress != self._told:
            self._told = progress
            self._progress(progress)

    def close(self) -> None:
        """End the search; cameras found and not taken are let go. Twice does nothing."""
        super().close()
        found, self._found = self._found, []
        if self._remembers and found:
            remember(found)
