"""Where the instant of a set is put: compared with trying everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from espressoscope.engine.align import Match, best_match


def brute_force(
    events: list[tuple[int, int]], tolerance: int, lo: int, target: int, hi: int
) -> tuple[int, int, int, int] | None:
    """Try every stretch from one frame to another whose middle, moved into the interval, reaches both."""
    found = []
    for first, _ in events:
        for last, _ in events:
            instant = min(max((first + last) // 2, lo), hi)
            if first <= last and last - instant <= tolerance and instant - first <= tolerance:
                cameras = {camera for time, camera in events if first <= time <= last}
                found.append((-len(cameras), last - first, abs(instant - target), instant))
    return min(found, default=None)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), max_size=14),
    st.integers(0, 15),
    st.integers(0, 50),
    st.integers(0, 25),
    st.integers(0, 25),
)
def test_the_instant_is_the_best_there_is(
    events: list[tuple[int, int]], tolerance: int, lo: int, before: int, after: int
) -> None:
    target, hi = lo + before, lo + before + after
    match = best_match(events, tolerance, lo, target, hi)
    expected = brute_force(events, tolerance, lo, target, hi)
    if match is None:
        assert expected is None
        return
    assert expected is not None
    assert (-match.cameras, match.spread_ns, match.time_ns) == (expected[0], expected[1], expected[3])
    assert lo <= match.time_ns <= hi
    within = {camera for time, camera in events if abs(time - match.time_ns) <= tolerance}
    assert len(within) == match.cameras, "no more cameras than were counted are within the tolerance"
    for instant in range(lo, hi + 1):
        assert len({camera for time, camera in events if abs(time - instant) <= tolerance}) <= match.cameras


def test_among_equals_the_closest_together_then_the_one_nearest_to_the_target_wins() -> None:
    events = [(10, 0), (14, 1), (30, 0), (33, 1), (50, 0), (53, 1)]
    assert best_match(events, 5, 0, 45, 60) == Match(2, 3, 51)
    assert best_match(events, 5, 0, 35, 60) == Match(2, 3, 31)


def test_without_a_frame_there_is_no_instant() -> None:
    assert best_match([], 5, 0, 5, 10) is None
    assert best_match([(16, 0)], 5, 0, 5, 10) is None
