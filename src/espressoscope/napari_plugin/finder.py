"""Where cameras come from: a search, an address, a fleet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from espressoscope.napari_plugin.controls import Browse, Words

if TYPE_CHECKING:
    from espressoscope import CameraInfo, SearchProgress
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["Finder"]

_INFO = Qt.ItemDataRole.UserRole


class Finder(QWidget):
    """Find cameras and take them in.

    Parameters
    ----------
    session : LiveSession
        Gets the cameras.

    Attributes
    ----------
    find, add, show, fleet_file : QPushButton
        Search or cancel; take the address in; take in what was found; open a fleet file.
    address : QLineEdit
        Address of a camera.
    results : QListWidget
        What was found.
    words : QLabel
        What came of the search.
    """

    def __init__(self, session: LiveSession, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._found_any = False
        self.find = QPushButton("Find cameras")
        self.find.setToolTip("Look for cameras on this computer's networks; nothing is disturbed")
        self.find.clicked.connect(self._find)
        self.address = QLineEdit()
        self.address.setPlaceholderText("or an address: 192.168.4.1")
        self.address.setClearButtonEnabled(True)
        self.address.returnPressed.connect(self._add)
        self.add = QPushButton("Add")
        self.add.clicked.connect(self._add)
        self.fleet_file = Browse(
            "Fleet file",
            session.add_fleet_file,
            kinds="Fleet files (*.toml);;All files (*)",
            text="Fleet file…",
            tip="Take in all cameras of a fleet file (lab.toml)",
        )
        self.results = QListWidget()
        self.results.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.results.setMaximumHeight(120)
        self.results.itemDoubleClicked.connect(self._take_one_in)
        self.progress = QProgressBar()
        self.progress.setMaximumHeight(14)
        self.words = Words()
        self.show_found = QPushButton("Connect")
        self.show_found.setToolTip("Take in the cameras chosen in the list, or all of them")
        self.show_found.clicked.connect(self._take_in)
        first, last = QHBoxLayout(), QHBoxLayout()
        for item in (self.find, self.address, self.add, self.fleet_file):
            first.addWidget(item)
        last.addWidget(self.words, 1)
        last.addWidget(self.show_found)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(first)
        layout.addWidget(self.progress)
        layout.addWidget(self.results)
        layout.addLayout(last)
        for item in (self.progress, self.results, self.words, self.show_found):
            item.hide()
        session.found.connect(self._found)
        session.search_progress.connect(self._progress)
        session.search_ended.connect(self._ended)

    # ---- the search ---------------------------------------------------------------------------------

    def _find(self) -> None:
        if self._session.searching:
            self._session.cancel_search()
            return
        self._found_any = False
        self.results.clear()
        self._show_results()
        self.progress.setRange(0, 0)
        self.progress.show()
        self.find.setText("Stop searching")
        self._session.find()

    def _found(self, info: CameraInfo) -> None:
        address = info.shown.url.removeprefix("http://")
        here = self._session.connected(info)
        item = QListWidgetItem(
            f"{info.label}   {address}   {info.firmware}" + (f"   (here as {here})" if here else "")
        )
        item.setData(_INFO, info)
        self.results.addItem(item)
        self._found_any = True
        self._show_results()

    def _progress(self, progress: SearchProgress) -> None:
        self.progress.setRange(0, max(1, progress.total))
        self.progress.setValue(progress.asked)

    def _ended(self, why_none: list[str]) -> None:
        self.find.setText("Find cameras")
        self.progress.hide()
        self._show_results()
        if not self._found_any:
            self.words.say("\n".join(["No camera was found.", *why_none]))
            self.words.show()

    def _show_results(self) -> None:
        """Show what was found and is not taken in."""
        number = self.results.count()
        self.words.say(f"{number} camera{'s' if number > 1 else ''} found")
        for item in (self.results, self.show_found, self.words):
            item.setVisible(number > 0)

    def _take_in(self) -> None:
        rows = [self.results.item(row) for row in range(self.results.count())]
        others = [item for item in rows if not self._session.connected(item.data(_INFO))]
        self._take(self.results.selectedItems() or others)
        if not self._session.searching:  # the others are not wanted
            self.results.clear()
            self._show_results()

    def _take_one_in(self, item: QListWidgetItem) -> None:
        self._take([item])

    def _take(self, items: list[QListWidgetItem]) -> None:
        if items:
            self._session.add([item.data(_INFO) for item in items])
        for item in items:
            self.results.takeItem(self.results.row(item))
        self._show_results()

    # ---- addresses and files ------------------------------------------------------------------------

    def _add(self) -> None:
        given = [part for part in self.address.text().replace(",", " ").split() if part]
        if given:
            self.address.clear()
            self._session.add(given)
        else:
            self.address.setFocus()
