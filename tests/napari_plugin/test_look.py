"""How pictures are shown, and what the table says of cameras: the row and the table below the finder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from espressoscope.sim import SimulatedCamera, simulate

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from espressoscope.napari_plugin.lookform import LookForm
from espressoscope.napari_plugin.pictures import Look
from espressoscope.napari_plugin.session import LiveSession
from espressoscope.napari_plugin.table import CameraModel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def three() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, framesize="QVGA", fps=5, prerender=True) as cameras:
        yield cameras


@pytest.fixture
def session(qtbot: Any) -> Iterator[LiveSession]:
    session = LiveSession()
    yield session
    session.close()
    assert session.wait_closed(10)


def bring_in(session: LiveSession, qtbot: Any, cameras: list[SimulatedCamera]) -> None:
    number = len(session.names) + len(cameras)
    session.add([camera.url for camera in cameras])
    qtbot.waitUntil(lambda: len(session.names) == number, timeout=PATIENCE_MS)


def test_a_size_that_is_being_typed_stays_when_a_camera_joins(
    session: LiveSession, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    look = LookForm(session)
    qtbot.addWidget(look)
    look.show()
    bring_in(session, qtbot, three[:1])
    qtbot.waitUntil(look.pixel.isEnabled, timeout=PATIENCE_MS)
    look.activateWindow()
    look.pixel.setFocus()
    qtbot.waitUntil(look.pixel.hasFocus, timeout=PATIENCE_MS)
    look.pixel.selectAll()
    qtbot.keyClicks(look.pixel, "2.5")
    bring_in(session, qtbot, three[1:2])
    qtbot.waitUntil(lambda: not look._soon.isActive(), timeout=PATIENCE_MS)
    qtbot.keyClick(look.pixel, Qt.Key.Key_Return)
    assert [session.look(name).pixel_um for name in session.names] == [2.5, 2.5]


def test_what_differs_between_cameras_is_said_to_and_set_for_all(
    session: LiveSession, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    look = LookForm(session)
    qtbot.addWidget(look)
    look.show()
    bring_in(session, qtbot, three)
    one, *others = session.names
    session.set_look(one, Look(turns=1, mirror_x=True, pixel_um=2.5))
    session.set_look(others[0], Look(pixel_um=7.0))
    qtbot.waitUntil(lambda: look.turns.currentIndex() == -1, timeout=PATIENCE_MS)
    assert look.turns.placeholderText() == look.pixel.text() == "various"
    assert look.mirror_x.checkState() == Qt.CheckState.PartiallyChecked
    assert look.mirror_y.checkState() == Qt.CheckState.Unchecked
    session.select([one])
    assert (look.turns.currentIndex(), look.pixel.value(), look.mirror_x.isChecked()) == (1, 2.5, True)
    assert not look.mirror_x.isTristate()
    session.select([])
    qtbot.keyClick(look.pixel, Qt.Key.Key_Up)
    # Neither looking nor a slip of the finger changes anything.
    assert session.look(one) == Look(turns=1, mirror_x=True, pixel_um=2.5)

    look.mirror_x.click()
    look.pixel.selectAll()
    qtbot.keyClicks(look.pixel, "0")
    qtbot.keyClick(look.pixel, Qt.Key.Key_Return)
    look.turns.setCurrentIndex(2)
    assert {session.look(name) for name in session.names} == {Look(turns=2, mirror_x=True)}
    qtbot.waitUntil(lambda: look.pixel.text() == "unknown", timeout=PATIENCE_MS)
    look.mirror_x.click()
    assert not look.mirror_x.isChecked()
    assert {session.look(name) for name in session.names} == {Look(turns=2)}


def test_sharpness_is_told_only_while_pictures_come(session: LiveSession, qtbot: Any) -> None:
    model = CameraModel(session)
    with SimulatedCamera(framesize="QVGA", fps=8) as camera:
        bring_in(session, qtbot, [camera])
        (name,) = session.names
        session.sharpness[name] = 12.0
        for _ in range(2):
            session.set_live(True)
            qtbot.waitUntil(lambda: model.text(name, 6) == "12", timeout=PATIENCE_MS)
            session.set_live(False)
            assert model.text(name, 6) == model.text(name, 2) == ""
        session.set_live(True)
        qtbot.waitUntil(lambda: model.text(name, 6) == "12", timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: model.text(name, 6) == "", timeout=PATIENCE_MS)  # it is gone
    assert session.live
