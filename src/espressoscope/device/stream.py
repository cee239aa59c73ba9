"""The stream connection: bytes from one camera's socket through the parser to whoever listens.

Nothing here decodes, waits or writes to disk: it runs on the thread that reads every camera's socket.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import TYPE_CHECKING, Protocol

from espressoscope.device.address import Address, clean_text
from espressoscope.device.http import CONNECT_TIMEOUT_S, connect, name_camera
from espressoscope.device.identify import not_a_camera, wants_password
from espressoscope.errors import CameraError, ConnectError, ConnectReason, RemoteProtocolError
from espressoscope.wire.events import Body, Damage, End, Head, Part
from espressoscope.wire.parser import ResponseParser
from espressoscope.wire.request import build_get

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.wire.events import Event

__all__ = ["Source", "StreamConnection", "StreamSink", "open_stream"]

_LOWAT_SUPPORTED = sys.platform == "linux"
_SOL_SOCKET, _SO_RCVLOWAT = socket.SOL_SOCKET, getattr(socket, "SO_RCVLOWAT", 0)
_LOWAT_FROM = 2048
"""Fewer missing bytes than this are not worth a system call."""
_MOST_NUDGES = 2


class StreamSink(Protocol):
    """Who takes what a source delivers; called on the loop's thread and must return at once."""

    def part(self, part: Part, now_ns: int) -> None:
        """Take one part; its body is valid only during the call. `now_ns` is `time.perf_counter_ns`."""

    def damage(self, damage: Damage) -> None:
        """Take note that the stream was out of step."""


class Source(Protocol):
    """Something that delivers pictures to a `StreamSink` until it ends: a stream, or a snapshot poller.

    Attributes
    ----------
    closed : asyncio.Future
        Done when the source has ended: with None when the camera ended it, else with the reason.
    last_byte_ns : int
        `time.perf_counter_ns` of the last byte received; of the opening before the first.
    received : int
        Bytes received.
    paces_itself : bool
        Its pauses are its own and bounded by its own timeouts: silence says nothing about the camera.
    """

    paces_itself: bool
    closed: asyncio.Future[CameraError | None]
    last_byte_ns: int
    received: int

    def poke(self) -> None:
        """Make bytes that wait in the kernel show, if there are any: told apart, slow is not stalled."""

    def nudge(self) -> None:
        """Say a word that means nothing, so that a camera that has restarted since answers with a reset."""

    def give_up(self) -> None:
        """End at once because nothing comes any more, delivering the picture that broke off."""

    def abort(self) -> None:
        """End at once; calling it again does nothing."""


class StreamConnection(asyncio.BufferedProtocol):
    """One open stream, a `Source`. Made by `open_stream`."""

    paces_itself = False

    def __init__(
        self, request: bytes, sink: StreamSink, address: Address, camera: str, *, ask: bool = True
    ) -> None:
        self.closed: asyncio.Future[CameraError | None] = asyncio.get_running_loop().create_future()
        self.headed: asyncio.Future[Head | None] = asyncio.get_running_loop().create_future()
        self.last_byte_ns = time.perf_counter_ns()
        self.received = 0
        self.multipart = False
        self._request = request
        self._asked = ask
        self._sink = sink
        self._take = sink.part
        self.address = address
        self._camera = camera
        self._parser = ResponseParser()
        self._transport: asyncio.Transport | None = None
        self._set_option: Callable[[int, int, int], None] | None = None  # of the socket
        self._lowat = 1
        self._lowat_ceiling = 1
        self._nudges = 0
        self.get_buffer = self._parser.get_buffer  # type: ignore[method-assign]  # one call less per read

    @property
    def head(self) -> Head | None:
        """Head of the answer, once it is there."""
        return self._parser.head

    @property
    def location(self) -> str | None:
        """Where a redirect leads; None when the answer is none."""
        head = self._parser.head
        return head.headers.get("location") if head is not None and head.status in (301, 302, 307) else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request; asyncio calls this."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if _LOWAT_SUPPORTED and sock is not None:
            # asyncio wraps the socket; the wrapper's call costs more than the system's.
            self._set_option = getattr(sock, "_sock", sock).setsockopt
            # A mark above what the receive buffer can hold would never be reached. Half of it is bookkeeping.
            self._lowat_ceiling = max(1, sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)
        if self._asked:
            transport.write(self._request)

    def ask(self) -> None:
        """Send the request of a connection that was opened without; twice does nothing.

        It goes to whichever board has the address now. Another than the one that took the connection knows
        nothing of it, and resets it.
        """
        if not self._asked and self._transport is not None:
            self._asked = True
            self.last_byte_ns = time.perf_counter_ns()
            self._transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the parser's free space; asyncio calls this."""
        return self._parser.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what came; asyncio calls this."""
        now_ns = time.perf_counter_ns()
        self.last_byte_ns = now_ns
        self.received += nbytes
        parser = self._parser
        try:
            events = parser.receive(nbytes)
        except RemoteProtocolError as error:
            self._end(name_camera(error, self._camera))
            return
        # Before the frames are handed out: whoever waits for one gets to run when this thread waits again.
        if self._set_option is not None:
            missing = parser.missing
            wanted = missing if missing >= _LOWAT_FROM else 1
            if wanted != self._lowat:
                self._set_lowat(wanted)
        for event in events:
            if type(event) is Part:
                self._take(event, now_ns)
            else:
                self._other(event)

    def eof_received(self) -> None:
        """Take the last events; asyncio calls this."""
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the source; asyncio calls this."""
        self._set_option = None
        if exc is None:
            self._finish()
        else:
            self._finish(
                ConnectError(
                    f"the stream connection broke ({exc})",
                    reason=ConnectReason.UNREACHABLE,
                    camera=self._camera,
                    hint="It reconnects by itself when the camera is back",
                )
            )
        self._parser.release()

    def poke(self) -> None:
        """Let any waiting byte wake the socket."""
        self._set_lowat(1)

    def nudge(self) -> None:
        """Send an empty line, at most twice.

        A camera that has lost power never ends a connection; it resets one of which it knows nothing when
        that speaks. To the others an empty line means nothing (RFC 9112, 2.2): a stream handler does not
        read, and http_parser skips it. But what is not read keeps a receive buffer of the board each.
        """
        if self._nudges < _MOST_NUDGES and self._transport is not None:
            self._nudges += 1
            self._transport.write(b"\r\n")

    def give_up(self) -> None:
        """Deliver what is there of the picture that broke off, and end."""
        self._finish()

    def abort(self) -> None:
        """End at once; twice does nothing."""
        self._end(None)

    def _set_lowat(self, wanted: int) -> None:
        if wanted > self._lowat_ceiling:
            wanted = self._lowat_ceiling
        if self._set_option is not None and wanted != self._lowat:
            self._lowat = wanted
            self._set_option(_SOL_SOCKET, _SO_RCVLOWAT, wanted)

    def _other(self, event: Event) -> None:
        if isinstance(event, Head):
            content_type = (event.headers.get("content-type") or "").lower()
            self.multipart = content_type.startswith("multipart/")
            if not self.headed.done():
                self.headed.set_result(event)
        elif isinstance(event, Damage):
            self._sink.damage(event)
        elif isinstance(event, Body):
            self._end(self._not_a_stream(event.data))
        elif isinstance(event, End):
            self._end(None)

    def _finish(self, failure: CameraError | None = None) -> None:
        """Take what is there, a picture that broke off too, and end, with the reason if one is known."""
        if self.closed.done():
            return
        now_ns = time.perf_counter_ns()
        try:
            for event in self._parser.end():
                if isinstance(event, Part):
                    self._sink.part(event, now_ns)
                elif failure is None or not isinstance(event, End):
                    self._other(event)
        except RemoteProtocolError as error:
            self._end(failure or name_camera(error, self._camera))
            return
        self._end(failure)

    def _end(self, error: CameraError | None) -> None:
        if not self.closed.done():
            self.closed.set_result(error)
        if not self.headed.done():
            self.headed.set_result(None)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _not_a_stream(self, body: bytes) -> CameraError:
        head = self._parser.head
        status = 0 if head is None else head.status
        if status in (401, 403):
            return wants_password(self.address, self._camera)
        words = clean_text(body[:80].decode("latin-1"), 60)
        # ESP32-CAM_MJPEG2SD says "500 No free task" when all its streams are taken.
        if status == 503 or (status == 500 and "no free task" in words.lower()):
            return ConnectError(
                f"it refuses the stream (HTTP {status}: {words})",
                reason=ConnectReason.BUSY,
                camera=self._camera,
                hint="Close other viewers of this camera, browser tabs too",
            )
        if status >= 500:
            return RemoteProtocolError(
                f"it answers HTTP {status} instead of a stream",
                sample=body,
                camera=self._camera,
                hint="Its sensor may hang: switch it off and on",
            )
        return not_a_camera(self._camera, f"HTTP {status} instead of a stream")


async def open_stream(
    address: Address,
    sink: StreamSink,
    *,
    camera: str,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ask: bool = True,
) -> StreamConnection:
    """Connect and ask for the stream; returns when the request is out, before any answer.

    The answer is not waited for: a camera whose only stream is taken accepts the connection and stays silent
    until the other viewer leaves.

    Parameters
    ----------
    ask : bool
        False: only connect; `StreamConnection.ask` asks.

    Raises
    ------
    ConnectError, CameraTimeout
        Nothing else escapes.
    """
    request = build_get(address.netloc, address.path or "/", auth=address.auth)
    _, connection = await connect(
        address,
        lambda: StreamConnection(request, sink, address, camera, ask=ask),
        timeout_s=connect_timeout_s,
        camera=camera,
    )
    return connection
