"""Layers of snapped pictures when something fails: it is said, and the others come all the same."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import espressoscope as es
from espressoscope import sim

pytest.importorskip("napari")

from espressoscope.napari_plugin.pictures import Look
from espressoscope.napari_plugin.session import LiveSession
from espressoscope.napari_plugin.snap_layers import SnapLayers, Taken
from espressoscope.napari_plugin.snapping import take
from espressoscope.napari_plugin.work import MOST_THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari

    from espressoscope.napari_plugin.snapping import Snapped

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def picture() -> Snapped:
    with sim.SimulatedCamera(framesize="QVGA") as camera, es.Camera(camera.url) as device:
        return take("A1", device, None, Look())


@pytest.fixture
def session() -> Iterator[LiveSession]:
    session = LiveSession()
    yield session
    session.close()
    assert session.wait_closed(10)


def test_what_fails_is_said_and_holds_up_no_other_picture(
    session: LiveSession, picture: Snapped, viewer: napari.Viewer, qtbot: Any
) -> None:
    layers, said = SnapLayers(session, viewer), []
    session.failed.connect(said.append)
    small = [Taken(picture, np.full((24, 32, 3), value, np.uint8)) for value in (1, 2, 3)]

    # Another plugin that listens to the layers raises.
    def raises(event: Any) -> None:
        if not said:
            raise ValueError("another plugin's")

    viewer.layers.events.inserted.connect(raises)
    for column, each in enumerate(small):
        layers.put_single(each, column)
    qtbot.waitUntil(lambda: layers.idle, timeout=PATIENCE_MS)
    viewer.layers.events.inserted.disconnect(raises)
    assert {layer.data.max() for layer in viewer.layers} >= {2, 3}
    assert len(said) == 1
    assert "another plugin's" in said[0]

    # There is no memory for some, of another size; said once, and then others of that size may come.
    viewer.layers.clear()
    said.clear()
    huge = np.broadcast_to(np.uint8(7), (10**7, 10**7, 3))
    layers.put_many([Taken(picture, huge), *small, Taken(picture, huge)])
    qtbot.waitUntil(lambda: layers.idle and len(viewer.layers) == 1, timeout=PATIENCE_MS)
    assert [int(each.max()) for each in viewer.layers[0].data] == [1, 2, 3]
    assert len(said) == 1
    assert said[0].startswith("No layer was made of 2 pictures (")
    assert "emory" in said[0]

    # Too much is under way.
    said.clear()
    free, held = threading.Event(), []

    def hold() -> None:
        held.append(1)
        free.wait(60)

    try:
        while session.run(hold, quiet=True):
            pass
        qtbot.waitUntil(lambda: len(held) == MOST_THREADS, timeout=PATIENCE_MS)
        while session.run(hold, quiet=True):
            pass
        layers.put_many(small)
        assert said[-1].startswith("No layer was made of 3 pictures (")
        assert layers.idle
    finally:
        free.set()
    layers.close()


def test_pictures_whose_layers_are_not_made_when_all_is_closed_are_counted_in_the_log(
    session: LiveSession,
    picture: Snapped,
    viewer: napari.Viewer,
    qtbot: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    layers, small = SnapLayers(session, viewer), Taken(picture, np.zeros((24, 32, 3), np.uint8))
    for column in range(3):
        layers.put_single(small, column)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=PATIENCE_MS)
    layers.put_many([small] * 5)
    layers.close()
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert record.getMessage() == "no layer was made of 7 snapped pictures: their widget was closed"


def test_the_slider_of_a_stack_leads_to_every_picture(
    session: LiveSession, viewer: napari.Viewer, qtbot: Any
) -> None:
    layers = SnapLayers(session, viewer)
    with sim.simulate(6, port=0, framesize="QVGA") as cameras:
        taken = []
        for camera in cameras:
            with es.Camera(camera.url) as device:
                picture = take(camera.name, device, None, Look())
            taken.append((camera.number, Taken(picture, picture.image())))
    live = viewer.add_image(
        np.zeros((24, 32, 3), np.uint8),
        rgb=True,
        translate=(0.5, 700.5),
        metadata={"espressoscope": {"live": True}},
    )
    layers.prepare()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE_MS)
    (_, layer) = viewer.layers
    assert viewer.layers.selection.active is live, "nobody has asked for the one that waits"

    def put(some: list[tuple[int, Taken]], length: int) -> None:
        layers.put_many([each for _, each in some])
        qtbot.waitUntil(lambda: layers.idle and len(layer.data) == length, timeout=PATIENCE_MS)
        assert layer.visible
        assert layer.extent.world[:, 0].tolist() == [0, length - 1]
        assert shown() == some[0][0], "the first of the new ones"

    def shown() -> int | None:
        """Read the number of the camera whose picture the slider shows."""
        place = round(float(layer.world_to_data(viewer.dims.point)[0]))
        reading = sim.read_strip(np.ascontiguousarray(layer.data[place]))
        return None if reading is None else reading.camera

    def lead(some: list[tuple[int, Taken]]) -> None:
        for number, each in reversed(some):
            assert layers.reveal(each.picture)
            assert shown() == number

    put(taken[:3], 3)  # into the layer that waited, which was hidden
    assert layer.extent.world[0][-1] == live.extent.world[0][-1], "above the live ones"
    assert viewer.dims.nsteps[0] == 3
    lead(taken[:3])
    layer.visible = False  # by its user
    put(taken[3:5], 5)
    assert viewer.dims.nsteps[0] == 5
    lead(taken[:5])
    # As of a recording: it has steps of its own along the same slider.
    viewer.add_image(np.zeros((30, 24, 32, 3), np.uint8), rgb=True, scale=(0.24, 1, 1))
    put(taken[5:], 6)
    lead(taken)
    layers.close()


def test_no_picture_covers_another_whatever_their_pixels_measure(
    session: LiveSession, picture: Snapped, viewer: napari.Viewer, qtbot: Any
) -> None:
    layers = SnapLayers(session, viewer)

    def spans(count: int) -> list[tuple[float, float]]:
        """Give where on the canvas pictures begin and end, from left to right."""
        qtbot.waitUntil(lambda: layers.idle and len(viewer.layers) == count, timeout=PATIENCE_MS)
        middle, zoom = viewer.scene.camera.center[-1], viewer.scene.camera.zoom
        found = []
        for layer in viewer.layers:
            left, right = layer.extent.world[:, -1] + np.array((-0.5, 0.5)) * layer.scale[-1]
            found.append(((left - middle) * zoom, (right - middle) * zoom))
        return sorted(found)

    def put(*pixels_um: float | None) -> None:
        for column, um in enumerate(pixels_um):
            taken = Taken(picture._replace(look=Look(pixel_um=um)), np.full((24, 32, 3), 9, np.uint8))
            layers.put_single(taken, column)

    def apart(places: list[tuple[float, float]]) -> bool:
        return all(ends < begins for (_, ends), (begins, _) in pairwise(places))

    # Side by side, and all of them in view.
    half = viewer.canvas.size[1] / 2
    put(2.0, None, 0.5)
    three = spans(3)
    assert apart(three)
    assert -half < three[0][0] < three[-1][1] < half

    # Those of the same camera and size in the same place; where its pixels have become others, elsewhere.
    viewer.scene.camera.zoom *= 2  # its user looks closer, and goes on doing so
    looked = viewer.scene.camera.zoom
    put(2.0)
    assert len(set(spans(4))) == 3
    put(3.0)
    four = sorted(set(spans(5)))
    assert len(four) == 4
    assert apart(four)
    assert viewer.scene.camera.zoom == looked
    layers.close()
