"""Live plots of sharpness and brightness, one for each camera."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QPointF, Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from espressoscope.napari_plugin.mailbox import Soon
from espressoscope.napari_plugin.traces import Meter

if TYPE_CHECKING:
    from espressoscope.display import Figures
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["TracePlot", "TracesPanel"]

REDRAW_MS: Final = 200
SPAN_S: Final = 60.0
"""What a plot shows."""
OLD_S: Final = 2.0
"""Figures older than this are not said to be the camera's present ones."""
TURN_S: Final = 0.006
"""After so many seconds of making plots everything else has its turn."""
_SHARP: Final = QColor("#4cc2ff")
_BRIGHT: Final = QColor("#e0a030")


class TracePlot(QWidget):
    """The last minute of one camera."""

    def __init__(self, name: str, meter: Meter) -> None:
        super().__init__()
        self.name = name
        self._meter = meter
        self.setFixedHeight(64)
        self.setToolTip(
            "Blue: sharpness in % of the mean per pixel, up to the highest of the last minute; "
            "orange: mean brightness, 0 to 255; white: share of saturated pixels"
        )

    @property
    def words(self) -> str:
        """What is written over the plot."""
        return self._words(self._meter.points(self.name), time.monotonic())

    def _words(self, points: list[tuple[float, Figures]], now: float) -> str:
        if not points:
            return f"{self.name}: no picture yet"
        at, figures = points[-1]
        if now - at > OLD_S:
            return f"{self.name}: no new picture for {now - at:.0f} s"
        return (
            f"{self.name}: sharpness {figures.sharpness:.2f}, mean {figures.brightness:.0f}, "
            f"{100 * figures.saturated:.1f} % white"
        )

    def paintEvent(self, event: Any) -> None:
        """Draw both lines and the newest figures."""
        now = time.monotonic()
        points = [point for point in self._meter.points(self.name) if now - point[0] <= SPAN_S]
        width, height = self.width(), self.height()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 60))
        top = max((figures.sharpness for _, figures in points), default=0.0) or 1.0
        room = height - 22
        for colour, most, column in (
            (_BRIGHT, 255.0, 1),
            (_SHARP, top, 0),
        ):
            line = QPolygonF(
                [
                    QPointF(width * (1 - (now - at) / SPAN_S), height - 2 - room * figures[column] / most)
                    for at, figures in points
                ]
            )
            painter.setPen(QPen(colour, 1.5))
            painter.drawPolyline(line)
        painter.setPen(self.palette().windowText().color())
        painter.drawText(4, 14, self._words(self._meter.points(self.name), now))
        painter.end()


class TracesPanel(QWidget):
    """A plot for each camera, and what measures for it and for the table.

    Parameters
    ----------
    session : LiveSession
        Its cameras.

    Attributes
    ----------
    meter : Meter
        What is measured.
    plots : dict of str to TracePlot
        By camera; made when they are looked at, a few in each turn of the loop.
    """

    def __init__(self, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.meter = Meter(session.sharpness)
        self.plots: dict[str, TracePlot] = {}
        self._session = session
        session.pictures.add_tap(self.meter.take)
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._none = QLabel("No camera yet")
        self._column.addWidget(self._none)
        self._column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(content)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        self._timer = QTimer(self)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._redraw)
        self._timer.start()
        self._make = Soon(self, self._make_plots)
        session.camera_added.connect(self._make.ask)
        session.camera_removed.connect(self._removed)

    def showEvent(self, event: Any) -> None:
        """Make the plots there are cameras for."""
        super().showEvent(event)
        self._make.ask()

    def _make_plots(self) -> None:
        if not self.isVisible():
            return
        names = self._session.names
        self._none.setVisible(not names)
        until = time.perf_counter() + TURN_S
        for name in names:
            if name not in self.plots:
                plot = self.plots[name] = TracePlot(name, self.meter)
                self._column.insertWidget(self._column.count() - 1, plot)
                if time.perf_counter() >= until:
                    self._make.ask()
                    return

    def _removed(self, name: str) -> None:
        plot = self.plots.pop(name, None)
        if plot is not None:
            plot.deleteLater()
        self.meter.forget(name)
        self._none.setVisible(not self._session.names)

    def _redraw(self) -> None:
        if self.isVisible():
            for plot in self.plots.values():
                if not plot.visibleRegion().isEmpty():
                    plot.update()
