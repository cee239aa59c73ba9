"""The ways to a stream: finding out what an address is, and opening a stream that must be the right one.

No state is kept here; `session` decides when.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from espressoscope.device.identify import identify_or_raise
from espressoscope.device.probe import Relay, probe_stream
from espressoscope.device.stream import open_stream
from espressoscope.errors import CameraError, ConnectError, ConnectReason, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from espressoscope.device.address import Address
    from espressoscope.device.identify import Identity
    from espressoscope.device.stream import StreamConnection, StreamSink

__all__ = ["RECONNECT_TIMEOUT_S", "OpenedStream", "find_out", "open_verified"]

RECONNECT_TIMEOUT_S = 1.6
"""Longest wait for a connection, and for the answer who it is, in seconds, while a link tries again and
again: the second SYN goes out after 1 s, the third only after 3 s, when a new attempt is sooner."""


class OpenedStream(NamedTuple):
    """A bare stream that was opened to find out what it is.

    Attributes
    ----------
    address : Address
        Where it is, redirects followed.
    connection : StreamConnection
        Open: some servers serve one client only, once.
    relay : Relay
        Where its parts go until somebody wants them.
    """

    address: Address
    connection: StreamConnection
    relay: Relay


async def find_out(address: Address, found_by: str) -> tuple[Address, Identity] | OpenedStream:
    """Find out what an address is: a camera's control base, or a bare MJPEG stream.

    A URL with a path is tried as a bare stream first; one without, and a plain host, as a control base first.
    Small servers give their stream under every path, or close the connection at a question: then too ``/`` is
    tried.

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError
    """
    has_path = address.path not in ("", "/")
    if has_path:
        found = await probe_stream(address)
        if found is not None:
            return OpenedStream(*found)
    base = replace(address, path="")
    try:
        return base, await identify_or_raise(base, found_by=found_by)
    except RemoteProtocolError:
        if has_path:
            raise
        found = None
        with contextlib.suppress(CameraError):  # what the question came to says more
            found = await probe_stream(replace(base, path="/"))
        if found is None:
            raise
    except ConnectError as error:
        if has_path or error.reason is not ConnectReason.NOT_A_CAMERA:
            raise
        found = await probe_stream(replace(base, path="/"))
        if found is None:
            raise
    return OpenedStream(*found)


async def open_verified(
    stream: Address,
    sink: StreamSink,
    verify: Callable[[], Awaitable[None]],
    *,
    camera: str,
    twice: bool = False,
) -> tuple[StreamConnection, int]:
    """Open a stream, and have it begin only when the camera has been verified.

    Who it is, is asked on a connection of its own, and two boards may have one address. So the stream is
    connected, then the question asked, then the stream asked for, over the connection that is there. Where
    another board took that than answered the question, the request goes to the one that answered, which
    resets a connection of which it knows nothing.

    Parameters
    ----------
    verify : async callable
        Raises when this is another camera; bounds its own time.
    twice : bool
        Another one has answered here of late: ask again after the first picture, and hold what comes until
        then.

    Returns
    -------
    connection : StreamConnection
        Open, its parts on their way to the sink.
    dropped : int
        Parts that did not fit in the short memory of the wait, or came of a stream that ended before it was
        known whose it is.

    Raises
    ------
    ConnectError, CameraTimeout
    """
    relay = Relay(hold=twice)
    connection = await open_stream(
        stream, relay, camera=camera, connect_timeout_s=RECONNECT_TIMEOUT_S, ask=False
    )
    try:
        await verify()
        if not twice:
            relay.pass_on_to(sink)  # before anything can come
        connection.ask()
        if twice:
            await _first_part(connection, relay)
            if connection.closed.done():
                relay.let_go()
            else:
                await verify()
                relay.pass_on_to(sink)
    except BaseException:
        connection.abort()
        raise
    return connection, relay.dropped


async def _first_part(connection: StreamConnection, relay: Relay) -> None:
    """Wait for a picture, or the end of the connection; a camera that is busy sends none for a long time."""
    first = asyncio.ensure_future(relay.first_part.wait())
    either: set[asyncio.Future[Any]] = {first, connection.closed}
    try:
        await asyncio.wait(either, timeout=RECONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        first.cancel()
