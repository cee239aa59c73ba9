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
from espressoscope.timelapse import found
from espressoscope.timelapse.book import CameraBook, FolderGone, Point
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


def lived(folder: Path) -> list[dict[str, bytes]]:
    """Take two points in each of four lives; give the tables as they were at the end of each."""
    tables = []
    for first in range(0, 8, 2):
        book = opened(folder)
        take(book, first, "ok")
        take(book, first + 1, "ok")
        book.close()
        tables.append({name: (folder / name).read_bytes() for name in (POINTS_NAME, LOG_NAME)})
    return tables


def numbers_of(folder: Path) -> list[list[str]]:
    """Give the first field of the lines that `points.csv` and `frames.csv` have of points and frames."""
    return [
        [text.split(",")[0] for text in (folder / name).read_text().splitlines() if text[0].isdigit()]
        for name in (POINTS_NAME, LOG_NAME)
    ]


@pytest.mark.parametrize("names", [[POINTS_NAME], [LOG_NAME], [POINTS_NAME, LOG_NAME]], ids="+".join)
def test_tables_of_long_ago_that_are_put_back_cost_no_point_its_pictures(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lived(tmp_path)[1]
    for name in names:
        (tmp_path / name).write_bytes(before[name])
    read = []
    monkeypatch.setattr(found, "Segment", lambda path: read.append(path.name) or Segment(path))
    book = opened(tmp_path)
    settled = book.settle_found(due_ns)
    book.close()
    assert [line.point for line in settled] == ([4, 5, 6, 7] if POINTS_NAME in names else [])
    assert all(line.outcome == "taken" for line in settled)
    assert numbers_of(tmp_path) == [list("01234567")] * 2
    # No further back than need be; when all is in order the last one only.
    assert read == [f"{number:05d}.ome.tif" for number in (3, 2, 1)]
    read.clear()
    opened(tmp_path).close()
    assert read == ["00003.ome.tif"]


@pytest.mark.parametrize("digits", [19, 5000])
def test_a_number_that_no_frame_can_have_is_none(tmp_path: Path, digits: int) -> None:
    before = lived(tmp_path)
    log = tmp_path / LOG_NAME
    log.write_bytes(b"9" * digits + b",\n" + before[2][LOG_NAME])
    opened(tmp_path).close()
    assert numbers_of(tmp_path) == [list("01234567"), ["9" * digits, *"01234567"]]


@pytest.mark.parametrize("crashed", [False, True], ids=["closed", "crashed"])
def test_copies_and_what_is_of_another_run_change_nothing(tmp_path: Path, crashed: bool) -> None:
    home, other = tmp_path / "A1", tmp_path / "other"
    for folder in (home, other):
        folder.mkdir()
    lived(home)
    stranger = CameraBook("B", other, bytes(16), SOFTWARE, 1, 0)
    take(stranger, 50_000, "ok")
    shutil.copy(other / "00000.ome.tif", home / "00009.ome.tif")  # open yet
    stranger.close()
    shutil.copy(other / "00000.ome.tif", home / "reference.ome.tif")
    book = opened(home)
    assert not book.settle_found(due_ns)
    take(book, 8, "ok")
    copies = ["20261123181200.ome.tif", "00012.ome.tif", "copy of 00010.ome.tif", "00010 (2).ome.tif"]
    for name, number in zip(copies, (0, 1, 10, 10), strict=True):
        shutil.copy(home / f"{number:05d}.ome.tif", home / name)
    left = shutil.copytree(home, tmp_path / "left") if crashed else home
    book.close()
    if crashed:
        lose_last_line(left)
    strange = ["00009.ome.tif", "reference.ome.tif", *copies]
    before = {name: (left / name).read_bytes() for name in strange}
    book = opened(left)
    assert [line[:3] for line in book.settle_found(due_ns)] == ([(8, due_ns(8), "taken")] if crashed else [])
    take(book, 9, "ok")
    book.close()
    assert {name: (left / name).read_bytes() for name in strange} == before
    assert Segment(left / "00010.ome.tif").contents.closed
    assert Segment(left / "00013.ome.tif").contents.entries["sequence"].tolist() == [9]
    assert numbers_of(left) == [list("0123456789")] * 2
    # Also where all is written anew.
    for name in (POINTS_NAME, LOG_NAME):
        (left / name).unlink()
    book = opened(left)
    book.settle_found(due_ns)
    book.close()
    assert numbers_of(left) == [list("0123456789")] * 2


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

    def test_lines_that_wait_are_not_written_into_what_was_saved_meanwhile(tmp_path: Path) -> None:
        book = opened(tmp_path)
        take(book, 0, "ok")
        path = tmp_path / POINTS_NAME
        with no_file_longer_than(path.stat().st_size):
            book.missed([Line(1, due_ns(1), "missed")])
        assert book.ledger.trouble is not None
        path.write_bytes(b"moved the plate\n")
        log = (tmp_path / LOG_NAME).read_bytes()
        for write in (
            lambda: take(book, 2, "ok"),
            lambda: book.missed([Line(2, due_ns(2), "missed")]),
            lambda: book.note(due_ns(2), "clock", "it was set"),
        ):
            with pytest.raises(FolderGone):
                write()
        book.close()
        assert path.read_bytes() == b"moved the plate\n"
        assert (tmp_path / LOG_NAME).read_bytes() == log
        assert Segment(tmp_path / "00000.ome.tif").contents.closed

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
