"""When points are due, what clocks may do, what is refused before anything begins, and the alarm."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import espressoscope as es
from espressoscope.cli.app import app
from espressoscope.sim import SimulatedCamera
from espressoscope.timelapse import hook
from espressoscope.timelapse.folder import refuse_other
from espressoscope.timelapse.forecast import forecast_disk
from espressoscope.timelapse.hook import Alarm, words_of
from espressoscope.timelapse.ledger import POINTS_NAME, Ledger, Line, read_line
from espressoscope.timelapse.schedule import PASSED_OVER, TOO_BUSY, Schedule
from espressoscope.timelapse.spans import read_moment, read_span, write_span
from support import REPO
from timelapse_support import START_NS, Life, ReadyTaker, SetClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10min", 600), ("1h30", 5400), ("2d", 172800), ("1.5h", 5400), ("1h30m15", 5415),
     ("500ms", 0.5), (" 1 H ", 3600), ("1w2d", 777600), (2.5, 2.5), ("90 seconds", 90)],
)  # fmt: skip
def test_spans_as_people_write_them(text: str | float, seconds: float) -> None:
    assert read_span(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "10", "min", "-5s", "1min2h", "5 parsecs", "0s", "1e3s", "99999d", "nan", 0]
)
def test_what_is_no_span_is_refused_with_an_example(text: str | float) -> None:
    with pytest.raises(ValueError, match="10min"):
        read_span(text)
    with pytest.raises(ValueError, match="2027-03-01"):
        read_moment(f"{text} o'clock")


def life_with(
    path: Path, schedule: Schedule, clock: SetClock, at_point: dict[int, Callable[[], None]]
) -> tuple[list[Line], ReadyTaker]:
    """Live a whole time-lapse; something happens when points begin."""
    taker = ReadyTaker(clock)
    life = Life(path, schedule, clock, taker)
    begun: set[int] = set()

    def off() -> bool:
        point = len(life.told)
        if point in at_point and point not in begun:
            begun.add(point)
            at_point[point]()
        return False

    taker.off = off
    assert life.run()
    return life.told, taker


def test_a_clock_that_is_set_doubles_nothing_and_hides_nothing(tmp_path: Path) -> None:
    schedule = Schedule(60 * SECOND, 100, window_ns=30 * SECOND)
    clock = SetClock()
    told, taker = life_with(
        tmp_path / "run",
        schedule,
        clock,
        {10: lambda: clock.set(-3600), 20: lambda: clock.set(0.4), 30: lambda: clock.set(3600 + 600.0)},
    )
    assert [line.point for line in told] == list(range(100))
    # Set back an hour: points go on each minute all the same. Forward: the hour is caught up, ten are passed.
    missed = [line.point for line in told if line.outcome == "missed"]
    assert missed == list(range(31, 41)) or missed == list(range(31, 40))
    assert all(line.reason == PASSED_OVER for line in told if line.outcome == "missed")
    assert len(taker.shots) == 100 - len(missed)
    assert clock.elapsed_ns < 100 * 60 * SECOND  # nobody waited an hour for the clock
    events = es.open_run(tmp_path / "run")["A1"].events
    assert [event["note"].split()[-2] for event in events if event["status"] == "clock"] == [
        "-3600.0", "+4200.0",
    ]  # fmt: skip


def test_it_goes_on_with_a_clock_that_is_behind(tmp_path: Path) -> None:
    """As a computer without a battery for its clock has after a power cut."""
    schedule = Schedule(60 * SECOND, 20, window_ns=30 * SECOND)
    clock = SetClock()
    taker = ReadyTaker(clock)
    life = Life(tmp_path / "run", schedule, clock, taker)

    def stopped() -> bool:
        if len(taker.shots) == 10:
            life.stop.set()
        return life.stop.is_set()

    taker.off = stopped
    assert not life.run()
    later = SetClock(START_NS - 86400 * SECOND)
    taker.clock, taker.off = later, lambda: False
    life = Life(tmp_path / "run", schedule, later, taker)
    assert life.run()
    assert [line.outcome for line in life.told] == ["taken"] * 10
    assert later.elapsed_ns < 15 * 60 * SECOND


def test_what_a_long_absence_missed_is_dealt_with_in_steps(tmp_path: Path) -> None:
    """So that a month of it needs no more room than an hour, and can be stopped meanwhile."""
    schedule = Schedule(SECOND, 25_000, window_ns=SECOND // 2)
    clock = SetClock(START_NS + 24_990 * SECOND)
    life = Life(tmp_path, schedule, clock, ReadyTaker(clock))
    told: list[list[Line]] = []

    def tell(lines: list[Line]) -> None:
        told.append(lines)
        life.stop.set()

    life.walk._tell = tell
    assert not life.run()
    assert [len(lines) for lines in told] == [10_000]
    life = Life(tmp_path, schedule, clock, ReadyTaker(clock))
    life.walk._tell = told.append
    assert life.run()
    assert [len(lines) for lines in told] == [10_000, 10_000, 4_990] + 10 * [1]
    lines = [line for some in told for line in some]
    assert [line.point for line in lines] == list(range(25_000))
    assert {line.reason for line in lines if line.outcome == "missed"} == {PASSED_OVER}
    assert [line.point for line in lines if line.outcome == "taken"] == list(range(24_990, 25_000))


def test_a_slow_camera_passes_points_over_and_says_so(tmp_path: Path) -> None:
    schedule = Schedule(10 * SECOND, 12, window_ns=5 * SECOND)
    clock = SetClock()
    told, _ = life_with(tmp_path / "run", schedule, clock, {4: lambda: clock.go_on(28)})
    assert [line.point for line in told if line.outcome == "missed"] == [5, 6]
    assert {line.reason for line in told if line.outcome == "missed"} == {TOO_BUSY}


def test_a_full_disk_costs_points_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = Schedule(60 * SECOND, 10, window_ns=30 * SECOND)
    clock = SetClock()
    usage = shutil.disk_usage(tmp_path)
    full = [False]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=-1) if full[0] else usage)
    told, _ = life_with(
        tmp_path / "run",
        schedule,
        clock,
        {3: lambda: full.__setitem__(0, True), 5: lambda: full.__setitem__(0, False)},
    )
    missed = [line for line in told if line.outcome == "missed"]
    assert [line.point for line in missed] == [3, 4]
    assert all("disk is nearly full" in line.reason for line in missed)
    assert [frame.sequence for frame in es.open_run(tmp_path / "run")["A1"]] == [0, 1, 2, 5, 6, 7, 8, 9]


def test_torn_and_foreign_lines_are_cut_off(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    first.add(
        [Line(0, START_NS, "taken", bytes=7, pictures=1), Line(1, START_NS, "missed", reason='a "b", c\n')]
    )
    first.close()
    path = tmp_path / POINTS_NAME
    whole = path.read_bytes()
    for rubbish in (b"2,2027", b"\0" * 40_000, b"2,x,taken\n", b"\xff\xfe\n", whole[-30:]):
        path.write_bytes(whole + rubbish)
        again = Ledger(tmp_path)
        assert again.last is not None
        assert (again.last.point, again.last.taken, again.last.missed, again.last.bytes_total) == (1, 1, 1, 7)
        again.close()
        assert path.read_bytes() == whole
    assert read_line(whole.decode().splitlines(keepends=True)[2]) == again.last


def test_the_disk_is_forecast() -> None:
    fits = forecast_disk([50_000, None], 2, 1000, 600.0, 10**9)
    assert fits.fits
    assert fits.needed is not None
    assert 2 * 2 * 50_000 * 1000 < fits.needed < 1.05 * 2 * 2 * 50_000 * 1000
    assert "free" in str(fits)
    short = forecast_disk([50_000], 1, 1000, 600.0, 5 * 10**6)
    assert not short.fits
    assert short.room_s == pytest.approx(600 * 98, rel=0.02)
    assert "only" in str(short)
    assert forecast_disk([None], 1, None, 60.0, 0).needed is None
    assert write_span(93784) == "1 d 2 h"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "no camera"),
        ("h -o x", "--every is missing"),
        ("h --every 10min", "-o is missing"),
        ("h --every often -o x", "write it like 30s, 10min"),
        ("h --every 10min --until tomorrow -o x", "2027-03-01"),
        ("h --every 10min --count 3 --for 2d -o x", "exclude each other"),
        ("h h --every 10min -o x", "named twice"),
        ("h --every 10min --window 20min -o x", "window must not be longer"),
        ("h --every 10min --on-missed no-such-program-anywhere -o x", "no program"),
        ("ftp://h --every 10min -o x", "ftp:// addresses are not spoken"),
        ("--status x h", "goes with nothing else"),
    ],
)
def test_wrong_use_is_told_with_an_example(words: str, says: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["timelapse", *words.replace("-o x", f"-o {tmp_path}/x").split()])
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


def test_what_will_not_do_is_said_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("x")
    with SimulatedCamera(fps=30, framesize="QVGA", side_delays=False) as camera:
        with pytest.raises(es.RecordingError, match=r"thesis\.txt"):
            es.TimeLapse(camera.url, "10s", path=tmp_path / "other").prepare()
        with pytest.raises(es.UnsupportedError, match="longer than from one to the next"):
            es.TimeLapse(camera.url, "2ms", path=tmp_path / "fast").prepare()
        with pytest.raises(es.SettingError, match="framesize"):
            es.TimeLapse(camera.url, "10s", framesize="HUGE", path=tmp_path / "huge").prepare()
        with pytest.raises(es.RecordingError, match=r"disk .* will not do: .* only"):
            es.TimeLapse(camera.url, "10s", count=10**9, path=tmp_path / "disk").prepare()
        with pytest.raises(es.RecordingError, match="passed already"):
            es.TimeLapse(camera.url, "10s", until="2020-01-01", path=tmp_path / "past").prepare()
        assert [path.name for path in tmp_path.iterdir()] == ["other"]  # nothing begun, nothing left
        lapse = es.TimeLapse(camera.url, "1s", count=1, burst=4, path=tmp_path / "run", force=True)
        status = lapse.run()
        assert (status.state, status.taken) == ("complete", 1)
        assert len(es.open_run(tmp_path / "run")[status.cameras[0].name]) == 4
        with pytest.raises(RuntimeError, match="make another"):
            lapse.run()
        with pytest.raises(es.RecordingError, match=r"every_s was 1 s and is 2 s now"):
            es.TimeLapse(camera.url, "2s", count=1, burst=4, path=tmp_path / "run").prepare()
        held = es.TimeLapse(camera.url, "10s", path=tmp_path / "held")
        held.prepare()
        # Another user may read the files, and write none: it is told all the same that it runs.
        with monkeypatch.context() as other:
            real = os.open

            def reading_only(path: object, flags: int, *more: int, **where: object) -> int:
                if flags & (os.O_RDWR | os.O_WRONLY):
                    raise PermissionError(errno.EACCES, "Permission denied", str(path))
                return real(path, flags, *more, **where)  # type: ignore[call-overload, no-any-return]

            if sys.platform != "win32":
                other.setattr(os, "open", reading_only)
            assert es.timelapse_status(tmp_path / "held").state == "running"
        with pytest.raises(es.RecordingError, match="another program is writing"):
            es.TimeLapse(camera.url, "10s", path=tmp_path / "held").prepare()
        held.stop()
        held.close()
        gone = es.TimeLapse(
            camera.url, "500ms", path=tmp_path / "gone", force=True,
            on_point=lambda name, line: line.point == 1 and shutil.rmtree(tmp_path / "gone"),
        )  # fmt: skip
        if sys.platform != "win32":  # there nobody can delete it
            with pytest.raises(es.RecordingError, match="deleted or replaced"):
                gone.run()
        url = camera.url
    with pytest.raises(es.ConnectError):
        es.TimeLapse(url, "10s", path=tmp_path / "dead").prepare()
    with pytest.raises(es.RecordingError, match="no time-lapse"):
        es.timelapse_status(tmp_path / "other")
    (tmp_path / "run" / "schedule.json").write_text("{}")
    with pytest.raises(es.RecordingError, match="cannot read"):
        es.timelapse_status(tmp_path / "run")


def test_another_schedule_is_refused_in_words_whatever_the_file_says(tmp_path: Path) -> None:
    there = {"for_s": float("inf"), "until_ns": 10**40, "settle_s": 0.5, "burst": 2}
    with pytest.raises(es.RecordingError, match=r"for_s was inf and is 2 h now") as caught:
        refuse_other(tmp_path, there, {"for_s": 7200.0, "until_ns": 10**18, "settle_s": 0.5, "burst": 2})
    assert "is 2001-09-09T01:46:40.000000Z now" in str(caught.value)
    assert "settle_s" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_an_alarm_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "HOOK_S", 0.5)
    script = tmp_path / "slow.sh"
    script.write_text('#!/bin/sh\necho "$ESPRESSOSCOPE_POINT $1" >> "$0.log"\nsleep 60 & sleep 60\n')
    script.chmod(0o755)
    alarm = Alarm(words_of(f"{script} 'two words;$(touch x)'"), tmp_path)
    began = time.monotonic()
    alarm.missed("A\x1b1", [Line(7, START_NS, "missed", reason="no\nanswer")], 1)
    alarm.close()
    assert time.monotonic() - began < 20
    assert (alarm.called, alarm.failed, alarm.dropped) == (1, 1, 0)
    assert (tmp_path / "slow.sh.log").read_text() == "7 two words;$(touch x)\n"
    assert not (tmp_path / "x").exists()
    with pytest.raises(ValueError, match="cannot be read"):
        words_of("mail 'open")
    assert words_of(f'"{script}" "a b" \'c:\\d\'', windows=True)[:3] == [str(script), "a b", "c:\\d"]


def test_the_unit_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (REPO / "docs" / "timelapse.md").read_text(encoding="utf-8")
    found = re.search(r"```ini\n(.*?)```", page, re.DOTALL)
    assert found is not None
    assert "KillSignal" not in found[1]  # SIGTERM ends it in order
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    unit = tmp_path / "leaf.service"
    unit.write_text(found[1].replace("/home/lab/venv/bin/espressoscope", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "leaf.service" not in done.stderr, done.stderr
