"""The table at the head of `link`, the moves the code allows, and those a simulated camera makes it make."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from espressoscope.engine import link as link_module
from espressoscope.engine.link import MOVES, Link
from espressoscope.model import LinkState
from espressoscope.sim import SimulatedCamera
from link_rig import QUICK, Move, Rig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from espressoscope.device.stream import Source, StreamSink

STOPPED, CONNECTING, LIVE = LinkState.STOPPED, LinkState.CONNECTING, LinkState.LIVE
SLOW, STALLED, BUSY, BACKING_OFF = (
    LinkState.SLOW,
    LinkState.STALLED,
    LinkState.BUSY,
    LinkState.BACKING_OFF,
)

Scenario = tuple[str, dict[str, object], "Callable[[Rig], Awaitable[None]]", set[Move]]


def table() -> set[Move]:
    """Read the table in the docstring."""
    moves: set[Move] = set()
    for line in (link_module.__doc__ or "").splitlines():
        row = re.match(r"    ([A-Z_]+|any other) +([A-Z_]+) ", line)
        if row is None:
            continue
        to = LinkState[row[2]]
        if row[1] == "any other":
            moves |= {(state, to) for state in LinkState if state is not to}
        else:
            moves.add((LinkState[row[1]], to))
    return moves


def test_the_table_is_what_the_code_allows() -> None:
    allowed = {(before, after) for before, afters in MOVES.items() for after in afters}
    assert set(MOVES) == set(LinkState)
    assert table() == allowed


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which a link was asked for a move that does not exist, or broke down."""
    caplog.set_level(logging.ERROR)
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# --- what brings a link from one state to another


async def healthy(rig: Rig) -> None:
    await rig.live()
    assert rig.link.message == ""
    assert rig.link.last_error is None


async def refused(rig: Rig) -> None:
    async with rig.fault("refuse"):
        await rig.link.stop()
        rig.link.start()
        await rig.until_moved((CONNECTING, BACKING_OFF), (BACKING_OFF, CONNECTING))
        await rig.until(lambda: "nothing listens" in rig.link.message)
    await rig.live()


async def cut(rig: Rig) -> None:
    await rig.live()
    async with rig.fault("cut", every=3):
        await rig.until(lambda: rig.link.meter.reconnects >= 2)
    await rig.live()


async def stalled(rig: Rig) -> None:
    await rig.live()
    async with rig.fault("stall"):
        await rig.until_moved((LIVE, SLOW), (SLOW, STALLED), (STALLED, BACKING_OFF))
        await rig.until(lambda: rig.link.last_error is not None)
        assert "not a byte" in rig.link.message
    await rig.live()


async def stalled_unseen(rig: Rig) -> None:
    await rig.live()
    async with rig.fault("stall"):
        await rig.until_moved((LIVE, STALLED))
    await rig.live()


async def dripping(rig: Rig) -> None:
    await rig.live()
    async with rig.fault("slow"):
        await rig.until_state(SLOW)
        await rig.until(lambda: re.search(r"only \d+ bytes/s", rig.link.message))
        reconnects = rig.link.meter.reconnects
        await asyncio.sleep(2 * QUICK.stall_s)
        assert rig.link.state is SLOW, "bytes came: slow, not stalled"
        assert rig.link.meter.reconnects == reconnects
    await rig.live()


async def dripping_from_the_start(rig: Rig) -> None:
    async with rig.fault("slow"):
        await rig.link.stop()
        rig.link.start()
        await rig.until_moved((CONNECTING, SLOW))
    await rig.live()


async def ended_while_slow(rig: Rig) -> None:
    await rig.live()
    async with rig.fault("slow"):
        await rig.until_state(SLOW)
        await asyncio.to_thread(rig.camera.stop)
        await rig.until_moved((SLOW, BACKING_OFF))


async def behind_another_viewer(rig: Rig) -> None:
    async with rig.fault("silent-second"):
        await rig.link.stop()
        rig.link.start()
        await rig.until_state(BUSY)
        assert "another viewer" in rig.link.message
        attempts = rig.opened
        await rig.until(lambda: rig.opened > attempts, what="a renewed connection")
        assert rig.link.state is BUSY
    await rig.live()


async def busy_and_slow(rig: Rig) -> None:
    async with rig.fault("slow"):
        async with rig.fault("silent-second"):
            await rig.link.stop()
            rig.link.start()
            await rig.until_state(BUSY)
        await rig.until_moved((BUSY, SLOW))
    await rig.live()


async def busy_and_gone(rig: Rig) -> None:
    async with rig.fault("silent-second"):
        await rig.link.stop()
        rig.link.start()
        await rig.until_state(BUSY)
        async with rig.fault("vanish"):
            await rig.until_moved((BUSY, STALLED))
    await rig.live()


async def busy_and_ended(rig: Rig) -> None:
    async with rig.fault("silent-second"):
        await rig.link.stop()
        rig.link.start()
        await rig.until_state(BUSY)
        await asyncio.to_thread(rig.camera.stop)
        await rig.until_moved((BUSY, BACKING_OFF))


async def silent_without_control(rig: Rig) -> None:
    async with rig.fault("silent-second"):
        await rig.link.stop()
        rig.link.start()
        await rig.until_moved((CONNECTING, STALLED), (STALLED, BACKING_OFF))
    await rig.live()


async def silent_and_gone(rig: Rig) -> None:
    async with rig.fault("silent-second"):
        await rig.link.stop()
        rig.link.start()
        opened = rig.opened
        await rig.until(lambda: rig.opened > opened)
        async with rig.fault("vanish"):
            await rig.until_moved((CONNECTING, STALLED))
    await rig.live()


async def frozen(rig: Rig) -> None:
    await rig.live()
    async with rig.fault("frozen"):
        await rig.until(lambda: rig.link.stats.frozen)
        assert rig.link.state is LIVE
        assert "the same picture for" in rig.link.message
    await rig.until(lambda: not rig.link.stats.frozen)
    assert rig.link.message == ""


CONTROL: dict[str, object] = {}
BARE: dict[str, object] = {"control": False}
# Pictures may be slow to come on a busy machine: where SLOW is no part of it, it is not called that soon.
UNHURRIED: dict[str, object] = {"patience": replace(QUICK, slow_after_s=20.0, stall_s=10.0)}
LATE_SLOW: dict[str, object] = {"patience": replace(QUICK, slow_after_s=20.0)}

SCENARIOS: list[Scenario] = [
    ("healthy", UNHURRIED, healthy, {(STOPPED, CONNECTING), (CONNECTING, LIVE)}),
    ("refused", CONTROL, refused, {(CONNECTING, BACKING_OFF), (BACKING_OFF, CONNECTING)}),
    ("cut", UNHURRIED, cut, {(LIVE, BACKING_OFF)}),
    ("stalled", CONTROL, stalled, {(LIVE, SLOW), (SLOW, STALLED), (STALLED, BACKING_OFF)}),
    ("stalled unseen", LATE_SLOW, stalled_unseen, {(LIVE, STALLED)}),
    ("dripping", CONTROL, dripping, {(LIVE, SLOW), (SLOW, LIVE)}),
    ("dripping from the start", CONTROL, dripping_from_the_start, {(CONNECTING, SLOW), (SLOW, LIVE)}),
    ("ended while slow", CONTROL, ended_while_slow, {(SLOW, BACKING_OFF)}),
    ("behind another viewer", UNHURRIED, behind_another_viewer, {(CONNECTING, BUSY), (BUSY, LIVE)}),
    ("busy and slow", CONTROL, busy_and_slow, {(BUSY, SLOW)}),
    ("busy and gone", CONTROL, busy_and_gone, {(BUSY, STALLED)}),
    ("busy and ended", CONTROL, busy_and_ended, {(BUSY, BACKING_OFF)}),
    ("silent without control", BARE, silent_without_control, {(CONNECTING, STALLED)}),
    ("silent and gone", CONTROL, silent_and_gone, {(CONNECTING, STALLED)}),
    ("frozen", UNHURRIED, frozen, {(CONNECTING, LIVE)}),
]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("settings", "happen", "expected"),
    [pytest.param(*scenario[1:], id=scenario[0]) for scenario in SCENARIOS],
)
def test_what_happens_to_a_camera_moves_its_link(
    settings: dict[str, object], happen: Callable[[Rig], Awaitable[None]], expected: set[Move]
) -> None:
    async def run() -> None:
        with SimulatedCamera(fps=25, framesize="QVGA", side_delays=False, boot_s=0.3) as camera:
            async with Rig(camera, **settings) as rig:  # type: ignore[arg-type]
                await happen(rig)
            assert expected <= set(rig.link.moves), rig.named()
            assert set(rig.link.moves) <= table(), rig.named()
            assert rig.link.state is STOPPED

    asyncio.run(run())


def test_every_row_of_the_table_has_a_scenario() -> None:
    shown = {move for *_, moves in SCENARIOS for move in moves}
    assert {move for move in table() if move[1] is not STOPPED} == shown


# --- stop() from every state


async def never(sink: StreamSink) -> Source:
    raise AssertionError("nothing is opened here")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("state", list(LinkState))
def test_stop_from_every_state(state: LinkState) -> None:
    async def run() -> None:
        link = Link("camera", never)
        path = {BUSY: [CONNECTING], BACKING_OFF: [CONNECTING], LIVE: [CONNECTING], SLOW: [CONNECTING]}
        path[STALLED] = [CONNECTING]
        for step in (*path.get(state, []), state):
            link.enter(step, link.generation)
        assert link.state is state
        await link.stop()
        assert link.state is STOPPED

    asyncio.run(run())


def test_a_move_that_is_none_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    link = Link("camera", never)
    link.enter(LIVE, link.generation)
    assert link.state is STOPPED
    assert "no way from stopped to live" in caplog.text
