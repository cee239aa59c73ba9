"""Hosts that are no cameras, hardly any, or not yet: real servers on 127.0.0.1, in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from espressoscope.discovery.places import find_places
from espressoscope.discovery.search import search

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from espressoscope.model import CameraInfo

    Serve = Callable[["Visit"], Awaitable[None]]


@dataclass
class Visit:
    """One connection to a host."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes
    number: int  # 1 for the first connection to this host

    async def answer(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.write(head.encode() + body)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def keep_silent(self) -> None:
        await self.reader.read()  # until the other side leaves


@dataclass
class Host:
    """A host and what was asked of it."""

    port: int = 0
    firsts: list[bytes] = field(default_factory=list)  # first bytes of each connection, as they arrived
    open_now: int = 0

    @property
    def paths(self) -> list[str]:
        return [first.split()[1].decode() for first in self.firsts if first]


@contextlib.asynccontextmanager
async def hosting(serve: Serve, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Host]:
    """Answer every connection with `serve` until the block ends."""
    seen = Host()
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.open_now += 1
        try:
            first = await reader.read(4096)
            seen.firsts.append(first)
            await serve(Visit(reader, writer, first, len(seen.firsts)))
        except (OSError, asyncio.CancelledError):
            pass  # the other side has left, or the test is over
        finally:
            seen.open_now -= 1
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(handle, host, port)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def camera(name: str = "cam", mac: str | None = None) -> Serve:
    """A Matchboxscope in two pages."""

    async def serve(visit: Visit) -> None:
        path = visit.request.split()[1]
        if path == b"/status":
            body = f'{{"framesize":8,"quality":12,"cam_name":"{name}","isStack":"0"}}'
            await visit.answer(body.encode(), headers="Content-Type: application/json\r\n")
        elif path == b"/dump" and mac is not None:
            await visit.answer(f"<html>MAC: {mac}<br></html>".encode())
        else:
            await visit.answer(b"Nothing matches the given URI", "404 Not Found")

    return serve


async def found_at(
    ports: Iterable[int], networks: str = "127.0.0.1/32", timeout_s: float = 1.0
) -> list[CameraInfo]:
    """Search there to the end."""
    places = find_places(networks, ports)
    return [info async for info in search(places, timeout_s=timeout_s)]


async def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait for something in the test's own loop."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (a condition of whatever kind)
            await asyncio.sleep(0.005)
