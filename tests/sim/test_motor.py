"""The focus motor: where it is at what time."""

from __future__ import annotations

import pytest
from pictures_support import StillClock

from espressoscope.sim.motor import FocusMotor


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def test_a_move_takes_time(clock: StillClock) -> None:
    motor = FocusMotor(0.0, clock)
    assert motor.move_by(50) == pytest.approx(0.1)
    assert motor.position == 0
    clock.now += 0.05
    assert motor.position == pytest.approx(25)
    assert motor.busy_s == pytest.approx(0.05)
    clock.now += 1
    assert (motor.position, motor.busy_s) == (50, 0)


def test_moves_add_up_from_where_the_stage_is(clock: StillClock) -> None:
    motor = FocusMotor(10.0, clock)
    motor.move_by(50)
    clock.now += 0.05
    motor.move_by(-50)
    clock.now += 1
    assert motor.position == pytest.approx(-25)
    assert motor.offset == pytest.approx(-35)


def test_continuous_drive_runs_until_stopped(clock: StillClock) -> None:
    motor = FocusMotor(0.0, clock)
    motor.drive(100)
    clock.now += 3
    assert motor.position == pytest.approx(300)
    motor.drive(-9999)  # as fast as it can, no faster
    clock.now += 0.1
    assert motor.position == pytest.approx(250)
    motor.drive(0)
    clock.now += 100
    assert motor.position == pytest.approx(250)
    assert motor.busy_s == 0


def test_a_move_begins_where_a_drive_has_come_to(clock: StillClock) -> None:
    motor = FocusMotor(0.0, clock)
    motor.drive(100)
    clock.now += 2
    assert motor.move_by(50) == pytest.approx(0.1)
    assert motor.position == pytest.approx(200)
    clock.now += 0.05
    assert motor.position == pytest.approx(225)


def test_drive_ends_at_the_end_of_travel(clock: StillClock) -> None:
    motor = FocusMotor(0.0, clock)
    motor.drive(500)
    clock.now += 1e9
    assert motor.position == 100_000


@pytest.mark.parametrize("best", [-38.0, 0.0, 12.4, 90.0])
def test_autofocus_rests_at_the_sharpest_position(clock: StillClock, best: float) -> None:
    motor = FocusMotor(best, clock)
    seconds = motor.autofocus(-100, 100, 5)
    assert 3 < seconds < 10
    seen = set()
    for _ in range(200):
        clock.now += seconds / 200
        seen.add(round(motor.position))
    assert min(seen) <= -95
    assert max(seen) >= 95
    clock.now += 1
    assert abs(motor.offset) <= 2.5


def test_autofocus_out_of_reach_goes_as_near_as_it_can(clock: StillClock) -> None:
    motor = FocusMotor(500.0, clock)
    clock.now += motor.autofocus(-20, 20, 10)
    assert motor.position == pytest.approx(20)


def test_the_firmwares_division_by_zero(clock: StillClock) -> None:
    with pytest.raises(ZeroDivisionError):
        FocusMotor(0.0, clock).autofocus(-100, 100, 0)


def test_an_absurd_sweep_is_bounded(clock: StillClock) -> None:
    motor = FocusMotor(0.0, clock)
    assert motor.autofocus(-2_000_000_000, 2_000_000_000, 1) < 10_000
    assert motor.autofocus(100, -100, 5) >= 0
