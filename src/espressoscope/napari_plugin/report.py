"""What became of something that was asked of several cameras: one line each, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from espressoscope.napari_plugin.calls import words
from espressoscope.napari_plugin.controls import BAD, Words, tip
from espressoscope.napari_plugin.fields import title_of
from espressoscope.napari_plugin.mailbox import Soon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope import SetResult

__all__ = ["Report", "summary"]

_BAD: Final = QBrush(QColor(BAD))
_MOST_LINES: Final = 512
_NAME_PX: Final = 130
"""Widest name; longer ones are cut in the middle."""
_MARGIN_PX: Final = 8


class Report(QWidget):
    """One line for each camera, and a title above; a new title begins a new report."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: dict[str, QTreeWidgetItem] = {}
        self._bad: set[str] = set()
        self._title = Words()
        self._tree = QTreeWidget()
        self._tree.setColumnCount(2)
        self._tree.setHeaderHidden(True)
        self._tree.setRootIsDecorated(False)
        self._tree.setWordWrap(True)
        self._tree.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self._tree.header().setStretchLastSection(True)
        self._tree.setMinimumHeight(70)
        self._tree.setMaximumHeight(150)
        self._soon = Soon(self, self._fit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._title)
        layout.addWidget(self._tree)
        self.hide()

    @property
    def title(self) -> str:
        """What it is about."""
        return str(self._title.text())

    @property
    def lines(self) -> dict[str, str]:
        """What it says of each camera, by name."""
        return {camera: str(item.text(1)) for camera, item in self._lines.items()}

    @property
    def bad(self) -> set[str]:
        """Cameras with which something is wrong."""
        return set(self._bad)

    def begin(self, title: str) -> None:
        """Begin a new report; one of the same title goes on."""
        if title != self.title:
            self._tree.clear()
            self._lines = {}
            self._bad = set()
            self._title.say(title)
        self.show()

    def put(self, camera: str, text: str, *, bad: bool = False) -> None:
        """Say what became of a camera, in place of what was said before."""
        item = self._lines.get(camera)
        if item is None:
            if len(self._lines) >= _MOST_LINES:
                return
            short = self.fontMetrics().elidedText(camera, Qt.TextElideMode.ElideMiddle, _NAME_PX)
            item = self._lines[camera] = QTreeWidgetItem([short, ""])
            item.setToolTip(0, tip(camera))
            item.setTextAlignment(0, Qt.AlignmentFlag.AlignTop)
            self._tree.addTopLevelItem(item)
        if item.text(1) != text:
            item.setText(1, text)
            item.setToolTip(1, tip(text))
            self._soon.ask()
        item.setForeground(1, _BAD if bad else QBrush())
        (self._bad.add if bad else self._bad.discard)(camera)
        self.show()

    def resizeEvent(self, event: Any) -> None:
        """Let lines be as high as their words are in the new width."""
        super().resizeEvent(event)
        self._soon.ask()

    def _fit(self) -> None:
        """Give each line the height its words take, which a tree does not do by itself."""
        width = max(_NAME_PX, self._tree.viewport().width() - self._tree.columnWidth(0) - _MARGIN_PX)
        metrics, wrap = self._tree.fontMetrics(), int(Qt.TextFlag.TextWordWrap)
        for item in self._lines.values():
            high = metrics.boundingRect(0, 0, width, 10_000, wrap, item.text(1)).height()
            item.setSizeHint(1, QSize(0, max(high, metrics.height())))

    def put_results(self, camera: str, results: Mapping[str, SetResult] | Exception) -> None:
        """Say what became of the settings of a camera."""
        if isinstance(results, Exception):
            self.put(camera, words(results), bad=True)
        else:
            self.put(camera, summary(results), bad=not all(result.ok for result in results.values()))


def summary(results: Mapping[str, SetResult]) -> str:
    """Say in one line what became of settings: those that were refused first, each with the reason."""
    refused = [f"{title_of(name)}: {result.message}" for name, result in results.items() if not result.ok]
    taken = {name: result for name, result in results.items() if result.ok}
    if not results:
        return "nothing to set"
    if len(taken) > 3:
        good = f"{len(taken)} settings as asked"
    else:
        good = ", ".join(
            f"{title_of(name)} {_shown(result.asked if result.actual is None else result.actual)}"
            for name, result in taken.items()
        )
    return "; ".join([*refused, good] if good else refused)


def _shown(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
