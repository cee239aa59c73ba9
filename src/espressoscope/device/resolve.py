"""Host names to addresses, without ever blocking the loop or leaving it waiting for a slow resolver.

asyncio's own look-up runs in the loop's executor, whose threads are joined when the loop ends: a resolver
that hangs for 30 s would hold `close` up as long. Here each look-up has a daemon thread of its own that
nobody waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading

from espressoscope.errors import ConnectError, ConnectReason

__all__ = ["resolve"]


async def resolve(host: str, *, timeout_s: float, camera: str) -> list[str]:
    """Give the addresses of a host, in the order to try them.

    Raises
    ------
    ConnectError
        With reason UNRESOLVED: no such name, or no answer within `timeout_s` seconds.
    """
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    else:
        return [host]
    if not host.strip("0123456789."):  # the system would take 10.1 for 10.0.0.1, and ask about 999.1.1.1
        raise ConnectError(
            f"{host!r} is no address",
            reason=ConnectReason.UNRESOLVED,
            camera=camera,
            hint="An address has four numbers from 0 to 255: 192.168.4.1",
        )
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def deliver(addresses: list[str], error: OSError | UnicodeError | None) -> None:
        if not answer.done():
            if error is None:
                answer.set_result(addresses)
            else:
                answer.set_exception(error)

    def look_up() -> None:
        addresses: list[str] = []
        error: OSError | UnicodeError | None = None
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            # IPv4 first: lwIP in these firmwares is built without IPv6.
            found.sort(key=lambda entry: entry[0] != socket.AF_INET)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as failure:
            error = failure
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, nobody waits any more
            loop.call_soon_threadsafe(deliver, addresses, error)

    threading.Thread(target=look_up, name="espressoscope-resolve", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await answer
    except (OSError, UnicodeError, TimeoutError) as failure:
        raise ConnectError(
            f"no address found for the name {host!r}",
            reason=ConnectReason.UNRESOLVED,
            camera=camera,
            hint="Check the spelling, or use the number address; `espressoscope discover` lists cameras",
        ) from failure
    return addresses
