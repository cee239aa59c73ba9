"""Frames put together by their times: the rules, with made-up times."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from espressoscope.engine.align import BACKLOG_S, LATE_S, LONGEST_PERIOD_S, SetAligner
from espressoscope.engine.lane import LANE_BYTES, LANE_FRAMES
from espressoscope.model import Frame, FrameSet, FrameStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MS = 1_000_000
SECOND = 1000 * MS
START = 1_700_000_000 * SECOND


def frame(ms: float, camera: str = "", status: FrameStatus = "ok", nbytes: int = 20) -> Frame:
    return Frame(bytes(nbytes), 0, START + round(ms * MS), camera=camera, status=status)


def every(interval_ms: float, camera: str, first_ms: float = 0, until_ms: float = 5000) -> Iterator[Frame]:
    number = 0
    while (ms := first_ms + number * interval_ms) < until_ms:
        yield frame(ms, camera)
        number += 1


def in_order(frames: Iterable[Frame]) -> list[Frame]:
    return sorted(frames, key=lambda frame: frame.received_ns)


def play(aligner: SetAligner, frames: Iterable[Frame], until_ms: float | None = None) -> list[FrameSet]:
    """Put frames in the order of their times, asking for sets at each of these and as soon as one is due."""
    sets = []
    for each in in_order(frames):
        sets += ask(aligner, each.received_ns)
        aligner.put(each.camera, each)
    return sets + (ask(aligner, START + round(until_ms * MS)) if until_ms is not None else [])


def ask(aligner: SetAligner, now_ns: int) -> list[FrameSet]:
    sets = []
    while aligner.due_ns is not None and aligner.due_ns <= now_ns:
        found = aligner.take(aligner.due_ns)
        if found is not None:
            sets.append(found)
    return sets


def ms_of(found: FrameSet | Frame) -> float:
    return ((found.time_ns if isinstance(found, FrameSet) else found.received_ns) - START) / MS


def steps_of(sets: list[FrameSet]) -> list[int]:
    return [second.time_ns - first.time_ns for first, second in itertools.pairwise(sets)]


def aligner(names: str = "ab", tolerance_ms: float = 50, **options: object) -> SetAligner:
    return SetAligner(names, tolerance_ns=round(tolerance_ms * MS), **options)  # type: ignore[arg-type]


# --- sets


def test_cameras_of_one_rate_give_complete_sets_at_that_rate() -> None:
    sets = play(aligner(tolerance_ms=10), [*every(100, "a"), *every(100, "b", 7)], 6000)
    assert len(sets) == 50
    assert all(each.complete and each.spread_ms == 7 for each in sets)
    assert [ms_of(each) for each in sets] == [100 * number + 3.5 for number in range(50)]


def test_a_faster_camera_gives_its_nearest_frame_to_the_slower_ones() -> None:
    sets = play(aligner(tolerance_ms=20), [*every(40, "a"), *every(250, "b", 10)], 6000)
    # Cameras are none in step: instants lie where both are, and each slow frame is used.
    assert len(sets) == pytest.approx(20, abs=1)
    assert all(each.complete for each in sets if ms_of(each) < 4800)
    assert max(each.spread_ms for each in sets) <= 20


def test_a_tolerance_beyond_the_interval_mixes_no_instants() -> None:
    sets = play(aligner(tolerance_ms=100), [*every(40, "a"), *every(40, "b", 5)], 6000)
    assert len(sets) == 125
    assert all(each.complete and each.spread_ms == 5 for each in sets)


def test_cameras_out_of_step_are_told_as_missing_not_as_old() -> None:
    sets = play(aligner(tolerance_ms=10), [*every(100, "a"), *every(100, "b", 50)], 6000)
    assert len(sets) == pytest.approx(50, abs=2)
    assert not any(each.complete for each in sets)


def test_a_camera_that_dies_is_missing_at_once_and_holds_nobody_up() -> None:
    subject = aligner(tolerance_ms=20)
    sets = play(subject, [*every(100, "a"), *every(100, "b", 5, 2000)])
    died = [each for each in sets if ms_of(each) > 2000]
    assert died
    assert all(each.frames["a"] is not None and each.frames["b"] is None for each in died)
    assert all(each.complete for each in sets if ms_of(each) < 1990)
    steps = steps_of(sets)
    assert max(steps) <= 101 * MS


def test_sets_take_no_longer_than_their_window() -> None:
    subject = aligner("abc", tolerance_ms=20)
    for each in in_order([*every(100, "a"), *every(100, "b", 4)]):
        for found in ask(subject, each.received_ns):
            if each.received_ns - START > 2 * SECOND:
                assert each.received_ns - found.time_ns <= (50 + 20 + 20 + 2) * MS + LATE_S * SECOND + 41 * MS
        subject.put(each.camera, each)


def test_a_slow_camera_that_dies_no_longer_sets_the_pace() -> None:
    subject = aligner(tolerance_ms=50)
    play(subject, [*every(100, "a", until_ms=5000), *every(1000, "b", 3, 5000)])
    assert subject.period_ns == 1000 * MS
    sets = play(subject, every(100, "a", 5000, 12_000))
    assert subject.period_ns == 100 * MS
    assert len([each for each in sets if ms_of(each) > 9000]) == pytest.approx(29, abs=2)


def test_a_camera_slower_than_the_longest_period_is_in_some_sets() -> None:
    subject = aligner(tolerance_ms=50)
    sets = play(subject, [*every(100, "a", until_ms=40_000), *every(5000, "b", 3, 40_000)])
    assert subject.period_ns == LONGEST_PERIOD_S * SECOND
    later = [each for each in sets if ms_of(each) > 10_000]
    assert len([each for each in later if each.complete]) == 6
    assert len(later) == pytest.approx(15, abs=2)


def test_a_camera_back_from_the_dead_does_not_slow_the_others_down() -> None:
    subject = aligner(tolerance_ms=20)
    sets = play(
        subject,
        [*every(100, "a", until_ms=40_000), *every(100, "b", 0, 3000), *every(100, "b", 30_000, 40_000)],
    )
    steps = steps_of(sets)
    assert max(steps) <= 110 * MS
    assert all(each.complete for each in sets if ms_of(each) > 30_050)


def test_a_camera_that_joins_is_none_until_it_delivers() -> None:
    subject = aligner("a", tolerance_ms=20)
    sets = play(subject, every(100, "a", until_ms=1000))
    assert all(set(each.frames) == {"a"} for each in sets)
    subject.add("b")
    sets = play(subject, [*every(100, "a", 1000, 4000), *every(100, "b", 2005, 4000)])
    assert all(set(each.frames) == {"a", "b"} for each in sets)
    assert [each.complete for each in sets] == [ms_of(each) > 1950 for each in sets]
    assert subject.names == ("a", "b")
    with pytest.raises(ValueError, match="'b'"):
        subject.add("b")


def test_a_camera_that_leaves_is_in_no_set_more() -> None:
    subject = aligner(tolerance_ms=20)
    play(subject, [*every(100, "a", until_ms=1000), *every(100, "b", 5, 1000)])
    subject.remove("b")
    sets = play(subject, [*every(100, "a", 1000, 2000), *every(100, "b", 1005, 2000)])
    assert sets
    assert all(set(each.frames) == {"a"} and each.complete for each in sets)
    with pytest.raises(KeyError):
        subject.remove("b")


def test_damaged_frames_are_never_used() -> None:
    damaged = [frame(each * 100.0, "b", "truncated" if each % 2 else "corrupt") for each in range(50)]
    sets = play(aligner(), [*every(100, "a"), *damaged], 6000)
    assert len(sets) == 50
    assert all(each.frames["b"] is None for each in sets)


def test_repeated_pictures_are_used_only_when_asked() -> None:
    repeated = [frame(each * 100.0, "b", "duplicate") for each in range(50)]
    subject = aligner()
    sets = play(subject, [*every(100, "a"), *repeated], 6000)
    assert all(each.frames["b"] is None for each in sets)
    assert subject.repeated == 50
    subject = aligner(duplicates=True)
    assert all(each.complete for each in play(subject, [*every(100, "a"), *repeated], 6000))
    assert subject.repeated == 0


def test_a_burst_gives_one_frame_to_a_set_and_fills_no_hole() -> None:
    frames = [*every(100, "a"), *every(100, "b", 3, 2000), *every(100, "b", 3003)]
    burst = [frame(2950 + number * 0.5, "b") for number in range(10)]
    sets = play(aligner(tolerance_ms=20), [*frames, *burst], 6000)
    hole = [each for each in sets if 2050 < ms_of(each) < 2920]
    assert len(hole) == pytest.approx(9, abs=1)
    assert all(each.frames["b"] is None for each in hole)
    used = [each.frames["b"] for each in sets if each.frames["b"] in burst]
    assert len(used) <= 1


def test_frames_that_come_when_their_set_is_made_are_late_and_counted() -> None:
    subject = aligner(tolerance_ms=20)
    sets = play(subject, every(100, "a", until_ms=3000))
    for each in every(100, "b", 3, 2500):
        assert not subject.put("b", each)
    assert subject.late == 25
    sets = play(subject, [*every(100, "a", 3000), *every(100, "b", 3003)], 6000)
    assert all(each.complete for each in sets if ms_of(each) > 3010)


def test_frames_out_of_order_are_put_in_order() -> None:
    subject = aligner("ab", tolerance_ms=5, period_ns=100 * MS)
    for ms, camera in ((0, "a"), (20, "b"), (2, "b"), (100, "a"), (102, "b"), (200, "a")):
        subject.put(camera, frame(ms, camera))
    found = subject.take(START + SECOND)
    assert found is not None
    assert [ms_of(each) for each in found.frames.values() if each] == [0, 2]


def test_of_two_pictures_of_one_time_one_is_used() -> None:
    subject = aligner(tolerance_ms=20)
    sets = play(subject, [*every(100, "a"), *every(100, "b"), *every(100, "b")], 6000)
    assert len(sets) == 50
    assert subject.waiting == 0


@pytest.mark.parametrize(("interval_ms", "fps"), [(40, 1), (40, 5), (100, 10), (100, 0.2)])
def test_a_rate_can_be_chosen(interval_ms: float, fps: float) -> None:
    subject = aligner(tolerance_ms=20, period_ns=round(SECOND / fps))
    frames = [*every(interval_ms, "a", until_ms=60_000), *every(interval_ms, "b", 5, 60_000)]
    sets = play(subject, frames, 60_000)
    assert len(sets) / 60 == pytest.approx(fps, rel=0.06)
    assert all(each.complete for each in sets)
    steps = steps_of(sets)
    assert max(steps) - min(steps) <= interval_ms * MS, "instants keep to the rate within a frame interval"
    assert subject.waiting < 300


# --- consumers that are late


def test_who_is_a_little_late_misses_nothing() -> None:
    subject = aligner(tolerance_ms=20)
    frames = in_order([*every(100, "a"), *every(100, "b", 5)])
    sets, asked = [], 0
    for each in frames:
        subject.put(each.camera, each)
        if each.received_ns - START - asked > BACKLOG_S * SECOND * 0.8:
            asked = each.received_ns - START
            while (found := subject.take(each.received_ns)) is not None:
                sets.append(found)
    assert subject.skipped == subject.dropped == 0
    assert len(sets) > 40
    assert all(each.complete for each in sets)


def test_who_is_too_late_goes_on_in_order_with_the_oldest_whole_set() -> None:
    subject = aligner(tolerance_ms=20)
    frames = [*every(100, "a", until_ms=60_000), *every(40, "b", 5, 60_000)]
    sets = []
    told = 0
    for number, each in enumerate(in_order(frames)):
        told += subject.put(each.camera, each)
        if number % 10 == 9:  # a set each 0.29 s, of ten a second
            found = subject.take(each.received_ns)
            if found is not None:
                age_ms = (each.received_ns - found.time_ns) / MS
                assert age_ms < 1000 * BACKLOG_S + 400
                sets.append(found)
    assert all(each.complete for each in sets)
    assert len(sets) + subject.skipped == pytest.approx(590, abs=20)
    assert subject.dropped > 0
    assert told > 0
    assert subject.waiting < 100


def test_who_never_asks_costs_bounded_memory() -> None:
    subject = aligner("abcd")
    for each in sorted(
        [
            *every(40, "a", until_ms=60_000),
            *every(100, "b", until_ms=60_000),
            *every(1000, "c", until_ms=9000),
        ],
        key=lambda frame: frame.received_ns,
    ):
        subject.put(each.camera, each)
        assert subject.waiting <= 120
    assert subject.skipped > 0


def test_after_silence_of_all_the_next_frame_makes_a_set() -> None:
    subject = aligner(tolerance_ms=20)
    play(subject, [*every(100, "a", until_ms=3000), *every(100, "b", 5, 3000)])
    # An hour of nothing, with somebody asking or without.
    assert ask(subject, START + 1_800 * SECOND) != []
    assert len(ask(subject, START + 1_801 * SECOND)) == 0
    skipped = subject.skipped
    later = 3_600_000
    frames = [*every(100, "a", later, later + 3000), *every(100, "b", later + 5, later + 3000)]
    sets = play(subject, frames, later + 5000)
    assert len(sets) == pytest.approx(30, abs=2)
    assert all(each.complete for each in sets)
    assert subject.skipped - skipped <= 1


# --- ceilings


def test_a_camera_that_floods_costs_its_own_frames_only() -> None:
    subject = aligner(tolerance_ms=20)
    frames = [*every(100, "a", until_ms=3000), *every(0.1, "b", until_ms=3000)]
    sets = []
    for each in in_order(frames):
        sets += ask(subject, each.received_ns)
        subject.put(each.camera, each)
        assert subject.waiting <= LANE_FRAMES + 40
    assert subject.dropped > 0
    assert subject.skipped == 0
    assert all(each.frames["a"] is not None for each in sets)
    assert len(sets) > 25


def test_frames_of_a_camera_take_bounded_memory() -> None:
    subject = aligner("a")
    big = bytes(LANE_BYTES // 4)
    held = []
    for number in range(8):
        held.append(subject.put("a", Frame(big, number, START + number * MS)))
        assert subject.waiting <= 4
    assert held == [False] * 4 + [True] * 4
    subject.put("a", Frame(bytes(2 * LANE_BYTES), 8, START + 9 * MS))
    assert subject.waiting == 1, "the newest is kept, however large"
