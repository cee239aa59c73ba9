"""The stream: how each firmware lays frames out on the wire, and the loop that sends them.

Layouts are PROTOCOL §1's B to E, byte for byte. What can go wrong within a frame is in `stream_faults`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Protocol

from espressoscope.sim.device import Alarm
from espressoscope.sim.sockets import peer_has_left
from espressoscope.sim.stream_faults import send_faulty

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from espressoscope.sim.device import Device, Shot

__all__ = [
    "BOUNDARY",
    "CHUNKED_TYPE",
    "LAYOUT_B",
    "LAYOUT_C",
    "LAYOUT_D",
    "LAYOUT_E",
    "TASMOTA_BOUNDARY",
    "Connection",
    "Layout",
    "chunk",
    "run_stream",
]

BOUNDARY: Final = b"123456789000000000000987654321"
CHUNKED_TYPE: Final = f"multipart/x-mixed-replace;boundary={BOUNDARY.decode()}"

_FIRMWARE_TIMEOUT_MS: Final = 2000


class Connection(Protocol):
    """What the stream loop needs of a connection."""

    @property
    def sock(self) -> socket.socket:
        """The socket, to see the client leave."""

    async def write(self, data: bytes | memoryview) -> None:
        """Send; OSError when the client has gone or does not read."""


def chunk(data: bytes) -> bytes:
    """Wrap as ``httpd_resp_send_chunk`` does."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Layout:
    """Order and wrapping of boundary, part header and picture.

    Parameters
    ----------
    chunked : bool
        Each of the three is a chunk of its own.
    opening : bytes
        Sent once, right behind the response head and before the first frame is there.
    before, after : bytes
        Around each part.
    stamped : bool
        Parts carry ``X-Timestamp``.
    """

    def __init__(
        self, *, chunked: bool, opening: bytes, before: bytes, after: bytes, stamped: bool = False
    ) -> None:
        self.chunked = chunked
        self.opening = opening
        self.stamped = stamped
        self._before = self.wrap(before)
        self._after = b"\r\n" + self.wrap(after) if chunked else after

    def header(self, shot: Shot, length: int | None) -> bytes:
        """Give the part header, without its length when that is None."""
        size = b"" if length is None else b"Content-Length: %d\r\n" % length
        stamp = b"X-Timestamp: %d.%06d\r\n" % divmod(shot.stamp_us, 1_000_000) if self.stamped else b""
        return b"Content-Type: image/jpeg\r\n%b%b\r\n" % (size, stamp)

    def wrap(self, data: bytes) -> bytes:
        """Make a chunk of it where this layout is chunked."""
        return chunk(data) if self.chunked and data else data

    def pieces(self, header: bytes, body: bytes) -> tuple[bytes, bytes, bytes]:
        """Give a part as it is sent: what precedes the picture's bytes, the picture, what follows."""
        if not self.chunked:
            return self._before + header, body, self._after
        lead = b"%b%x\r\n%b\r\n%x\r\n" % (self._before, len(header), header, len(body))
        return lead, body, self._after


_B = b"\r\n--" + BOUNDARY + b"\r\n"
LAYOUT_B: Final = Layout(chunked=True, opening=b"", before=_B, after=b"", stamped=True)
LAYOUT_C: Final = Layout(chunked=True, opening=_B, before=b"", after=_B)
TASMOTA_BOUNDARY: Final = b"e8b8c539-047d-4777-a985-fbba6edff11e"
LAYOUT_D: Final = Layout(chunked=False, opening=b"--" + BOUNDARY + b"\r\n", before=b"", after=_B)
LAYOUT_E: Final = Layout(chunked=False, opening=b"", before=b"--" + TASMOTA_BOUNDARY + b"\r\n", after=b"\r\n")


@contextlib.contextmanager
def watched(sock: socket.socket, alarm: Alarm) -> Iterator[None]:
    """Ring the alarm when the client closes its side.

    The firmware notices a client that has left within the frame it is sending: the first piece of it
    provokes the RST on which the second fails. A frame brought forward makes up for frames being sent here
    in one piece.
    """
    loop = asyncio.get_running_loop()
    descriptor = sock.fileno()

    def readable() -> None:
        loop.remove_reader(descriptor)
        if peer_has_left(sock):
            alarm.left = True
            alarm.ring()

    loop.add_reader(descriptor, readable)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


async def run_stream(
    device: Device, connection: Connection, layout: Layout, *, gives_up: bool = False
) -> bool:
    """Send frames until the client leaves or ``/stop`` is called.

    Parameters
    ----------
    gives_up : bool
        The Matchboxscope's "Stream timeout": with ``min_frame_time`` above 2000 the loop ends by itself.

    Returns
    -------
    bool
        True after ``/stop``: the handler returns ESP_OK, no closing chunk is sent and the socket stays
        open, silent.

    Raises
    ------
    OSError
        The client has left, or did not read for the send timeout.
    """
    device.stream_kill = False
    device.active_streams += 1
    alarm = Alarm()
    try:
        with watched(connection.sock, alarm):
            if layout.opening:
                await connection.write(layout.wrap(layout.opening))
            while True:
                if not device.streams_may_run.is_set():
                    device.stream_waits.set()
                    await device.streams_may_run.wait()
                if device.faults:
                    if not await send_faulty(device, connection, layout, alarm):
                        return False
                else:
                    shot = await device.take_frame(alarm)
                    await _send_frame(device, connection, layout, shot, alarm)
                if device.stream_kill or (
                    gives_up and device.sensor["min_frame_time"] > _FIRMWARE_TIMEOUT_MS
                ):
                    return True
    finally:
        device.active_streams -= 1
        device.previous_streams += 1
        device.stream_waits.set()


async def _send_frame(
    device: Device, connection: Connection, layout: Layout, shot: Shot, alarm: Alarm
) -> None:
    jpeg = shot.jpeg
    lead, body, trail = layout.pieces(layout.header(shot, len(jpeg)), jpeg)
    device.sent.enter(shot.number, jpeg)
    try:
        if alarm.left:
            await connection.write(lead)
            await asyncio.sleep(0)
            await connection.write(body + trail)
            alarm.left = False  # only half closed: it still reads
        else:
            await connection.write(b"".join((lead, body, trail)))
    except BaseException:
        device.sent.take_back(shot.number)
        raise
