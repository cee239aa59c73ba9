"""What a camera's files tell when they are opened again, and what is written of it then."""

from __future__ import annotations

import contextlib
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from espressoscope.model import Frame
from espressoscope.recording.layout import SLOTS
from espressoscope.recording.recorded import Recording
from espressoscope.recording.run_folder import LOG_NAME
from espressoscope.recording.stored import Segment, segment_paths
from espressoscope.timelapse.book import CameraBook, Point
from espressoscope.timelapse.ledger import POINTS_NAME, Line, read_line
from espressoscope.timelapse.schedule import Schedule
from recording_support import SOFTWARE, jpeg
from timelapse_support import RUN_ID, START_NS, Life, ReadyTaker, SetClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from espressoscope.model import FrameStatus

EVERY_NS = 60 * 10**9


def due_ns(point: int) -> int:
    return START_NS + point * EVERY_NS


def opened(folder: Path, burst: int = 1) -> CameraBook:
    return CameraBook("A1", folder, RUN_ID.bytes, SOFTWARE, burst, 0)


def take(book: CameraBook, point: int, *statuses: FrameStatus) -> Line:
    """Store pictures of a point, that have these statuses."""
    frames = [
        Frame(jpeg(seed=point), 0, due_ns(point) + place, None, 64, 48, "A1", status)
        for place, status in enumerate(statuses)
    ]
    return book.taken(Point(point, due_ns(point), due_ns(point), 1), frames)


def lines_of(folder: Path) -> list[Line | None]:
    return [read_line(text) for text in (folder / POINTS_NAME).read_text().splitlines(keepends=True)[1:]]


def lose_last_line(folder: Path) -> None:
    """As a power cut does."""
    path = folder / POINTS_NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


class Case(NamedTuple):
    """Pictures of a point whose line is lost, and what it is then."""

    statuses: tuple[FrameStatus, ...]
    outcome: str
    bytes_lost: bool = False  # by a power cut: the file has its length, and not all of its bytes


@pytest.mark.parametrize(
    "case",
    [
        Case(("ok", "ok"), "taken"),
        Case(("ok", "duplicate"), "taken"),
        Case(("ok",), "partial"),
        Case(("ok", "truncated"), "damaged"),
        Case(("corrupt",), "damaged"),
        Case(("corrupt", "corrupt"), "damaged"),
        Case(("ok", "ok"), "damaged", bytes_lost=True),
    ],
    ids=str,
)
def test_pictures_without_a_line_get_the_one_they_would_have_had(tmp_path: Path, case: Case) -> None:
    home, left = tmp_path / "A1", tmp_path / "left"
    home.mkdir()
    book = opened(home, burst=2)
    take(book, 0, "ok", "ok")
    told = take(book, 1, *case.statuses)
    shutil.copytree(home, left)  # as a crash leaves it
    book.close()
    lose_last_line(left)
    if case.bytes_lost:
        segment = next(left.glob("*.tif"))
        stored = segment.read_bytes()
        at = stored.rindex(jpeg(seed=1))
        segment.write_bytes(stored[: at + 100] + bytes(100) + stored[at + 200 :])
    else:
        assert told.outcome == case.outcome
    book = opened(left, burst=2)
    found = book.settle_found(due_ns)
    assert found == [
        told._replace(outcome=case.outcome, began_ns=None, attempts=0, reason="noted after a restart")
    ]
    assert take(book, 2, "ok", "ok").outcome == "taken"
    book.close()
    # What the lines tell is what there is.
    points = [int(number) // 2 for number in Recording("A1", left, {}).log["sequence"]]
    assert [line and line.pictures for line in lines_of(left)] == [points.count(point) for point in range(3)]


if sys.platform != "win32":
    import resource

    @contextlib.contextmanager
    def no_file_longer_than(size: int) -> Iterator[None]:
        """Let the system refuse what would make a file of this program longer, as a full disk does."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def test_a_disk_without_room_for_the_head_of_the_log_is_the_disks_trouble(tmp_path: Path) -> None:
        """And no mistake of the program, that would end the time-lapse of all cameras."""
        book = opened(tmp_path)
        take(book, 0, "ok")
        book.close()
        log = tmp_path / LOG_NAME
        before = log.read_text()
        log.write_text("sequ")  # torn by a power cut
        with no_file_longer_than(20), pytest.raises(OSError, match="too large"):
            opened(tmp_path)
        opened(tmp_path).close()
        assert log.read_text() == before.replace(",\n", ",noted after a restart\n")

    def test_settings_wait_once_however_long_the_disk_is_full(tmp_path: Path) -> None:
        clock = SetClock()
        taker = ReadyTaker(clock)
        life = Life(tmp_path, Schedule(EVERY_NS, 2, window_ns=EVERY_NS // 2), clock, taker)
        log = tmp_path / "A1" / LOG_NAME
        with no_file_longer_than(max(log.stat().st_size, life.book.ledger.file.size)):
            taker.off = lambda: len(taker.shots) == 5 and life.stop.set() is None
            assert not life.walk.run()
        assert len(taker.shots) == 5  # attempts at the first point, none of which could be stored
        taker.off = lambda: False
        life.stop.clear()
        assert life.run()
        assert log.read_text().count(",settings,") == 1


@pytest.mark.parametrize("first", ["ok", "corrupt"])
def test_a_segment_of_damage_has_a_ceiling(tmp_path: Path, first: FrameStatus) -> None:
    burst = 2500
    book = opened(tmp_path, burst)
    for point in range(9):
        take(book, point, "corrupt" if point else first, *["corrupt"] * (burst - 1))
    book.close()
    stored = [len(Segment(path).contents.entries) for path in segment_paths(tmp_path)]
    most = 2 * SLOTS if first == "ok" else SLOTS
    assert stored == [most] * (9 * burst // most) + [9 * burst % most]
