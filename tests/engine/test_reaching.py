"""Finding a camera out, and again: what nobody waits for any more is let go, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from espressoscope.api.locator import SearchLocator
from espressoscope.device.address import parse_address
from espressoscope.engine.link import Link
from espressoscope.engine.session import CameraSession
from espressoscope.engine.whereabouts import Whereabouts
from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.model import CameraInfo
from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from espressoscope.device.address import Address
    from espressoscope.device.stream import Source, StreamSink

MAC = "24:0A:C4:12:34:56"
HERE = CameraInfo("A1", "http://127.0.0.1:1", None, MAC, "matchboxscope", "given")


async def nothing(_: StreamSink) -> Source:
    raise AssertionError("nobody connects here")


class Counting:
    """Finds nothing, at once, and counts."""

    asked = 0

    async def locate(self, _: CameraInfo) -> str | None:
        self.asked += 1
        return None

    async def mac_at(self, _: Address) -> str | None:
        return None


@pytest.mark.parametrize(("reason", "searches"), [("NOT_A_CAMERA", 1), ("UNREACHABLE", 0)])
def test_a_camera_whose_place_is_taken_is_searched_at_once_but_not_all_the_time(
    reason: str, searches: int
) -> None:
    async def run() -> int:
        locator = Counting()

        async def move_to(_: str) -> None:
            raise AssertionError("it is nowhere")

        whereabouts = Whereabouts(locator, move_to, Link("cam", nothing))
        for _ in range(20):
            whereabouts.missed(HERE, ConnectError("gone", reason=ConnectReason(reason)))
            for _ in range(3):
                await asyncio.sleep(0)
        return locator.asked

    assert asyncio.run(run()) == searches


def test_a_camera_closed_while_it_is_found_out_does_not_stream() -> None:
    async def run(url: str) -> None:
        session = CameraSession(parse_address(url))
        reaching = asyncio.ensure_future(session.reach())
        await asyncio.sleep(0)
        await session.close()
        with pytest.raises(CameraError, match="closed"):
            await reaching
        assert session.link.stopped
        assert len(asyncio.all_tasks()) == 1

    with SimulatedCamera(side_delays=False) as camera:
        asyncio.run(run(camera.stream_url))


def test_a_search_left_behind_by_a_loop_that_has_ended_is_begun_anew() -> None:
    locator = SearchLocator()
    info = CameraInfo("A1", "http://127.0.0.1:1", None, MAC, "matchboxscope", "given")

    async def begin() -> asyncio.Task[str | None]:
        asked = asyncio.create_task(locator.locate(info))
        await asyncio.sleep(0)
        return asked

    async def again() -> str | None:
        async with asyncio.timeout(20):
            return await locator.locate(info)

    loop = asyncio.new_event_loop()
    asked = loop.run_until_complete(begin())
    try:
        assert asyncio.run(again()) is None
    finally:
        asked.cancel()
        loop.run_until_complete(asyncio.wait([asked, *asyncio.all_tasks(loop)], timeout=5))
        loop.close()
