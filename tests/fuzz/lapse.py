"""The state of a time-lapse: `schedule.json`, `points.csv`, `frames.csv`, as crashes or people left them."""

from __future__ import annotations

import contextlib
import json
import shutil
from functools import cache
from typing import TYPE_CHECKING

from espressoscope.errors import RecordingError
from espressoscope.recording.log_file import COLUMNS as LOG_COLUMNS
from espressoscope.timelapse.book import CameraBook, Point
from espressoscope.timelapse.folder import Plan, PlannedCamera, read_plan
from espressoscope.timelapse.ledger import COLUMNS, Line, last_line
from espressoscope.timelapse.schedule import Course, Missed, Schedule
from espressoscope.timelapse.status import read_status
from fuzz.mutation import lie
from fuzz.segment import scratch, written
from fuzz.work import counted_calls
from recording_support import SOFTWARE, Source, jpeg
from timelapse_support import RUN_ID, START_NS

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable
    from pathlib import Path

_EVERY_NS = 60 * 10**9


class Lapse:
    """See the module."""

    name = "lapse"
    says = "goes on at the next point, or RecordingError; the line of a point is read back; no point twice"
    most = 6000
    mark = b"\n=====\n"
    tokens = (
        mark,
        b'"every_ns":1',
        b'"points":null',
        b"Infinity",
        b"-1",
        b"1e400",
        b"9999999999999999999999",
        b'"folder":"../x"',
        b'"name":"\x1b]0;x\x07"',
        b'"\\u0000"',
        b"taken",
        b"missed",
        b"0001-01-01T00:00:00.000000Z",
        b"\0\0\0\0",
        b"\n",
        b"\r",
        b",,,,,,,,,,,,,,,,\n",
        b'"',
        b"[",
        b"{",
        b"null",
    )

    def seeds(self) -> list[bytes]:
        """A time-lapse at its beginning, under way, and with torn ends."""
        schedule = Schedule(_EVERY_NS, 20, 1, window_ns=30 * 10**9)
        plan = json.dumps(
            Plan(
                schedule, (PlannedCamera("1.2.3.4", "A1", "A1"),), {"every_s": 60}, START_NS, RUN_ID
            ).content()
        )
        lines = [
            Line(
                number,
                START_NS + number * _EVERY_NS,
                "missed" if number == 1 else "taken",
                START_NS + number * _EVERY_NS + 5000,
                START_NS + number * _EVERY_NS + 9_000_000,
                1,
                700,
                16,
                16,
                1,
                number + 1,
                0,
                700 * number,
                "no answer, 'x'" if number == 1 else "",
            )
            for number in range(3)
        ]
        points = (",".join(COLUMNS) + "\n" + "".join(line.text() for line in lines)).encode()
        log = ",".join(LOG_COLUMNS).encode() + b"\n0,1,x,,90,16,16,ok,0,0,0,\n"
        return [
            self.mark.join(parts)
            for parts in (
                (plan.encode(), points, log),
                (plan.encode(), b"", b""),
                (plan.encode(), points[:-30], log[:-9]),
                (plan.encode(), points + b"\0" * 50, log),
            )
        ]

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Have some of the numbers and words in the JSON be others."""
        content, mark, rest = data.partition(self.mark)
        return (lie(content, rng) if rng.random() < 0.5 else content) + mark + rest

    def check(self, data: bytes) -> Hashable:
        """Look at it, open it, take a point, look again."""
        plan, points, log = (*data.split(self.mark, 2), b"", b"")[:3]
        folder = scratch() / "lapse"
        shutil.rmtree(folder, ignore_errors=True)
        home = folder / "A1"
        home.mkdir(parents=True)
        (folder / "schedule.json").write_bytes(plan)
        (home / "points.csv").write_bytes(points)
        (home / "frames.csv").write_bytes(log)
        (home / "00000.ome.tif").write_bytes(_pictures())
        try:
            told: object = _status(folder)
        except RecordingError as error:
            told = error.message.rpartition(": ")[2][:15]
        return told, self._go_on(folder, home)

    def _go_on(self, folder: Path, home: Path) -> Hashable:
        with counted_calls() as calls:
            before = last_line(home)
        assert calls.count <= 200_000, "calls"
        book = CameraBook("A1", home, RUN_ID.bytes, SOFTWARE, 1, 0)
        try:
            book.settle_found(lambda point: START_NS + point * _EVERY_NS)
            number = book.next_point
            assert number == 0 or book.ledger.last is not None
            assert before is None or number > before.point, "a point again"
            if number > 10**9:
                return "far"
            frame = Source().frame(jpeg(16, 16, 5, gray=True))
            line = book.taken(
                Point(number, START_NS + number * _EVERY_NS, START_NS + number * _EVERY_NS, 1), [frame]
            )
        finally:
            book.close()
        found = last_line(home)
        assert found is not None
        assert found == line._replace(
            began_ns=None if line.began_ns is None else line.began_ns // 1000 * 1000,
            received_ns=None if line.received_ns is None else line.received_ns // 1000 * 1000,
        ), "a line that is not read back"
        return before is None, number.bit_length(), line.outcome


def _status(folder: Path) -> Hashable:
    status = read_status(folder, START_NS + 90 * 10**9)
    plan = read_plan(folder)
    assert plan is not None
    for camera in status.cameras:
        assert camera.next_point is None or camera.next_point >= 0
    step = Course(plan.schedule, plan.start_ns, 0, 0).next(START_NS)
    assert not isinstance(step, Missed) or step.last >= step.first
    from espressoscope.cli.lapse_words import describe, status_keys

    json.dumps(status_keys(status))
    text = "\n".join(describe(status))
    assert all(c.isprintable() or c == "\n" for c in text), "a status that changes the terminal"
    return status.state, min(len(status.cameras), 3)


@cache
def _pictures() -> bytes:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(scratch() / "writing")
    return written(1, linked=1, end=True)
