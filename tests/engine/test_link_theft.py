"""A Tasmota gives its stream to whoever asked last: the link waits, says so, and is not mistaken."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from espressoscope.errors import ConnectError, ConnectReason
from espressoscope.model import LinkState
from espressoscope.sim import SimulatedCamera
from link_rig import QUICK, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from espressoscope.device.stream import Source, StreamSink


@pytest.fixture
def camera() -> Iterator[SimulatedCamera]:
    with SimulatedCamera("tasmota", fps=25, framesize="QVGA", side_delays=False, boot_s=0.3) as camera:
        yield camera


class Robbed(Rig):
    """A link to a Tasmota, and a thief."""

    source: Source | None = None
    thief: socket.socket | None = None

    def __init__(self, camera: SimulatedCamera) -> None:
        super().__init__(camera, steals=True)

    async def open_source(self, sink: StreamSink) -> Source:
        self.source = await super().open_source(sink)
        return self.source

    async def steal(self) -> None:
        def connect() -> socket.socket:
            thief = socket.create_connection((self._stream.host, self._stream.port), timeout=5)
            thief.sendall(b"GET /cam.mjpeg HTTP/1.1\r\n\r\n")
            return thief

        self.thief = await asyncio.to_thread(connect)

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        if self.thief is not None:
            self.thief.close()


@pytest.mark.parametrize("by_reset", [False, True])
def test_a_theft_is_waited_out(camera: SimulatedCamera, by_reset: bool) -> None:
    async def run() -> None:
        async with Robbed(camera) as rig:
            await rig.live()
            if by_reset:  # a socket that is closed with unread bytes in it is reset
                assert rig.source is not None
                rig.source.nudge()
                await rig.live()
            await rig.steal()
            await rig.until_state(LinkState.BACKING_OFF)
            robbed = time.monotonic()
            assert re.fullmatch(
                r"another viewer took its stream; trying again (in 1 s|now)", rig.link.message
            )
            error = rig.link.last_error
            assert isinstance(error, ConnectError)
            assert error.reason is ConnectReason.BUSY
            assert "asked again after 1 s" in str(error)
            attempts = len(rig.attempts)
            for _ in range(10):
                rig.link.hurry()
                await asyncio.sleep(0.05)
            assert len(rig.attempts) == attempts, "two viewers would fight over it"
            await rig.live()
            assert rig.attempts[-1] - robbed >= QUICK.stolen_pause_s - 0.05
            assert rig.link.last_error is None

    asyncio.run(run())


def test_it_waits_fifteen_seconds_at_least() -> None:
    assert type(QUICK)().stolen_pause_s >= 15


def soon(rig: Rig, began: float) -> bool:
    return rig.attempts[-1] - began < QUICK.stolen_pause_s


def test_a_frame_that_breaks_off_is_no_theft(camera: SimulatedCamera) -> None:
    async def run() -> None:
        async with Robbed(camera) as rig:
            await rig.live()
            attempts = len(rig.attempts)
            began = time.monotonic()
            async with rig.fault("cut", every=2):
                await rig.until(lambda: len(rig.attempts) > attempts)
                assert soon(rig, began)
                assert "another viewer" not in rig.link.message
            await rig.live()

    asyncio.run(run())


def test_a_stall_is_no_theft(camera: SimulatedCamera) -> None:
    async def run() -> None:
        async with Robbed(camera) as rig:
            await rig.live()
            async with rig.fault("stall"):
                await rig.until_moved((LinkState.SLOW, LinkState.STALLED))
                attempts, began = len(rig.attempts), time.monotonic()
                await rig.until(lambda: len(rig.attempts) > attempts)
                assert soon(rig, began)

    asyncio.run(run())


def test_a_restart_is_no_theft(camera: SimulatedCamera) -> None:
    async def run() -> None:
        async with Robbed(camera) as rig:
            await rig.live()
            async with rig.fault("reboot", seconds=0.7):
                attempts = len(rig.attempts)
                await rig.until(lambda: len(rig.attempts) > attempts)
                assert not any(LinkState.STALLED in move for move in rig.link.moves), "it was reset before"
            await rig.until(lambda: rig.link.state is LinkState.LIVE)
            assert rig.link.meter.reconnects == 1

    asyncio.run(run())


def test_other_firmwares_are_asked_again_at_once() -> None:
    async def run() -> None:
        with SimulatedCamera(fps=25, framesize="QVGA", side_delays=False) as camera:
            async with Rig(camera) as rig:
                await rig.live()
                attempts, began = len(rig.attempts), time.monotonic()
                async with rig.fault("cut", every=2, part=0):
                    await rig.until(lambda: len(rig.attempts) > attempts)
                assert soon(rig, began)

    asyncio.run(run())
