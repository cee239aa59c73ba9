"""What a time-lapse does when files cannot be written or opened: of one camera, or the disk is full."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import espressoscope as es
from espressoscope.api import lapse_crew
from espressoscope.sim import SimulatedCamera
from espressoscope.timelapse.schedule import Schedule
from recording_support import pages_of, with_own_disks
from support import wait_until
from timelapse_support import Life, ReadyTaker, SetClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SECOND = 10**9
BURST = 12
FULL, ROOM, POINTS = 3, 6, 9
"""The point from which on the disk is full, the one from which on it is not, and how many there are."""


def on_a_full_disk(disk: Path) -> None:
    """Take a time-lapse that the disk is full in the middle of; say how it went, as JSON."""
    clock = SetClock()
    taker = ReadyTaker(clock, BURST)
    life = Life(disk / "run", Schedule(60 * SECOND, POINTS, burst=BURST, window_ns=30 * SECOND), clock, taker)
    ballast = disk / "ballast"

    def fill(but: int) -> None:
        """Leave room for so many bytes."""
        with ballast.open("wb", buffering=0) as file:
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            file.write(bytes(free - but))

    def off() -> bool:
        if len(life.told) == FULL and not ballast.exists():
            fill(4096)  # some pictures of a point fit into that, and what is left of a page of the file's
        elif len(life.told) == ROOM and ballast.exists():
            ballast.unlink()
        return False

    taker.off = off
    over = life.run()
    print(json.dumps({"over": over, "told": [line._asdict() for line in life.told]}))


def test_a_full_disk_costs_points_and_nothing_that_was_stored(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = with_own_disks(
        f"mount -t tmpfs -o size=1m none '{disk}' || exit 99\n"
        f"'{sys.executable}' '{__file__}' '{disk}' && cp -r '{disk}/run' '{tmp_path}/run'"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["over"]
    told = {line["point"]: line for line in found["told"]}
    assert sorted(told) == list(range(POINTS))
    hungry = [told[point] for point in range(FULL, ROOM)]
    assert all("cannot be stored: No space left on device" in line["reason"] for line in hungry)
    assert f"point {FULL} cannot be stored: [Errno 28] No space left" in done.stderr
    assert hungry[0]["outcome"] == "partial"  # not missed: some of it is there
    assert 0 < hungry[0]["pictures"] < BURST
    assert hungry[-1]["outcome"] == "missed"
    assert all(line["outcome"] == "taken" for point, line in told.items() if not FULL <= point < ROOM)
    # What is told is what is there, and all of it can be read.
    recording = es.open_run(tmp_path / "run")["A1"]
    numbers = recording.sequences.tolist()
    for point, line in told.items():
        assert sum(number // BURST == point for number in numbers) == line["pictures"], point
    assert all(frame.status == "ok" and frame.jpeg[:2] == b"\xff\xd8" for frame in recording)
    assert sum(len(pages_of(segment.path)) for segment in recording.segments) == len(numbers)
    with (tmp_path / "run" / "A1" / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["point"]), row["outcome"], int(row["pictures"])) for row in rows] == [
        (point, line["outcome"], line["pictures"]) for point, line in sorted(told.items())
    ]


def test_files_of_one_camera_that_cannot_be_opened_cost_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lapse_crew, "AGAIN_S", 0.2)
    folder = tmp_path / "run"
    with (
        SimulatedCamera(name="well", fps=20, side_delays=False, number=70) as well,
        SimulatedCamera(name="odd", fps=20, side_delays=False, number=71) as odd,
    ):

        @contextlib.contextmanager
        def running() -> Iterator[es.TimeLapse]:
            """A time-lapse until the end of the block; slow machines need longer than a second a point."""
            lapse = es.TimeLapse([well.url, odd.url], every=1, path=folder, stagger=0, force=True)
            worker = threading.Thread(target=lapse.run)
            worker.start()
            try:
                yield lapse
            finally:
                lapse.stop()
                worker.join(30)
            assert not worker.is_alive()

        def taken() -> dict[str, int]:
            return {each.name: each.taken for each in es.timelapse_status(folder).cameras}

        with running():
            wait_until((folder / "run.json").exists, 60)
            wait_until(lambda: min(taken().values()) > 0, 60, what="a point of each")
        points = folder / "odd" / "points.csv"
        points.rename(tmp_path / "points.csv")
        points.mkdir()
        before = taken()
        with running() as lapse:
            wait_until(lambda: taken()["well"] > before["well"], 60, what="a point of the other")
            assert list(lapse.unopened) == ["odd"]
            assert "odd: its files in " in caplog.text
            status = es.timelapse_status(folder)
            assert status.state == "running"
            told = {each.name: each for each in status.cameras}
            assert "cannot be read" in told["odd"].reason
            assert told["odd"].next_point is None
            assert told["well"].next_point == status.next_point
            points.rmdir()
            (tmp_path / "points.csv").rename(points)
            wait_until(lambda: not lapse.unopened, 20, what="its files to be opened")
            wait_until(lambda: taken()["odd"] > before["odd"], 60, what="a point of that one")
    with points.open(newline="") as file:  # what passed meanwhile is on record
        numbers = [int(row["point"]) for row in csv.DictReader(file)]
    assert numbers == list(range(len(numbers)))


if __name__ == "__main__":
    on_a_full_disk(Path(sys.argv[1]))


def test_lines_of_many_missed_points_wait_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SetClock()
    schedule = Schedule(SECOND, None, window_ns=SECOND // 2)
    points = tmp_path / "A1" / "points.csv"
    sizes: list[int] = []
    for room in (False, True):
        life = Life(tmp_path, schedule, clock, ReadyTaker(clock))
        life.book._keep_free = 1 << 60
        clock.go_on(25_000)

        def sleep(seconds: float, wake: threading.Event, *, life: Life = life, room: bool = room) -> None:
            sizes.append(points.stat().st_size)
            clock.go_on(seconds)
            if sizes[-1] > sizes[0]:  # all that was missed is noted
                life.stop.set()
            elif len(sizes) % 5 == 0:
                life.book._keep_free = 0 if room else 1 << 60
                if not room:
                    life.stop.set()

        monkeypatch.setattr(clock, "sleep", sleep)
        assert not life.run()
        assert "25000 missed points wait" in caplog.text
        if not room:
            assert len(sizes) == 5
    assert sizes[:10] == [sizes[0]] * 10
    with points.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["point"]) for row in rows] == list(range(len(rows)))
    assert sum(row["outcome"] == "missed" for row in rows) >= 50_000


def test_tables_that_are_gone_are_written_anew_from_the_pictures(tmp_path: Path) -> None:
    clock = SetClock()
    taker = ReadyTaker(clock)
    schedule = Schedule(60 * SECOND, 4, window_ns=30 * SECOND)
    first = Life(tmp_path, schedule, clock, taker)
    taker.off = lambda: len(first.told) == 2 and first.stop.set() is None
    assert not first.run()
    taker.off = lambda: False
    assert Life(tmp_path, schedule, clock, taker).run()
    home = tmp_path / "A1"
    before = {}
    for name, keys in (
        ("frames.csv", ("sequence", "received_ns", "bytes", "segment", "page")),
        ("points.csv", ("point", "outcome", "pictures", "taken", "bytes_total")),
    ):
        with (home / name).open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row[keys[0]]]
        before[name] = [[row[key] for key in keys] for row in rows]
        (home / name).unlink()
    assert [row[3:] for row in before["frames.csv"]] == [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]
    assert Life(tmp_path, schedule, clock, taker).run()
    for name, there in before.items():
        with (home / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        keys = ("sequence", "received_ns", "bytes", "segment", "page")
        keys = keys if name == "frames.csv" else ("point", "outcome", "pictures", "taken", "bytes_total")
        assert [[row[key] for key in keys] for row in rows] == there
    assert len(taker.shots) == 4
