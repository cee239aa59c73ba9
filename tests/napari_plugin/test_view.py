"""What is in view: never nothing, whatever comes, goes or is let go."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Any

import pytest

from espressoscope import sim

pytest.importorskip("napari")

from espressoscope.napari_plugin.layers import seen_of

if TYPE_CHECKING:
    import napari

    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000


def test_live_pictures_are_in_view_whatever_goes(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any
) -> None:
    screen, session, words = widget.screen, widget.session, widget.screen.judging.words

    def shows(*keys: str) -> bool:
        """Tell whether these layers are there, and can be seen."""
        return (
            screen.layers.keys() == set(keys)
            and len(viewer.layers) == len(keys)
            and seen_of(viewer, screen.layers.values()) > 0.3
        )

    def double_click_in_table(name: str) -> None:
        widget.table.doubleClicked.emit(widget.table.model().index(widget.table.cameras.row(name), 0))

    # The layer that waits is deleted before there is a camera.
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["Live cameras"], timeout=PATIENCE_MS)
    viewer.layers.clear()
    with contextlib.ExitStack() as stack:
        sizes = ("QQVGA", *("VGA",) * 5)
        cameras = [
            stack.enter_context(sim.SimulatedCamera(framesize=size, fps=3, prerender=True)) for size in sizes
        ]
        session.add([camera.url for camera in cameras])
        qtbot.waitUntil(lambda: shows("mosaic") and len(session.names) == 6, timeout=PATIENCE_MS)
        one, two, *others = session.names

        # A label has room for a name of usual length, also where the first camera's pictures are small.
        def named() -> bool:
            return all(words.get(("mosaic", name), "").startswith(f"{name}  ") for name in session.names)

        qtbot.waitUntil(named, timeout=PATIENCE_MS)

        # Beside the mosaic, and back.
        double_click_in_table(one)
        qtbot.waitUntil(lambda: shows("mosaic", one), timeout=PATIENCE_MS)
        double_click_in_table(two)
        qtbot.waitUntil(lambda: shows("mosaic", one, two), timeout=PATIENCE_MS)
        double_click_in_table(one)
        double_click_in_table(two)
        qtbot.waitUntil(lambda: shows("mosaic"), timeout=PATIENCE_MS)

        # Fewer than have a mosaic, while what is looked at is beside it.
        double_click_in_table(others[-1])
        qtbot.waitUntil(lambda: shows("mosaic", others[-1]), timeout=PATIENCE_MS)
        session.remove([one, two])
        qtbot.waitUntil(lambda: shows(*others), timeout=PATIENCE_MS)


def test_no_layer_stays_when_another_plugin_fails_while_they_go(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(event: Any) -> None:
        raise ValueError("another plugin's")

    with sim.simulate(3, port=0, framesize="QQVGA", fps=3) as cameras:
        widget.session.add([camera.url for camera in cameras])
        qtbot.waitUntil(lambda: len(widget.screen.layers) == 3, timeout=PATIENCE_MS)
        viewer.layers.events.removed.connect(fails, position="last")
        try:
            viewer.window.remove_dock_widget(widget)
            qtbot.waitUntil(lambda: not viewer.layers and not gc.get_freeze_count(), timeout=PATIENCE_MS)
        finally:
            viewer.layers.events.removed.disconnect(fails)
    told = [each for each in caplog.records if each.levelname == "ERROR"]
    assert len(told) == 3
    assert all("another plugin's" in str(each.exc_info[1]) for each in told if each.exc_info)
