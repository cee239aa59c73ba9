"""What a link says: one line for people, errors for callers, and few lines in a log."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from espressoscope.engine import journal
from espressoscope.engine.journal import Journal
from espressoscope.errors import CameraTimeout, ConnectError
from espressoscope.model import LinkState
from espressoscope.sim import SimulatedCamera
from link_rig import QUICK, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def camera() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(fps=25, framesize="QVGA", side_delays=False, boot_s=0.3) as camera:
        yield camera


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "espressoscope.engine.link" and record.levelno >= level
    ]


def test_a_camera_that_is_off_for_long_fills_no_log(
    camera: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "espressoscope.engine.link")

    async def run() -> None:
        patience = replace(QUICK, backoff_first_s=0.001, backoff_ceiling_s=0.002)
        async with Rig(camera, patience) as rig:
            await rig.live()
            caplog.clear()  # a busy computer's simulator may take its time for the first pictures
            async with rig.fault("refuse"), rig.fault("vanish", seconds=0.6):
                await rig.until(lambda: len(rig.attempts) > 300, 30)
            told = lines(caplog, logging.DEBUG)
            assert 1 <= len(told) <= 4, told
            assert any("nothing listens" in line for line in told)
            await rig.live()
            assert re.search(r"pictures again after \d+ s", lines(caplog)[-1])

    asyncio.run(run())


def test_a_camera_that_comes_and_goes_fills_no_log(
    camera: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "espressoscope.engine.link")

    async def run() -> None:
        async with Rig(camera, replace(QUICK, backoff_ceiling_s=0.05)) as rig:
            await rig.live()
            async with rig.fault("cut", every=2):
                await rig.until(lambda: rig.link.meter.reconnects > 20, 30)
        assert len(lines(caplog)) <= 4, lines(caplog)

    asyncio.run(run())


def test_a_frozen_picture_is_told_once_and_its_end_too(
    camera: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "espressoscope.engine.link")

    async def run() -> None:
        async with Rig(camera) as rig:
            await rig.live()
            async with rig.fault("frozen"):
                await rig.until(lambda: "the same picture for 1 s" in rig.link.message)
                assert rig.link.stats.frozen
                assert rig.link.state is LinkState.LIVE
                warnings = lines(caplog, logging.WARNING)
                assert len(warnings) == 1
                assert "the same picture, byte for byte" in warnings[0]
            await rig.until(lambda: not rig.link.stats.frozen)
            assert rig.link.message == ""
            assert [line for line in lines(caplog) if "another picture after" in line] == lines(caplog)[1:]

    asyncio.run(run())


def test_damaged_pictures_are_told_from_few_bytes(camera: SimulatedCamera) -> None:
    async def run() -> None:
        async with Rig(camera) as rig:
            await rig.live()
            async with rig.fault("corrupt", every=1, kind="no-soi"):
                await rig.until(lambda: re.search(r"\d+ damaged ones came", rig.link.message))
                assert rig.link.state is LinkState.SLOW
                assert isinstance(rig.link.last_error, CameraTimeout)
            await rig.live()
            assert rig.link.message == ""

    asyncio.run(run())


def test_words_while_it_connects_and_waits(camera: SimulatedCamera) -> None:
    async def run() -> None:
        rig = Rig(camera)
        assert rig.link.message == ""
        async with rig.fault("silent-second"):
            rig.link.start()
            assert rig.link.message == "no picture yet"
            await rig.until_state(LinkState.BUSY)
            assert "another viewer holds its only stream" in rig.link.message
            assert isinstance(rig.link.last_error, ConnectError)
        await rig.live()
        async with rig.fault("vanish"):
            await rig.until(lambda: re.search("no answer to the connection.*again", rig.link.message))
        await rig.link.stop()
        assert rig.link.message == ""

    asyncio.run(run())


def test_a_journal_tells_each_kind_once_and_again_after_ten_minutes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "espressoscope.engine.link")
    told = Journal()

    def outage() -> None:
        for _ in range(100):
            told.trouble("off", "%s is off", "A1")
            told.trouble("slow", "%s is slow", "A1")
        told.well("%s is back after %.0f s", "A1")

    for _ in range(100):
        outage()
    assert lines(caplog) == ["A1 is off", "A1 is slow", "A1 is back after 0 s"]
    monkeypatch.setattr(journal, "SAME_AGAIN_S", 0.0)
    outage()
    assert len(lines(caplog)) == 6


def test_what_was_remarked_long_ago_does_not_make_an_outage_longer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "espressoscope.engine.link")
    now = 1000.0
    monkeypatch.setattr(journal, "time", SimpleNamespace(monotonic=lambda: now))
    told = Journal()
    for _ in range(2):
        told.remark("damage", "out of step")
        now += 300
        told.well("well again after %.0f s")
    now += 3000
    told.trouble("off", "off")
    now += 5
    told.well("well again after %.0f s")
    assert lines(caplog) == ["out of step", "off", "well again after 5 s"]
