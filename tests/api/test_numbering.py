"""Picture sizes by name whatever the firmware's numbering: what teaches it, and what must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def newer_core() -> Iterator[es.Camera]:
    """A camera that numbers as N6, taken for one that numbers as N5."""
    with (
        SimulatedCamera(firmware="camerawebserver", fps=20, framesize="VGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        assert cam._session is not None
        assert cam._session.device is not None
        table = cam._session.device.table
        table._numbering = "N5"
        table._build()
        yield cam


def test_a_single_picture_teaches_the_numbering(newer_core: es.Camera) -> None:
    assert newer_core.status()["framesize"] == "XGA"
    assert newer_core.snap().width == 640
    assert newer_core.set(framesize="SVGA")["framesize"].actual == "SVGA"
    assert newer_core.snap().width == 800


def test_a_large_still_teaches_the_numbering_and_restores_the_size(newer_core: es.Camera) -> None:
    still = newer_core.snap(framesize="SVGA")
    assert (still.width, still.height) == (800, 600)
    assert newer_core.status()["framesize"] == "VGA"
    assert newer_core.snap().width == 640


def test_old_frames_of_a_slow_stream_teach_nothing() -> None:
    # VGA beside the index of XGA reads as the newer numbering.
    with (
        SimulatedCamera(fps=1, framesize="VGA", side_delays=False) as simulated,
        es.Camera(simulated.url) as cam,
    ):
        cam.latest(timeout=8)
        cam.set(framesize="XGA")
        wait_until(lambda: cam.status()["framesize"] != "XGA" or cam.latest().width == 1024, 8, what="XGA")
        assert cam.status()["framesize"] == "XGA"
