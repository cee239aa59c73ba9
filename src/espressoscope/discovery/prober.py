"""Asking one address whether a camera is there: the one way every source goes.

Which addresses, when and how often is decided in `scan` and `mdns`; which cameras are the same one, in
`census`.
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
    import socket
    from collections.abc import Awaitable, Callable

    from espressoscope.discovery.census import Census
    from espressoscope.model import CameraInfo

__all__ = ["Outcome", "Prober"]

_NO_SOCKETS: Final = {errno.EMFILE, errno.ENFILE}
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES}
_FULL: Final = {errno.ENOBUFS, errno.ENOMEM}

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
    census : Census
        Tells new cameras from known ones.
    deliver : callable
        Awaited with every camera that is new; may wait, which holds up the source that found it.

    Attributes
    ----------
    asked : int
        Addresses asked to an end.
    no_route : int
        Those among them to which there was no way.
    """

    def __init__(self, census: Census, deliver: Callable[[CameraInfo], Awaitable[None]]) -> None:
        self.asked = 0
        self.no_route = 0
        self._census = census
        self._deliver = deliver
        # Being asked now, answered for good, or the stream of a camera: not asked, whichever source names it.
        self._known: set[tuple[str, int]] = set()

    def claim(self, host: str, port: int) -> bool:
        """Take an address for oneself; False when another source asks it at the moment or has settled it.

        Who has claimed one calls `failed` or `visit` next.
        """
        if (host, port) in self._known:
            return False
        self._known.add((host, port))
        return True

    def failed(self, host: str, port: int, error: OSError | None) -> Outcome:
        """Give back an address to which no connection came about; without an error it kept silent."""
        self._known.discard((host, port))
        if isinstance(error, ConnectionRefusedError):
            self._census.seen(host)
        return self._count(Outcome.SILENT if error is None else _outcome_of_number(error.errno))

    async def ask(self, host: str, port: int, found_by: str, timeout_s: float) -> Outcome:
        """Claim an address, connect, and ask; NOTHING when there is nothing to claim."""
        if not self.claim(host, port):
            return Outcome.NOTHING
        return await self.visit(host, port, found_by, timeout_s)

    async def visit(
        self,
        host: str,
        port: int,
        found_by: str,
        timeout_s: float,
        connected: socket.socket | None = None,
    ) -> Outcome:
        """Ask a claimed address, and deliver the camera there if it is a new one.

        Parameters
        ----------
        timeout_s : float
            Longest wait for a connection, and for each answer on it.
        connected : socket, optional
            A connection to it, which is closed in the end.
        """
        try:
            return self._count(await self._visit(Address(host, port), found_by, timeout_s, connected))
        except Exception:  # noqa: BLE001 (whatever one host causes must not end the search)
            _log.exception("asking %s:%d failed", host, port)
            return self._count(Outcome.NOTHING)

    async def _visit(
        self, address: Address, found_by: str, timeout_s: float, connected: socket.socket | None
    ) -> Outcome:
        host, port = address.host, address.port
        settled = False
        if connected is not None:
            self._census.seen(host)
        try:
            # Connection and request are one step: what accepts a connection gets a whole request at once, and
            # every wait ends with the connection closed (half a request blocks a camera for 5 s).
            identity = await identify_or_raise(
                address,
                found_by=found_by,
                timeout_s=timeout_s,
                connect_timeout_s=timeout_s,
                connected=connected,
            )
        except CameraError as error:
            outcome = _outcome_of(error)
            settled = outcome is Outcome.NOTHING and not _refused(error)
            if settled or outcome is Outcome.MUTE:
                self._census.seen(host)
        else:
            outcome, settled = Outcome.CAMERA, True
            self._census.seen(host)
            if identity.stream is not None:
                self._known.add((host, identity.stream.port))
            info = await self._census.enter(identity.info, host, port)
            if info is not None:
                await self._deliver(info)
        finally:
            if not settled:
                self._known.discard((host, port))
        return outcome

    def _count(self, outcome: Outcome) -> Outcome:
        if outcome is not Outcome.STARVED:
            self.asked += 1
            self.no_route += outcome is Outcome.NO_ROUTE
        return outcome


def _refused(error: CameraError) -> bool:
    return isinstance(error, ConnectError) and error.reason is not ConnectReason.NOT_A_CAMERA


def _outcome_of(error: CameraError) -> Outcome:
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    if isinstance(error, CameraTimeout):
        return Outcome.SILENT if error.phase == "connect" else Outcome.MUTE
    if isinstance(error, RemoteProtocolError):
        # Closed without a byte: a camera that restarts, or has no socket left. Other bytes: no camera.
        silent = not error.sample and (error.offset == 0 or number is not None)
        return Outcome.MUTE if silent else Outcome.NOTHING
    return _outcome_of_number(number)


def _outcome_of_number(number: int | None) -> Outcome:
    if number in _NO_SOCKETS:
        return Outcome.STARVED
    if number in _FULL:
        return Outcome.SILENT
    return Outcome.NO_ROUTE if number in _NO_ROUTE else Outcome.NOTHING
