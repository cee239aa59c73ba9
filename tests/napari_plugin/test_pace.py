"""How often the screen is refreshed: no more than the thread that draws can bear, and nothing is missed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from espressoscope import sim
from espressoscope.display import TileState

pytest.importorskip("napari")

from espressoscope.napari_plugin import pace
from espressoscope.napari_plugin.board import Board
from espressoscope.napari_plugin.freeze import Freeze
from espressoscope.napari_plugin.judging import Judging
from espressoscope.napari_plugin.layers import LiveLayer
from espressoscope.napari_plugin.pace import Pace
from espressoscope.napari_plugin.session import LiveSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari

    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000
PICTURE = np.full((6, 8, 3), 200, np.uint8)


def paint(board: Board, *names: str) -> None:
    for name in names:
        board.paint(name, PICTURE, TileState.LIVE)


def test_a_board_is_complete_when_every_camera_in_view_has_something_new() -> None:
    board = Board(("a", "b", "c"), (6, 8), 2)
    assert board.complete()  # nothing of it has been shown yet
    assert board.take()
    assert not board.complete()
    paint(board, "a", "b")
    assert board.waits()
    assert not board.complete()
    assert board.complete({"a", "b", "of another layer"})
    assert not board.complete({"a", "c"})
    assert board.complete(())  # none in view: nothing to wait for
    paint(board, "c")
    assert board.complete()
    assert board.take({"a"})
    assert not board.complete()
    assert board.complete({"b", "c"})


class Passing:
    """A layer of two cameras, without a window, and what refreshes it."""

    def __init__(self) -> None:
        from napari.components import ViewerModel

        self.session = LiveSession()
        self.viewer = ViewerModel()
        self.board = Board(("a", "b"), (6, 8), 2)
        geometry = {"scale": (1.0, 1.0), "translate": (0.0, 0.0), "units": ("pixel", "pixel")}
        layer = LiveLayer(self.viewer, self.board, "both", geometry, {})  # type: ignore[arg-type]
        freeze = Freeze(self.session, self.viewer)
        self.judging = Judging(self.session, freeze)
        self.pace = Pace(self.session, {"both": layer}, lambda _: None, self.judging)
        self.at: list[float] = []
        self.pace.painted.connect(lambda: self.at.append(time.perf_counter()))

    def close(self) -> None:
        self.pace.close()
        self.session.close()
        assert self.session.wait_closed(10)
        self.pace.deleteLater()


@pytest.fixture
def passing(qtbot: Any) -> Iterator[Passing]:
    passing = Passing()
    yield passing
    passing.close()


def test_others_get_the_time_that_drawing_took(passing: Passing, qtbot: Any) -> None:
    from qtpy.QtCore import QTimer

    board, each = passing.board, passing.pace
    shown = np.asarray(board.shown)

    def passed(number: int) -> bool:
        return each.passes >= number

    def hold_up(seconds: float) -> None:
        """Keep the thread for longer than the rest, as drawing does."""
        QTimer.singleShot(0, lambda: time.sleep(seconds))

    # What comes during the rest is shown after it, without being told of again.
    paint(board, "a")
    each.tell()
    qtbot.waitUntil(lambda: passed(1), timeout=PATIENCE_MS)
    assert shown[:, :8].min() == 200
    paint(board, "b")
    each.tell()
    qtbot.waitUntil(lambda: passed(2), timeout=PATIENCE_MS)
    assert passing.at[1] - passing.at[0] >= pace.REST_S
    assert shown.min() == 200

    # Drawing takes long, and half of it is new: the other half gets as long, no longer than is allowed.
    held_s = pace.PASS_S + pace.MORE_S + 0.2
    qtbot.waitUntil(lambda: not each._told, timeout=PATIENCE_MS)
    paint(board, "a")
    each.painted.connect(half := lambda: (hold_up(held_s), paint(board, "a")))
    each.tell()
    qtbot.waitUntil(lambda: passed(3), timeout=PATIENCE_MS)
    each.painted.disconnect(half)
    qtbot.waitUntil(lambda: passed(4), timeout=PATIENCE_MS)
    assert passing.at[3] - passing.at[2] >= held_s + pace.MORE_S - 0.01

    # All of it is new: nothing is waited for. The same hold-up, in the same way.
    qtbot.waitUntil(lambda: not each._told, timeout=PATIENCE_MS)
    looked: list[bool] = []
    complete = each._complete
    each._complete = lambda: looked.append(complete()) or looked[-1]  # type: ignore[method-assign, func-returns-value]
    paint(board, "a")
    each.painted.connect(whole := lambda: (hold_up(held_s), paint(board, "a", "b")))
    each.tell()
    qtbot.waitUntil(lambda: passed(5), timeout=PATIENCE_MS)
    each.painted.disconnect(whole)
    qtbot.waitUntil(lambda: passed(6), timeout=PATIENCE_MS)
    assert looked[0] is True  # and so the rest ended with the first look
    assert shown.min() == 200


def test_nothing_is_refreshed_after_the_end(passing: Passing, qtbot: Any) -> None:
    passing.pace.close()
    paint(passing.board, "a", "b")
    passing.pace.tell()
    passing.pace.soon()
    qtbot.wait(60)
    assert passing.pace.passes == 0
    assert (np.asarray(passing.board.shown) != 200).all()


def test_what_is_shown_nowhere_is_decoded_on_demand_no_more(
    widget: LiveWidget, viewer: napari.Viewer, qtbot: Any
) -> None:
    with sim.SimulatedCamera(framesize="QVGA", fps=8) as camera:
        widget.session.add([camera.url])
        qtbot.waitUntil(lambda: widget.screen.passes > 2, timeout=PATIENCE_MS)
        (name,) = widget.session.names
        decoded: list[int] = []
        widget.session.pictures.add_tap(lambda frame, picture: decoded.append(frame.sequence))

        # The picture stands still: others, like the plots, are told of what comes all the same.
        widget.freeze.click()
        before = widget.screen.passes
        came = len(decoded)
        qtbot.waitUntil(lambda: len(decoded) > came + 3, timeout=PATIENCE_MS)
        assert widget.screen.passes <= before + 2  # the one under way, and the label
        assert (widget.screen.age_s(name) or 9) < 2

        # Nobody asks any more, and every picture is decoded.
        widget.screen.close()
        came = len(decoded)
        qtbot.waitUntil(lambda: len(decoded) > came + 3, timeout=PATIENCE_MS)
