"""Figures of a stream: rates, intervals, age, and what happens when it falls silent."""

from __future__ import annotations

import time

import pytest

from espressoscope.engine.stats import StreamMeter
from espressoscope.model import Frame, LinkState


def fill(meter: StreamMeter, count: int, interval_ms: float, ago_s: float = 0.0, size: int = 10_000) -> None:
    now = time.perf_counter_ns() - int(ago_s * 1e9)
    for number in range(count):
        frame = Frame(b"x" * size, number, 0, width=640, height=480)
        meter.count(frame, now - int((count - 1 - number) * interval_ms * 1e6))


def test_nothing_yet() -> None:
    stats = StreamMeter().snapshot(LinkState.CONNECTING, 0)
    assert (stats.frames, stats.fps, stats.age_s, stats.interval_p50_ms) == (0, 0.0, None, None)
    assert stats.state == "connecting"


def test_a_steady_stream() -> None:
    meter = StreamMeter()
    fill(meter, 75, 40)
    stats = meter.snapshot(LinkState.LIVE, 3)
    assert stats.fps == pytest.approx(25, rel=0.1)
    assert stats.kb_per_s == pytest.approx(250, rel=0.1)
    assert stats.interval_p50_ms == pytest.approx(40, rel=0.01)
    assert (stats.width, stats.height, stats.superseded, stats.bytes) == (640, 480, 3, 750_000)
    assert stats.age_s is not None
    assert stats.age_s < 1


def test_a_stream_that_stopped_fades() -> None:
    meter = StreamMeter()
    fill(meter, 100, 40, ago_s=10)
    stats = meter.snapshot(LinkState.STALLED, 0)
    assert stats.fps == 0
    assert stats.age_s == pytest.approx(10, abs=1)


def test_a_stream_faster_than_the_ring() -> None:
    meter = StreamMeter()
    fill(meter, 5000, 0.5)
    assert meter.snapshot(LinkState.LIVE, 0).fps == pytest.approx(2000, rel=0.05)
    assert meter.frames == 5000
