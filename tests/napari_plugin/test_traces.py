"""Sharpness and brightness of each camera are plotted while pictures come, and said to be old after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from espressoscope.sim import simulate

pytest.importorskip("napari")

from espressoscope.napari_plugin.session import LiveSession
from espressoscope.napari_plugin.traces_panel import TracesPanel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000


@pytest.fixture
def session(qtbot: Any) -> Iterator[LiveSession]:
    session = LiveSession()
    yield session
    session.close()
    assert session.wait_closed(10)


def test_each_camera_has_its_plot_and_old_figures_are_not_said_to_be_new(
    session: LiveSession, qtbot: Any
) -> None:
    panel = TracesPanel(session)
    qtbot.addWidget(panel)
    panel.show()
    with simulate(2, port=0, framesize="QVGA", fps=8, prerender=True) as cameras:
        session.add([camera.url for camera in cameras])
        qtbot.waitUntil(lambda: len(panel.plots) == 2, timeout=PATIENCE_MS)
        session.set_live(True)
        names = session.names
        qtbot.waitUntil(
            lambda: all(len(panel.meter.points(name)) >= 3 for name in names), timeout=PATIENCE_MS
        )
        assert set(session.sharpness) == set(names)
        assert all("sharpness" in plot.words for plot in panel.plots.values())
        blank = panel.plots[names[0]].grab().toImage()
        colours = {blank.pixelColor(x, y).name() for x in range(blank.width()) for y in range(blank.height())}
        assert len(colours) > 3  # lines and letters are there
        session.set_live(False)
        qtbot.waitUntil(
            lambda: all("no new picture" in plot.words for plot in panel.plots.values()), timeout=PATIENCE_MS
        )
        session.remove(names[:1])
        qtbot.waitUntil(lambda: list(panel.plots) == names[1:], timeout=PATIENCE_MS)
        assert panel.meter.points(names[0]) == []
