"""Cameras live in a real viewer: the right picture in the right place, and never a stale one as live."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from espressoscope import sim
from espressoscope.display import TileState

pytest.importorskip("napari")

from qtpy.QtCore import QPoint, Qt

from espressoscope.napari_plugin.layers import WAITING
from espressoscope.napari_plugin.layout import label_of, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari
    from numpy.typing import NDArray

    from espressoscope.napari_plugin.screen import Screen
    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def six() -> Iterator[list[sim.SimulatedCamera]]:
    """Six small quick cameras: too many for a layer each."""
    with sim.simulate(6, port=0, framesize="QVGA", fps=6, prerender=True) as cameras:
        yield cameras


def camera_shown(screen: Screen, key: str, name: str) -> int | None:
    """Read which camera a tile shows from the picture napari has."""
    live = screen.layers.get(key)
    if live is None:
        return None
    reading = sim.read_strip(np.asarray(live.layer.data)[live.board.region(name)])
    return None if reading is None else reading.camera


def by_name(widget: LiveWidget, cameras: list[sim.SimulatedCamera]) -> dict[str, int]:
    """Give the number of each camera by the name it has in the fleet."""
    fleet = widget.session.fleet
    assert fleet is not None
    numbers = {camera.url: index for index, camera in enumerate(cameras)}
    return {name: numbers[fleet[name].info.url] for name in fleet.names}


def type_addresses(widget: LiveWidget, qtbot: Any, cameras: list[sim.SimulatedCamera]) -> None:
    """Add cameras as a person does."""
    qtbot.keyClicks(widget.finder.address, " ".join(camera.url for camera in cameras))
    qtbot.mouseClick(widget.finder.add, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(widget.session.names) == len(cameras), timeout=PATIENCE_MS)


def on_canvas(viewer: napari.Viewer, layer: Any) -> NDArray[np.uint8]:
    """Cut a layer out of what the person sees."""
    shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    zoom, center = viewer.scene.camera.zoom, viewer.scene.camera.center[-2:]
    ratio = shot.shape[0] / viewer.canvas.size[0]
    corners = np.asarray(layer.extent.world) + [[-0.5], [0.5]] * np.asarray(layer.scale)
    pixels = ((corners - np.asarray(center)) * zoom + np.asarray(viewer.canvas.size) / 2) * ratio
    (top, left), (bottom, right) = np.rint(pixels).astype(int)
    return np.ascontiguousarray(shot[top:bottom, left:right])


def double_click(viewer: napari.Viewer, qtbot: Any, place: Any) -> None:
    """Double click on the canvas, at this place of the world."""
    native = viewer.window._qt_window._qt_viewer.canvas.native
    center, zoom = np.asarray(viewer.scene.camera.center[-2:]), viewer.scene.camera.zoom
    y, x = (np.asarray(place)[-2:] - center) * zoom + np.asarray([native.height(), native.width()]) / 2
    at = QPoint(round(x), round(y))
    qtbot.mouseMove(native, at)
    qtbot.mouseDClick(native, Qt.MouseButton.LeftButton, pos=at)


def test_one_camera_is_shown_as_it_is(widget: LiveWidget, viewer: napari.Viewer, qtbot: Any) -> None:
    with sim.SimulatedCamera(framesize="VGA", fps=8, number=5) as camera:
        type_addresses(widget, qtbot, [camera])
        (name,) = widget.session.names
        screen = widget.screen
        qtbot.waitUntil(lambda: name in screen.layers and screen.passes > 3, timeout=PATIENCE_MS)
        layer = screen.layers[name].layer
        assert layer.rgb

        def seen() -> bool:
            reading = sim.read_strip(on_canvas(viewer, layer))
            return reading is not None and reading.camera == 5

        qtbot.waitUntil(seen, timeout=PATIENCE_MS)
        # True colours: what is shown is what was sent, decoded.
        frame = widget.session.fleet[name].latest()  # type: ignore[index]
        sent = frame.image(scale=4).reshape(-1, 3).mean(axis=0)
        shown = np.asarray(layer.data).reshape(-1, 3).mean(axis=0)
        assert np.abs(sent - shown).max() < 12
        qtbot.waitUntil(lambda: widget.table.cameras.text(name, 1) == "live", timeout=PATIENCE_MS)

        # Another plugin that listens to the layer raises: that is told, and the view goes on.
        def raises(event: Any) -> None:
            if not screen.failures:
                raise ValueError("another plugin's")

        layer.events.set_data.connect(raises)
        qtbot.waitUntil(lambda: screen.failures == 1, timeout=PATIENCE_MS)
        layer.events.set_data.disconnect(raises)
        assert "another plugin's" in widget.words.text()
        passes = screen.passes
        qtbot.waitUntil(lambda: screen.passes > passes + 3, timeout=PATIENCE_MS)
        screen.arrange()  # it may have been while layers were arranged, too
        assert (screen.shown_age_s(name) or 9) < 2

        # What stands for simulated cameras does not stay when they do not come.
        viewer.add_image(np.zeros((6, 8)), metadata={"espressoscope": WAITING})
        widget.session.failed.emit("the simulated cameras did not start")
        qtbot.waitUntil(lambda: list(viewer.layers) == [layer], timeout=PATIENCE_MS)

        # Another size, turned, and measured: the layer follows, and covers the same part of the world.
        widget.session.camera(name).set(framesize="SVGA")  # type: ignore[union-attr]
        qtbot.waitUntil(lambda: screen.layers[name].layer.extent.world[1][1] > 790, timeout=PATIENCE_MS)
        widget.look.turns.setCurrentIndex(1)
        widget.look.pixel.setValue(2.5)

        def tall() -> bool:
            live = screen.layers[name].layer
            height, width = live.extent.world[1] - live.extent.world[0] + live.scale
            return bool(abs(height - 800 * 2.5) < 20 and abs(width - 600 * 2.5) < 20)

        qtbot.waitUntil(tall, timeout=PATIENCE_MS)
        layer = screen.layers[name].layer
        assert str(layer.units[-1]) == "micrometer"

        def turned() -> bool:
            reading = sim.read_strip(np.ascontiguousarray(np.rot90(np.asarray(layer.data), -1)))
            return reading is not None and reading.camera == 5

        qtbot.waitUntil(turned, timeout=PATIENCE_MS)


def test_many_cameras_share_a_mosaic(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any, six: list[sim.SimulatedCamera]
) -> None:
    type_addresses(widget, qtbot, six)
    screen, numbers = widget.screen, by_name(widget, six)
    qtbot.waitUntil(
        lambda: (
            "mosaic" in screen.layers
            and all(camera_shown(screen, "mosaic", name) == number for name, number in numbers.items())
        ),
        timeout=PATIENCE_MS,
    )
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["Cameras"], timeout=PATIENCE_MS)

    def labelled() -> bool:
        written = [screen.judging.words.get(("mosaic", name), "") for name in numbers]
        labels = [re.fullmatch(r"…?(.+)  (\d+\.\d) fps  (\d\.\d) s", words) for words in written]
        return all(
            label and name.endswith(label[1]) and 2 < float(label[2]) < 12 and float(label[3]) < 2
            for name, label in zip(numbers, labels, strict=True)
        )

    qtbot.waitUntil(labelled, timeout=PATIENCE_MS)

    # Zooming in: finer tiles of those that are seen, in the same part of the world.
    mosaic = screen.layers["mosaic"]
    coarse, world = mosaic.board.tile, mosaic.layer.extent.world.copy()
    name = next(name for name in numbers if mosaic.board.place(name) == (0, 0))
    viewer.scene.camera.zoom *= 0.2
    qtbot.waitUntil(lambda: mosaic.board.tile < coarse, timeout=PATIENCE_MS)
    viewer.scene.camera.zoom *= 20
    qtbot.waitUntil(lambda: mosaic.board.tile == (240, 320), timeout=PATIENCE_MS)
    assert np.abs(mosaic.layer.extent.world - world).max() < 10

    # What a drag brings into view is not old, though the hand never rests.
    here = mosaic.board.at(
        *(float(each) for each in mosaic.layer.world_to_data(viewer.scene.camera.center[-2:]))
    )
    far = next(each for each in numbers if mosaic.board.place(each)[0] != mosaic.board.place(here or name)[0])
    qtbot.waitUntil(lambda: not screen.sees(far), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: (screen.shown_age_s(far) or 0) > 1.5, timeout=PATIENCE_MS)
    rows, columns = mosaic.board.region(far)
    there = mosaic.layer.data_to_world(((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2))

    def dragged() -> bool:
        viewer.scene.camera.center = (0, there[0], there[1] + time.monotonic() % 1)
        return (screen.shown_age_s(far) or 9) < 1

    qtbot.waitUntil(dragged, timeout=PATIENCE_MS)
    screen.fit()

    # A double click on a tile, with the mouse: this camera alone, in full, beside the others.
    rows, columns = mosaic.board.region(name)
    middle = mosaic.layer.data_to_world(((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2))
    double_click(viewer, qtbot, middle)
    qtbot.waitUntil(
        lambda: (
            name in screen.layers
            and np.asarray(screen.layers[name].layer.data).shape == (240, 320, 3)
            and camera_shown(screen, name, name) == numbers[name]
        ),
        timeout=PATIENCE_MS,
    )

    # Layers the user removes stay away, and it is said how they come back.
    viewer.layers.clear()
    assert "Live off and on" in widget.words.text()
    qtbot.mouseClick(widget.live, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(widget.live, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: "mosaic" in screen.layers and camera_shown(screen, "mosaic", name) == numbers[name],
        timeout=PATIENCE_MS,
    )


def test_a_camera_keeps_its_place_and_its_picture_ages(
    widget: LiveWidget, qtbot: Any, six: list[sim.SimulatedCamera]
) -> None:
    type_addresses(widget, qtbot, six)
    screen, numbers = widget.screen, by_name(widget, six)
    names = {number: name for name, number in numbers.items()}

    def states() -> dict[str, TileState]:
        return screen.layers["mosaic"].board.states if "mosaic" in screen.layers else {}

    def tile(number: int) -> NDArray[np.uint8]:
        live = screen.layers["mosaic"]
        return np.asarray(live.layer.data)[live.board.region(names[number])]

    qtbot.waitUntil(lambda: list(states().values()) == [TileState.LIVE] * 6, timeout=PATIENCE_MS)
    places = {name: screen.layers["mosaic"].board.place(name) for name in numbers}
    with six[2].fault("stall"), six[4].fault("frozen"):
        qtbot.waitUntil(lambda: states()[names[2]] is TileState.STALE, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: (tile(2)[..., 0] == tile(2)[..., 2]).all(), timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: states()[names[4]] is TileState.FROZEN, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: states()[names[2]] is TileState.NO_SIGNAL, timeout=PATIENCE_MS)
        assert states()[names[0]] is TileState.LIVE
    qtbot.waitUntil(lambda: states()[names[2]] is TileState.LIVE, timeout=PATIENCE_MS)

    # One that leaves moves no other.
    widget.table.selectRow(widget.table.cameras.row(names[1]))
    qtbot.mouseClick(widget.remove, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(screen.layers["mosaic"].board.names) == 5, timeout=PATIENCE_MS)
    board = screen.layers["mosaic"].board
    assert {name: board.place(name) for name in board.names} == {
        name: place for name, place in places.items() if name != names[1]
    }

    # Live off: nothing looks live any more, at once, and no camera is streamed from.
    qtbot.mouseClick(widget.live, Qt.MouseButton.LeftButton)
    assert TileState.LIVE not in states().values()
    fleet = widget.session.fleet
    assert fleet is not None
    qtbot.waitUntil(
        lambda: {stats.state for stats in fleet.stats().values()} == {"stopped"}, timeout=PATIENCE_MS
    )
    assert TileState.LIVE not in states().values()


def test_a_function_that_raises_is_told_and_ends_nothing(
    widget: LiveWidget, qtbot: Any, six: list[sim.SimulatedCamera]
) -> None:
    type_addresses(widget, qtbot, six[:1])
    (name,) = widget.session.names
    pictures, screen = widget.session.pictures, widget.screen
    pictures.set_hook(name, lambda frame, picture: picture[10**6, 0])
    qtbot.waitUntil(lambda: "IndexError" in widget.table.cameras.text(name, 7), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: camera_shown(screen, name, name) == 0, timeout=PATIENCE_MS)
    pictures.set_hook(name, lambda frame, picture: np.full((50, 70), 99, np.uint8))
    qtbot.waitUntil(
        lambda: np.asarray(screen.layers[name].layer.data).shape == (50, 70, 3), timeout=PATIENCE_MS
    )
    qtbot.waitUntil(lambda: (np.asarray(screen.layers[name].layer.data) == 99).all(), timeout=PATIENCE_MS)

    # One that takes too long makes pictures old, and is named; its camera is not lost.
    def slow(frame: Any, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        time.sleep(2.2)
        return picture

    pictures.set_hook(name, slow)
    words = screen.judging.words
    qtbot.waitUntil(lambda: "function too slow" in words.get((name, name), ""), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: camera_shown(screen, name, name) == 0, timeout=PATIENCE_MS)
    assert screen.layers[name].board.states[name] is TileState.STALE
    pictures.set_hook(name, None)
    qtbot.waitUntil(lambda: screen.layers[name].board.states[name] is TileState.LIVE, timeout=PATIENCE_MS)


def test_labels_tell_name_rate_and_age() -> None:
    assert label_of("well A1", TileState.LIVE, 0.14, 12.34, True) == "well A1  12.3 fps  0.1 s"
    assert label_of("a long name", TileState.LIVE, 0.14, 12.34, True, 25) == "…ng name  12.3 fps  0.1 s"
    assert label_of("A1", TileState.STALE, 3.2, 9.0, True) == "A1  3 s old"
    assert label_of("A1", TileState.STALE, 3.2, 9.0, True, slow=True) == "A1  function too slow: 3 s old"
    assert label_of("A1", TileState.STALE, 3.2, 9.0, False, slow=True) == "A1  3 s old, not live"
    assert "FROZEN" in label_of("A1", TileState.FROZEN, 0.1, 9.0, True)
    assert label_of("A1", TileState.NO_SIGNAL, 7.0, 9.0, True) == "A1  NO SIGNAL for 7 s"
    assert label_of("well A1", TileState.NO_SIGNAL, 7.0, 9.0, True, 20) == "well A1  NO SIGNAL"
    assert label_of("well A1", TileState.NO_SIGNAL, None, 9.0, True, 26) == "well A1  no picture yet"
    assert label_of("well A1", TileState.FROZEN, 7.0, 9.0, True, 14) == "…ll A1  FROZEN"
    assert (
        label_of("A1", TileState.NO_SIGNAL, None, 0.0, True, waiting_s=12.3) == "A1  no picture yet, for 12 s"
    )
    assert label_of("A1", TileState.NO_SIGNAL, None, 0.0, False) == "A1  no picture yet, not live"
    states = [state_of(age_s, True, None) for age_s in (None, 0.1, 2.1, 6.1)]
    assert states == [TileState.NO_SIGNAL, TileState.LIVE, TileState.STALE, TileState.NO_SIGNAL]
    assert state_of(0.1, False, None) is TileState.STALE
