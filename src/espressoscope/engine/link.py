"""One supervised link to one camera: opens its stream, keeps it alive, hands out its frames.

States and what moves them; `MOVES` is this table, and no other move is made::

    from           to            when
    STOPPED        CONNECTING    start()
    CONNECTING     LIVE          the first whole frame of this connection
    CONNECTING     SLOW          bytes came, but no whole frame for 3 s
    CONNECTING     BUSY          connected, not a byte for 8 s, and the control port answers
    CONNECTING     STALLED       connected, not a byte for 8 s, and nothing answers; 6 s without control port
    CONNECTING     BACKING_OFF   no connection, or it ended
    BUSY           LIVE          the other viewer has left: a whole frame
    BUSY           SLOW          bytes came, but no whole frame for 3 s
    BUSY           STALLED       the control port has fallen silent as well
    BUSY           BACKING_OFF   the connection ended
    LIVE           SLOW          no whole frame for 3 s
    LIVE           STALLED       6 s without a byte, noticed at once with what comes first
    LIVE           BACKING_OFF   the connection ended
    SLOW           LIVE          a whole frame
    SLOW           STALLED       6 s without a byte
    SLOW           BACKING_OFF   the connection ended
    STALLED        BACKING_OFF   at once: the dead connection is dropped
    BACKING_OFF    CONNECTING    the pause is over, or `hurry()`
    any other      STOPPED       stop()

start() and stop() begin a new generation. What still runs of an older one, an attempt that comes back late, a
callback of an old connection, moves nothing any more.

One connection however many consumers: the device serves one stream client. Everything but the properties runs
on the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from espressoscope.engine import words
from espressoscope.engine.journal import Journal
from espressoscope.engine.slot import LatestSlot, NextFrame
from espressoscope.engine.stats import StreamMeter
from espressoscope.engine.supervisor import Supervisor
from espressoscope.errors import CameraError
from espressoscope.model import LinkState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from espressoscope.device.stream import Source, StreamSink
    from espressoscope.engine.feed import Feed
    from espressoscope.engine.slot import Consumer
    from espressoscope.model import Frame, StreamStats
    from espressoscope.wire.events import Damage

__all__ = ["MOVES", "STALL_S", "Link", "Patience"]

_log = logging.getLogger(__name__)

_S = LinkState
MOVES: Final[Mapping[LinkState, frozenset[LinkState]]] = MappingProxyType(
    {
        _S.STOPPED: frozenset({_S.CONNECTING}),
        _S.CONNECTING: frozenset({_S.LIVE, _S.SLOW, _S.BUSY, _S.STALLED, _S.BACKING_OFF, _S.STOPPED}),
        _S.BUSY: frozenset({_S.LIVE, _S.SLOW, _S.STALLED, _S.BACKING_OFF, _S.STOPPED}),
        _S.LIVE: frozenset({_S.SLOW, _S.STALLED, _S.BACKING_OFF, _S.STOPPED}),
        _S.SLOW: frozenset({_S.LIVE, _S.STALLED, _S.BACKING_OFF, _S.STOPPED}),
        _S.STALLED: frozenset({_S.BACKING_OFF, _S.STOPPED}),
        _S.BACKING_OFF: frozenset({_S.CONNECTING, _S.STOPPED}),
    }
)
"""Every move a link makes."""

STALL_S = 6.0
"""Seconds without a byte after which a connection is given up."""
BUSY_AFTER_S = 8.0
"""Seconds without a first byte after which another viewer is suspected."""
SLOW_AFTER_S = 3.0
"""Seconds without a whole frame after which a stream that still drips is called slow."""
_POKE_AFTER_S = 1.5
_NUDGE_AFTER_S = 2.0
_BUSY_ASK_S = 4.0
_RENEW_FIRST_S = 8.0
_RENEW_CEILING_S = 240.0
_BACKOFF_FIRST_S = 0.1
_BACKOFF_CEILING_S = 2.0
_STOLEN_PAUSE_S = 15.0
_OPEN_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a link waits for what, in seconds.

    Attributes
    ----------
    stall_s : float
        For a byte, before the connection is given up.
    busy_after_s : float
        For the first byte, before the control port is asked whether the camera lives.
    slow_after_s : float
        For a whole frame, while bytes come.
    poke_after_s : float
        For a byte, before bytes are looked for that wait in the kernel.
    nudge_after_s : float
        For a byte, before the camera is given occasion to say that it has restarted.
    busy_ask_s : float
        While busy: from one question to the control port to the next.
    renew_first_s, renew_ceiling_s : float
        While busy: until the stream is asked for anew, because the old connection may be dead. Four times as
        long each time, because every connection given up stays in the camera's short queue.
    backoff_first_s, backoff_ceiling_s : float
        From the beginning of one attempt to the next, at first and at most; at random between half and all of
        it, because a hundred cameras must not come back in step.
    stolen_pause_s : float
        After another viewer has taken the stream.
    open_s : float
        For an attempt to connect as a whole.
    """

    stall_s: float = STALL_S
    busy_after_s: float = BUSY_AFTER_S
    slow_after_s: float = SLOW_AFTER_S
    poke_after_s: float = _POKE_AFTER_S
    nudge_after_s: float = _NUDGE_AFTER_S
    busy_ask_s: float = _BUSY_ASK_S
    renew_first_s: float = _RENEW_FIRST_S
    renew_ceiling_s: float = _RENEW_CEILING_S
    backoff_first_s: float = _BACKOFF_FIRST_S
    backoff_ceiling_s: float = _BACKOFF_CEILING_S
    stolen_pause_s: float = _STOLEN_PAUSE_S
    open_s: float = _OPEN_TIMEOUT_S


class Link:
    """Keeps one camera's stream running and counts everything about it.

    Parameters
    ----------
    camera : str
        Its address, named in errors; also its name until `identify` tells another.
    open_source : async callable
        Opens the stream into the sink it is given; raises a CameraError when it cannot.
    patience : Patience
        How long it waits for what.
    wall_offset_ns : int, optional
        Unix time at which `time.perf_counter_ns` was zero: one for all links whose frames are compared, read
        once, so that times neither jump nor differ when the system's clock is set; else its own.

    Attributes
    ----------
    name : str
        The camera's name, written into frames made from now on.
    state : LinkState
        What it is doing.
    latest : LatestSlot
        The newest whole frame.
    meter : StreamMeter
        What it counts.
    last_error : CameraError or None
        What went wrong last; None when all is well.
    sensor_fps : float or None
        The sensor's nominal rate, for the figures, as far as somebody knows it.
    sequence : int
        Number of the next frame.
    generation : int
        Raised by each start and stop.
    restarts : int
        How often the camera no longer knew the connection.
    breaks : int
        How often a stream was broken by an error, a reset above all: whoever is at its address then need not
        be this camera any more.
    """

    def __init__(
        self,
        camera: str,
        open_source: Callable[[StreamSink], Awaitable[Source]],
        patience: Patience = Patience(),
        wall_offset_ns: int | None = None,
    ) -> None:
        self.name = camera
        self.camera = camera
        self.open_source = open_source
        self.patience = patience
        self.state = LinkState.STOPPED
        self.last_error: CameraError | None = None
        self.sensor_fps: float | None = None
        self.sequence = 0
        self.generation = self.restarts = self.breaks = 0
        self.control_answers: Callable[[], Awaitable[bool]] | None = None
        self.newcomer_steals = False
        self.wall_offset_ns = wall_offset_ns or time.time_ns() - time.perf_counter_ns()
        self.latest = LatestSlot()
        self.meter = StreamMeter(self.wall_offset_ns)
        self._task: asyncio.Task[None] | None = None
        # For the supervisor.
        self.hurried = asyncio.Event()
        self.retry_at = 0.0
        self.feed: Feed | None = None
        self._outages = Journal()
        self._freezes = Journal()
        # For the feed: `usual` while it is live and no picture repeats the one before.
        self.usual = False
        self.newest_jpeg = b""
        self.consumers: tuple[Consumer, ...] = ()

    # ---- for any thread -------------------------------------------------------------------------

    @property
    def stats(self) -> StreamStats:
        """The figures so far; no IO."""
        return self.meter.snapshot(self.state, self.latest.superseded, self.sensor_fps)

    @property
    def stopped(self) -> bool:
        """Whether the link is not running."""
        return self.state is LinkState.STOPPED

    @property
    def message(self) -> str:
        """What is wrong now, in words for people; "" when all is well."""
        state, error, feed = self.state, self.last_error, self.feed
        now_ns = time.perf_counter_ns()
        if state is LinkState.LIVE:
            return words.frozen((now_ns - self.meter.same_since_ns) / 1e9) if self.meter.frozen else ""
        if state is LinkState.SLOW and feed is not None:
            return words.slow((now_ns - feed.last_frame_ns) / 1e9, feed.bytes_per_s, feed.damaged)
        if error is None:
            return "" if state is LinkState.STOPPED else "no picture yet"
        if state in (LinkState.BACKING_OFF, LinkState.CONNECTING):
            return words.trying_again(error.message, self.retry_at - time.monotonic())
        return error.message

    def age_s(self, frame: Frame) -> float:
        """Seconds since a frame of this link arrived."""
        return (time.perf_counter_ns() + self.wall_offset_ns - frame.received_ns) / 1e9

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
        self.control_answers = control_answers
        self.newcomer_steals = newcomer_steals

    def start(self) -> None:
        """Begin to connect; does nothing when already running."""
        if self._task is None:
            self.generation += 1
            self.last_error = None
            self.enter(LinkState.CONNECTING, self.generation)
            self._task = asyncio.get_running_loop().create_task(
                Supervisor(self, self.generation).run(), name=f"espressoscope-link-{self.camera}"
            )

    async def stop(self) -> None:
        """End the stream and wake every waiter; does nothing when not running.

        It counts as stopped at once, and may be started again before the old connection is gone.
        """
        task = self._stop()
        if task is not None:
            task.cancel()
            # An attempt that cannot be broken off ends when it likes; it moves nothing any more.
            await asyncio.wait([task], timeout=_STOP_TIMEOUT_S)

    def hurry(self) -> None:
        """Cut a back-off pause short: the camera has been seen."""
        self.hurried.set()

    def subscribe(self, consumer: Consumer) -> None:
        """Hand every further frame to this consumer too."""
        self.consumers = (*self.consumers, consumer)

    def unsubscribe(self, consumer: Consumer) -> bool:
        """Stop handing frames to it; true when it was handed them until now."""
        before = self.consumers
        self.consumers = tuple(each for each in before if each is not consumer)
        return len(self.consumers) < len(before)

    async def next_frame(self) -> Frame:
        """Wait for the next whole frame to arrive; the caller bounds the wait."""
        waiter = NextFrame()
        self.subscribe(waiter)
        try:
            return await waiter.frame
        finally:
            self.unsubscribe(waiter)

    def next_sequence(self) -> int:
        """Take the next frame number, also for pictures that came another way."""
        number = self.sequence
        self.sequence += 1
        return number

    def wall_ns(self, perf_ns: int) -> int:
        """Unix time of a `time.perf_counter_ns`: read once at the start, so it never jumps."""
        return perf_ns + self.wall_offset_ns

    # ---- for its supervisor and its feed --------------------------------------------------------

    def enter(self, state: LinkState, generation: int) -> None:
        """Move to another state, unless for an older generation, or where `MOVES` has no such move."""
        if generation != self.generation or state is self.state:
            return
        if state not in MOVES[self.state]:
            _log.error("%s: no way from %s to %s, by a mistake of ours", self.camera, self.state, state)
            return
        self.state = state
        self.usual = False

    def fail(self, error: CameraError, generation: int, *, level: int = logging.INFO) -> None:
        """Take note of what is wrong."""
        if generation == self.generation:
            error.__traceback__ = None  # would keep the frames of the attempt alive
            self.last_error = error
            reason = getattr(error, "reason", getattr(error, "phase", ""))
            self._outages.trouble(f"{type(error).__name__} {reason}", "%s", error, level=level)

    def end_by_mistake(self, generation: int) -> None:
        """Stop because the supervisor has broken down."""
        if generation == self.generation:
            self._stop()
            self.last_error = CameraError(
                "its link has ended by a mistake of this program",
                camera=self.camera,
                hint="Close the camera and open it again; the log tells more, please report it",
            )

    def came_alive(self, generation: int) -> None:
        """Take note of a whole frame that is not the usual one."""
        if generation != self.generation:
            return
        if self.state is not LinkState.LIVE:
            self.enter(LinkState.LIVE, generation)
            self.last_error = None
            self._outages.well("%s: pictures again after %.0f s", self.camera)
        self.usual = self.meter.repeats == 0

    def froze(self) -> None:
        """Take note of a picture that comes again and again."""
        text = "%s: it keeps sending the same picture, byte for byte: switch it off and on"
        self._freezes.trouble("frozen", text, self.camera, level=logging.WARNING)

    def thawed(self) -> None:
        """Take note of another picture at last."""
        self._freezes.well("%s: another picture after %.0f s of the same one", self.camera)

    def out_of_step(self, damage: Damage) -> None:
        """Take note of a stream that has to be resynchronised."""
        text = "%s: stream out of step at byte %d: %s"
        where = (self.camera, damage.offset, damage.reason)
        self._outages.remark("damage", text, *where, level=logging.DEBUG)

    def _stop(self) -> asyncio.Task[None] | None:
        """Be stopped from now on; gives the task that is to be ended."""
        task, self._task = self._task, None
        self.generation += 1
        self.enter(LinkState.STOPPED, self.generation)
        self.last_error = None
        if self.feed is not None:
            self.feed.cut()
            self.feed = None
        self.latest.wake()
        for consumer in self.consumers:
            consumer.wake()
        return task
