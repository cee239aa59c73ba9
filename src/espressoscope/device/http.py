"""One GET, one answer, one connection: how every control request travels.

The whole request goes out in one write (half a request blocks the device's port for 5 s), requests are never
pipelined, and the connection is closed by us (``Connection: close`` is ignored by esp_http_server, and an
idle connection counts towards its seven sockets).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from espressoscope.device.address import netloc
from espressoscope.device.resolve import resolve
from espressoscope.errors import (
    CameraTimeout,
    ConnectError,
    ConnectReason,
    RemoteProtocolError,
)
from espressoscope.wire.events import Body, End, Head, Part
from espressoscope.wire.limits import Limits
from espressoscope.wire.parser import ResponseParser
from espressoscope.wire.request import build_get

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from espressoscope.device.address import Address
    from espressoscope.wire.events import Event
    from espressoscope.wire.headers import Headers

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

__all__ = [
    "CONNECT_TIMEOUT_S",
    "REPLY_LIMITS",
    "SMALL_REPLY",
    "Response",
    "connect",
    "connect_error",
    "fetch",
    "name_camera",
]

CONNECT_TIMEOUT_S = 4.0
"""Longest wait for a TCP connection, in seconds: modem sleep takes up to 0.6 s, a lost SYN 1 to 3 s."""

REPLY_LIMITS = Limits(max_body=16 * 1024 * 1024)
"""For answers that may be pictures."""
SMALL_REPLY = Limits(max_body=64 * 1024, buffer=32 * 1024)
"""For everything but pictures: a hundred cameras that are asked at once need no 256 KiB each."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer to one request.

    Attributes
    ----------
    status : int
        HTTP status code.
    reason : str
        Its words, as sent.
    headers : Headers
        All header lines.
    body : bytes
        The body, transfer coding undone.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes


async def fetch(
    address: Address,
    path: str,
    *,
    timeout_s: float,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    phase: str = "status",
    camera: str = "",
    limits: Limits = REPLY_LIMITS,
    connected: socket.socket | None = None,
) -> Response:
    """Ask for one path and give the whole answer.

    Parameters
    ----------
    address : Address
        Host, port and password; its own path is not used.
    path : str
        Raw path and query, sent exactly as given.
    timeout_s, connect_timeout_s : float
        Longest wait for the whole answer, and before it for the connection, in seconds.
    phase : str
        Named in a `CameraTimeout`.
    camera : str
        Named in every error.
    limits : Limits
        Ceilings of the answer.
    connected : socket, optional
        A non-blocking one that is connected to it already; it is closed like one opened here.

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError
        Nothing else escapes. A multipart stream instead of an answer is a RemoteProtocolError.
    """
    camera = camera or str(address)
    request = build_get(address.netloc, path, auth=address.auth)
    transport, exchange = await connect(
        address,
        lambda: _Exchange(request, limits),
        timeout_s=connect_timeout_s,
        camera=camera,
        connected=connected,
    )
    try:
        async with asyncio.timeout(timeout_s):
            return await exchange.answer
    except TimeoutError:
        raise CameraTimeout(
            f"no whole answer to {path.partition('?')[0]} within {timeout_s:g} s",
            phase=phase,
            timeout_s=timeout_s,
            camera=camera,
            hint="It may be busy or asleep: try again, or switch it off and on",
        ) from None
    except RemoteProtocolError as error:
        raise name_camera(error, camera) from None
    except OSError as error:
        raise RemoteProtocolError(
            f"the connection broke before the answer to {path.partition('?')[0]} was complete ({error})",
            offset=exchange.parser.offset,
            camera=camera,
            hint="The camera may be restarting: try again in ten seconds",
        ) from error
    finally:
        transport.abort()


async def connect(
    address: Address,
    protocol_factory: Callable[[], _P],
    *,
    timeout_s: float,
    camera: str,
    connected: socket.socket | None = None,
) -> tuple[asyncio.Transport, _P]:
    """Open a TCP connection to the first address of a host that answers, or take over one that is open.

    Raises
    ------
    ConnectError, CameraTimeout
        Nothing else escapes.
    """
    loop = asyncio.get_running_loop()
    if connected is not None:
        return await loop.create_connection(protocol_factory, sock=connected)
    failure: Exception | None = None
    started = loop.time()
    hosts = await resolve(address.host, timeout_s=timeout_s, camera=camera)
    for number, host in enumerate(hosts):
        # Shared out, so that a silent address leaves time for the ones after it.
        left_s = started + timeout_s - loop.time()
        try:
            async with asyncio.timeout(left_s / (len(hosts) - number)):
                return await loop.create_connection(protocol_factory, host, address.port)
        except TimeoutError:
            failure = None
        except OSError as error:
            failure = error
    if failure is None:
        raise CameraTimeout(
            f"no answer to the connection within {timeout_s:g} s",
            phase="connect",
            timeout_s=timeout_s,
            camera=camera,
            hint="Is it switched on, and in the same network as this computer?",
        )
    assert isinstance(failure, OSError)
    raise connect_error(failure, address, camera) from failure


def connect_error(error: OSError, address: Address, camera: str) -> ConnectError:
    """Say what a failed connection attempt means; the one table from operating system errors to ours."""
    if isinstance(error, ConnectionRefusedError):
        return ConnectError(
            f"the host is there, but nothing listens on port {address.port}",
            reason=ConnectReason.REFUSED,
            camera=camera,
            hint="Is this a camera, and has it finished starting? Control is on port 80, the stream on 81",
        )
    why = error.strerror or error
    return ConnectError(
        f"there is no way to {netloc(address.host, address.port)} from this computer ({why})",
        reason=ConnectReason.UNREACHABLE,
        camera=camera,
        hint="Join the camera's network, or correct the address",
    )


def name_camera(error: RemoteProtocolError, camera: str) -> RemoteProtocolError:
    """Add what only the connection knows to an error of the parser: whose answer it was, and what to try."""
    error.camera = error.camera or camera
    error.hint = error.hint or "Check that this is the address of a camera, then switch it off and on"
    return error


class _Exchange(asyncio.BufferedProtocol):
    """One request written, one answer collected into a future."""

    def __init__(self, request: bytes, limits: Limits) -> None:
        self.parser = ResponseParser(limits)
        self.answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        # A request that is given up while it connects is awaited by nobody, and asyncio would complain.
        self.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())
        self._request = request
        self._head: Head | None = None
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.parser.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._take(self.parser.receive(nbytes))
        except RemoteProtocolError as error:
            self._fail(error)

    def eof_received(self) -> None:
        try:
            self._take(self.parser.end())
        except RemoteProtocolError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            before = "without an answer" if self._head is None else "before the answer was whole"
            self._fail(
                exc
                or RemoteProtocolError(
                    f"the connection was closed {before}",
                    offset=self.parser.offset,
                    hint="The camera may be restarting, or this is no camera",
                )
            )

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Head):
                self._head = event
                if (event.headers.get("content-type") or "").lower().startswith("multipart/"):
                    self._fail(_stream_instead())
            elif isinstance(event, Part):
                self._fail(_stream_instead())
            elif isinstance(event, Body):
                self._body = event.data
            elif isinstance(event, End) and event.clean and self._head is not None and not self.answer.done():
                head = self._head
                self.answer.set_result(Response(head.status, head.reason, head.headers, self._body))

    def _fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # nobody may be waiting any more: asyncio must not complain


def _stream_instead() -> RemoteProtocolError:
    return RemoteProtocolError(
        "the answer is an endless stream",
        hint="This is the address of a stream: give it as a URL, http://host:port/path",
    )
