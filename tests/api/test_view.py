"""Decoded pictures pushed to a function: of one camera, of a fleet, and how they end."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera, read_strip, simulate
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


@pytest.fixture
def simulated() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=20, framesize="VGA") as cameras:
        yield cameras


def test_a_camera_pushes_its_pictures(simulated: list[SimulatedCamera]) -> None:
    seen: list[tuple[int, int, tuple[int, ...]]] = []

    def use(frame: es.Frame, image: NDArray[np.uint8]) -> None:
        assert threading.current_thread().name.startswith("espressoscope-decode")
        reading = read_strip(image)
        if reading is not None:
            seen.append((frame.sequence, reading.camera, image.shape))

    with es.Camera(simulated[1].url) as cam:
        with cam.view(use) as view:
            wait_until(lambda: len(seen) >= 5, what="pictures")
            view.scale = 2
            wait_until(lambda: seen[-1][2] == (240, 320, 3), what="half the size")
            assert set(view.views) == {cam.info.name}
        assert cam.stats.state == "stopped"
        count = len(seen)
        assert view.decoded >= count > 5
        assert (view.failed, view.errors) == (0, 0)
        assert {camera for _, camera, _ in seen} == {simulated[1].number}
        numbers = [sequence for sequence, _, _ in seen]
        assert numbers == sorted(numbers)
        assert view.decoded + view.superseded == cam.stats.frames
        view.close()
        assert len(seen) == count


def test_on_demand_one_picture_of_each_camera_comes_when_asked_for(simulated: list[SimulatedCamera]) -> None:
    seen: Counter[str] = Counter()
    with es.Fleet([camera.url for camera in simulated]) as fleet:
        names = fleet.names
        view = fleet.view(lambda frame, _: seen.update([frame.camera]), scale=8)
        view.on_demand = True
        wait_until(lambda: all(seen[name] for name in names))
        for count in range(2, 5):
            before = {name: fleet[name].stats.frames for name in names}
            view.ask()
            wait_until(lambda count=count: min(seen[name] for name in names) >= count)  # type: ignore[misc]
            wait_until(lambda before=before: all(fleet[n].stats.frames > before[n] + 3 for n in names))  # type: ignore[misc]
        # The first pictures may have come before there was a demand to wait for.
        shown = dict(seen)
        frames = {name: fleet[name].stats.frames for name in names}
        wait_until(lambda: all(fleet[name].stats.frames > frames[name] + 5 for name in names))
        assert dict(seen) == shown
        assert view.superseded >= 15
        view.on_demand = False
        wait_until(lambda: all(seen[name] > shown[name] + 3 for name in names))


def test_a_fleet_pushes_the_pictures_of_all(simulated: list[SimulatedCamera]) -> None:
    seen: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def use(frame: es.Frame, image: NDArray[np.uint8]) -> None:
        reading = read_strip(image)
        if reading is not None:
            seen[frame.camera][reading.camera] += 1

    with es.Fleet([simulated[0].url, simulated[1].url]) as fleet:
        view = fleet.view(use)
        late = fleet.add(simulated[2].url)
        wait_until(lambda: len(seen) == 3 and all(c.total() > 3 for c in seen.values()), what="pictures")
        assert {name: list(counts) for name, counts in seen.items()} == {
            name: [camera.number] for name, camera in zip(fleet.names, simulated, strict=True)
        }
        fleet.remove(late)
        assert set(view.views) == set(fleet.names)
        count = seen[late].total()
        before = {name: seen[name].total() for name in fleet.names}
        wait_until(lambda: all(seen[name].total() > before[name] + 3 for name in fleet.names), what="more")
        assert seen[late].total() == count
    assert view.views == {}
    assert view.decoded >= sum(counts.total() for counts in seen.values())


def test_what_the_function_raises_ends_nothing(
    simulated: list[SimulatedCamera], caplog: pytest.LogCaptureFixture
) -> None:
    def use(frame: es.Frame, image: NDArray[np.uint8]) -> None:
        raise ValueError("a mistake in a user's function")

    with es.Camera(simulated[0].url) as cam, cam.view(use) as view:
        wait_until(lambda: view.errors >= 5, what="errors")
        assert cam.stats.state == "live"
    assert "a mistake in a user's function" in caplog.text
    assert caplog.text.count("raised an error") == 1


def test_a_function_that_hangs_holds_up_neither_the_stream_nor_close(
    simulated: list[SimulatedCamera], caplog: pytest.LogCaptureFixture
) -> None:
    called, release = threading.Event(), threading.Event()

    def use(frame: es.Frame, image: NDArray[np.uint8]) -> None:
        called.set()
        release.wait(20)

    try:
        with es.Fleet(camera.url for camera in simulated) as fleet:
            fleet.view(use)
            assert called.wait(5)
            wait_until(lambda: all(f.frames > 10 for f in fleet.stats().values()), what="frames all the same")
        assert "did not return within" in caplog.text
    finally:
        release.set()


def test_closing_from_within(simulated: list[SimulatedCamera]) -> None:
    calls: list[int] = []

    def use(frame: es.Frame, image: NDArray[np.uint8]) -> None:
        calls.append(frame.sequence)
        view.close()

    with es.Camera(simulated[0].url) as cam:
        view = cam.view(use)
        wait_until(lambda: view.views == {} and calls, what="the view to end")
        wait_until(lambda: cam.stats.state == "stopped", what="the stream to end")
        assert len(calls) == 1


def test_nothing_of_a_closed_view_is_kept(simulated: list[SimulatedCamera]) -> None:
    def use(frame: es.Frame, image: NDArray[np.uint8]) -> None:
        assert frame.camera

    with es.Fleet(camera.url for camera in simulated) as fleet:
        for _ in range(2):  # the second one finds what is left of the first one's threads
            view = fleet.view(use)
            wait_until(lambda view=view: view.decoded > 10, what="pictures")  # type: ignore[misc]
            kept = [weakref.ref(view), *map(weakref.ref, view.views.values())]
            assert len(kept) == 4
            view.close()
            del view
            gc.collect()
            assert [ref() for ref in kept] == [None] * 4


def test_wrong_use(simulated: list[SimulatedCamera]) -> None:
    with es.Camera(simulated[0].url) as cam:
        with pytest.raises(ValueError, match="scale"):
            cam.view(print, scale=3)  # type: ignore[arg-type]
        assert cam.stats.state == "stopped"
    with pytest.raises(es.CameraError, match="closed"):
        cam.view(print)
    with es.Fleet([simulated[0].url]) as fleet, pytest.raises(ValueError, match="order"):
        fleet.view(print, order="GRB")  # type: ignore[arg-type]
    with es.Fleet([]) as nobody, nobody.view(print) as view:
        with pytest.raises(ValueError, match="scale"):
            view.scale = 3  # type: ignore[assignment]
        assert view.scale == 1
