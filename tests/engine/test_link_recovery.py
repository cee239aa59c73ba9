"""Whatever befalls a camera, it is live again soon after; and coming back costs little meanwhile."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from espressoscope.device.address import Address, parse_address
from espressoscope.device.stream import open_stream
from espressoscope.engine.link import Link, Patience
from espressoscope.model import LinkState
from espressoscope.sim import FAULTS, SimulatedCamera
from link_rig import QUICK, Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from espressoscope.device.stream import Source, StreamSink
    from espressoscope.wire.events import Damage, Part

TRUE = Patience()
WITHIN_S = 3.0

# Seconds each fault lasts: long enough to stall a stream where it can, and short enough not to.
CASES = [(name, 1.5) for name in FAULTS]
CASES += [("stall", 7.5), ("vanish", 0.5), ("vanish", 3.0), ("vanish", 8.2), ("reboot", 7.4)]
CASES += [("silent-second", 9.5), ("refuse", 5.0)]


async def survive(camera: SimulatedCamera, name: str, seconds: float) -> str:
    """Let a link live through a fault; give what was wrong, "" when nothing was."""
    options: dict[str, float | str | None] = {"every": 2} if name == "cut" else {}
    async with Rig(camera, TRUE) as rig:
        if name not in ("refuse", "silent-second"):
            await rig.live(30)
        async with rig.fault(name, **options):
            if name in ("refuse", "silent-second"):  # these concern new connections
                await rig.link.stop()
                rig.link.start()
            await asyncio.sleep(seconds)
        over = time.monotonic()
        damaged = rig.link.meter.damaged
        try:
            await rig.live(WITHIN_S)
        except AssertionError as error:
            return f"{name} for {seconds} s: {error}"
        late_s = time.monotonic() - over
        if late_s > WITHIN_S or rig.link.message:
            return f"{name} for {seconds} s: live after {late_s:.1f} s, {rig.link.message!r}, {damaged}"
    return ""


@pytest.mark.timeout(120)
def test_live_again_within_three_seconds_after_every_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with ExitStack() as stack:
            cameras = [
                stack.enter_context(
                    SimulatedCamera(fps=5, framesize="QQVGA", side_delays=False, number=number)
                )
                for number in range(len(CASES))
            ]
            wrong = await asyncio.gather(
                *(survive(camera, *case) for camera, case in zip(cameras, CASES, strict=True))
            )
        assert [words for words in wrong if words] == []

    asyncio.run(run())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


# --- a camera that comes and goes


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[tuple[Address, list[float]]]:
    """Accept everybody, say something and close; gives its address and when it accepted."""
    accepted: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(time.monotonic())
        if answer:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", listening.sockets[0].getsockname()[1]), accepted
    finally:
        listening.close()
        await listening.wait_closed()


def one_frame() -> bytes:
    with SimulatedCamera(framesize="QQVGA", fps=25) as camera:
        host, port = camera.stream_url.split("/")[2].split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            data = b""
            while data.count(b"\xff\xd9") < 1 or not data.endswith(b"\r\n"):
                data += sock.recv(65536)
    return data


@pytest.mark.parametrize(("sends", "most"), [(False, 8), (True, 12)])
def test_a_camera_that_closes_at_once_is_not_stormed(sends: bool, most: int) -> None:
    answer = one_frame() if sends else b""

    async def run() -> None:
        async with server(answer) as (address, accepted):

            async def source(sink: StreamSink) -> Source:
                return await open_stream(address, sink, camera="cam")

            link = Link("cam", source)
            link.start()
            await asyncio.sleep(3.0)
            assert link.meter.frames >= len(accepted) - 1 if sends else link.meter.frames == 0
            assert 2 <= len(accepted) <= most, "back-off is doubled"
            await link.stop()

    asyncio.run(run())


def test_pauses_are_capped_and_jittered() -> None:
    async def run() -> None:
        with SimulatedCamera(framesize="QQVGA", fps=5) as camera:
            pauses: list[float] = []
            async with Rig(camera, QUICK) as rig, rig.fault("refuse"):
                await rig.link.stop()
                rig.link.start()
                await rig.until(lambda: len(rig.attempts) > 16, 20)
                pauses = [b - a for a, b in zip(rig.attempts[-10:-1], rig.attempts[-9:], strict=True)]
            assert max(pauses) < 2 * QUICK.backoff_ceiling_s
            assert min(pauses) > 0.4 * QUICK.backoff_ceiling_s
            assert len({round(pause, 3) for pause in pauses}) > 3, "a hundred must not come back in step"

    asyncio.run(run())


def test_hurry_cuts_the_pause_short() -> None:
    async def run() -> None:
        with SimulatedCamera(framesize="QQVGA", fps=5) as camera:
            patience = Patience(backoff_first_s=20, backoff_ceiling_s=20)
            async with Rig(camera, patience) as rig:
                async with rig.fault("refuse"):
                    await rig.link.stop()
                    rig.link.start()
                    await rig.until_state(LinkState.BACKING_OFF)
                assert "trying again in" in rig.link.message
                rig.link.hurry()
                await rig.live(5)

    asyncio.run(run())


def test_a_connection_that_has_ended_holds_no_buffer() -> None:
    """Whoever keeps its error keeps the connection: hundreds of reconnects must not cost as many buffers."""

    class Sink:
        def part(self, part: Part, now_ns: int) -> None: ...

        def damage(self, damage: Damage) -> None: ...

    async def connect_and_end() -> None:
        connection = await open_stream(parse_address(simulated.stream_url), Sink(), camera="camera")
        window = connection._parser._window
        async with asyncio.timeout(10):
            await connection.headed
            assert window.capacity > 100_000
            connection.abort()
        for _ in range(100):  # asyncio tells of the end in its next rounds
            await asyncio.sleep(0)
        assert window.capacity == 0

    with SimulatedCamera(framesize="QVGA", side_delays=False) as simulated:
        asyncio.run(connect_and_end())
