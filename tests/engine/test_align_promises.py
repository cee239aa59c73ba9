"""What sets of frames promise, whatever cameras send and whenever somebody asks."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from espressoscope.engine.align import SetAligner
from espressoscope.model import Frame, FrameStatus

MS = 1_000_000
START = 1_700_000_000_000 * MS


def frame(ms: float, camera: str, status: FrameStatus) -> Frame:
    return Frame(bytes(20), 0, START + round(ms * MS), camera=camera, status=status)


events = st.lists(
    st.tuples(
        st.integers(0, 80),  # ms since the one before
        st.sampled_from("abcd"),
        st.sampled_from(["ok", "ok", "ok", "ok", "duplicate", "truncated", "corrupt"]),
        st.integers(0, 120),  # how long it is under way, ms
    ),
    max_size=120,
)


@given(
    events,
    st.integers(0, 120),
    st.sampled_from([None, 40 * MS, 500 * MS]),
    st.lists(st.integers(0, 400), min_size=1, max_size=10),
)
def test_sets_keep_their_promises(
    steps: list[tuple[int, str, FrameStatus, int]],
    tolerance_ms: int,
    period_ns: int | None,
    pauses_ms: list[int],
) -> None:
    subject = SetAligner("abcd", tolerance_ns=tolerance_ms * MS, period_ns=period_ns)
    now_ms, arrivals = 0, []
    for gap_ms, camera, status, way_ms in steps:
        now_ms += gap_ms
        arrivals.append((now_ms + way_ms, frame(now_ms, camera, status)))
    arrivals.sort(key=lambda arrival: arrival[0])
    arrivals += [(now_ms + 120 + 400 * number, None) for number in range(1, 8)]  # type: ignore[misc]
    put: dict[str, list[Frame]] = defaultdict(list)
    given_ns: dict[str, int] = defaultdict(int)
    used: set[int] = set()
    last_ns = asked_ms = taken = 0
    for at_ms, each in arrivals:
        while asked_ms + pauses_ms[taken % len(pauses_ms)] <= at_ms:
            asked_ms += pauses_ms[taken % len(pauses_ms)] + 1
            taken += 1
            found = subject.take(START + asked_ms * MS)
            if found is None:
                continue
            assert found.time_ns > last_ns, "instants go up"
            last_ns = found.time_ns
            assert list(found.frames) == list("abcd")
            assert any(found.frames.values()), "a set has a frame"
            for camera, chosen in found.frames.items():
                free = [
                    other
                    for other in put[camera]
                    if other.received_ns > given_ns[camera]
                    and abs(other.received_ns - found.time_ns) <= tolerance_ms * MS
                ]
                if chosen is None:
                    assert free == [], "a camera with a frame within the tolerance is not missing"
                    continue
                assert chosen.camera == camera
                assert chosen.status == "ok"
                assert id(chosen) not in used, "no frame is in two sets"
                used.add(id(chosen))
                nearest = min(abs(other.received_ns - found.time_ns) for other in free)
                assert abs(chosen.received_ns - found.time_ns) == nearest
                given_ns[camera] = chosen.received_ns
            assert found.spread_ms <= 2 * tolerance_ms
        if each is not None:
            late = subject.late
            subject.put(each.camera, each)
            if each.status == "ok" and subject.late == late:
                put[each.camera].append(each)
