"""The user lets the picture stand still: it does, it says so, and streams go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from espressoscope import sim

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from espressoscope.display import TileState
from espressoscope.napari_plugin.freeze import Freeze
from espressoscope.napari_plugin.session import LiveSession

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


def test_what_stands_still_stays_as_it_is_in_other_layers_and_at_other_zooms(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any
) -> None:
    screen, session = widget.screen, widget.session

    def readings(key: str) -> dict[str, int]:
        """Give the numbers of the cameras whose pictures can be read in a layer."""
        live = screen.layers[key]
        there = [name for name, state in live.board.states.items() if state is not TileState.NO_SIGNAL]
        seen = {name: sim.read_strip(live.board.shown[live.board.region(name)]) for name in there}
        return {name: reading.camera for name, reading in seen.items() if reading is not None}

    with sim.simulate(5, port=0, framesize="QVGA", fps=8, prerender=True) as cameras:
        session.add([camera.url for camera in cameras[:4]])
        numbers: dict[str, int] = {}

        def four() -> bool:
            for key in screen.layers:
                numbers.update(readings(key))
            return sorted(numbers.values()) == [0, 1, 2, 3]

        qtbot.waitUntil(four, timeout=PATIENCE_MS)
        qtbot.waitUntil(  # which is which can be read
            lambda: all(screen.judging.words.get((name, name)) == name for name in numbers),
            timeout=PATIENCE_MS,
        )
        session.set_live(False)
        session.add([cameras[4].url])  # one more than have a layer each
        qtbot.waitUntil(lambda: "mosaic" in screen.layers, timeout=PATIENCE_MS)
        states = screen.layers["mosaic"].board.states
        assert [states[name] for name in numbers] == [TileState.STALE] * 4

        def bright() -> float:
            """Tell how bright the four are, their labels apart."""
            board = screen.layers["mosaic"].board
            tiles = [board.shown[board.region(name)] for name in numbers]
            return float(np.mean([tile[tile.shape[0] // 2 :] for tile in tiles]))

        before = bright()
        assert before > 20
        fitting = viewer.scene.camera.zoom
        for fine, zoom in ((False, 0.1), (True, 4.0), (False, 0.1), (True, 4.0)):
            viewer.scene.camera.zoom = fitting * zoom
            qtbot.waitUntil(
                lambda fine=fine: (screen.layers["mosaic"].board.tile == (240, 320)) is fine,
                timeout=PATIENCE_MS,
            )
        assert bright() == pytest.approx(before, rel=0.1)

        screen.fit()
        session.set_live(True)
        qtbot.waitUntil(lambda: len(readings("mosaic")) == 5, timeout=PATIENCE_MS)
        numbers = readings("mosaic")
        screen.freeze.toggle()
        name = session.names[0]
        screen.pin(name)
        qtbot.waitUntil(lambda: name in screen.layers, timeout=PATIENCE_MS)
        assert "FROZEN BY YOU" in screen.judging.words[name, name]
        assert "no picture by then" in screen.freeze.label("new", TileState.NO_SIGNAL)
        assert screen.layers[name].board.states[name] is TileState.LIVE
        assert readings(name) == {name: numbers[name]}


def test_the_space_bar_is_given_back_whichever_widget_ends_first(viewer: napari.Viewer, qtbot: Any) -> None:
    def theirs(viewer: Any) -> None:
        raise AssertionError("the space bar is not given back yet")

    viewer.bind_key("Space", theirs)
    sessions = [LiveSession() for _ in range(3)]
    first, second, third = freezes = [Freeze(session, viewer) for session in sessions]

    def press() -> list[bool]:
        """Press the key; tell which ones stand still."""
        viewer.keymap[next(key for key in viewer.keymap if str(key) == "Space")](viewer)
        return [bool(freeze.at) for freeze in freezes]

    for session in sessions:
        session.set_live(True)
    assert press() == [False, False, True]
    first.close()
    sessions[1].set_live(False)  # it may come again
    assert press() == [False, False, False]
    sessions[1].set_live(True)
    assert press() == [False, True, False]
    second.close()
    assert press() == [False, True, True]
    third.close()
    assert viewer.bind_key("Space", None) is theirs
    for session in sessions:
        session.close()
        assert session.wait_closed(10)
