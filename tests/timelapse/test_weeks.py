"""Four weeks of a time-lapse, on a clock that is put forward instead of waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import espressoscope as es
from espressoscope.timelapse.schedule import Schedule
from timelapse_support import START_NS, Life, ReadyTaker, SetClock

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WEEK_S = 7 * 24 * 3600
EVERY_S = 4 * 3600
POINTS = 4 * WEEK_S // EVERY_S
COSTS_S = 7.0


def test_four_weeks_do_not_drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long each picture takes: the last point is as near to its time as the first."""
    monkeypatch.setattr("espressoscope.timelapse.walk.SLICE_S", 600.0)  # two million slices take a while
    clock = SetClock()
    schedule = Schedule(EVERY_S * 10**9, POINTS, burst=1, window_ns=60 * 10**9)
    # Off for its whole second week.
    taker = ReadyTaker(clock, costs_s=COSTS_S)
    taker.off = lambda: WEEK_S <= (clock.wall_ns - START_NS) / 1e9 < 2 * WEEK_S
    assert Life(tmp_path / "run", schedule, clock, taker).run()
    frames = list(es.open_run(tmp_path / "run")["A1"])
    week = POINTS // 4
    assert [frame.sequence for frame in frames] == [*range(week), *range(2 * week, POINTS)]
    late = {frame.received_ns - START_NS - frame.sequence * EVERY_S * 10**9 for frame in frames}
    assert late == {round(COSTS_S * 1e9)}
    assert es.timelapse_status(tmp_path / "run").state == "complete"
