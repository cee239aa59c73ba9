"""An imitation of Espressif's ``esp_http_server``, the engine under most camera firmwares, manners included.

Follows esp-idf ``components/esp_http_server/src`` (httpd_main.c, httpd_sess.c, httpd_parse.c,
httpd_txrx.c): one task per server, which selects over its sockets and serves them strictly one after the
other; a handler that takes long, or half a request, holds up everybody on that port. What a path answers is
the families' business, what a picture is the device's; here is only the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from espressoscope.sim.request import BLOCK_SIZE, BadRequest, Request, RequestReader, query_value
from espressoscope.sim.sockets import close_socket, listen_on, receive, reset_socket, send_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Exchange", "HttpServer", "Manners", "Session", "head_of"]

_log = logging.getLogger(__name__)

_ERRORS: Final = {
    400: ("400 Bad Request", "Bad request syntax"),
    404: ("404 Not Found", "Nothing matches the given URI"),
    405: ("405 Method Not Allowed", "Specified method is invalid for this resource"),
    408: ("408 Request Timeout", "Server closed this connection"),
    414: ("414 URI Too Long", "URI is too long"),
    431: ("431 Request Header Fields Too Large", "Header fields are too long"),
    500: ("500 Internal Server Error", "Server has encountered an unexpected error"),
    505: ("505 Version Not Supported", "HTTP version not supported by server"),
}


@dataclass(frozen=True, slots=True)
class Manners:
    """How a server instance is set up; the defaults are ``HTTPD_DEFAULT_CONFIG``.

    Attributes
    ----------
    max_open_sockets : int
        Connections served; more are left to the kernel's backlog, silent.
    backlog : int
        Connections the kernel keeps beyond that; further ones are not even answered.
    lru_purge : bool
        Close the connection longest unused to make room for a new one.
    receive_timeout_s, send_timeout_s : float
        As the server waits for the rest of a request, and for a reader that does not read.
    send_buffer : int
        Bytes under way at most. lwIP has 5760 (TCP_SND_BUF); so few would wait for delayed
        acknowledgements on loopback, 40 ms at a time.
    missing_text : str
        Body of a 404; builds on esp-idf 4 say "This URI does not exist".
    """

    max_open_sockets: int = 7
    backlog: int = 5
    lru_purge: bool = False
    receive_timeout_s: float = 5.0
    send_timeout_s: float = 5.0
    send_buffer: int = 65_536
    missing_text: str = _ERRORS[404][1]


def head_of(
    status: str, content_type: str, length: int | None, headers: Mapping[str, str] | None = None
) -> tuple[bytes, bytes]:
    """Give a response head in the two pieces in which it is sent; `length` None means chunked."""
    kind = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    first = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{kind}\r\n"
    second = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items()) + "\r\n"
    return first.encode("latin-1"), second.encode("latin-1", "replace")


class Session:
    """One open connection: ``struct sock_db``."""

    __slots__ = ("pending", "readable", "sock", "used")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pending = b""
        self.readable = False
        self.used = 0


class Exchange:
    """A request and the means to answer it: ``httpd_req_t``."""

    def __init__(self, server: HttpServer, session: Session, request: Request) -> None:
        self.request = request
        self.session = session
        self.manners = server.manners

    @property
    def sock(self) -> socket.socket:
        """The connection's socket."""
        return self.session.sock

    def value(self, key: str, size: int = 32) -> str | None:
        """Look up a key of the query, as `query_value`."""
        return query_value(self.request.query, key, size)

    async def write(self, data: bytes | memoryview) -> None:
        """Send raw bytes; OSError when the client has gone or does not read."""
        sent = 0
        with contextlib.suppress(BlockingIOError):
            sent = self.session.sock.send(data)
        if sent < len(data):
            await send_all(self.session.sock, memoryview(data)[sent:], self.manners.send_timeout_s)

    async def send(
        self,
        body: bytes | str = b"",
        content_type: str = "text/html",
        headers: Mapping[str, str] | None = None,
        status: str = "200 OK",
    ) -> bool:
        """Answer with a body of known length, in the pieces the firmware sends; always true."""
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogateescape")
        first, second = head_of(status, content_type, len(body), headers)
        await self.write(first)
        await self.write(second)
        if body:
            await self.write(body)
        return True

    async def send_error(self, status: int, text: str | None = None) -> bool:
        """Answer ``httpd_resp_send_err``'s way, always without the CORS header.

        Returns
        -------
        bool
            False, which closes the connection; handlers that keep it open return True instead.
        """
        line, standard = _ERRORS[status]
        if text is None:
            text = self.manners.missing_text if status == 404 else standard
        await self.send(text, status=line)
        return False


if TYPE_CHECKING:
    Handler = Callable[[Exchange], Awaitable[bool]]
"""Answers a request. True (ESP_OK) keeps the connection open, False (ESP_FAIL) or OSError closes it."""


class HttpServer:
    """One server instance on one port.

    Parameters
    ----------
    host, port
        Where to listen; port 0 means any free one, and stays the same for the server's life.
    routes : mapping of path to handler
        All for GET.
    manners : Manners
        Limits and timeouts.
    on_request : callable
        Told every request line.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Handler],
        manners: Manners,
        on_request: Callable[[str], None],
    ) -> None:
        self.host = host
        self.port = port
        self.routes = dict(routes)
        self.manners = manners
        self.sessions: list[Session] = []
        self._on_request = on_request
        self._listener: socket.socket | None = None
        self._listener_ready = False
        self._wake: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._clock = 0

    def listen(self) -> None:
        """Open the listening socket."""
        if self._listener is None:
            self._listener = listen_on(self.host, self.port, self.manners.backlog)
            self.port = self._listener.getsockname()[1]
            self._wake.set()

    def start(self) -> None:
        """Start the server's task."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"httpd:{self.port}")

    def hold(self, held: bool) -> None:
        """Keep the task busy, as a viewer elsewhere would: everybody on this port waits, in silence."""
        if held:
            self._free.clear()
        else:
            self._free.set()
        self._wake.set()

    async def halt(self) -> list[socket.socket]:
        """Stop the task at once, mid-answer too, and give up the connections without closing them."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for session in self.sessions:
            self._unwatch(session.sock)
        if self._listener is not None:
            self._unwatch(self._listener)
        self._listener_ready = False
        held = [session.sock for session in self.sessions]
        self.sessions.clear()
        return held

    def close_listener(self) -> None:
        """Stop listening: further connections are refused. Open ones stay."""
        if self._listener is not None:
            self._unwatch(self._listener)
            close_socket(self._listener)
            self._listener = None
            self._listener_ready = False

    @property
    def listener(self) -> socket.socket | None:
        """The listening socket, while there is one."""
        return self._listener

    @property
    def backlog(self) -> int:
        """Connections the kernel keeps until they are served."""
        return self.manners.backlog

    async def close(self) -> None:
        """End everything; twice is no harm."""
        for sock in await self.halt():
            close_socket(sock)
        self.close_listener()

    # --- the task: httpd_thread, httpd_server

    async def _run(self) -> None:
        try:
            while True:
                await self._select()
                # As httpd_server does: every socket with something to say, in turn, then one new connection.
                for session in list(self.sessions):
                    if session.readable or session.pending:
                        session.readable = False
                        await self._process(session)
                if self._listener_ready:
                    self._listener_ready = False
                    self._accept()
        except Exception:
            _log.exception("the simulated server on port %d broke", self.port)
            raise

    async def _select(self) -> None:
        # Bytes pushed back after the request before (pipelining) wake nobody: select() looks at sockets only.
        # Recorded from the real server: of three requests in one packet one is answered.
        while True:
            await self._free.wait()
            if self._listener_ready or any(session.readable for session in self.sessions):
                return
            self._wake.clear()
            for session in self.sessions:
                self._watch(session.sock, self._session_ready, session)
            room = len(self.sessions) < self.manners.max_open_sockets or self.manners.lru_purge
            if self._listener is not None and room:
                self._watch(self._listener, self._connection_waiting)
            await self._wake.wait()

    def _watch(self, sock: socket.socket, callback: Callable[..., None], *args: object) -> None:
        asyncio.get_running_loop().add_reader(sock.fileno(), callback, *args)

    def _unwatch(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(sock.fileno())

    def _session_ready(self, session: Session) -> None:
        session.readable = True
        self._unwatch(session.sock)
        self._wake.set()

    def _connection_waiting(self) -> None:
        self._listener_ready = True
        if self._listener is not None:
            self._unwatch(self._listener)
        self._wake.set()

    def _accept(self) -> None:
        if self._listener is None:
            return
        if len(self.sessions) >= self.manners.max_open_sockets:
            if not self.manners.lru_purge:
                return
            self._drop(min(self.sessions, key=lambda session: session.used))
        try:
            sock, _ = self._listener.accept()
        except OSError:  # the client has gone again
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.manners.send_buffer)
        session = Session(sock)
        self._clock += 1
        session.used = self._clock
        self.sessions.append(session)

    def _drop(self, session: Session, *, reset: bool = False) -> None:
        self._unwatch(session.sock)
        if session in self.sessions:
            self.sessions.remove(session)
        (reset_socket if reset else close_socket)(session.sock)

    # --- one request: httpd_req_new, httpd_parse_req, httpd_uri, httpd_req_delete

    async def _process(self, session: Session) -> None:
        self._unwatch(session.sock)
        keep, reset = False, False
        with contextlib.suppress(OSError, TimeoutError):  # the client has gone, or does not read
            keep, reset = await self._serve(session)
        if not keep:
            self._drop(session, reset=reset)
        self._clock += 1
        session.used = self._clock

    async def _serve(self, session: Session) -> tuple[bool, bool]:
        try:
            request = await self._read_request(session)
        except BadRequest as error:
            exchange = Exchange(self, session, Request("", "", "", {}, 0, ""))
            await exchange.send_error(error.status)
            return False, error.status == 414
        if request is None:
            return False, False
        exchange = Exchange(self, session, request)
        handler = self.routes.get(request.path)
        if handler is None:
            return await exchange.send_error(404), False
        if request.method != "GET":
            return await exchange.send_error(405), False
        if not await handler(exchange):
            return False, False
        return await self._purge(session, request.body_bytes), False

    async def _read_request(self, session: Session) -> Request | None:
        reader = RequestReader()
        while True:
            block, session.pending = session.pending[:BLOCK_SIZE], b""
            if not block:
                try:
                    block = await receive(session.sock, BLOCK_SIZE, self.manners.receive_timeout_s)
                except TimeoutError:
                    exchange = Exchange(self, session, Request("", "", "", {}, 0, ""))
                    await exchange.send_error(408)
                    return None
                if not block:
                    return None
            request = reader.feed(block)
            if request is not None:
                session.pending = reader.left
                self._on_request(request.line)
                return request

    async def _purge(self, session: Session, size: int) -> bool:
        """Read away a body nobody wanted."""
        taken = min(size, len(session.pending))
        session.pending = session.pending[taken:]
        size -= taken
        while size:
            block = await receive(session.sock, min(size, BLOCK_SIZE), self.manners.receive_timeout_s)
            if not block:
                return False
            size -= len(block)
        return True
