"""Bare sockets used as the firmwares use theirs: blocking calls with timeouts, spoken in asyncio.

No HTTP, no cameras. A selector event loop is needed (`loop.LoopThread` is one).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys

__all__ = [
    "SendTimeout",
    "close_socket",
    "drain_socket",
    "listen_on",
    "peer_has_left",
    "receive",
    "reset_socket",
    "send_all",
]


class SendTimeout(OSError):
    """Not a byte could be sent for a whole send timeout: errno 11 in the firmware's log."""


def listen_on(host: str, port: int, backlog: int) -> socket.socket:
    """Open a listening, non-blocking TCP socket; port 0 means any free one.

    Raises
    ------
    OSError
        The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # SO_REUSEADDR there would let two programs listen on one port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


async def receive(sock: socket.socket, size: int, timeout_s: float) -> bytes:
    """Wait for at most `size` bytes, as ``recv`` with SO_RCVTIMEO does; empty at the end of the stream.

    Raises
    ------
    TimeoutError
        Nothing came.
    OSError
        The connection broke.
    """
    async with asyncio.timeout(timeout_s):
        return await asyncio.get_running_loop().sock_recv(sock, size)


async def send_all(sock: socket.socket, data: bytes | memoryview, timeout_s: float) -> None:
    """Send everything, as a loop over ``send`` with SO_SNDTIMEO does.

    One ``send`` gives up `timeout_s` after its call, and is an error only if it sent nothing at all: a
    stalled reader is noticed between one and two timeouts after the buffers are full.

    Raises
    ------
    SendTimeout
        Nothing could be sent for `timeout_s`.
    OSError
        The connection broke.
    """
    view = memoryview(data)
    loop = asyncio.get_running_loop()
    while view:
        deadline = 0.0
        sent = 0
        while sent < len(view):
            try:
                sent += sock.send(view[sent:])
                continue
            except (BlockingIOError, InterruptedError):
                pass
            if not deadline:
                deadline = loop.time() + timeout_s
            if not await _writable(sock, deadline):
                break
        if not sent:
            raise SendTimeout(f"not a byte sent in {timeout_s:g} s")
        view = view[sent:]


async def _writable(sock: socket.socket, deadline: float) -> bool:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()
    alarm = loop.call_at(deadline, _settle, ready, False)
    descriptor = sock.fileno()
    loop.add_writer(descriptor, _settle, ready, True)
    try:
        return await ready
    finally:
        loop.remove_writer(descriptor)
        alarm.cancel()


def _settle(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def peer_has_left(sock: socket.socket) -> bool:
    """Tell, without taking anything, whether the other side has closed its half or reset the connection."""
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True


def drain_socket(sock: socket.socket) -> None:
    """Take in and forget what has arrived."""
    with contextlib.suppress(OSError):  # nothing more, or the connection is broken
        while sock.recv(65536):
            pass


def close_socket(sock: socket.socket) -> None:
    """Close as ``close()`` does: FIN, or RST when bytes were left unread."""
    with contextlib.suppress(OSError):
        sock.close()


def reset_socket(sock: socket.socket) -> None:
    """Close with RST, as a device does that no longer knows the connection."""
    with contextlib.suppress(OSError):
        # Two ints on POSIX, two unsigned shorts on Windows.
        layout = "hh" if sys.platform == "win32" else "ii"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0))
    close_socket(sock)
