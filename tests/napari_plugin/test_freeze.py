"""The user lets the picture stand still: it does, it says so, and streams go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from espressoscope import sim

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from espressoscope.display import TileState

if TYPE_CHECKING:
    import napari

    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 30_000


def test_a_frozen_picture_stands_still_says_so_and_goes_on(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any
) -> None:
    def another(viewer: Any) -> None:
        raise AssertionError("the space bar is not given back yet")

    viewer.bind_key("Space", another)
    with sim.SimulatedCamera(framesize="QVGA", fps=8, number=4) as camera:
        assert not widget.freeze.isEnabled()
        widget.session.add([camera.url])
        qtbot.waitUntil(lambda: widget.screen.passes > 3, timeout=PATIENCE_MS)
        (name,) = widget.session.names
        live = widget.screen.layers[name]

        def shown() -> Any:
            return np.asarray(live.layer.data).copy()

        def number() -> int:
            reading = sim.read_strip(shown())
            return -1 if reading is None else reading.frame

        qtbot.waitUntil(lambda: live.board.states[name] is TileState.LIVE, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: number() > 0, timeout=PATIENCE_MS)
        qtbot.mouseClick(widget.freeze, Qt.MouseButton.LeftButton)
        at = widget.screen.freeze.at
        assert widget.freeze.text() == f"Frozen {at}"
        qtbot.waitUntil(lambda: not live.board.waits(), timeout=PATIENCE_MS)
        frozen, stands_at = shown(), number()
        bar = frozen[: frozen.shape[0] // 12]
        assert (bar == 255).any()
        assert np.median(bar[:, : bar.shape[1] // 2]) < 90  # words on a dark bar
        canvas = viewer.window._qt_viewer.canvas.native
        with camera.fault("stall"):  # nor does it become gray, while its camera is away
            qtbot.waitUntil(
                lambda: (widget.screen.age_s(name) or 0) > 3,
                timeout=PATIENCE_MS,
            )
            assert (shown() == frozen).all()
            qtbot.keyClick(canvas, Qt.Key.Key_Space)  # nor may it look live then, old as it is
            assert live.board.states[name] is not TileState.LIVE
            qtbot.waitUntil(lambda: (shown()[..., 0] == shown()[..., 2]).all(), timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: number() > stands_at, timeout=PATIENCE_MS)
        qtbot.mouseClick(widget.freeze, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not live.board.waits(), timeout=PATIENCE_MS)
        frozen, stands_at, sent = shown(), number(), camera.sent.total
        qtbot.waitUntil(lambda: camera.sent.total > sent + 8, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: (widget.screen.age_s(name) or 9) < 1, timeout=PATIENCE_MS)
        assert (shown() == frozen).all()
        assert number() == stands_at

        qtbot.keyClick(canvas, Qt.Key.Key_Space)
        assert widget.screen.freeze.at == ""
        assert widget.freeze.text() == "Freeze"
        qtbot.waitUntil(lambda: number() > stands_at + 8, timeout=PATIENCE_MS)
        qtbot.keyClick(canvas, Qt.Key.Key_Space)
        assert widget.screen.freeze.at
        qtbot.mouseClick(widget.live, Qt.MouseButton.LeftButton)  # live off: old, not frozen
        assert widget.screen.freeze.at == ""
        assert live.board.states[name] is TileState.STALE
    assert viewer.bind_key("Space", None) is another
