"""An imitation of Arduino's ``WebServer``, the engine under Tasmota: one client at a time.

Follows ``libraries/WebServer/src`` of arduino-esp32. Serves one client at a time and closes after each
answer; a handler may keep the connection for itself. Everything runs in the firmware's one main loop, here
a lock shared by its servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_plus

from espressoscope.sim.sockets import close_socket, listen_on, receive, send_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["ArduinoExchange", "ArduinoServer"]

_log = logging.getLogger(__name__)

_MAX_REQUEST_BYTES: Final = 8192
_DATA_WAIT_S: Final = 5.0
"""HTTP_MAX_DATA_WAIT and HTTP_MAX_SEND_WAIT: 5000 ms each."""

_BACKLOG: Final = 4
_REASONS: Final = {200: "OK", 302: "Found", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


@dataclass(slots=True)
class ArduinoExchange:
    """A request and the means to answer it.

    Attributes
    ----------
    method, path : str
        The path as sent.
    arguments : dict
        Decoded; the last of equal names wins.
    minor_version : int
        1 for HTTP/1.1.
    kept : bool
        Set by a handler that keeps the connection.
    """

    sock: socket.socket
    method: str
    path: str
    arguments: dict[str, str]
    minor_version: int
    send_timeout_s: float
    kept: bool = False

    async def write(self, data: bytes | memoryview) -> None:
        """Send raw bytes; OSError when the client has gone or does not read."""
        await send_all(self.sock, data, self.send_timeout_s)

    async def send(
        self,
        status: int,
        content_type: str,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer ``WebServer::send``'s way, with a length."""
        body = body.encode() if isinstance(body, str) else body
        await self.write(self._head(status, content_type, headers, {"Content-Length": str(len(body))}))
        if body:
            await self.write(body)

    async def send_chunked(
        self, status: int, content_type: str, body: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with one chunk and the closing one; an HTTP/1.0 client gets the body until close."""
        data = body.encode()
        if not self.minor_version:
            await self.write(self._head(status, content_type, headers, {}))
            await self.write(data)
            return
        chunked = {"Accept-Ranges": "none", "Transfer-Encoding": "chunked"}
        await self.write(self._head(status, content_type, headers, chunked))
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.write(b"0\r\n\r\n")

    def _head(
        self, status: int, content_type: str, headers: Mapping[str, str] | None, size: Mapping[str, str]
    ) -> bytes:
        lines = [f"HTTP/1.{self.minor_version} {status} {_REASONS[status]}", f"Content-Type: {content_type}"]
        lines += [f"{name}: {value}" for name, value in {**(headers or {}), **size}.items()]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace")


if TYPE_CHECKING:
    Handler = Callable[[ArduinoExchange], Awaitable[None]]


class ArduinoServer:
    """One server on one port; parameters as for `httpd.HttpServer`.

    Parameters
    ----------
    not_found : handler
        Answers unknown paths.
    main_loop : asyncio.Lock
        Held while a request is read and answered.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Handler],
        not_found: Handler,
        main_loop: asyncio.Lock,
        send_timeout_s: float,
        on_request: Callable[[str], None],
    ) -> None:
        self.host = host
        self.port = port
        self.routes = dict(routes)
        self.main_loop = main_loop
        self._not_found = not_found
        self._send_timeout_s = send_timeout_s
        self._on_request = on_request
        self._listener: socket.socket | None = None
        self._current: socket.socket | None = None
        self._kept: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._kept_task: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._listening = asyncio.Event()
        self._connecting: asyncio.Future[None] | None = None

    @property
    def listener(self) -> socket.socket | None:
        """The listening socket, while there is one."""
        return self._listener

    @property
    def backlog(self) -> int:
        """Connections the kernel keeps until they are served."""
        return _BACKLOG

    def listen(self) -> None:
        """Open the listening socket."""
        if self._listener is None:
            self._listener = listen_on(self.host, self.port, _BACKLOG)
            self.port = self._listener.getsockname()[1]
            self._listening.set()

    def close_listener(self) -> None:
        """Stop listening: further connections are refused. Open ones stay."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            close_socket(self._listener)
            self._listener = None
            self._listening.clear()
            if self._connecting is not None:
                _settle(self._connecting)

    def start(self) -> None:
        """Begin to serve."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"arduino:{self.port}")

    def hold(self, held: bool) -> None:
        """Serve nobody, in silence, or serve again."""
        if held:
            self._free.clear()
        else:
            self._free.set()

    async def halt(self) -> list[socket.socket]:
        """Stop at once and give up the connections, open."""
        tasks = [task for task in (self._task, self._kept_task) if task is not None]
        self._task = self._kept_task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        held = [sock for sock in (self._current, self._kept) if sock is not None]
        self._current = self._kept = None
        return held

    async def close(self) -> None:
        """End everything; twice is no harm."""
        for sock in await self.halt():
            close_socket(sock)
        self.close_listener()

    def keep(self, exchange: ArduinoExchange, work: Callable[[], Awaitable[object]]) -> None:
        """Take a connection over for good; the one taken before is closed in favour of it."""
        self.drop_kept()
        exchange.kept = True
        self._kept = exchange.sock
        self._kept_task = asyncio.get_running_loop().create_task(self._run_kept(exchange.sock, work))

    def drop_kept(self) -> None:
        """Close the connection a handler has taken over."""
        task, self._kept_task = self._kept_task, None
        sock, self._kept = self._kept, None
        if task is not None:
            task.cancel()
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            close_socket(sock)

    async def _run_kept(self, sock: socket.socket, work: Callable[[], Awaitable[object]]) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            await work()
        if self._kept is sock:
            self._kept = None
            close_socket(sock)

    async def _accept(self) -> socket.socket | None:
        """Wait for a connection; None when it has gone again, or the listener has.

        Not ``loop.sock_accept``, which loses a connection accepted as it is cancelled.
        """
        loop = asyncio.get_running_loop()
        listener = self._listener
        assert listener is not None
        waiting = self._connecting = loop.create_future()
        loop.add_reader(listener.fileno(), _settle, waiting)
        try:
            await waiting
        finally:
            self._connecting = None
            if listener.fileno() >= 0:
                loop.remove_reader(listener.fileno())
        if listener is not self._listener:
            return None
        try:
            return listener.accept()[0]
        except OSError:
            return None

    async def _run(self) -> None:
        try:
            while True:
                await self._free.wait()
                await self._listening.wait()
                sock = await self._accept()
                if sock is None:
                    continue
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._current = sock
                await self._free.wait()
                await self._serve(sock)
                self._current = None
        except Exception:
            _log.exception("the simulated server on port %d broke", self.port)
            raise

    async def _serve(self, sock: socket.socket) -> None:
        kept = False
        try:
            # Waiting for the first byte does not stop the main loop; reading the rest does.
            data = await receive(sock, _MAX_REQUEST_BYTES, _DATA_WAIT_S)
            async with self.main_loop:
                while data and b"\r\n\r\n" not in data and len(data) < _MAX_REQUEST_BYTES:
                    more = await receive(sock, _MAX_REQUEST_BYTES, _DATA_WAIT_S)
                    data = data + more if more else b""
                exchange = self._parse(sock, data)
                if exchange is not None:
                    await self.routes.get(exchange.path, self._not_found)(exchange)
                    kept = exchange.kept
        except (OSError, TimeoutError):
            pass
        if not kept:
            close_socket(sock)

    def _parse(self, sock: socket.socket, data: bytes) -> ArduinoExchange | None:
        line = data.split(b"\r\n", 1)[0].decode("latin-1")
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return None
        self._on_request(line)
        path, _, query = words[1].partition("?")
        arguments = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=None))
        return ArduinoExchange(
            sock, words[0], unquote_plus(path), arguments, int(words[2] != "HTTP/1.0"), self._send_timeout_s
        )


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
