"""The soak's own judgement: what it is to notice, it notices."""

from __future__ import annotations

import itertools
import logging
import random
import socket
import threading
import time

import pytest

from espressoscope.sim import FAULTS
from soak.closing import timed_close
from soak.findings import Findings, LogWatch
from soak.ledger import Account, Name
from soak.leftovers import Before
from soak.recovery import Outage, Recoveries, Strike, Watch, blocks
from soak.timetable import count, make_timetable
from soak.vitals import Sample, Vitals

# --- the timetable


def test_the_timetable_is_the_seeds() -> None:
    first, again, other = (make_timetable(random.Random(seed), [1, 3], 60, 5) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("seconds", "longest_s"), [(60, 5), (600, 20)])
def test_every_fault_strikes_several_times(seconds: float, longest_s: float) -> None:
    for seed in range(5):
        timetable = make_timetable(random.Random(seed), range(1, 24, 2), seconds, longest_s)
        assert min(count(timetable).values()) >= 4
        assert set(count(timetable)) == set(FAULTS)
        assert max(incident.end_s for incident in timetable) < seconds


def test_faults_strike_one_camera_at_once_and_one_after_the_other() -> None:
    timetable = make_timetable(random.Random(1), [1], 600, 20)
    pairs = list(itertools.pairwise(timetable))
    assert any(later.begin_s < earlier.end_s for earlier, later in pairs)
    assert any(0 <= later.begin_s - earlier.end_s < 0.5 for earlier, later in pairs)


# --- recovery


class Camera:
    """A watched camera, and a clock for it."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.recoveries = Recoveries()
        self.watch = Watch("A1", 0.0, self.recoveries, self.broken.append)

    def frames(self, begin_s: float, end_s: float, *, new: bool = True) -> None:
        for tenth in range(int(begin_s * 10), int(end_s * 10) + 1):
            self.watch.whole(tenth / 10, new=new)

    def fault(self, fault: str, begin_s: float, end_s: float, **options: float | str) -> None:
        self.watch.began(1, Strike(fault, options, begin_s))
        self.watch.ended(1, end_s, 1)


def test_frames_all_along_are_well() -> None:
    camera = Camera()
    camera.frames(0, 20)
    assert camera.broken == []
    assert camera.watch.untouched


def test_three_seconds_without_a_frame_are_too_long_without_a_fault() -> None:
    camera = Camera()
    camera.frames(0, 5)
    camera.watch.look(7.9)
    assert camera.broken == []
    camera.watch.look(8.1)
    camera.watch.look(9.0)
    assert len(camera.broken) == 1


@pytest.mark.parametrize(
    ("fault", "options", "lasts_s", "served_s"),
    [
        ("slow", {}, 20.0, 20.0),
        ("stall", {}, 1.0, 1.0),
        ("refuse", {}, 10.0, 10.0),
        ("silent-second", {}, 10.0, 10.0),
        ("cut", {"every": 1, "part": 0.5}, 10.0, 10.0),
        ("corrupt", {"every": 1, "kind": "no-soi"}, 10.0, 10.0),
        ("wrong-length", {"every": 1, "delta": -2}, 10.0, 10.0),
        ("vanish", {}, 1.0, 6.0),  # a second's silence cannot be told from the end before 6 s
        ("reboot", {}, 4.0, 6.0),
        ("reboot", {}, 9.0, 9.0),
    ],
)
def test_recovery_counts_from_when_a_client_would_be_served(
    fault: str, options: dict[str, float | str], lasts_s: float, served_s: float
) -> None:
    assert blocks(fault, options)
    for late_s, broken in ((2.9, 0), (3.1, 1)):
        camera = Camera()
        camera.frames(0, 10)
        camera.fault(fault, 10.0, 10.0 + lasts_s, **options)
        camera.watch.whole(10.0 + served_s + late_s, new=True)
        assert len(camera.broken) == broken, (fault, late_s)
        assert camera.recoveries.from_served_s[fault] == pytest.approx([late_s])
        assert camera.watch.untouched


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("cut", {"every": 2, "part": 0.5}),
        ("corrupt", {"every": 1, "kind": "scan"}),
        ("junk", {"every": 1}),
        ("bad-json", {"kind": "html"}),
        ("frozen", {}),
    ],
)
def test_faults_that_let_frames_through_excuse_nothing(fault: str, options: dict[str, float | str]) -> None:
    camera = Camera()
    camera.frames(0, 10)
    camera.watch.began(1, Strike(fault, options, 10.0))
    camera.watch.look(13.5)
    assert len(camera.broken) == 1


def test_the_last_of_several_faults_counts() -> None:
    outage = Outage()
    outage.strike("stall", {}, 0.0, 10.0)
    outage.strike("vanish", {}, 1.0, 3.0, 6.0)
    outage.strike("junk", {"every": 1}, 0.0, 30.0)
    assert outage.served_again_s == 10.0


def test_the_same_picture_again_is_no_recovery() -> None:
    camera = Camera()
    camera.frames(0, 10)
    camera.fault("frozen", 10.0, 12.0)
    camera.frames(12.1, 13, new=False)
    assert not camera.watch.untouched
    camera.watch.whole(13.1, new=True)
    assert camera.watch.untouched
    assert camera.broken == []


# --- frames


def picture(number: int) -> bytes:
    return b"\xff\xd8" + number.to_bytes(4, "big") + b"\xff\xd9"


def names(*numbers: int) -> list[Name]:
    return [Name.of(picture(number)) for number in numbers]


def test_lost_frames_are_counted_from_the_first_received() -> None:
    wrong: list[str] = []
    account = Account("A1", wrong.append)
    account.note_sent(names(1, 2, 3))
    for name in names(3, 4, 6):
        account.note_received(name, "ok", "")
    account.note_sent(names(4, 5, 6, 7))
    account.note_received(*names(7), "ok", "")
    account.close(time.monotonic())
    assert (account.sent, account.lost) == (5, 1)
    assert wrong == []


@pytest.mark.parametrize("tail", [b"\r\n", b"noise" * 20])
def test_a_frame_that_was_not_sent_so_is_noticed(tail: bytes) -> None:
    wrong: list[str] = []
    account = Account("A1", wrong.append)
    account.note_sent(names(1, 2))
    account.note_received(Name.of(picture(1) + tail), "ok", "lately nothing")
    account.note_received(Name.of(picture(2) + tail), "ok", "lately no-length")
    account.note_received(Name.of(picture(9)), "truncated", "")
    account.close(time.monotonic())
    assert len(wrong) == 1
    assert "lately nothing" in wrong[0]


def test_single_pictures_are_sent_too() -> None:
    wrong: list[str] = []
    account = Account("A1", wrong.append)
    account.note_single(names(1))
    for name in names(1, 2):
        account.note_received(name, "ok", "")
    account.note_single(names(2))
    account.close(time.monotonic())
    assert wrong == []
    assert account.sent == 0


# --- the rest


def test_unexplained_lines_and_uncaught_errors_are_findings() -> None:
    findings = Findings()
    log = logging.getLogger("espressoscope.engine.link")
    with LogWatch(findings):
        log.info("something happened")
        log.warning("A1: it keeps sending the same picture, byte for byte: switch it off and on")
        assert not findings.any
        log.warning("something else happened")
        logging.getLogger("asyncio").error("Task was destroyed but it is pending!")
        thread = threading.Thread(target=lambda: [][1])
        thread.start()
        thread.join()
    assert findings.count == {"log": 2, "uncaught": 1}


def test_what_is_left_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = Findings()
    before = Before()
    before.compare(findings)
    assert not findings.any, findings.lines
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait, name="forgotten")
    thread.start()
    try:
        with socket.socket():
            before.compare(findings)
    finally:
        ending.set()
        thread.join()
    assert "thread 'forgotten'" in "".join(findings.lines)
    assert "socket" in "".join(findings.lines)


def test_growing_memory_is_noticed() -> None:
    for growth, found in ((0.04, 0), (0.06, 1)):
        findings = Findings()
        vitals = Vitals(dict)
        sizes = [int(1e8 * (1 + growth * at / 600)) for at in range(601)] + [
            int(1e8 * (1 + growth * 1.11))
        ] * 15
        vitals.samples = [Sample(float(at), size, 9, 3, 0.0, {}) for at, size in enumerate(sizes)]
        vitals.judge(findings)
        assert findings.count["memory"] == found


def test_a_slow_close_is_noticed() -> None:
    findings = Findings()
    timed_close(lambda: None, "it", findings)
    assert not findings.any
    timed_close(lambda: time.sleep(1.01), "it", findings)
    assert findings.count["close"] == 1
