"""Looking at a stream for a few seconds, and letting it go: counts and times only, no judgement.

The camera serves one viewer at a time, so everybody else waits meanwhile. No request is made beside the one
for the stream itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from espressoscope.device.stream import open_stream
from espressoscope.errors import CameraError, ConnectError, ConnectReason, DecodeError
from espressoscope.model import Frame

if TYPE_CHECKING:
    from espressoscope.device.address import Address
    from espressoscope.device.stream import StreamConnection

__all__ = ["LITTLE_BYTES", "SILENCE_S", "StreamSigns", "watch"]

WATCH_S: Final = 3.0
"""From the first picture on; twice as long where fewer than four pictures come."""
NO_PICTURE_S: Final = 6.5
"""The driver gives up on a picture after 4 s (``FB_GET_TIMEOUT``), and the stream then ends."""
SILENCE_S: Final = 7.0
"""Without a byte. A viewer that has vanished blocks the stream for five to six seconds."""
_CONNECT_S: Final = 4.0
_STALL_S: Final = 2.5
_PATIENT_S: Final = 3.0
_MOST_PATIENT_S: Final = 6.5
"""With pictures before: a stream whose pictures outgrow the buffer ends 4 s after the last that fitted."""
LITTLE_BYTES: Final = 1024
"""Head and first boundary of a stream are less, the beginning of a picture is more."""
_TICK_S: Final = 0.25
_FEW: Final = 4
_REPEATS: Final = 5
"""So many equal pictures in a row are no accident: sensor noise makes two of them impossible."""
_MOST_KEPT: Final = 128
_MOST_KEPT_BYTES: Final = 32 * 1024 * 1024
_DECODING_S: Final = 3.0


class _Part(Protocol):
    @property
    def body(self) -> memoryview | bytes: ...

    @property
    def complete(self) -> bool: ...


@dataclass(slots=True)
class StreamSigns:
    """What a stream showed.

    Attributes
    ----------
    error : CameraError or None
        Why there was no connection, or no stream on it.
    connected : bool
    refused : bool
        Nothing listens on its port.
    multipart : bool
        Its answer began like a stream's.
    received : int
        Bytes.
    pictures, damaged, resynced, repeats : int
        Whole parts; those of them that cannot be decoded; places where it was out of step; the longest row of
        pictures equal to the one before.
    problems : list of str
        What was wrong with damaged ones, each kind once.
    width, height : int
        Of the last picture.
    seconds : float
        From the first picture to the last.
    held_s : float
        From the connection to its end.
    quiet_s : float
        Since the last byte, at the end.
    ended : bool
        The camera ended it, or it broke.
    bytes_of_pictures : int
    """

    error: CameraError | None = None
    connected: bool = False
    refused: bool = False
    multipart: bool = False
    received: int = 0
    pictures: int = 0
    damaged: int = 0
    resynced: int = 0
    repeats: int = 0
    problems: list[str] = field(default_factory=list)
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    held_s: float = 0.0
    quiet_s: float = 0.0
    ended: bool = False
    bytes_of_pictures: int = 0

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return (self.pictures - 1) / self.seconds if self.pictures > 1 and self.seconds > 0 else 0.0

    @property
    def bytes_per_s(self) -> float:
        """Bytes of pictures a second."""
        mean = self.bytes_of_pictures / self.pictures if self.pictures else 0.0
        return mean * self.fps

    @property
    def stalled(self) -> bool:
        """Whether it had begun and then nothing came any more."""
        return not self.ended and self.quiet_s >= _STALL_S

    @property
    def frozen(self) -> bool:
        """Whether it keeps sending one picture."""
        return self.repeats >= _REPEATS or (self.pictures >= _FEW and self.repeats == self.pictures - 1)


class _Sink:
    """Keeps the pictures, up to a ceiling."""

    def __init__(self) -> None:
        self.signs = StreamSigns()
        self.kept: list[bytes] = []
        self.first_ns = 0
        self.last_ns = 0
        self._room = _MOST_KEPT_BYTES
        self._before = b""
        self._row = 0

    def part(self, part: _Part, now_ns: int) -> None:
        """Take one part."""
        if not part.complete:
            return  # it broke off: told as the end of the stream
        signs = self.signs
        jpeg = bytes(part.body)
        signs.pictures += 1
        signs.bytes_of_pictures += len(jpeg)
        self.first_ns = self.first_ns or now_ns
        self.last_ns = now_ns
        self._row = self._row + 1 if jpeg == self._before else 0
        signs.repeats = max(signs.repeats, self._row)
        self._before = jpeg
        if len(self.kept) < _MOST_KEPT and self._room >= len(jpeg):
            self._room -= len(jpeg)
            self.kept.append(jpeg)

    def damage(self, damage: object) -> None:
        """Take note of a place out of step."""
        self.signs.resynced += 1


async def watch(
    stream: Address, camera: str, *, silence_s: float = SILENCE_S, glance: bool = False
) -> StreamSigns:
    """Open a stream, look at it, let it go.

    Parameters
    ----------
    stream : Address
        Where it is.
    camera : str
        Named in errors.
    silence_s : float
        Longest wait for the first byte, in seconds.
    glance : bool
        Let it go with the first byte.

    Returns
    -------
    StreamSigns
        Whatever happened; nothing is raised.
    """
    loop = asyncio.get_running_loop()
    sink = _Sink()
    signs = sink.signs
    try:
        connection = await open_stream(stream, sink, camera=camera, connect_timeout_s=_CONNECT_S)
    except CameraError as error:
        signs.error = error
        signs.refused = isinstance(error, ConnectError) and error.reason is ConnectReason.REFUSED
        return signs
    signs.connected = True
    opened = loop.time()
    try:
        await _look(connection, sink, opened, silence_s, glance)
        if connection.closed.done():
            signs.ended = True
            signs.error = connection.closed.result()
        signs.multipart = connection.multipart or signs.pictures > 0
        signs.received = connection.received
        signs.quiet_s = (time.perf_counter_ns() - connection.last_byte_ns) / 1e9
    finally:
        connection.abort()
        signs.held_s = loop.time() - opened
    signs.seconds = (sink.last_ns - sink.first_ns) / 1e9
    await _decode(sink)
    return signs


async def _look(
    connection: StreamConnection, sink: _Sink, opened: float, silence_s: float, glance: bool
) -> None:
    loop = asyncio.get_running_loop()
    first_at = 0.0
    while not connection.closed.done():
        now = loop.time()
        quiet_s = (time.perf_counter_ns() - connection.last_byte_ns) / 1e9
        if not connection.received:
            if now - opened >= silence_s:
                return
        elif glance:
            return
        elif not sink.signs.pictures:
            first_at = first_at or now
            if now - first_at >= NO_PICTURE_S:
                return
            if quiet_s >= 1 and connection.head is not None and not connection.multipart:
                return  # an answer that is no stream, and goes on for ever
            if quiet_s >= _PATIENT_S and connection.received >= LITTLE_BYTES:
                return
        else:
            since_s = (time.perf_counter_ns() - sink.first_ns) / 1e9
            if since_s >= WATCH_S * (1 if sink.signs.pictures >= _FEW else 2) and quiet_s < 1:
                return
            if quiet_s >= _MOST_PATIENT_S:
                return
        if quiet_s > _TICK_S:
            connection.poke()
        await asyncio.wait([connection.closed], timeout=_TICK_S)


async def _decode(sink: _Sink) -> None:
    """Try to decode what was kept, on a thread of its own that nobody has to wait for."""
    if not sink.kept:
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    give_up = threading.Event()
    signs, pictures = sink.signs, sink.kept

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    def decode() -> None:
        try:
            for number, jpeg in enumerate(pictures):
                if give_up.is_set():
                    break
                _try(signs, jpeg, whole=number in (0, len(pictures) - 1))
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(finish)

    threading.Thread(target=decode, name="espressoscope-doctor", daemon=True).start()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DECODING_S):
                await done
    finally:
        give_up.set()


def _try(signs: StreamSigns, jpeg: bytes, *, whole: bool) -> None:
    try:
        image = Frame(jpeg, 0, 0).image(1 if whole else 8, gray=True)
    except DecodeError as error:
        signs.damaged += 1
        # "frame 0 (640x480, 12201 bytes) cannot be decoded: it is cut off before its end"
        what = error.message.partition("decoded: ")[2].partition(" (")[0] or error.message
        if what not in signs.problems and len(signs.problems) < 3:
            signs.problems.append(what)
        if error.width and error.height:
            signs.width, signs.height = error.width, error.height
    except MemoryError:
        return
    else:
        if whole:
            signs.height, signs.width = image.shape
