"""One supervised link to one camera: opens its stream, keeps it alive, hands out its frames.

States and what moves them::

    from           to            when
    STOPPED        CONNECTING    start()
    CONNECTING     LIVE          the first frame of this connection
    CONNECTING     BUSY          connected, 8 s without a byte, and the control port answers
    CONNECTING     STALLED       connected, 6 s without a byte, and nothing answers; or bytes came, then none
    CONNECTING     SLOW          bytes come, but no whole frame for 3 s
    CONNECTING     BACKING_OFF   no connection, or it ended
    BUSY           LIVE          the other viewer has left and frames come
    BUSY           BACKING_OFF   the control port has fallen silent, or the connection ended
    LIVE           SLOW          bytes come, but no whole frame for 3 s
    SLOW           LIVE          a whole frame
    LIVE, SLOW     STALLED       6 s without a byte
    LIVE, SLOW     BACKING_OFF   the camera ended the connection
    STALLED        BACKING_OFF   at once: the dead connection is dropped
    BACKING_OFF    CONNECTING    the pause is over, or `hurry()`
    any            STOPPED       stop()

One connection however many consumers: the device serves one stream client. Everything but the properties runs
on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING

from espressoscope.engine.slot import LatestSlot
from espressoscope.engine.stats import StreamMeter
from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.model import Frame, LinkState
from espressoscope.wire.pictures import PictureReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from espressoscope.device.stream import Source, StreamSink
    from espressoscope.engine.slot import Consumer
    from espressoscope.model import FrameStatus, StreamStats
    from espressoscope.wire.events import Damage, Part

__all__ = ["STALL_S", "Link"]

_log = logging.getLogger(__name__)

STALL_S = 6.0
"""Seconds without a byte after which a connection is given up."""
BUSY_AFTER_S = 8.0
"""Seconds without a first byte after which another viewer is suspected."""
SLOW_AFTER_S = 3.0
"""Seconds without a whole frame after which a stream that still drips is called slow."""
_TICK_S = 0.5
_POKE_AFTER_S = 1.5
_BACKOFF_FIRST_S = 0.1
_BACKOFF_CEILING_S = 2.0
_STOLEN_PAUSE_S = 15.0


class Link:
    """Keeps one camera's stream running and counts everything about it.

    Parameters
    ----------
    camera : str
        Its address, named in errors; also its name until `identify` tells another.
    open_source : async callable
        Opens the stream into the sink it is given; raises a CameraError when it cannot.

    Attributes
    ----------
    name : str
        The camera's name, written into frames made from now on.
    """

    def __init__(self, camera: str, open_source: Callable[[StreamSink], Awaitable[Source]]) -> None:
        self.name = camera
        self.camera = camera
        self.latest = LatestSlot()
        self.meter = StreamMeter()
        self.state = LinkState.STOPPED
        self.last_error: CameraError | None = None
        self.sensor_fps: float | None = None
        self._open_source = open_source
        self._control_answers: Callable[[], Awaitable[bool]] | None = None
        self._newcomer_steals = False
        self._subscriptions: tuple[Consumer, ...] = ()
        self._sequence = 0
        self._wall_offset_ns = time.time_ns() - time.perf_counter_ns()
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._last_jpeg = b""
        self._next_frame: asyncio.Future[Frame] | None = None

    # ---- for any thread -------------------------------------------------------------------------

    @property
    def stats(self) -> StreamStats:
        """The figures so far; no IO."""
        return self.meter.snapshot(self.state, self.latest.superseded)

    @property
    def message(self) -> str:
        """What is wrong now, in words; "" when all is well."""
        return "" if self.last_error is None else self.last_error.message

    @property
    def stopped(self) -> bool:
        """Whether the link is not running."""
        return self.state is LinkState.STOPPED

    @property
    def sequence(self) -> int:
        """Number of the next frame."""
        return self._sequence

    def age_s(self, frame: Frame) -> float:
        """Seconds since a frame of this link arrived."""
        return (time.perf_counter_ns() + self._wall_offset_ns - frame.received_ns) / 1e9

    # ---- for the loop's thread ------------------------------------------------------------------

    def identify(
        self,
        name: str,
        *,
        control_answers: Callable[[], Awaitable[bool]] | None,
        newcomer_steals: bool,
    ) -> None:
        """Tell which camera this is, once it has been recognised; may be called again.

        Parameters
        ----------
        name : str
            The camera's name.
        control_answers : async callable or None
            Tells whether the camera's control port answers; None when it has none.
        newcomer_steals : bool
            This firmware gives a second viewer the stream of the first (Tasmota).
        """
        self.name = name
        self._control_answers = control_answers
        self._newcomer_steals = newcomer_steals

    def start(self) -> None:
        """Begin to connect; does nothing when already running."""
        if self._task is None:
            self.last_error = None
            self.state = LinkState.CONNECTING
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name=f"espressoscope-link-{self.camera}"
            )

    async def stop(self) -> None:
        """End the stream and wake every waiter; does nothing when not running.

        It counts as stopped at once, and may be started again before the old connection is gone.
        """
        task, self._task = self._task, None
        self.state = LinkState.STOPPED
        self.latest.wake()
        for subscription in self._subscriptions:
            subscription.wake()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def hurry(self) -> None:
        """Cut a back-off pause short: the camera has been seen."""
        self._hurry.set()

    def subscribe(self, subscription: Consumer) -> None:
        """Hand every further frame to this subscription too."""
        self._subscriptions = (*self._subscriptions, subscription)

    def unsubscribe(self, subscription: Consumer) -> bool:
        """Stop handing frames to it; true when it was handed them until now."""
        before = self._subscriptions
        self._subscriptions = tuple(each for each in before if each is not subscription)
        return len(self._subscriptions) < len(before)

    async def next_frame(self) -> Frame:
        """Wait for the next whole frame to arrive; the caller bounds the wait."""
        if self._next_frame is None or self._next_frame.done():
            self._next_frame = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._next_frame)

    def next_sequence(self) -> int:
        """Take the next frame number, also for pictures that came another way."""
        number = self._sequence
        self._sequence += 1
        return number

    def wall_ns(self, perf_ns: int) -> int:
        """Unix time of a `time.perf_counter_ns`: read once at the start, so it never jumps."""
        return perf_ns + self._wall_offset_ns

    # ---- the supervisor -------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        first = True
        try:
            while True:
                self.state = LinkState.CONNECTING
                frames_before = self.meter.frames
                if not first:
                    self.meter.reconnects += 1
                first = False
                error = await self._one_connection()
                if error is not None:
                    self.last_error = error
                    _log.debug("%s: %s", self.camera, error)
                delivered = self.meter.frames > frames_before
                failures = 0 if delivered else failures + 1
                await self._pause(failures, stolen=self._newcomer_steals and delivered and error is None)
        except Exception:  # noqa: BLE001 - a task boundary: logged, and a state
            _log.exception("%s: the link has ended by a mistake of ours", self.camera)
            self.last_error = CameraError(
                "its link has ended by a mistake of this program",
                camera=self.camera,
                hint="Close the camera and open it again; the log tells more, please report it",
            )
            self.state = LinkState.STOPPED

    async def _one_connection(self) -> CameraError | None:
        sink = _Sink(self)
        try:
            source = await self._open_source(sink)
            try:
                return await self._watch(source, sink)
            finally:
                source.abort()
        except CameraError as error:
            return error
        finally:
            # A late callback of an old connection must not feed a link that has moved on.
            sink.link = None

    async def _watch(self, source: Source, sink: _Sink) -> CameraError | None:
        opened_ns = time.perf_counter_ns()
        asked_control_ns = opened_ns
        while True:
            await asyncio.wait([source.closed], timeout=_TICK_S)
            if source.closed.done():
                return source.closed.result()
            if source.paces_itself:
                continue
            now_ns = time.perf_counter_ns()
            silent_s = (now_ns - source.last_byte_ns) / 1e9
            if silent_s > _POKE_AFTER_S:
                source.poke()
            if source.received == 0:
                # Silent from the start: queued behind another viewer, or dead. Only the control port can
                # tell.
                if (now_ns - asked_control_ns) / 1e9 < (
                    STALL_S if self._control_answers is None else BUSY_AFTER_S
                ):
                    continue
                asked_control_ns = now_ns
                if self._control_answers is None or not await self._control_answers():
                    self.state = LinkState.STALLED
                    return None
                if source.received == 0:
                    self.state = LinkState.BUSY
                    self.last_error = _busy(self.camera)
            elif silent_s > STALL_S:
                self.state = LinkState.STALLED
                _log.info("%s: no byte for %.0f s, reconnecting", self.camera, silent_s)
                source.give_up()
                return None
            elif self.state is not LinkState.SLOW and (now_ns - sink.last_frame_ns) / 1e9 > SLOW_AFTER_S:
                self.state = LinkState.SLOW

    async def _pause(self, failures: int, *, stolen: bool) -> None:
        self.state = LinkState.BACKING_OFF
        if stolen:
            pause_s = _STOLEN_PAUSE_S
            _log.warning("%s: another viewer took the stream; trying again in %.0f s", self.camera, pause_s)
            self.last_error = _busy(self.camera)
        else:
            pause_s = min(_BACKOFF_CEILING_S, _BACKOFF_FIRST_S * 2.0 ** min(failures, 10))
            pause_s *= random.uniform(0.5, 1.0)  # a hundred cameras must not come back in step
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._hurry.wait()

    # ---- frames ---------------------------------------------------------------------------------

    def _take(self, part: Part, now_ns: int, sink: _Sink) -> None:
        reader = sink.reader
        jpeg = reader.read_usual(part.body) if part.complete else None
        if jpeg is not None:
            self._deliver(jpeg, reader.width, reader.height, "ok", part, now_ns, sink)
        elif part.content_type != "text/plain":  # ESPHome's "No frames send."
            for picture in reader.read(part.body, part.complete):
                self._deliver(picture.jpeg, picture.width, picture.height, picture.status, part, now_ns, sink)

    def _deliver(
        self,
        jpeg: bytes,
        width: int,
        height: int,
        status: FrameStatus,
        part: Part,
        now_ns: int,
        sink: _Sink,
    ) -> None:
        """Hand out one frame, numbered and counted."""
        sequence = self._sequence
        self._sequence = sequence + 1
        meter = self.meter
        if status == "ok":
            if jpeg == self._last_jpeg:
                status = "duplicate"
                meter.repeats += 1
            else:
                meter.repeats = 0
                self._last_jpeg = jpeg
        frame = Frame(
            jpeg, sequence, now_ns + self._wall_offset_ns, part.device_ns, width, height, self.name, status
        )
        meter.count(frame, now_ns)
        if status == "ok" or status == "duplicate":
            sink.last_frame_ns = now_ns
            if self.state is not LinkState.LIVE:
                self.state = LinkState.LIVE
                self.last_error = None
            self.latest.put(frame)
            if self._next_frame is not None and not self._next_frame.done():
                self._next_frame.set_result(frame)
        else:
            meter.damaged += 1
        for subscription in self._subscriptions:
            if subscription.put(frame):
                meter.dropped += 1


class _Sink:
    """What one connection feeds; cut off from the link when that has moved on."""

    def __init__(self, link: Link) -> None:
        self.link: Link | None = link
        self.reader = PictureReader()
        self.last_frame_ns = time.perf_counter_ns()

    def part(self, part: Part, now_ns: int) -> None:
        if self.link is not None:
            self.link._take(part, now_ns, self)

    def damage(self, damage: Damage) -> None:
        if self.link is not None:
            self.link.meter.damaged += 1
            _log.debug(
                "%s: stream out of step at byte %d: %s", self.link.camera, damage.offset, damage.reason
            )


def _busy(camera: str) -> ConnectError:
    return ConnectError(
        "another viewer holds its only stream",
        reason=ConnectReason.BUSY,
        camera=camera,
        hint="Close the other viewer, browser tabs too; the stream then comes by itself",
    )
