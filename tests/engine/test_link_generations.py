"""What still runs of an older generation moves nothing: late openings, old connections, questions."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from espressoscope.device.address import parse_address
from espressoscope.device.stream import open_stream
from espressoscope.engine.feed import Feed
from espressoscope.engine.link import Link
from espressoscope.model import LinkState
from espressoscope.sim import SimulatedCamera
from espressoscope.wire.events import Part, PartHead
from espressoscope.wire.headers import Headers
from link_rig import QUICK, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from espressoscope.device.stream import Source, StreamConnection, StreamSink


@pytest.fixture
def camera() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(fps=25, framesize="QVGA", side_delays=False, boot_s=0.3) as camera:
        yield camera


class Stubborn(Rig):
    """Opens real connections and does not let go of one when it is cancelled."""

    late: StreamConnection | None = None
    sinks: list[Feed]

    async def open_source(self, sink: StreamSink) -> Source:
        assert isinstance(sink, Feed)
        self.sinks = [*getattr(self, "sinks", []), sink]
        opening = asyncio.ensure_future(
            open_stream(self._stream, sink, camera=self.link.camera, connect_timeout_s=10)
        )
        while not opening.done():
            try:
                await asyncio.shield(opening)
            except asyncio.CancelledError:
                continue
        self.opened += 1
        self.late = opening.result()
        return self.late


@pytest.mark.parametrize("restarted", [False, True])
def test_an_opening_that_comes_back_after_stop(camera: SimulatedCamera, restarted: bool) -> None:
    async def run() -> None:
        rig = Stubborn(camera)
        async with rig.fault("vanish"):
            rig.link.start()
            await rig.until(lambda: hasattr(rig, "sinks"))
            await asyncio.sleep(0.05)  # the SYN is out and stays unanswered
            began = time.monotonic()
            await rig.link.stop()
            assert time.monotonic() - began < 1
            assert rig.link.state is LinkState.STOPPED
            rig.link.open_source = super(Stubborn, rig).open_source
            if restarted:
                rig.link.start()
        await rig.until(lambda: rig.late is not None, what="the late opening")
        late = rig.late
        assert late is not None
        await rig.until(late.closed.done, what="its end")
        assert not rig.sinks[0].delivered
        if restarted:
            await rig.live()
            assert rig.link.generation == 3
            await rig.link.stop()
        else:
            assert rig.link.state is LinkState.STOPPED
            assert rig.link.moves[-1][1] is LinkState.STOPPED
            assert rig.link.meter.frames == 0
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def picture(jpeg: bytes = b"\xff\xd8\xff\xd9") -> Part:
    return Part(jpeg, PartHead(Headers([])))


def test_callbacks_of_old_connections_feed_nothing(camera: SimulatedCamera) -> None:
    async def run() -> None:
        rig = Stubborn(camera)
        async with rig:
            await rig.live()
            frames_of_first = rig.link.meter.frames
            await rig.link.stop()
            frames = rig.link.meter.frames
            assert frames >= frames_of_first
            jpeg = rig.link.newest_jpeg
            rig.sinks[0].part(picture(jpeg), time.perf_counter_ns())
            assert (rig.link.state, rig.link.meter.frames) == (LinkState.STOPPED, frames)
            rig.link.start()
            rig.sinks[0].part(picture(jpeg), time.perf_counter_ns())
            assert (rig.link.state, rig.link.meter.frames) == (LinkState.CONNECTING, frames)
            await rig.live()
            assert rig.link.meter.reconnects == 0, "started anew by hand"

    asyncio.run(run())


def test_a_connection_that_was_given_up_feeds_nothing(camera: SimulatedCamera) -> None:
    async def run() -> None:
        async with Stubborn(camera) as rig:
            await rig.live()
            async with rig.fault("cut", every=1):
                await rig.until(lambda: rig.link.meter.reconnects >= 1)
            old = rig.sinks[0]
            await rig.live()
            sequence = rig.link.sequence
            old.part(picture(), time.perf_counter_ns())
            assert rig.link.sequence == sequence

    asyncio.run(run())


def test_an_answer_that_comes_after_stop(camera: SimulatedCamera) -> None:
    asked = asyncio.Event()

    async def answers() -> bool:
        asked.set()
        for _ in range(3):
            try:
                await asyncio.sleep(0.2)
            except asyncio.CancelledError:
                continue
        return True

    async def run() -> None:
        rig = Rig(camera)
        rig.link.identify("it", control_answers=answers, newcomer_steals=False)
        async with rig.fault("silent-second"):
            rig.link.start()
            await asyncio.wait_for(asked.wait(), 5)
            await rig.link.stop()
            rig.link.start()
            await asyncio.sleep(0.3)
            assert rig.link.state is LinkState.CONNECTING, "the old answer does not count"
        await rig.live()
        await rig.link.stop()

    asyncio.run(run())


def test_starting_and_stopping_twice(camera: SimulatedCamera) -> None:
    async def run() -> None:
        rig = Rig(camera)
        await rig.link.stop()
        rig.link.start()
        generation = rig.link.generation
        rig.link.start()
        assert rig.link.generation == generation
        await rig.live()
        assert rig.opened == 1
        await asyncio.gather(rig.link.stop(), rig.link.stop())
        assert rig.link.state is LinkState.STOPPED

    asyncio.run(run())


def test_many_starts_and_stops_leave_one_stream(camera: SimulatedCamera) -> None:
    async def run() -> None:
        rig = Rig(camera)
        stops = []
        for _ in range(20):
            rig.link.start()
            await asyncio.sleep(0.01)
            stops.append(asyncio.ensure_future(rig.link.stop()))
            await asyncio.sleep(0)  # it is stopped, and its connection still ends
        rig.link.start()
        await rig.live()
        await asyncio.gather(*stops)
        assert rig.link.state is LinkState.LIVE
        await rig.live()
        await rig.link.stop()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_a_mistake_of_ours_stops_the_link_and_is_told(
    camera: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(sink: StreamSink) -> Source:
        raise ZeroDivisionError("ours")

    async def run() -> None:
        link = Link("cam", broken, QUICK)
        link.start()
        for _ in range(200):
            await asyncio.sleep(0.005)
            if link.stopped:
                break
        assert link.stopped
        assert "mistake of this program" in link.message
        assert "ZeroDivisionError" in caplog.text
        address = parse_address(camera.stream_url)

        async def sound(sink: StreamSink) -> Source:
            return await open_stream(address, sink, camera="cam")

        link.open_source = sound
        link.start()
        await asyncio.wait_for(link.next_frame(), 10)
        assert link.message == ""
        await link.stop()

    caplog.set_level(logging.ERROR)
    asyncio.run(run())


def test_an_opening_without_end_is_given_up() -> None:
    async def endless(sink: StreamSink) -> Source:
        await asyncio.sleep(60)
        raise AssertionError("unreachable")

    async def run() -> None:
        link = Link("cam", endless, type(QUICK)(open_s=0.1))
        link.start()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if link.last_error is not None:
                break
        assert "did not open within 0.1 s" in link.message
        await link.stop()

    asyncio.run(run())


def test_waiters_are_woken_by_stop(camera: SimulatedCamera) -> None:
    class Waiting:
        woken = 0

        def put(self, frame: object) -> bool:
            return False

        def wake(self) -> None:
            self.woken += 1

    async def run() -> None:
        consumer = Waiting()
        async with Rig(camera) as rig:
            rig.link.subscribe(consumer)
            await rig.live()
        assert consumer.woken == 1
        assert rig.link.unsubscribe(consumer)
        assert not rig.link.unsubscribe(consumer)

    asyncio.run(run())
