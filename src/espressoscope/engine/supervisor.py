"""What keeps a link alive: one task from start() to stop(), which connects, watches, and connects again.

It moves the link's state by `Link.enter` only, with the generation it belongs to, so that it is powerless
once the link has been stopped or started anew. The states and their moves are drawn at the top of `link`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from espressoscope.engine import words
from espressoscope.engine.feed import Feed
from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.model import LinkState

if TYPE_CHECKING:
    from espressoscope.device.stream import Source
    from espressoscope.engine.link import Link

__all__ = ["Outcome", "Supervisor"]

_log = logging.getLogger("espressoscope.engine.link")

_TICK_S = 0.5
_SOONEST_S = 0.005
_ANSWER_S = 5.0
_STEADY_S = 1.0
_MOST_SHORT_LIVES = 3


class Outcome(Enum):
    """How a connection came to its end."""

    ENDED = "the camera ended it between two frames"
    BROKEN = "it ended within a frame, before the first, or because the camera has restarted"
    STALLED = "nothing came any more"
    FAILED = "there was no stream: no connection, or another answer"
    RENEWED = "it waits behind another viewer, and is made anew"


class Supervisor:
    """The work of one generation of a link.

    Parameters
    ----------
    link : Link
        Whose stream it is.
    generation : int
        The link's, when this was made.
    """

    def __init__(self, link: Link, generation: int) -> None:
        self._link = link
        self._generation = generation
        self._patience = link.patience
        self._opened = 0
        self._renewals = 0
        self._nudged_ns = 0

    @property
    def _current(self) -> bool:
        return self._link.generation == self._generation

    def _enter(self, state: LinkState) -> None:
        self._link.enter(state, self._generation)

    async def run(self) -> None:
        """Connect, and connect again, until cancelled or out of date."""
        try:
            await self._run()
        except Exception:  # noqa: BLE001 - a task boundary: logged, and a state
            _log.exception("%s: the link has ended by a mistake of ours", self._link.camera)
            self._link.end_by_mistake(self._generation)

    async def _run(self) -> None:
        failures = 0
        outcome = None
        while self._current:
            began = time.monotonic()
            if outcome is not Outcome.RENEWED:
                self._renewals = 0
                self._enter(LinkState.CONNECTING)
            feed = self._link.feed = Feed(self._link, self._generation)
            try:
                outcome, error = await self._connect(feed)
            finally:
                feed.cut()
            if outcome is Outcome.RENEWED or not self._current:
                continue
            lasted_s = time.monotonic() - began
            if not feed.delivered:
                failures += 1
            elif lasted_s >= _STEADY_S:
                failures = 0
            else:  # comes and goes: not so often that it costs much, nor so seldom as if it were off
                failures = min(failures + 1, _MOST_SHORT_LIVES)
            if self._link.newcomer_steals and feed.delivered and outcome is Outcome.ENDED:
                await self._pause_for_thief()
            else:
                await self._pause(error, failures, lasted_s)

    # ---- one connection -------------------------------------------------------------------------

    async def _connect(self, feed: Feed) -> tuple[Outcome, CameraError]:
        link = self._link
        try:
            source = await self._open(feed)
        except CameraError as error:
            return Outcome.FAILED, error
        try:
            if not self._current:
                return Outcome.FAILED, words.ended(link.camera)
            if self._opened:
                link.meter.reconnects += 1
            self._opened += 1
            if source.paces_itself:
                await asyncio.wait([source.closed])
                return self._verdict(source, feed)
            return await self._watch(source, feed)
        finally:
            source.abort()

    async def _open(self, feed: Feed) -> Source:
        try:
            async with asyncio.timeout(self._patience.open_s):
                return await self._link.open_source(feed)
        except TimeoutError:
            raise words.no_opening(self._link.camera, self._patience.open_s) from None

    def _verdict(self, source: Source, feed: Feed) -> tuple[Outcome, CameraError]:
        """Say how a connection ended that the other side has ended."""
        camera = self._link.camera
        error = source.closed.result()
        broke = isinstance(error, ConnectError) and error.reason is ConnectReason.UNREACHABLE
        if error is not None and (source.paces_itself or not broke):
            return Outcome.FAILED, error
        if error is not None:
            self._link.breaks += 1
        if error is not None and self._nudged_ns == source.last_byte_ns:
            self._link.restarts += 1
            return Outcome.BROKEN, words.restarted(camera)
        if not feed.delivered or feed.broke_off:
            return Outcome.BROKEN, error or words.broken(camera)
        return Outcome.ENDED, error or words.ended(camera)

    async def _watch(self, source: Source, feed: Feed) -> tuple[Outcome, CameraError]:
        """Wait for the end of a connection, and for silence."""
        patience = self._patience
        link = self._link
        first_s = patience.stall_s if link.control_answers is None else patience.busy_after_s
        if self._renewals:
            first_s = patience.busy_ask_s
        opened_ns = source.last_byte_ns
        ask_at_ns = opened_ns + _ns(first_s)
        renew_after_s = patience.renew_first_s * 4.0 ** min(self._renewals, 10)
        renew_at_ns = opened_ns + _ns(min(patience.renew_ceiling_s, renew_after_s))
        while self._current:
            if source.received:
                wait_s = self._look(source, feed)
                if wait_s is None:
                    silent_s = _s(time.perf_counter_ns() - source.last_byte_ns)
                    source.give_up()  # delivers what is there of a broken frame
                    self._enter(LinkState.STALLED)
                    return Outcome.STALLED, words.silent(link.camera, silent_s)
            else:
                # Silent from the start: queued behind another viewer, or dead. The control port can tell.
                now_ns = time.perf_counter_ns()
                if now_ns >= ask_at_ns:
                    self._nudge(source, again=True)
                    alive = await self._control_answers(source)
                    now_ns = time.perf_counter_ns()
                    if alive is False:
                        self._enter(LinkState.STALLED)
                        return Outcome.STALLED, words.silent(link.camera, _s(now_ns - opened_ns))
                    if alive:
                        self._become_busy()
                        if now_ns >= renew_at_ns:
                            self._renewals += 1
                            return Outcome.RENEWED, words.busy(link.camera)
                    ask_at_ns = now_ns + _ns(patience.busy_ask_s)
                if _s(now_ns - opened_ns) >= patience.nudge_after_s:
                    self._nudge(source)
                feed.last_frame_ns = now_ns  # the first frame is due from the first byte on
                wait_s = min(_TICK_S, _s(ask_at_ns - now_ns))
            await asyncio.wait([source.closed], timeout=max(wait_s, _SOONEST_S))
            if source.closed.done():
                return self._verdict(source, feed)
        return Outcome.ENDED, words.ended(link.camera)

    def _look(self, source: Source, feed: Feed) -> float | None:
        """Look after a stream that has begun: seconds until the next look, None when it has stalled."""
        patience = self._patience
        now_ns = time.perf_counter_ns()
        silent_s = _s(now_ns - source.last_byte_ns)
        lacking_s = _s(now_ns - feed.last_frame_ns)
        if silent_s >= patience.stall_s:
            return None
        if silent_s >= patience.poke_after_s:
            source.poke()
        if silent_s >= patience.nudge_after_s:
            self._nudge(source)
        feed.look(now_ns, source.received)
        if lacking_s >= patience.slow_after_s and self._link.state is not LinkState.SLOW:
            self._enter(LinkState.SLOW)
            # A radio that is too slow lets bytes through: where none come, its advice would mislead.
            if silent_s >= patience.nudge_after_s:
                error = words.silent(self._link.camera, silent_s)
            else:
                error = words.lacking(self._link.camera, lacking_s)
            self._link.fail(error, self._generation)
        left = (
            patience.stall_s - silent_s,
            patience.slow_after_s - lacking_s,
            patience.poke_after_s - silent_s,
            patience.nudge_after_s - silent_s,
        )
        # Poked, bytes hide again behind the mark that the rest of their picture sets: look often.
        return min(patience.poke_after_s, *(wait_s for wait_s in left if wait_s > 0))

    def _nudge(self, source: Source, *, again: bool = False) -> None:
        """Give a silent camera occasion to say that it has restarted: once in each silence, or again."""
        if (self._nudged_ns == source.last_byte_ns and not again) or self._link.control_answers is None:
            return  # only a camera that was recognised, not any server of streams
        self._nudged_ns = source.last_byte_ns
        source.nudge()

    async def _control_answers(self, source: Source) -> bool | None:
        """Ask whether the camera lives; None when meanwhile the stream began or ended."""
        ask = self._link.control_answers
        if ask is None:
            return False
        loop = asyncio.get_running_loop()
        asking: asyncio.Future[bool] = asyncio.ensure_future(ask())
        either: tuple[asyncio.Future[Any], ...] = (asking, source.closed)
        gives_up_at = loop.time() + _ANSWER_S
        try:
            while not asking.done():
                await asyncio.wait(either, timeout=_TICK_S / 2, return_when=asyncio.FIRST_COMPLETED)
                if source.received or source.closed.done():
                    return None
                if loop.time() >= gives_up_at:
                    return False
            return asking.result()
        finally:
            asking.cancel()
            await asyncio.wait([asking], timeout=_TICK_S)

    def _become_busy(self) -> None:
        link = self._link
        if link.state is not LinkState.BUSY:
            self._enter(LinkState.BUSY)
            link.fail(words.busy(link.camera), self._generation)

    # ---- between two connections ----------------------------------------------------------------

    async def _pause_for_thief(self) -> None:
        """Leave the stream to the viewer that took it; no hurry, or two viewers would fight over it."""
        link = self._link
        pause_s = self._patience.stolen_pause_s
        link.fail(words.stolen(link.camera, pause_s), self._generation, level=logging.WARNING)
        link.retry_at = time.monotonic() + pause_s
        self._enter(LinkState.BACKING_OFF)
        await asyncio.sleep(pause_s)

    async def _pause(self, error: CameraError, failures: int, lasted_s: float) -> None:
        link = self._link
        patience = self._patience
        first_s = patience.backoff_first_s * random.uniform(0.5, 1.0)
        wanted_s = min(patience.backoff_ceiling_s, patience.backoff_first_s * 2.0 ** min(failures, 10))
        # Counted from the beginning of the attempt: one that has waited long in vain is repeated soon, so
        # that a camera that comes back is met by a fresh SYN within the second.
        pause_s = max(first_s, wanted_s * random.uniform(0.5, 1.0) - lasted_s)
        link.fail(error, self._generation)
        link.retry_at = time.monotonic() + pause_s
        self._enter(LinkState.BACKING_OFF)
        link.hurried.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await link.hurried.wait()


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _s(nanoseconds: int) -> float:
    return nanoseconds / 1e9
