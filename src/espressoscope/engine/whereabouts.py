"""Whether a camera is still where it was, whether what is there is still this camera, and where it has gone.

Addresses are lent (DHCP): after a power cut a camera may come back elsewhere, and another one in its place.
So a camera is recognised anew after every break long enough for that, and looked for by its MAC when it
stays away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.model import shown_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from espressoscope.device.identify import Identity
    from espressoscope.engine.link import Link
    from espressoscope.engine.locator import Locator
    from espressoscope.model import CameraInfo

__all__ = ["Whereabouts", "other_camera"]

_DOUBT_AFTER_S = 5.0
"""No board restarts and joins a network, and no address is lent to another one, in less."""
_SUSPECT_S = 120.0
"""How long an address stays suspect at which another camera has answered: two boards may have it, and this
computer takes a minute or so to notice which one has gone."""
_SEARCH_AFTER_S = (10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds from the loss to the first search, and from one search to the next; the last goes on."""

_log = logging.getLogger(__name__)


class Whereabouts:
    """Keeps an eye on where one camera is.

    Parameters
    ----------
    locator : Locator or None
        Who can look for it; None: it is waited for where it was.
    move_to : async callable
        Takes the URL under which it has been found.
    link : Link
        Its link, for the age of its newest frame.
    """

    def __init__(
        self, locator: Locator | None, move_to: Callable[[str], Awaitable[None]], link: Link
    ) -> None:
        self._locator = locator
        self._move_to = move_to
        self._link = link
        self._verified_ns = 0
        self._breaks = self._stream_breaks = 0
        self._other_ns: int | None = None
        self._lost_ns: int | None = None
        self._searches = 0
        self._next_search_ns = 0
        self._search: asyncio.Task[None] | None = None

    @property
    def doubtful(self) -> bool:
        """Whether it may have restarted, or given its place to another one, since it was recognised."""
        if self.broken or self.suspect:
            return True
        newest = self._link.meter.newest
        if newest is not None and self._link.age_s(newest) < _DOUBT_AFTER_S:
            return False
        return time.perf_counter_ns() - self._verified_ns > _DOUBT_AFTER_S * 1e9

    @property
    def stream_doubtful(self) -> bool:
        """As `doubtful`, for a stream that is to be opened: what has been asked since it broke counts not."""
        return self.doubtful or self._link.breaks != self._stream_breaks

    @property
    def broken(self) -> bool:
        """Whether a stream was broken since it was recognised, as by a board that never began it."""
        return self._link.breaks != self._breaks

    @property
    def suspect(self) -> bool:
        """Whether another camera has answered here of late: then this one must say who it is."""
        return self._other_ns is not None and time.perf_counter_ns() - self._other_ns < _SUSPECT_S * 1e9

    def verified(self) -> None:
        """Take note that it has just been recognised."""
        self._verified_ns = time.perf_counter_ns()
        self._breaks = self._link.breaks

    def settled(self) -> None:
        """Take note that it has just been recognised for the first time, or at another address."""
        self._other_ns = None
        self.verified()

    def other_answered(self) -> None:
        """Take note that another camera has just answered at its address."""
        self._other_ns = time.perf_counter_ns()

    def believed(self) -> None:
        """Take note that it could not tell who it is, and is taken at its word."""
        self._breaks = self._link.breaks

    def seen(self) -> None:
        """Take note that it is where it was."""
        self._lost_ns = None
        self._searches = 0
        self._stream_breaks = self._link.breaks

    def missed(self, info: CameraInfo, error: CameraError) -> None:
        """Take note of an attempt in vain; begin to look for it elsewhere when it is time to."""
        now_ns = time.perf_counter_ns()
        if self._lost_ns is None:
            self._lost_ns = now_ns
            self._next_search_ns = now_ns + int(_SEARCH_AFTER_S[0] * 1e9)
        replaced = isinstance(error, ConnectError) and error.reason is ConnectReason.NOT_A_CAMERA
        if replaced and self._searches == 0:
            self._next_search_ns = now_ns  # it cannot be here; the searches after this one take their time
        if self._locator is None or info.mac is None or now_ns < self._next_search_ns:
            return
        if self._search is None or self._search.done():
            self._searches += 1
            pause_s = _SEARCH_AFTER_S[min(self._searches, len(_SEARCH_AFTER_S) - 1)]
            self._next_search_ns = now_ns + int(pause_s * 1e9)
            self._search = asyncio.get_running_loop().create_task(
                self._look_for(self._locator, info), name=f"espressoscope-locate-{self._link.camera}"
            )

    async def _look_for(self, locator: Locator, info: CameraInfo) -> None:
        try:
            url = await locator.locate(info)
            if url is None:
                return
            if url != info.url:
                await self._move_to(url)
                _log.warning("%s has moved from %s to %s", info.name, shown_url(info.url), shown_url(url))
        except CameraError as error:
            _log.info("%s: the search for it ended: %s", shown_url(info.url), error)
            return
        except Exception:  # noqa: BLE001 - a task boundary; the link goes on trying
            _log.exception("%s: the search for it failed by a mistake of ours", shown_url(info.url))
            return
        self._link.hurry()

    def close(self) -> None:
        """End a search under way."""
        if self._search is not None:
            self._search.cancel()


def other_camera(info: CameraInfo, identity: Identity) -> ConnectError | None:
    """Say so when what answers is another camera than the one known; None when nothing speaks for it.

    The MAC decides, where both are known. A board whose firmware has been replaced keeps it.
    """
    found = identity.info
    if info.mac is not None and found.mac is not None:
        same = info.mac == found.mac
    else:
        same = info.firmware in ("unknown", found.firmware)
    if same:
        return None
    return ConnectError(
        f"another camera answers there now: {found.name} ({found.mac or found.firmware}), "
        f"not {info.name} ({info.mac or info.firmware})",
        reason=ConnectReason.NOT_A_CAMERA,
        camera=shown_url(info.url).removeprefix("http://"),
        hint="Its address has been given to another one: search for it with `espressoscope discover`",
    )
