"""Figures of a stream: rates, intervals, age, the sensor's rate, the camera's clock; read at any time."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time

import pytest

from espressoscope.engine.stats import StreamMeter, clock_offset_ns, frame_period_ns
from espressoscope.model import Frame, LinkState
from espressoscope.sim import SimulatedCamera
from link_rig import Rig


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


def test_a_nominal_rate_that_is_exceeded_gives_way() -> None:
    meter = StreamMeter()
    fill(meter, 200, 40)
    assert meter.snapshot(LinkState.LIVE, 0, 12.5).sensor_fps == pytest.approx(25, rel=0.05)
    assert meter.snapshot(LinkState.LIVE, 0, 24.0).sensor_fps == 24
    assert meter.snapshot(LinkState.LIVE, 0).sensor_fps is None


# --- read while it is written


def test_figures_can_be_read_while_frames_are_counted() -> None:
    meter = StreamMeter()
    stop = threading.Event()

    def count() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            meter.count(Frame(b"x" * 1000, number, 0, device_ns=number * 1000), time.perf_counter_ns())

    writer = threading.Thread(target=count)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        writer.start()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            before = meter.frames
            times, totals, stamps = meter.kept()
            assert len(times) == len(totals) == len(stamps) < 512
            assert times == sorted(times), "an entry was written over while it was read"
            assert totals == list(range(totals[0], totals[-1] + 1, 1000)) if totals else before == 0
            assert stamps == totals
            stats = meter.snapshot(LinkState.LIVE, 0)
            assert stats.frames >= before
            assert stats.fps >= 0
    finally:
        stop.set()
        writer.join()
        sys.setswitchinterval(interval_s)


# --- the sensor's rate


@pytest.mark.parametrize("period_ms", [20, 40, 80, 100, 250])
@pytest.mark.parametrize(
    "multiples",
    [(1,), (1, 1, 1, 2), (1, 2, 1, 3), (2, 3), (2, 2, 2, 3), (3, 4), (3, 5, 4), (1, 1, 1, 1, 30)],
    ids=str,
)
def test_the_sensors_period_is_seen_through_skipped_frames(
    period_ms: float, multiples: tuple[int, ...]
) -> None:
    dice = random.Random(1)
    stamp = 5e9
    stamps = []
    for number in range(200):
        stamp += period_ms * 1e6 * multiples[number % len(multiples)]
        stamps.append(int(stamp + dice.gauss(0, period_ms * 1e6 * 0.01)))
    found = frame_period_ns(stamps)
    assert found == pytest.approx(period_ms * 1e6, rel=0.03)


def test_stamps_without_a_rhythm_give_their_lower_quartile() -> None:
    dice = random.Random(1)
    stamps = [0]
    for _ in range(200):
        stamps.append(stamps[-1] + int(dice.uniform(40e6, 400e6)))
    found = frame_period_ns(stamps)
    assert found is not None
    assert 40e6 < found < 200e6


@pytest.mark.parametrize("stamps", [[], [5], [5] * 50, list(range(0, 7_000_000, 1_000_000))])
def test_few_stamps_tell_no_rate(stamps: list[int]) -> None:
    assert frame_period_ns(stamps) is None


def test_the_nominal_rate_holds_where_frames_have_no_stamps() -> None:
    meter = StreamMeter()
    fill(meter, 75, 100)
    assert meter.snapshot(LinkState.LIVE, 0).sensor_fps is None
    assert meter.snapshot(LinkState.LIVE, 0, 25.0).sensor_fps == 25.0
    assert meter.snapshot(LinkState.LIVE, 0, 25.0).clock_offset_s is None


# --- the camera's clock


def stamped(
    meter: StreamMeter, count: int, *, boot_ns: int, delays_ms: tuple[float, ...], ago_s: float = 0.0
) -> None:
    now = time.perf_counter_ns() - int(ago_s * 1e9)
    for number in range(count):
        taken_ns = now - int((count - 1 - number) * 40e6)
        arrived_ns = taken_ns + int(delays_ms[number % len(delays_ms)] * 1e6)
        frame = Frame(b"x", number, 0, device_ns=taken_ns - boot_ns)
        meter.count(frame, arrived_ns)


def test_the_offset_is_that_of_the_quickest_frames() -> None:
    wall_ns = 1_700_000_000_000_000_000
    meter = StreamMeter(wall_ns)
    stamped(meter, 200, boot_ns=123_000_000_000, delays_ms=(30, 80, 12, 300, 45))
    stats = meter.snapshot(LinkState.LIVE, 0)
    assert stats.clock_offset_s == pytest.approx(1_700_000_000 + 123 + 0.012, abs=1e-4)
    assert stats.sensor_fps == pytest.approx(25, rel=0.01)


def test_a_mistaken_stamp_does_not_move_the_offset() -> None:
    entries = [(int(n * 4e7 + 15e6), int(n * 4e7)) for n in range(200)]
    entries[77] = (entries[77][0], entries[77][1] + 1_000_000_000)
    assert clock_offset_ns(*zip(*entries, strict=True)) == 15_000_000


def test_the_offset_starts_anew_when_the_camera_restarts() -> None:
    meter = StreamMeter()
    now = time.perf_counter_ns()
    stamped(meter, 200, boot_ns=now - 900_000_000_000, delays_ms=(10,), ago_s=12)
    first = meter.snapshot(LinkState.LIVE, 0).clock_offset_s
    stamped(meter, 3, boot_ns=now - 2_000_000_000, delays_ms=(20,))
    second = meter.snapshot(LinkState.LIVE, 0).clock_offset_s
    assert first == pytest.approx((now - 900e9) / 1e9 + 0.010, abs=1e-4)
    assert second == pytest.approx((now - 2e9) / 1e9 + 0.020, abs=1e-4)


def test_a_short_life_before_the_restart_is_told_apart_too() -> None:
    before = [(n * 40_000_000, n * 40_000_000) for n in range(50)]  # up for 2 s, then away for 14 s
    after = [(16_000_000_000 + n * 40_000_000, 3_000_000_000 + n * 40_000_000) for n in range(50)]
    assert clock_offset_ns(*zip(*(before + after), strict=True)) == 13_000_000_000


def test_a_delayed_burst_does_not_start_anew() -> None:
    smooth = [(n * 40_000_000 + 10_000_000, n * 40_000_000) for n in range(100)]
    late = [(stamp + 5_000_000_000 - n * 40_000_000, stamp) for n, (_, stamp) in enumerate(smooth[-20:])]
    assert clock_offset_ns(*zip(*(smooth[:-20] + late), strict=True)) == 10_000_000


@pytest.mark.parametrize("fps", [8, 20])
def test_a_real_stream_tells_rate_and_clock(fps: int) -> None:
    async def run() -> None:
        with SimulatedCamera("camerawebserver", fps=fps, framesize="QVGA", side_delays=False) as camera:
            async with Rig(camera) as rig:
                rig.link.sensor_fps = 50.0
                await rig.live()
                assert rig.link.stats.sensor_fps == 50.0
                await rig.until(lambda: rig.link.meter.frames > 2 * fps)
                stats = rig.link.stats
                booted_s = time.time() - camera.uptime_s
                assert stats.sensor_fps == pytest.approx(fps, rel=0.15)
                assert stats.clock_offset_s == pytest.approx(booted_s, abs=0.3)
                async with rig.fault("reboot", seconds=0.3):
                    pass
                await rig.until(lambda: camera.reboots == 1 and rig.link.state == "live")
                await rig.live()
                assert rig.link.stats.clock_offset_s == pytest.approx(time.time() - camera.uptime_s, abs=0.3)

    asyncio.run(run())
