"""Single pictures: one from `/capture`, a fresh one, or a paced row of them as a stream.

A capture costs the device more than a frame: Matchboxscope writes its flash and may write its SD card after
each (``saveImage`` in app_httpd.cpp), and while a stream runs a capture can freeze it until a reboot. So
captures are never taken beside a stream, and never without being asked for.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from espressoscope.device.control import CAPTURE_TIMEOUT_S, ControlPort
from espressoscope.errors import CameraError, RemoteProtocolError, UnsupportedError
from espressoscope.wire.events import Part, PartHead
from espressoscope.wire.jpeg import inspect

if TYPE_CHECKING:
    from espressoscope.device.stream import StreamSink

__all__ = ["FLUSHED_CAPTURES", "SnapshotPoller", "WrongSizeError", "capture", "capture_fresh"]


class WrongSizeError(RemoteProtocolError):
    """Captures keep coming in another size than the one set; `size` says which."""

    size: tuple[int, int] = (0, 0)


FLUSHED_CAPTURES = 2
"""Captures thrown away before a fresh one: drivers hand out up to ``fb_count`` (2) old buffers first
(esp32-camera#357, #363, #417, #666)."""

_MOST_CAPTURES = 8


async def capture(port: ControlPort, path: str) -> Part:
    """Take one picture, which may be an old one from the device's buffers.

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError, UnsupportedError
    """
    reply = await port.get(path, timeout_s=CAPTURE_TIMEOUT_S, phase="capture")
    if reply.status == 404:
        raise UnsupportedError(
            "its firmware takes no single pictures", camera=port.camera, hint="Use its stream"
        )
    if reply.status != 200 or b"\xff\xd8\xff" not in reply.body[:4096]:
        raise RemoteProtocolError(
            f"it took no picture (HTTP {reply.status}, {len(reply.body)} bytes)",
            sample=reply.body,
            camera=port.camera,
            hint="A smaller framesize or a higher quality number helps when pictures outgrow its buffer",
        )
    return Part(reply.body, PartHead(reply.headers))


async def capture_fresh(
    port: ControlPort, path: str, size: tuple[int, int] | None = None, flushed: int = FLUSHED_CAPTURES
) -> Part:
    """Take a picture begun after the call: the device's old buffers are taken first and thrown away.

    Parameters
    ----------
    flushed : int
        Captures to throw away.
    size : tuple of (int, int), optional
        Width and height the picture must have; after a change of framesize, buffers of the old size come
        first.

    Raises
    ------
    WrongSizeError
        No picture of that size came.
    """
    for count in range(_MOST_CAPTURES):
        part = await capture(port, path)
        if count < flushed:
            continue
        info = inspect(part.body)
        if size is None or (info.width, info.height) == size:
            return part
    error = WrongSizeError(
        f"it keeps sending {info.width}x{info.height} pictures instead of {size[0]}x{size[1]}"
        if size
        else "it sent no picture",
        camera=port.camera,
        hint="The framesize may be too large for this board: try a smaller one",
    )
    error.size = (info.width, info.height)
    raise error


class SnapshotPoller:
    """Pictures from `/capture` at a steady pace, as a `Source`.

    Parameters
    ----------
    port : ControlPort
        Where to ask.
    path : str
        What to ask for.
    sink : StreamSink
        Takes the pictures.
    interval_s : float
        From the start of one capture to the start of the next; a slower camera sets its own pace.
    """

    paces_itself = True

    def __init__(self, port: ControlPort, path: str, sink: StreamSink, interval_s: float) -> None:
        self.closed: asyncio.Future[CameraError | None] = asyncio.get_running_loop().create_future()
        self.last_byte_ns = time.perf_counter_ns()
        self.received = 0
        self._port = port
        self._path = path
        self._sink = sink
        self._interval_s = interval_s
        self._task = asyncio.get_running_loop().create_task(self._poll(), name="espressoscope-snapshots")
        self._task.add_done_callback(self._ended)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            part = await capture(self._port, self._path)
            self.last_byte_ns = time.perf_counter_ns()
            self.received += len(part.body)
            self._sink.part(part, self.last_byte_ns)
            due = max(due + self._interval_s, loop.time())
            await asyncio.sleep(due - loop.time())

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self.closed.done():
            if error is None or isinstance(error, CameraError):
                self.closed.set_result(error)
            else:
                self.closed.set_exception(error)

    def poke(self) -> None:
        """Nothing waits in the kernel here."""

    def nudge(self) -> None:
        """Nothing to say: each capture has a connection of its own."""

    def give_up(self) -> None:
        """End at once: a capture that broke off has not come here."""
        self.abort()

    def abort(self) -> None:
        """End at once."""
        self._task.cancel()
