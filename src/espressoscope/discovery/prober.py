"""Asking one address whether a camera is there, and telling cameras apart: the one way every source goes.

Which addresses, when and how often is decided in `scan` and `mdns`.
"""

from __future__ import annotations

import errno
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from espressoscope.device.address import Address
from espressoscope.device.identify import identify_or_raise
from espressoscope.errors import CameraError, CameraTimeout, ConnectError, ConnectReason, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from espressoscope.model import CameraInfo

__all__ = ["Outcome", "Prober"]

MOST_CAMERAS: Final = 4096
"""Most cameras one search lists: a network on which everything claims to be one costs bounded memory."""

_NO_SOCKETS: Final = {errno.EMFILE, errno.ENFILE}
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES}
_FULL: Final = {errno.ENOBUFS, errno.ENOMEM}
# What a board without a burnt-in address, or with a failed radio, reports.
_NO_MAC: Final = {None, "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF"}
_LOOPBACK: Final = "127.0.0.1"

_log = logging.getLogger(__name__)


class Outcome(Enum):
    """What came of asking an address."""

    CAMERA = auto()  # a camera, listed now or before
    NOTHING = auto()  # nothing listens, or something that is no camera
    SILENT = auto()  # no connection in time
    MUTE = auto()  # connected, but no whole answer
    NO_ROUTE = auto()  # this computer cannot send there
    STARVED = auto()  # this process cannot open a connection at present


class Prober:
    """Asks addresses and passes each camera on once.

    Parameters
    ----------
    deliver : callable
        Awaited with every camera that is new; may wait, which holds up the source that found it.
    own : iterable of str
        This computer's addresses.

    Attributes
    ----------
    found : int
        Cameras passed on.
    asked : int
        Addresses asked to an end.
    no_route : int
        Those among them to which there was no way.
    """

    def __init__(self, deliver: Callable[[CameraInfo], Awaitable[None]], own: Iterable[str] = ()) -> None:
        self.found = 0
        self.asked = 0
        self.no_route = 0
        self._deliver = deliver
        self._own = frozenset(own)
        # Being asked now, answered for good, or the stream of a camera: not asked, whichever source names it.
        self._known: set[tuple[str, int]] = set()
        self._macs: set[str] = set()
        self._on_this_computer: dict[tuple[int, str, str], set[str]] = {}

    async def ask(self, host: str, port: int, found_by: str, timeout_s: float) -> Outcome:
        """Ask one address, and deliver the camera there if it is a new one.

        Parameters
        ----------
        timeout_s : float
            Longest wait for a connection, and for each answer on it.

        Returns
        -------
        Outcome
            NOTHING also for an address that another source asks at the moment or has settled.
        """
        try:
            return await self._ask(host, port, found_by, timeout_s)
        except Exception:  # noqa: BLE001 (whatever one host causes must not end the search)
            _log.exception("asking %s:%d failed", host, port)
            return Outcome.NOTHING

    async def _ask(self, host: str, port: int, found_by: str, timeout_s: float) -> Outcome:
        place = (host, port)
        if place in self._known:
            return Outcome.NOTHING
        self._known.add(place)
        settled = False
        try:
            # Connection and request are one step: what accepts a connection gets a whole request at once, and
            # every wait ends with the connection closed (half a request blocks a camera for 5 s).
            identity = await identify_or_raise(
                Address(host, port), found_by=found_by, timeout_s=timeout_s, connect_timeout_s=timeout_s
            )
        except CameraError as error:
            outcome = _outcome_of(error)
            settled = outcome is Outcome.NOTHING and not _refused(error)
        else:
            outcome, settled = Outcome.CAMERA, True
            if identity.stream is not None:
                self._known.add((host, identity.stream.port))
            if self._is_new(identity.info, host, port):
                await self._deliver(identity.info)
        finally:
            if not settled:
                self._known.discard(place)
        if outcome is not Outcome.STARVED:
            self.asked += 1
            self.no_route += outcome is Outcome.NO_ROUTE
        return outcome

    def _is_new(self, info: CameraInfo, host: str, port: int) -> bool:
        """Tell whether this camera has not been listed; a camera reached by two addresses is one camera."""
        if info.mac is not None and info.mac not in _NO_MAC:
            if info.mac in self._macs:
                return False
            self._macs.add(info.mac)
        elif host == _LOOPBACK or host in self._own:
            # A server that listens on every own address answers on loopback and on each of them. Two servers
            # on the same port of different addresses are two, as long as loopback is none of them.
            hosts = self._on_this_computer.setdefault((port, info.firmware, info.name), set())
            same = bool(hosts) and (host == _LOOPBACK or _LOOPBACK in hosts)
            hosts.add(host)
            if same:
                return False
        if self.found >= MOST_CAMERAS:
            if self.found == MOST_CAMERAS:
                _log.warning("more than %d cameras found; the rest is not listed", MOST_CAMERAS)
            return False
        self.found += 1
        return True


def _cause(error: CameraError) -> int | None:
    cause = error.__cause__
    return cause.errno if isinstance(cause, OSError) else None


def _refused(error: CameraError) -> bool:
    return isinstance(error, ConnectError) and error.reason is not ConnectReason.NOT_A_CAMERA


def _outcome_of(error: CameraError) -> Outcome:
    if isinstance(error, CameraTimeout):
        return Outcome.SILENT if error.phase == "connect" else Outcome.MUTE
    if isinstance(error, RemoteProtocolError):
        # Closed without a byte: a camera that restarts, or has no socket left. Other bytes: no camera.
        silent = not error.sample and (error.offset == 0 or _cause(error) is not None)
        return Outcome.MUTE if silent else Outcome.NOTHING
    number = _cause(error)
    if number in _NO_SOCKETS:
        return Outcome.STARVED
    if number in _FULL:
        return Outcome.SILENT
    return Outcome.NO_ROUTE if number in _NO_ROUTE else Outcome.NOTHING
