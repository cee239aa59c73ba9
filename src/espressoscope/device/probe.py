"""Find out whether a URL is a bare MJPEG stream, keeping the connection when it is one."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from espressoscope.device.stream import StreamConnection, StreamSink, open_stream
from espressoscope.errors import CameraTimeout, ConnectError, ConnectReason

if TYPE_CHECKING:
    from espressoscope.device.address import Address
    from espressoscope.wire.events import Damage, Part

__all__ = ["Relay", "probe_stream"]

PROBE_TIMEOUT_S = 6.0
"""Longest wait for the head of the answer, in seconds."""
_MAX_REDIRECTS = 3
MOST_HELD = 32
"""Parts a relay keeps: a second of frames while a camera is asked who it is."""


class Relay:
    """A sink until it is known who the frames are for: lets parts go, or keeps a few, then passes them on.

    Parameters
    ----------
    hold : bool
        Keep the newest 32 parts.

    Attributes
    ----------
    dropped : int
        Parts of a relay that holds them which had to go, for newer ones or because nobody wants them.
    """

    def __init__(self, *, hold: bool = False) -> None:
        self.first_part = asyncio.Event()
        self.dropped = 0
        self._sink: StreamSink | None = None
        self._held: deque[tuple[Part, int]] | None = deque() if hold else None

    def pass_on_to(self, sink: StreamSink) -> None:
        """Hand what has been kept, and everything from now on, to this sink."""
        self._sink = sink
        held, self._held = self._held, None
        for part, now_ns in held or ():
            sink.part(part, now_ns)

    def let_go(self) -> None:
        """Drop what has been kept: it is not known whose it is, and nobody can be asked any more."""
        if self._held is not None:
            self.dropped += len(self._held)
            self._held.clear()

    def part(self, part: Part, now_ns: int) -> None:
        """Take one part."""
        self.first_part.set()
        if self._sink is not None:
            self._sink.part(part, now_ns)
        elif self._held is not None:
            if len(self._held) == MOST_HELD:
                self._held.popleft()
                self.dropped += 1
            self._held.append((part.kept(), now_ns))

    def damage(self, damage: Damage) -> None:
        """Take note of damage."""
        if self._sink is not None:
            self._sink.damage(damage)


async def probe_stream(address: Address) -> tuple[Address, StreamConnection, Relay] | None:
    """Open a URL; give the open stream when it is one, None when it is something else.

    Follows up to three redirects on the same host (Tasmota answers ``/`` on its stream port with one to
    ``/cam.mjpeg``).

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError
        No connection, no answer, a password wanted, or no HTTP.
    """
    camera = str(replace(address, path=""))
    for _ in range(_MAX_REDIRECTS):
        relay = Relay()
        connection = await open_stream(address, relay, camera=camera)
        try:
            is_stream = await _is_stream(connection, relay)
        except BaseException:
            connection.abort()
            raise
        if is_stream:
            return address, connection, relay
        connection.abort()
        target = _redirected(address, connection.location)
        if target is None:
            break
        address = target
    error = connection.closed.result() if connection.closed.done() else None
    if isinstance(error, ConnectError) and error.reason is not ConnectReason.NOT_A_CAMERA:
        raise error
    if connection.head is None and error is not None:
        raise error
    return None


def _redirected(address: Address, location: str | None) -> Address | None:
    """Give where a redirect leads; None when that is another host, or cannot be asked for."""
    if not location or not all("!" <= c <= "~" for c in location):
        return None
    try:
        target = urlsplit(urljoin(address.url, location))
        port = target.port or 80
    except ValueError:
        return None
    if target.scheme != "http" or (target.hostname or "").lower() != address.host.lower():
        return None
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    return replace(address, port=port, path=path)


async def _is_stream(connection: StreamConnection, relay: Relay) -> bool:
    first_part = asyncio.ensure_future(relay.first_part.wait())
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await connection.headed
            if connection.multipart:
                return True
            # ffmpeg calls its stream application/octet-stream: only the first part tells.
            either: set[asyncio.Future[Any]] = {first_part, connection.closed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return relay.first_part.is_set()
    except TimeoutError:
        if connection.head is not None:
            return False
        raise CameraTimeout(
            f"connected, but not a byte came within {PROBE_TIMEOUT_S:g} s",
            phase="stream",
            timeout_s=PROBE_TIMEOUT_S,
            camera=str(connection.address),
            hint="If this is a camera's stream, another viewer may hold it: close browser tabs too",
        ) from None
    finally:
        first_part.cancel()
