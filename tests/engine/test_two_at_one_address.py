"""Two boards at one address: whichever the computer speaks to, no picture of the other one is told as ours.

Who has the address can change between any two packets. Here it does at the worst moments, one by one.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from espressoscope.device.address import parse_address
from espressoscope.engine.link import Patience
from espressoscope.engine.session import CameraSession
from espressoscope.sim import SimulatedCamera, read_strip
from support import steady_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.model import Frame

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one loopback address only")

OURS, OTHER = "127.0.0.3", "127.0.0.4"


class Kept:
    """Takes every frame."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def put(self, frame: Frame) -> bool:
        self.frames.append(frame)
        return False

    def wake(self) -> None:
        pass


class Address:
    """An address that two boards have.

    A connection stays with the board that took it, and that board's packets arrive; what is sent to the
    address goes to the board that has it now, which resets what it does not know.

    Parameters
    ----------
    moments : list of str
        What happens to the questions beside the first, second, ... connection to the stream; after these our
        board alone has the address. ``ours``, ``other``: that board has it. Of the further ones the other
        board takes the stream; ``dumb``: then no question is answered; ``dumb at first``: the first is not;
        ``changes``: then our board gets the address; ``changes and back``: only for the first question.
    """

    def __init__(self, port: int, moments: list[str]) -> None:
        self.port = port
        self.moments = moments
        self.streams = self.resets = self.asked = 0
        self.has = OURS
        self.others_pictures = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._watching: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def moment(self) -> str:
        return self.moments[self.streams - 1] if self.streams <= len(self.moments) else "ours"

    async def __aenter__(self) -> Address:
        self._servers = [
            await asyncio.start_server(self._control, "127.0.0.2", self.port),
            await asyncio.start_server(self._stream, "127.0.0.2", self.port + 1),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0)), *self._tasks], timeout=5)

    def reset(self, writer: asyncio.StreamWriter) -> None:
        """End a connection as a board does that knows nothing of it."""
        with suppress(OSError):
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        writer.transport.abort()

    def break_streams(self) -> None:
        for writer in self._watching:
            self.reset(writer)

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        moment = self.moment
        if moment == "dumb" or (moment == "dumb at first" and self.asked == 1):
            writer.close()
            return
        if moment == "changes" and self.has == OTHER:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.4):
                    await self.others_pictures.wait()
            self.has = OURS
        ours = self.has == OURS or (moment == "changes and back" and self.asked <= 2)  # /status and /dump
        await self._carry(reader, writer, OURS if ours else OTHER, self.port, lambda: True)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.streams += 1
        self.asked = 0
        self._watching.append(writer)
        self.others_pictures.clear()
        self.has = OURS if self.moment == "ours" else OTHER
        board = self.has
        await self._carry(reader, writer, board, self.port + 1, lambda: self.has == board)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        board: str,
        port: int,
        reaches: Callable[[], bool],
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.append(writer)
        try:
            from_board, to_board = await asyncio.open_connection(board, port)
            self._writers.append(to_board)

            async def back() -> None:
                while data := await from_board.read(65536):
                    if board == OTHER and port != self.port:
                        self.others_pictures.set()
                    writer.write(data)
                writer.close()

            answering = asyncio.ensure_future(back())
            try:
                while data := await reader.read(65536):
                    if not reaches():
                        self.resets += 1
                        self.reset(writer)
                        return
                    to_board.write(data)
            finally:
                to_board.transport.abort()
                await asyncio.wait([answering])
                answering.exception()
        except OSError:
            pass
        finally:
            self._tasks.discard(task)


@pytest.mark.parametrize(
    ("moments", "resets"),
    [
        (["ours", "changes"], 1),
        (["ours", "dumb at first", "other"], 0),
        (["ours", "other", "dumb", "changes", "changes and back"], 1),
    ],
    ids=lambda value: "-".join(value).replace(" ", "_") if isinstance(value, list) else "",
)
def test_no_picture_of_another_board_is_told_as_ours(moments: list[str], resets: int) -> None:
    async def until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - of many parts
                await asyncio.sleep(0.01)

    async def run(port: int) -> list[Frame]:
        kept = Kept()
        async with Address(port, moments) as address:
            session = CameraSession(parse_address(f"http://127.0.0.2:{port}"))
            session.link.patience = replace(Patience(), backoff_ceiling_s=0.1)
            try:
                await session.reach()
                await session.take_frames(kept)
                await until(lambda: len(kept.frames) > 2)
                address.break_streams()
                await until(lambda: address.streams > len(moments) and session.link.latest.frame)
                before = len(kept.frames)
                await until(lambda: len(kept.frames) > before + 2)
            finally:
                await session.close()
            assert address.resets == resets
            assert address.streams == len(moments) + 1, "it was recognised at once when it was there"
        return kept.frames

    port = steady_port()
    options = {"port": port, "stream_port": port + 1, "fps": 20, "framesize": "QVGA", "side_delays": False}
    with (
        SimulatedCamera(host=OURS, number=7, **options),  # type: ignore[arg-type]
        SimulatedCamera(host=OTHER, number=9, **options),  # type: ignore[arg-type]
    ):
        frames = asyncio.run(run(port))
    readings = [read_strip(frame.image(gray=True)) for frame in frames]
    assert {reading.camera for reading in readings if reading} == {7}
    assert len(readings) - readings.count(None) > 5
