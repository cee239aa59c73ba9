"""Work that tells what it does, as an iterator on the user's thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.api.reports import MOST_WAITING, Reports
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def loops() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "espressoscope-loop"]


async def three(tell: Callable[[int], None]) -> None:
    for number in range(3):
        await asyncio.sleep(0.01)
        tell(number)


async def endless(tell: Callable[[int], None]) -> None:
    tell(0)
    await asyncio.Event().wait()


def test_reports_in_their_order() -> None:
    assert list(Reports(three)) == [0, 1, 2]
    assert not loops()


def test_they_come_as_they_are_made() -> None:
    with Reports(endless) as reports:
        assert next(reports) == 0


def test_closing_ends_the_work_and_twice_does_nothing() -> None:
    reports = Reports(endless)
    next(reports)
    began = time.monotonic()
    reports.close()
    reports.close()
    assert time.monotonic() - began < 1
    assert list(reports) == []
    assert not loops()


def test_dropping_the_iterator_ends_the_work() -> None:
    reports = Reports(endless)
    next(reports)
    del reports
    gc.collect()
    wait_until(lambda: not loops(), what="an end of the loop")


def test_an_error_comes_behind_what_was_told() -> None:
    async def fails(tell: Callable[[int], None]) -> None:
        tell(1)
        raise es.CameraError("it broke")

    reports = Reports(fails)
    assert next(reports) == 1
    with pytest.raises(es.CameraError, match="it broke"):
        next(reports)
    assert list(reports) == []


def test_a_mistake_of_ours_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def mistake(tell: Callable[[int], None]) -> None:
        raise ZeroDivisionError

    with pytest.raises(es.CameraError, match="ZeroDivisionError"):
        list(Reports(mistake))
    assert "ZeroDivisionError" in caplog.text


def test_what_nobody_takes_is_bounded() -> None:
    async def flood(tell: Callable[[int], None]) -> None:
        for number in range(10 * MOST_WAITING):
            tell(number)

    reports = Reports(flood)
    wait_until(lambda: reports._box.over, what="the end of the flood")
    assert list(reports) == list(range(9 * MOST_WAITING, 10 * MOST_WAITING))


def test_several_at_once() -> None:
    reports = [Reports(three) for _ in range(5)]
    assert [list(each) for each in reports] == [[0, 1, 2]] * 5
