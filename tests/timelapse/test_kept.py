"""Files of a time-lapse that others have changed: nothing in them is lost, and nothing behind links."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from espressoscope.errors import RecordingError
from espressoscope.recording.run_folder import LOG_NAME
from espressoscope.timelapse.folder import LapseFolder
from espressoscope.timelapse.kept import refuse_links
from espressoscope.timelapse.ledger import POINTS_NAME, last_line
from espressoscope.timelapse.schedule import Schedule
from timelapse_support import Life, ReadyTaker, SetClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECOND = 10**9


def lived(path: Path, points: int) -> ReadyTaker:
    """Take so many points of a time-lapse of six, in a life of its own for each two."""
    clock, schedule = SetClock(), Schedule(60 * SECOND, 6, window_ns=30 * SECOND)
    taker = ReadyTaker(clock)
    for _ in range(0, points, 2):
        begun = len(taker.shots)
        life = Life(path, schedule, clock, taker)
        taker.off = lambda begun=begun, life=life: len(taker.shots) == begun + 2 and life.stop.set() is None  # type: ignore[misc]
        life.run()
    taker.off = lambda: False
    return taker


def test_what_a_spreadsheet_has_saved_is_kept_and_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taker = lived(tmp_path, 4)
    home = tmp_path / "A1"
    before, saved = {}, {}
    for name in (POINTS_NAME, LOG_NAME):
        before[name] = (home / name).read_text()
        # The commas within quotes, as those of settings, stay.
        rows = before[name].splitlines(keepends=True)
        saved[name] = "".join(
            row.replace(",", ";") if '"' not in row else row.replace(',"', ';"') for row in rows
        )
    for names in ((LOG_NAME,), (POINTS_NAME, LOG_NAME)):
        caplog.clear()
        for name in names:
            (home / name).write_text(saved[name])
        Life(tmp_path, Schedule(60 * SECOND, 6), taker.clock, taker).look()
        for name in names:
            number = 2 if names[0] == POINTS_NAME and name == LOG_NAME else 1
            kept = home / f"{name}.damaged{'' if number == 1 else f'-{number}'}"
            assert kept.read_text() == saved[name]
            assert f"it is kept as {kept.name}" in caplog.text
    points = [text.split(",") for text in (home / POINTS_NAME).read_text().splitlines()]
    assert [[row[0], row[2], row[6]] for row in points[1:]] == [[str(n), "taken", "1"] for n in range(4)]
    # Of all segments, in order.
    frames = [text.split(",")[0] for text in (home / LOG_NAME).read_text().splitlines()]
    assert frames == ["sequence", "0", "1", "2", "3"]
    assert not list(home.glob(".*"))


@pytest.mark.parametrize(
    "saved",
    [
        lambda data: data.replace(b"\n", b"\r"),  # as "CSV (Macintosh)"
        lambda data: data + b"moved the plate; see page 12\n",
        lambda data: data + b"moved the plate; see page 12",
    ],
    ids=["Macintosh", "remark", "remark without an end"],
)
def test_no_line_that_somebody_has_written_is_cut_off_for_good(
    tmp_path: Path, saved: Callable[[bytes], bytes]
) -> None:
    taker = lived(tmp_path, 4)
    home = tmp_path / "A1"
    before = {name: (home / name).read_bytes() for name in (POINTS_NAME, LOG_NAME)}
    for name, data in before.items():
        (home / name).write_bytes(saved(data))
    Life(tmp_path, Schedule(60 * SECOND, 6), taker.clock, taker).look()
    for name, data in before.items():
        assert (home / f"{name}.damaged").read_bytes() == saved(data)
        rows = [row.split(b",")[:1] for row in (home / name).read_bytes().splitlines()]
        assert [row for row in rows if row != [b""]] == [
            row.split(b",")[:1] for row in data.splitlines() if not row.startswith(b",")
        ]


def test_a_line_that_a_power_cut_has_torn_is_nobodys_work(tmp_path: Path) -> None:
    taker = lived(tmp_path, 2)
    home = tmp_path / "A1"
    for name in (POINTS_NAME, LOG_NAME):
        data = (home / name).read_bytes()
        at = data.rindex(b"\n", 0, -1) + 1
        for torn in (data[: at + 20], data[: at + 20] + bytes(30) + data[at + 50 :], data[:at] + bytes(40)):
            (home / name).write_bytes(torn)
            Life(tmp_path, Schedule(60 * SECOND, 6), taker.clock, taker).look()
            assert (home / name).read_bytes().count(b"\n") == data.count(b"\n")
    assert not list(home.glob("*.damaged*"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_nothing_is_written_through_links_or_waited_for_at_pipes(tmp_path: Path) -> None:
    names = (POINTS_NAME, LOG_NAME)
    lived(tmp_path / "run", 2)
    home = tmp_path / "run" / "A1"
    refuse_links(home, names)
    for name in (*names, "00000.ome.tif"):
        away = (home / name).rename(tmp_path / name)
        (home / name).symlink_to(away)
        with pytest.raises(OSError, match=f"{name} is a link"):
            refuse_links(home, names)
        (home / name).unlink()
        os.mkfifo(home / name)
        with pytest.raises(OSError, match="no plain file"):
            refuse_links(home, names)
        if name == POINTS_NAME:
            with pytest.raises(OSError, match="no plain file"):
                last_line(home)  # at once
        (home / name).unlink()
        away.rename(home / name)
    home.rename(tmp_path / "A1").parent.joinpath("run", "A1").symlink_to(tmp_path / "A1")
    with pytest.raises(OSError, match="A1 is a link"):
        refuse_links(home, names)


def test_a_file_of_somebodys_with_the_name_of_the_lock_is_no_run(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("notes on the lock of the incubator")
    with pytest.raises(RecordingError, match="has 'lock' in it already"):
        LapseFolder(tmp_path)
    assert lock.read_text() == "notes on the lock of the incubator"
    lock.write_bytes(b"")  # as a program leaves it that was killed before it had begun
    LapseFolder(tmp_path).release()
    assert not lock.exists()
