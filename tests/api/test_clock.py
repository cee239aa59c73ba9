"""One clock for all cameras that are open together, whatever happens to the system's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import espressoscope as es
from espressoscope.sim import simulate
from support import wait_until

if TYPE_CHECKING:
    import pytest


def test_cameras_opened_around_a_change_of_the_clock_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    with simulate(2, port=0, fps=20, framesize="QVGA") as cameras, es.Fleet([cameras[0].url]) as fleet:
        fleet.start()
        true_time_ns = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: true_time_ns() - 3600 * 10**9)
        fleet.add(cameras[1].url, "later")
        frames = wait_until(lambda: all(fleet.latest().values()) and fleet.latest(), what="frames of both")
        times = [frame.received_ns for frame in frames.values() if frame is not None]
        assert max(times) - min(times) < 2e9
        with fleet.sets() as sets:
            assert any(one.complete for one, _ in zip(sets, range(40), strict=False))
