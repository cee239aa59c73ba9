"""Files and folders of a time-lapse that get other names while it goes on."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from espressoscope.api import lapse_crew
from espressoscope.api.lapse_crew import LapseCrew
from espressoscope.api.lapse_news import LapseNews
from espressoscope.errors import RecordingError
from espressoscope.recording.recorded import Recording
from espressoscope.timelapse.book import FolderGone
from espressoscope.timelapse.clock import Clock, RunClock
from espressoscope.timelapse.folder import LapseFolder, Plan, PlannedCamera
from espressoscope.timelapse.schedule import Schedule
from recording_support import SOFTWARE
from support import wait_until
from timelapse_support import Life, Quick, ReadyTaker, SetClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from espressoscope.recording.run_folder import RunLock
    from espressoscope.timelapse.ledger import Line

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody renames what is open there")
EVERY_NS = 50_000_000


class Running:
    """Two cameras at work, a point each 50 ms, by the clock on the wall."""

    def __init__(self, path: Path) -> None:
        self.folder = LapseFolder(path)
        clock = RunClock(Clock(), 0)
        self.plan = self.folder.begin(
            Plan(
                Schedule(EVERY_NS, None, window_ns=EVERY_NS),
                tuple(PlannedCamera(name, name, name) for name in ("A", "B")),
                {},
                clock.now_ns(),
            )
        )
        self.lines: dict[str, list[Line]] = {"A": [], "B": []}
        self.stop = threading.Event()
        self.crew = LapseCrew(self.stop)
        self.takers = takers = [Quick(SetClock()), Quick(SetClock())]
        news = LapseNews(lambda name, line: self.lines[name].append(line), None)
        self.crew.prepare(self.folder, self.plan, takers, clock, news, 0)  # type: ignore[arg-type]
        self.crew.begin()
        self.both_go_on()

    def both_go_on(self) -> None:
        """Wait for a point of each."""
        before = {name: len(lines) for name, lines in self.lines.items()}
        wait_until(lambda: all(len(self.lines[name]) > before[name] + 1 for name in before), 20)

    def end(self) -> None:
        self.stop.set()
        self.crew.end(20)
        self.folder.release()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(lapse_crew, "AGAIN_S", 0.2)
    running = Running(tmp_path / "run")
    yield running
    running.end()


def save_as_editors_do(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    new.replace(path)


def test_an_editor_that_saves_costs_no_camera_its_points(run: Running) -> None:
    home = run.folder.path / "A"
    for name in ("points.csv", "frames.csv", "points.csv"):
        save_as_editors_do(home / name)
        run.both_go_on()
    # Its folder away: nothing is put in its place, the other goes on, and so does this when it is back.
    home.rename(home.with_name("away"))
    wait_until(lambda: "moved; put it back" in run.crew.unopened.get("A", ""), 20)
    before = len(run.lines["B"])
    wait_until(lambda: len(run.lines["B"]) > before + 2, 20)
    assert not home.exists()
    home.symlink_to(home.with_name("away"))  # refused: it may lead to anything
    wait_until(lambda: "A is a link" in run.crew.unopened.get("A", ""), 20)
    home.unlink()
    home.with_name("away").rename(home)
    run.both_go_on()
    assert run.crew.gone is None
    assert not run.crew.unopened
    run.end()
    for name, lines in run.lines.items():
        assert not run.folder.gone
        stored = (run.folder.path / name / "points.csv").read_text().splitlines()[1:]
        assert [int(row.split(",")[0]) for row in stored] == list(range(len(stored)))
        assert len(stored) >= len({line.point for line in lines})
        frames = (run.folder.path / name / "frames.csv").read_text().splitlines()
        pictures = [row.split(",")[0] for row in frames if row[0].isdigit()]
        assert pictures == [row.split(",")[0] for row in stored if ",missed," not in row]


REMARK = b"# moved the plate, see page 12 of the notebook; the next ones are of the other half\n"


@pytest.mark.parametrize("name", ["points.csv", "frames.csv"])
def test_what_is_saved_into_the_same_file_is_not_written_over(run: Running, name: str) -> None:
    path = run.folder.path / "A" / name
    taker = run.takers[0]
    for saved in (
        lambda data: REMARK + data,
        lambda data: data + REMARK,
        lambda data: b"".join(data.splitlines(keepends=True)[:-2]),  # of a while ago
        lambda data: b"",
    ):
        done = threading.Event()

        def save(saved: Callable[[bytes], bytes] = saved, done: threading.Event = done) -> bool:
            """As nano and VS Code do, while a picture is taken."""
            if not done.is_set():
                data = path.read_bytes()
                with path.open("r+b") as file:
                    file.truncate()
                    file.write(saved(data))
                done.set()
            return False

        taker.off = save
        assert done.wait(20)
        run.both_go_on()
        if saved(b""):
            assert any(REMARK in each.read_bytes() for each in path.parent.glob(f"{name}*"))
    run.end()
    assert run.crew.gone is None
    home = path.parent
    numbers = Recording("A", home, {}).log["sequence"].tolist()
    stored = (home / "points.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in stored] == list(range(len(stored)))
    assert [int(row.split(",")[0]) for row in stored if ",missed," not in row] == numbers
    frames = (home / "frames.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in frames if row[0].isdigit()] == numbers
    assert len(set(numbers)) == len(numbers)
    assert not any(b"\0" in each.read_bytes() for each in home.glob("*.csv*"))


def test_no_picture_is_taken_for_files_that_are_replaced(tmp_path: Path) -> None:
    clock = SetClock()
    taker = ReadyTaker(clock)
    life = Life(tmp_path, Schedule(EVERY_NS, 2, window_ns=EVERY_NS), clock, taker)
    save_as_editors_do(tmp_path / "A1" / "frames.csv")
    with pytest.raises(FolderGone):
        life.run()
    assert not taker.shots
    life.book.close()
    life.folder.release()


def test_a_step_of_the_clock_waits_for_files_opened_anew(tmp_path: Path) -> None:
    clock = SetClock()
    life = Life(tmp_path, Schedule(EVERY_NS, 2, window_ns=EVERY_NS), clock, ReadyTaker(clock))
    clock.set(100)
    life.clock.now_ns()
    log = tmp_path / "A1" / "frames.csv"
    log.write_bytes(log.read_bytes() + REMARK)
    before = log.read_bytes()
    with pytest.raises(FolderGone):
        life.walk._note_jumps()
    assert (life.walk.jumps_noted, len(life.clock.jumps)) == (0, 1)
    life.book.close()
    life.folder.release()
    assert log.read_bytes() == before


def test_nothing_is_written_into_what_has_got_the_name_of_a_run(run: Running, tmp_path: Path) -> None:
    run.folder.path.rename(tmp_path / "old")
    other = LapseFolder(run.folder.path)
    other.begin(Plan(run.plan.schedule, run.plan.cameras, {}, run.plan.start_ns))
    for camera in run.plan.cameras:
        other.camera_folder(camera)
    wait_until(lambda: run.crew.wait(0.1), 20)
    assert run.stop.is_set()
    assert "deleted or replaced" in str(run.crew.gone)
    with pytest.raises(FileNotFoundError, match="replaced"):
        run.folder.write("stopped", SOFTWARE, run.plan.start_ns, {}, {})
    with pytest.raises(RecordingError, match="moved, renamed or deleted"):
        run.folder.begin(run.plan)
    found = sorted(str(path.relative_to(other.path)) for path in other.path.rglob("*"))
    assert found == ["A", "B", "lock", "schedule.json"]
    assert json.loads((other.path / "schedule.json").read_text())["run_id"] != str(run.plan.run_id)
    other.release()


def test_a_folder_that_was_written_while_its_lock_was_waited_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    real = LapseFolder._locked

    def write(folder: LapseFolder) -> RunLock:
        (folder.path / "run.json").write_text("{}")  # as by a recording that has just ended
        return real(folder)

    monkeypatch.setattr(LapseFolder, "_locked", write)
    with pytest.raises(RecordingError, match="has just written"):
        LapseFolder(path)
    assert os.listdir(path) == ["run.json"]
