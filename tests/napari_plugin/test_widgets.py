"""Two widgets at once: each shows its own cameras, and the end of one is none of the other."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from espressoscope import sim

pytest.importorskip("napari")

from espressoscope.napari_plugin.sample_data import open_widget
from espressoscope.napari_plugin.snap_panel import SnapPanel
from espressoscope.napari_plugin.widget import LiveWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[sim.SimulatedCamera]]:
    with sim.simulate(6, port=0, framesize="QVGA", fps=6, prerender=True) as cameras:
        yield cameras


def shown(widget: LiveWidget) -> set[int]:
    """Tell the numbers of the cameras that are to be seen in a widget's layers."""
    readings = [
        sim.read_strip(np.asarray(live.layer.data)[live.board.region(name)])
        for live in widget.screen.layers.values()
        for name in live.board.names
    ]
    return {reading.camera for reading in readings if reading is not None}


def test_two_widgets_in_one_viewer(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any, cameras: list[sim.SimulatedCamera]
) -> None:
    # The menu opens the one there is again.
    assert open_widget(viewer) is widget
    assert viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")[1] is widget
    others = [LiveWidget(viewer)]
    dock = viewer.window.add_dock_widget(others[0], name="Other cameras", area="left")
    widget.session.add([camera.url for camera in cameras[:1]])
    others[0].session.add([camera.url for camera in cameras[1:]])  # a layer and a mosaic, of other sizes
    qtbot.waitUntil(lambda: shown(widget) == {0}, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: shown(others[0]) == {1, 2, 3, 4, 5}, timeout=PATIENCE_MS)

    def beside() -> bool:
        """Tell whether the second one begins where the first one ends."""
        (first,), (second,) = widget.screen.layers.values(), others[0].screen.layers.values()
        ends, begins = first.layer.extent.world[1][1], second.layer.extent.world[0][1]
        return bool(ends < begins < ends + 0.1 * (ends - first.layer.extent.world[0][1]))

    qtbot.waitUntil(beside, timeout=PATIENCE_MS)
    (name,) = widget.session.names
    widget.session.set_look(name, replace(widget.session.look(name), turns=1))  # narrower: it moves up
    qtbot.waitUntil(
        lambda: np.diff(widget.screen.layers[name].layer.extent.world[:, 1])[0] < 245, timeout=PATIENCE_MS
    )
    qtbot.waitUntil(beside, timeout=PATIENCE_MS)
    seen = viewer.scene.camera.center[-1], viewer.canvas.size[1] / viewer.scene.camera.zoom
    right = others[0].screen.layers["mosaic"].layer.extent.world[1][1]
    assert seen[0] - seen[1] / 2 < 0  # both are in view
    assert right < seen[0] + seen[1] / 2
    widget.session.set_look(name, replace(widget.session.look(name), turns=0))
    viewer.scene.camera.zoom *= 4  # both are made anew
    qtbot.waitUntil(lambda: others[0].screen.layers["mosaic"].board.tile == (240, 320), timeout=PATIENCE_MS)
    before = widget.screen.passes
    theirs = [live.layer for live in widget.screen.layers.values()]
    viewer.window.remove_dock_widget(dock)
    assert others[0].session.wait_closed(10)
    ended = weakref.ref(others.pop())
    del dock

    def gone() -> bool:
        gc.collect()
        return ended() is None

    qtbot.waitUntil(gone, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: list(viewer.layers) == theirs, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: widget.screen.passes > before + 5, timeout=PATIENCE_MS)
    assert shown(widget) == {0}


def test_layers_that_wait_leave_the_scale_bar_its_unit(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any, cameras: list[sim.SimulatedCamera]
) -> None:
    session = widget.session
    session.add([camera.url for camera in cameras])
    qtbot.waitUntil(lambda: "mosaic" in widget.screen.layers, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(session.names) == 6, timeout=PATIENCE_MS)

    def measure(pixel_um: float | None) -> None:
        for name in session.names:
            session.set_look(name, replace(session.look(name), pixel_um=pixel_um))

    def units(*names: str) -> bool:
        """Tell whether just these layers are there, and all have one unit in the picture's plane."""
        both = viewer.layers.units
        return {layer.name for layer in viewer.layers} == set(names) and both is not None

    def is_um() -> bool:
        return [str(each) for each in viewer.layers.units or ()][-2:] == ["micrometer"] * 2

    measure(2.5)
    qtbot.waitUntil(is_um, timeout=PATIENCE_MS)
    (panel,) = widget.findChildren(SnapPanel)
    widget.tabs.setCurrentWidget(panel)
    qtbot.waitUntil(lambda: units("Cameras", "Snaps"), timeout=PATIENCE_MS)
    assert is_um()
    other = LiveWidget(viewer)
    dock = viewer.window.add_dock_widget(other, name="Other cameras", area="left")
    waiting = "Cameras", "Snaps", "Live cameras"
    qtbot.waitUntil(lambda: units(*waiting), timeout=PATIENCE_MS)
    assert is_um()
    measure(None)
    qtbot.waitUntil(lambda: units(*waiting) and not is_um(), timeout=PATIENCE_MS)
    measure(5.0)
    qtbot.waitUntil(lambda: units(*waiting) and is_um(), timeout=PATIENCE_MS)
    viewer.window.remove_dock_widget(dock)
    assert other.session.wait_closed(10)
