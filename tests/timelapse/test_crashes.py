"""A time-lapse that is killed at every step: nothing is taken twice, nothing is missing without a word."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.timelapse.ledger import POINTS_NAME, read_line
from espressoscope.timelapse.schedule import PASSED_OVER, Schedule
from recording_support import pages_of
from timelapse_support import START_NS, Death, Life, ReadyTaker, Reaper, SetClock

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.timelapse.ledger import Line


def lines_of(folder: Path) -> list[Line]:
    text = (folder / POINTS_NAME).read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    lines = [read_line(line) for line in text]
    assert None not in lines
    return lines  # type: ignore[return-value]


def assert_exact(folder: Path, schedule: Schedule, taker: ReadyTaker) -> list[Line]:
    """Every point has one line; every line that says so has its pictures, and every picture a line."""
    lines = lines_of(folder)
    assert schedule.points is not None
    assert [line.point for line in lines] == list(range(schedule.points))
    assert all(line.due_ns == START_NS + line.point * schedule.every_ns for line in lines)
    taken = [line for line in lines if line.outcome != "missed"]
    assert (lines[-1].taken, lines[-1].missed) == (len(taken), schedule.points - len(taken))
    recording = es.open_run(folder.parent)["A1"]
    frames = list(recording)
    assert [f.sequence for f in frames] == [
        line.point * schedule.burst + number for line in taken for number in range(line.pictures)
    ]
    assert all(frame.status == "ok" for frame in frames)
    assert {frame.jpeg for frame in frames} <= set(taker.shots)
    assert [line.received_ns // 1000 for line in taken if line.received_ns] == [
        frame.received_ns // 1000 for frame in frames if frame.sequence % schedule.burst == 0
    ]
    assert all(
        0 <= frame.received_ns - lines[frame.sequence // schedule.burst].due_ns <= schedule.window_ns + 10**9
        for frame in frames
    )
    logged = [row.split(",")[0] for row in (folder / "frames.csv").read_text().splitlines()[1:]]
    assert [int(number) for number in logged if number] == [frame.sequence for frame in frames]
    return lines


_STEPS = 75
"""Changes of the disk from a start to its third point, and some more."""


@pytest.mark.parametrize(("points", "burst", "torn"), [(1000, 1, False), (300, 3, True)])
def test_it_resumes_exactly_when_killed_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: int, burst: int, torn: bool
) -> None:
    """Killed at its first change of the disk, then at its second, and so on: before it, or in its middle."""
    path = tmp_path / "run"
    schedule = Schedule(10 * 10**9, points, burst=burst, window_ns=5 * 10**9)
    clock = SetClock()
    taker = ReadyTaker(clock, burst)
    # The camera is off now and then, for longer than a window.
    taker.off = lambda: (clock.wall_ns - START_NS) // 10**9 % 1000 in range(500, 535)
    reaper = Reaper(monkeypatch)
    away: list[tuple[int, int]] = []
    chance = random.Random(burst)
    for step in range(1, _STEPS):
        reaper.kill_at(step, torn=torn)
        with pytest.raises(Death):
            Life(path, schedule, clock, taker).run()
        died_ns = clock.wall_ns
        reaper.bury()
        clock.go_on(37.0 if step % 10 == 0 else 0.01)
        away.append((died_ns, clock.wall_ns))
    while True:
        reaper.kill_at(chance.randrange(300, 900), torn=torn)
        try:
            over = Life(path, schedule, clock, taker).run()
        except Death:
            reaper.bury()
            clock.go_on(0.01)
        else:
            break
    reaper.bury()
    assert over
    assert {"open", "writev", "pwrite", "fsync", "replace", "rename", "mkdir"} <= reaper.died_at
    lines = assert_exact(path / "A1", schedule, taker)
    assert pages_of(min((path / "A1").glob("*.ome.tif")))
    missed = [line for line in lines if line.outcome == "missed"]
    for line in lines:
        end_ns = line.due_ns + schedule.window_ns
        was_away = any(begin < end_ns and end > line.due_ns for begin, end in away)
        was_off = (line.due_ns - START_NS) // 10**9 % 1000 in range(500, 535)
        if line.outcome == "missed":
            # Only what could not be taken, with the reason why.
            assert (was_off and line.reason == "no answer") or (was_away and line.reason == PASSED_OVER)
        elif not (was_off or was_away):
            assert (line.outcome, line.attempts <= 1) == ("taken", True)
    assert 40 < len(missed) < 150 or points < 1000
    assert es.timelapse_status(path).state == "complete"
    # Once more: there is nothing left to do.
    again = Life(path, schedule, clock, taker)
    assert again.run()
    assert again.told == []
