"""One request, one answer: what a given-up request leaves behind."""

from __future__ import annotations

import asyncio
import gc
import socket

from espressoscope.device.address import Address
from espressoscope.device.http import fetch


def test_a_request_given_up_leaves_no_complaint() -> None:
    complaints: list[str] = []

    async def give_up(port: int) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context["message"])))
        for steps in range(6):
            task = asyncio.ensure_future(fetch(Address("127.0.0.1", port), "/status", timeout_s=5))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        gc.collect()
        await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0)) as server:
        asyncio.run(give_up(server.getsockname()[1]))
    gc.collect()
    assert complaints == []
