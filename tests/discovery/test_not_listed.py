"""Hosts that are no cameras: never listed, never waited for without end, never read without end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from fake_hosts import camera, found_at, hosting

from espressoscope.discovery.places import find_places
from espressoscope.discovery.search import search

if TYPE_CHECKING:
    from fake_hosts import Serve, Visit

MOST_BYTES = 8 * 1024 * 1024
"""Beyond the parser's limits and the system's socket buffers together."""


def answering(body: bytes, status: str = "200 OK", headers: str = "") -> Serve:
    async def serve(visit: Visit) -> None:
        await visit.answer(body, status, headers)

    return serve


class Endless:
    """Sends the same bytes for ever after a beginning, and counts them."""

    def __init__(self, beginning: bytes, block: bytes) -> None:
        self.beginning = beginning
        self.block = block
        self.sent = 0

    async def __call__(self, visit: Visit) -> None:
        await visit.write(self.beginning)
        while self.sent < 4 * MOST_BYTES:
            await visit.write(self.block)
            self.sent += len(self.block)


async def silent(visit: Visit) -> None:
    await visit.keep_silent()


async def hang_up(visit: Visit) -> None:
    visit.writer.close()


async def reset(visit: Visit) -> None:
    sock = visit.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def drip(visit: Visit) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n":
        await visit.write(bytes([byte]))
        await asyncio.sleep(0.01)
    await visit.keep_silent()


NOT_CAMERAS: dict[str, Serve] = {
    "html": answering(b"<html><body>It works!</body></html>", headers="Content-Type: text/html\r\n"),
    "router": answering(b"<html>login</html>", "401 Unauthorized", 'WWW-Authenticate: Basic realm="r"\r\n'),
    "missing": answering(b"not found", "404 Not Found"),
    "broken": answering(b"", "500 Internal Server Error"),
    "elsewhere": answering(b"", "302 Found", "Location: http://192.0.2.1/\r\n"),
    "json": answering(
        b'{"status":"ok","uptime":12,"name":"printer"}', headers="Content-Type: application/json\r\n"
    ),
    "list": answering(b"[1, 2, 3]"),
    "text": answering(b"tasmota is mentioned here and no more"),
    "silent": silent,
    "hangs up": hang_up,
    "resets": reset,
    "drips": drip,
    "stream": Endless(
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n--b\r\n",
        b"Content-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n--b\r\n" * 100,
    ),
    "garbage": Endless(b"", bytes(range(256)) * 64),
    "ssh": Endless(b"SSH-2.0-OpenSSH_9.2p1\r\n", b"x" * 4096),
    "endless line": Endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a" * 4096),
    "endless headers": Endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n" * 256),
    "endless body": Endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 4096),
    "two gigabytes": Endless(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n", bytes(4096)),
    "one gigabyte, no length": Endless(
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{", b'"a":1,' * 999
    ),
    "one gigabyte in chunks": Endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"{" * 4096 + b"\r\n"
    ),
    "endless chunk length": Endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 4096),
    "go on": Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
    "printer": answering(
        b"<!DOCTYPE html><title>HP LaserJet</title>", headers="Server: HP HTTP Server; HP LaserJet\r\n"
    ),
    "shelly": answering(
        b'{"wifi_sta":{"connected":true,"ip":"10.0.0.7","rssi":-60},"mac":"A4CF12056EF0","relays":[{"ison":false}],'
        b'"uptime":7,"ram_free":38000,"fs_size":233681,"update":{"status":"idle"}}',
        headers="Content-Type: application/json\r\nServer: Mongoose/6.18\r\n",
    ),
    "nginx": answering(b"Active connections: 1 \nserver accepts handled requests\n 16 16 31 \n"),
    "octoprint": answering(
        b'{"state":{"text":"Operational","flags":{"operational":true}},"temperature":{},"quality":"high"}',
        headers="Content-Type: application/json\r\n",
    ),
    "deep json": answering(b"[" * 60_000),
    "empty": answering(b""),
}


@pytest.mark.parametrize("kind", NOT_CAMERAS)
def test_a_host_that_is_no_camera(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    serve = NOT_CAMERAS[kind]

    async def check() -> None:
        async with hosting(serve) as host:
            async with asyncio.timeout(20):
                assert await found_at([host.port], timeout_s=0.3) == []
            assert 1 <= len(host.paths) <= 2, "asked, at most once more"
            assert set(host.paths) == {"/status"}, "and only for its status"
            assert all(first.endswith(b"\r\n\r\n") for first in host.firsts), (
                "each time a whole request at once"
            )
        assert getattr(serve, "sent", 0) < MOST_BYTES

    asyncio.run(check())
    assert caplog.records == []


@pytest.mark.parametrize("kind", [kind for kind, serve in NOT_CAMERAS.items() if isinstance(serve, Endless)])
def test_what_never_ends_costs_bounded_memory(kind: str) -> None:
    async def check() -> None:
        async with hosting(NOT_CAMERAS[kind]) as host:
            await found_at([host.port], timeout_s=0.3)  # what is imported and kept for good
            tracemalloc.start()
            try:
                await found_at([host.port], timeout_s=0.3)
                assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
            finally:
                tracemalloc.stop()

    asyncio.run(check())


def test_a_crowd_that_never_ends_is_not_waited_for() -> None:
    """A camera is found at once among hosts that keep every connection busy."""

    async def check() -> None:
        flood = Endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")
        async with (
            asyncio.timeout(60),
            hosting(silent, "0.0.0.0") as crowd,
            hosting(flood) as loud,
            hosting(camera("the one")) as real,
        ):
            places = find_places("127.0.0.1, 127.9.0.0/24", [crowd.port, loud.port, real.port])
            async with contextlib.aclosing(search(places, timeout_s=30)) as found:
                assert (await anext(found)).name == "the one"

    asyncio.run(check())


def test_all_of_them_beside_a_camera() -> None:
    async def check() -> None:
        ports = []
        async with asyncio.timeout(30), contextlib.AsyncExitStack() as stack:
            for serve in NOT_CAMERAS.values():
                ports.append((await stack.enter_async_context(hosting(serve))).port)
            real = await stack.enter_async_context(hosting(camera("the one")))
            found = await found_at([*ports, real.port], timeout_s=0.3)
            assert [(info.name, info.url) for info in found] == [("the one", f"http://127.0.0.1:{real.port}")]

    asyncio.run(check())
