"""The table of many cameras: within its space, of steady widths, each camera on its line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

import espressoscope as es
from espressoscope.cli.fleet_table import FleetTable, Row
from espressoscope.cli.watch import _Schedule

WELL = es.StreamStats(
    state=es.LinkState.LIVE,
    frames=1234,
    bytes=98_765_432,
    fps=9.8,
    kb_per_s=210.4,
    age_s=0.07,
    interval_p50_ms=100.2,
    interval_p99_ms=181.9,
    reconnects=0,
    damaged=0,
    dropped=0,
    superseded=1233,
    width=640,
    height=480,
    frozen=False,
    sensor_fps=25.0,
)
DEAD = replace(
    WELL,
    state=es.LinkState.BACKING_OFF,
    frames=0,
    fps=0.0,
    kb_per_s=0.0,
    age_s=None,
    interval_p50_ms=None,
    interval_p99_ms=None,
    width=0,
    sensor_fps=None,
)
FROZEN = replace(WELL, frozen=True)
MESSAGE = "nothing answers at this address; trying again in 2 s"


def rows_of(count: int, dead: tuple[int, ...] = ()) -> dict[str, Row]:
    return {
        f"Camera-{number:02}": Row(DEAD, MESSAGE) if number in dead else Row(WELL, "")
        for number in range(count)
    }


def drawn(table: FleetTable, rows: dict[str, Row], width: int = 150, height: int | None = None) -> list[str]:
    return [line.plain.rstrip() for line in table.lines(rows, "0:42, Ctrl-C ends", width, height)]


def names_in(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if line.startswith("Camera-")]


def test_it_tells_all_there_is_in_a_wide_terminal() -> None:
    worn = replace(WELL, damaged=2, dropped=3, reconnects=4)
    rows = {"A1": Row(worn, ""), "A2": Row(FROZEN, "the same picture for 9 s"), "A3": Row(DEAD, MESSAGE)}
    heading, first, second, third, totals = drawn(FleetTable(list(rows)), rows)
    assert (
        heading.split()
        == "NAME STATE FPS / SENSOR KB/S SIZE AGE MS P50/P99 FRAMES LOST RECON MESSAGE".split()
    )
    assert first.split() == "A1 live 9.8 / 25 210 640x480 0.1 s 100/182 1234 5 4".split()
    assert second.split()[:2] == ["A2", "frozen"]
    assert second.endswith("the same picture for 9 s")
    assert third.split()[:4] == ["A3", "backing", "off", "0.0"]
    assert third.endswith(MESSAGE)
    assert totals == "1 of 3 live   19.6 / 50 fps   421 KB/s   0:42, Ctrl-C ends"


def test_frozen_pictures_are_red() -> None:
    rows = {"A1": Row(FROZEN, "the same picture for 9 s")}
    line = FleetTable(list(rows)).lines(rows, "", 150)[1]
    red = [line.plain[span.start : span.end].strip() for span in line.spans if "red" in str(span.style)]
    assert red == ["frozen", "the same picture for 9 s"]


@pytest.mark.parametrize("width", [1, 20, *range(33, 140, 7), 250])
@pytest.mark.parametrize("height", [1, 3, 10, 40])
def test_it_stays_within_its_space(width: int, height: int) -> None:
    huge = replace(WELL, frames=10**10, fps=999.9, kb_per_s=99_999, age_s=1e6, interval_p50_ms=99_999.0)
    rows = {
        "short": Row(WELL, ""),
        "名前" * 30: Row(huge, ""),
        "x" * 300: Row(replace(DEAD, reconnects=10**9), "漢字" * 200),
        **rows_of(20, dead=(3, 17)),
    }
    lines = drawn(FleetTable(list(rows)), rows, width, height)
    assert len(lines) <= height
    fits = [cell_len(line) <= width for line in lines[1:-1] if line.startswith(("Camera", "short"))]
    assert all(fits) or width < 36  # narrower, the terminal's edge cuts it
    if height == 40:
        assert len(lines) == len(rows) + 2


def test_columns_stand_still_whatever_the_figures_are() -> None:
    rows = rows_of(5)
    table = FleetTable(list(rows))
    before = drawn(table, rows)
    quick = Row(replace(WELL, fps=60.0, kb_per_s=12345.6, frames=9_999_999, age_s=1234.5), "")
    after = drawn(table, {**rows, "Camera-01": quick, "Camera-02": Row(DEAD, MESSAGE)})
    assert before[0] == after[0]
    assert before[1] == after[1]
    assert len(before[2]) == len(after[2])
    assert before[4:-1] == after[4:-1]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_narrow_terminals_still_tell_what_is_wrong(width: int) -> None:
    rows = rows_of(2, dead=(1,))
    heading, well, dead, _ = drawn(FleetTable(list(rows)), rows, width)
    assert "MESSAGE" not in heading
    assert well.split()[:3] == ["Camera-00", "live", "9.8"]
    assert "nothing answers" in dead
    assert cell_len(dead) <= width


def test_a_long_name_keeps_its_end() -> None:
    rows = {f"camerawebserver-at-the-window-192.168.178.{n}": Row(WELL, "") for n in (10, 11)}
    lines = drawn(FleetTable(list(rows)), rows, 80)
    assert "8.178.10  live" in lines[1]
    assert "8.178.11  live" in lines[2]


def test_names_and_messages_cannot_speak_to_the_terminal() -> None:
    evil = "\x1b[2Jbad\x9b31m\r\n\u202egood"
    lines = drawn(FleetTable([evil]), {evil: Row(DEAD, evil)})
    assert not any(set("\x1b\x9b\r\n\u202e") & set(line) for line in lines)
    assert "bad" in lines[1]


# --- more cameras than lines


def test_what_does_not_fit_is_counted() -> None:
    rows = rows_of(50)
    lines = drawn(FleetTable(list(rows)), rows, height=12)
    assert len(lines) == 12
    assert names_in(lines) == [f"Camera-{number:02}" for number in range(9)]
    assert lines[-2:] == [
        "and 41 more, all live",
        "50 of 50 live   490.0 / 1250 fps   10520 KB/s   0:42, Ctrl-C ends",
    ]


def test_cameras_in_trouble_are_shown_and_the_others_keep_their_lines() -> None:
    table = FleetTable(list(rows_of(50)))
    calm = names_in(drawn(table, rows_of(50), height=12))
    troubled = drawn(table, rows_of(50, dead=(2, 30, 40)), height=12)
    assert names_in(troubled)[:7] == calm[:7]
    assert set(names_in(troubled)[7:]) == {"Camera-30", "Camera-40"}
    assert troubled[-2] == "and 41 more, all live"
    # Well again, they stay where they are; nobody is moved without need.
    assert names_in(drawn(table, rows_of(50), height=12)) == names_in(troubled)


def test_the_first_connection_is_no_trouble() -> None:
    table = FleetTable(list(rows_of(50)))
    connecting = Row(replace(DEAD, state=es.LinkState.CONNECTING), "no picture yet")
    drawn(table, dict.fromkeys(rows_of(50), connecting), height=12)
    first_come = {
        name: row if number < 20 else connecting for number, (name, row) in enumerate(rows_of(50).items())
    }
    lines = drawn(table, first_come, height=12)
    assert names_in(lines) == [f"Camera-{number:02}" for number in range(9)]
    assert lines[-2] == "and 41 more, 30 of them not live"


def test_more_in_trouble_than_lines_is_told() -> None:
    rows = rows_of(50, dead=tuple(range(20, 50)))
    lines = drawn(FleetTable(list(rows)), rows, height=12)
    assert all(int(name[-2:]) >= 20 for name in names_in(lines))
    assert lines[-2] == "and 41 more, 21 of them not live"


def test_a_window_that_changes_its_size() -> None:
    table = FleetTable(list(rows_of(50)))
    dead = rows_of(50, dead=(30,))
    for height in (12, 6, 4, 30, 12, 52, 53, 12):
        lines = drawn(table, dead, height=height)
        assert len(lines) == min(height, 52)
        assert "Camera-30" in names_in(lines)
        assert len(set(names_in(lines))) == len(names_in(lines))


# --- the schedule


def test_times_are_multiples_of_the_period_however_late_one_looks() -> None:
    schedule = _Schedule(100.0, 0.1)
    due = [now for now in (100.05 + 0.07 * step for step in range(1000)) if schedule.due(now)]
    assert len(due) == schedule.count == 699
    assert all(0 <= round(now - 100 - 0.1 * number, 6) <= 0.07 for number, now in enumerate(due, 1))


def test_times_that_were_missed_are_left_out() -> None:
    schedule = _Schedule(0.0, 1.0)
    assert not schedule.due(0.999)
    assert schedule.due(1.0)
    assert not schedule.due(1.0)
    assert schedule.due(4.5)
    assert not schedule.due(4.9)
    assert schedule.due(5.0)
