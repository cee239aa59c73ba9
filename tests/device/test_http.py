"""Connections: hosts with several addresses, names that nobody answers for."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from espressoscope.device.address import Address
from espressoscope.device.camera import CameraDevice
from espressoscope.device.http import connect, fetch
from espressoscope.device.identify import Identity
from espressoscope.errors import CameraTimeout, ConnectError, ConnectReason, UnsupportedError
from espressoscope.model import CameraInfo
from espressoscope.tables.firmware import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address whose queue of connections is full: it answers nothing."""
    if sys.platform != "linux":
        pytest.skip("only Linux drops what does not fit the backlog, and has 127.0.0.7")
    with socket.create_server(("127.0.0.7", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = []
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            waiting.append(client)
        yield address
        for client in waiting:
            client.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    def look_up(host: str, port: int | None, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_silent_address_leaves_time_for_the_next(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = silent[1]
    resolve_to(monkeypatch, "127.0.0.7", "127.0.0.1")

    async def run() -> str:
        transport, _ = await connect(
            Address("two.test", port), asyncio.Protocol, timeout_s=1.0, camera="two.test"
        )
        peer = str(transport.get_extra_info("peername")[0])
        transport.abort()
        return peer

    with socket.create_server(("127.0.0.1", port)):
        assert asyncio.run(run()) == "127.0.0.1"


def test_nothing_but_silence_is_a_timeout(silent: tuple[str, int]) -> None:
    with pytest.raises(CameraTimeout) as caught:
        asyncio.run(fetch(Address(*silent), "/status", timeout_s=5, connect_timeout_s=0.2))
    assert caught.value.phase == "connect"


def test_a_resolver_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        go_on.wait(10)
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(ConnectError) as caught:
            asyncio.run(fetch(Address("slow.test", 80), "/status", timeout_s=5, connect_timeout_s=0.2))
    finally:
        go_on.set()
    assert caught.value.reason is ConnectReason.UNRESOLVED


def test_a_tasmota_answers_any_command_and_is_not_said_to_have_restarted(silent: tuple[str, int]) -> None:
    info = CameraInfo("cam", "http://127.0.0.7", None, None, "tasmota", "given")
    device = CameraDevice(Address(*silent), Identity(info, family_of("tasmota"), {}, None))
    with pytest.raises(UnsupportedError, match="cannot restart itself"):
        asyncio.run(device.reboot(wait=False))


def test_a_restart_that_was_never_asked_for_is_no_success(silent: tuple[str, int]) -> None:
    info = CameraInfo("cam", "http://127.0.0.7", None, None, "matchboxscope", "given")
    identity = Identity(info, family_of("matchboxscope"), {}, None)

    async def reboot() -> None:
        await CameraDevice(Address(*silent), identity).reboot(wait=False)

    with pytest.raises(CameraTimeout) as caught:
        asyncio.run(reboot())
    assert caught.value.phase == "connect"
