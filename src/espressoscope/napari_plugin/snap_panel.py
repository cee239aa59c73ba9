"""Snap: one fresh picture of all cameras at once, as layers of napari, and as files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from espressoscope.napari_plugin.calls import note, words
from espressoscope.napari_plugin.controls import Browse, Whose, Words, narrow, tip
from espressoscope.napari_plugin.layout import LAYERS_MOST
from espressoscope.napari_plugin.mailbox import Soon
from espressoscope.napari_plugin.report import Report
from espressoscope.napari_plugin.run_names import folder_of
from espressoscope.napari_plugin.snap_files import SnapFiles
from espressoscope.napari_plugin.snap_layers import MOST_BYTES, SnapLayers, Taken
from espressoscope.napari_plugin.snapping import take

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    import espressoscope as es
    from espressoscope.napari_plugin.pictures import Look
    from espressoscope.napari_plugin.session import LiveSession
    from espressoscope.napari_plugin.snapping import Snapped

__all__ = ["MOST_LISTED", "SnapPanel"]

MOST_LISTED: Final = 500
"""Pictures in the list, which can be saved later; then the oldest leave it. Their layers stay."""
GATHER_MS: Final = 700
"""After the first picture of a snap the others are waited for so long; later ones come by themselves."""
_AS_IT_IS: Final = "as it is now"


class _Outcome(NamedTuple):
    camera: str
    taken: Taken | None
    problem: str


class SnapPanel(QWidget):
    """Takes pictures and keeps a list of them.

    Parameters
    ----------
    session : LiveSession
        Its cameras.

    Attributes
    ----------
    scope, size, kind, folder, snap, save : QWidget
        Controls.
    list : QTreeWidget
        What was snapped, the newest first.
    report : Report
        What became of each camera.
    files : SnapFiles
        Writes them.
    layers : SnapLayers or None
        Where pictures go; None before `attach`.
    """

    def __init__(self, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.layers: SnapLayers | None = None
        self._pending: set[str] = set()
        self._few = False
        self._begun = ""
        self._wanted = self._came = 0
        self._arrived: list[Taken] = []
        self.scope = Whose(session)
        self.size = QComboBox()
        self.size.addItem(_AS_IT_IS)
        self.size.setToolTip("Another size is set for this picture alone; the stream pauses meanwhile")
        self.kind = QComboBox()
        for text, kind in (("JPEG, as the camera sent it", "jpeg"), ("TIFF, as it is shown", "tiff")):
            self.kind.addItem(text, kind)
        self.at_once = QComboBox()
        self.at_once.addItems(["when I press Save", "of every picture at once"])
        self.at_once.setToolTip("Whether every picture is saved as soon as it is taken")
        self.folder = QLineEdit()
        self.folder.setPlaceholderText("folder for files")
        self.browse = Browse(
            "Folder for pictures", self.folder.setText, at=self.folder.text, tip="Choose the folder"
        )
        self.snap = QPushButton("Snap")
        self.snap.setToolTip("Take one fresh picture of each camera, all at the same time")
        self.save = QPushButton("Save")
        self.save.setToolTip("Write the pictures chosen in the list to files, or all not saved yet")
        self.list = _make_list()
        self.words = Words(quiet=True)
        self.report = Report()
        self.files = SnapFiles(session, self.report, MOST_LISTED, self)
        self.files.saved.connect(self._saved)
        self.files.said.connect(self._say)
        for box in (self.size, self.kind, self.at_once):
            narrow(box)
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(self.browse)
        lines = QFormLayout()
        lines.addRow("Pictures of", self.scope)
        lines.addRow("Size", self.size)
        lines.addRow("Save files", self.at_once)
        lines.addRow("File format", self.kind)
        lines.addRow("Folder", where)
        layout = QVBoxLayout(self)
        layout.addLayout(lines)
        layout.addWidget(self.snap)
        layout.addWidget(self.words)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.save)
        layout.addWidget(self.report)
        self._gather = QTimer(self)
        self._gather.setSingleShot(True)
        self._gather.setInterval(GATHER_MS)
        self._gather.timeout.connect(self._flush)
        self.snap.clicked.connect(self.take)
        self.save.clicked.connect(self.save_list)
        self.list.itemDoubleClicked.connect(self._reveal)
        self._soon = Soon(self, self._cameras_changed)
        self.scope.currentIndexChanged.connect(self._cameras_changed)
        session.camera_added.connect(self._added)
        session.camera_removed.connect(self._left)
        session.selection_changed.connect(self._cameras_changed)
        session.states.connect(self._read_sizes)
        self._cameras_changed()
        self._show_buttons()

    def attach(self, viewer: napari.Viewer) -> SnapLayers:
        """Make layers in this viewer from now on; what makes them is to be closed with the widget."""
        self.layers = SnapLayers(self._session, viewer)
        return self.layers

    def showEvent(self, event: Any) -> None:
        """Have napari make ready for many pictures."""
        super().showEvent(event)
        self._prepare()

    def _prepare(self) -> None:
        if self.layers is not None and self.isVisible() and len(self._session.names) > LAYERS_MOST:
            self.layers.prepare()

    # ---- of whom, and how large -----------------------------------------------------------------------

    @property
    def targets(self) -> list[str]:
        """The cameras a snap is taken of."""
        return self.scope.names

    @property
    def busy(self) -> bool:
        """Whether pictures are on their way."""
        return bool(self._pending or self._arrived) or (self.layers is not None and not self.layers.idle)

    def _cameras_changed(self, *_: object) -> None:
        self._show_buttons()
        self._prepare()

    def _added(self, _: str) -> None:
        self._show_buttons()
        self._soon.ask()

    def _left(self, name: str) -> None:
        self._pending.discard(name)
        self._soon.ask()

    def _read_sizes(self, *_: object) -> None:
        """Offer the sizes the cameras have; no IO."""
        if not self.isVisible() or self.size.view().isVisible():
            return
        sizes = dict.fromkeys(
            size
            for name in self._session.names
            if (device := self._session.camera(name)) is not None
            and (setting := device.settings.get("framesize")) is not None
            for size in setting.choices
        )
        wanted = [_AS_IT_IS, *sizes]
        if wanted != [self.size.itemText(place) for place in range(self.size.count())]:
            chosen = self.size.currentText()
            self.size.clear()
            self.size.addItems(wanted)
            self.size.setCurrentIndex(max(0, self.size.findText(chosen)))

    def _show_buttons(self) -> None:
        targets = self.targets  # none: to press it tells why
        waits = bool(targets) and self._pending.issuperset(targets)
        self.snap.setEnabled(bool(self._session.names) and not waits)
        self.save.setEnabled(self.list.topLevelItemCount() > 0)

    # ---- taking ---------------------------------------------------------------------------------------

    def take(self) -> None:
        """Take a picture of each camera now; one that is still waited for is left out."""
        layers, session = self.layers, self._session
        if session.names and not self.targets:
            self.words.say("no camera is chosen: click one in the table, or snap all", bad=True)
            return
        if layers is not None and layers.nbytes >= MOST_BYTES:
            self.words.say(
                f"Snapped pictures fill {MOST_BYTES / 1024**3:.0f} GB: save them and remove their layers",
                bad=True,
            )
            return
        if self.at_once.currentIndex() and not self.folder.text().strip():
            self.words.say("Choose a folder first: pictures are to be saved", bad=True)
            return
        cameras = [name for name in self.targets if name not in self._pending]
        if not cameras:
            return
        size = None if self.size.currentText() == _AS_IT_IS else self.size.currentText()
        self._few = len(cameras) + len(self._pending) <= LAYERS_MOST
        self._begun = time.strftime("%H:%M:%S")
        self._wanted, self._came = len(cameras) + len(self._pending), 0
        self.report.hide()
        for camera in cameras:
            device = session.camera(camera)
            if device is None:
                continue
            self._pending.add(camera)
            if not session.run(
                _taking(camera, device, size, session.look(camera)), self._taken, camera=camera
            ):
                self._taken(_Outcome(camera, None, "too many calls wait for cameras: try again in a moment"))
        self._tell()
        self._show_buttons()

    def _tell(self) -> None:
        if self._pending:
            self.words.say(f"Waiting for {len(self._pending)} of {self._wanted} cameras …")
        else:
            self.words.say(f"{self._came} of {self._wanted} pictures taken", bad=self._came < self._wanted)

    def _taken(self, outcome: _Outcome) -> None:
        camera, taken, problem = outcome
        self._pending.discard(camera)
        if taken is None:
            self.report.begin(f"Snap at {self._begun}, not taken:")
            self.report.put(camera, problem, bad=True)
        else:
            self._came += 1
            self._arrived.append(taken)
        self._tell()
        self._show_buttons()
        if not self._pending:
            self._flush()
        elif not self._gather.isActive():
            self._gather.start()

    def _flush(self) -> None:
        """Make layers of what has come, in the order of the cameras."""
        self._gather.stop()
        order = {name: place for place, name in enumerate(self._session.names)}
        arrived = sorted(self._arrived, key=lambda each: order.get(each.picture.camera, len(order)))
        self._arrived = []
        for place, each in enumerate(arrived):  # above those of before
            item = QTreeWidgetItem([each.picture.name, ""])
            item.setData(0, Qt.ItemDataRole.UserRole, each.picture)
            item.setToolTip(0, tip(f"{each.picture.name} (double click: to the front)"))
            self.list.insertTopLevelItem(place, item)
        while self.list.topLevelItemCount() > MOST_LISTED:
            self.list.takeTopLevelItem(self.list.topLevelItemCount() - 1)
        if self.layers is not None and arrived:
            if self._few:
                for each in arrived:
                    self.layers.put_single(each, order.get(each.picture.camera, 0))
            else:
                self.layers.put_many(arrived)
        if self.at_once.currentIndex():
            self._write([each.picture for each in arrived])
        self._show_buttons()

    def _reveal(self, item: QTreeWidgetItem) -> None:
        picture = item.data(0, Qt.ItemDataRole.UserRole)
        if self.layers is not None and not self.layers.reveal(picture):
            self.words.say(f"The layer of {picture.name} has been removed", bad=True)

    # ---- saving ---------------------------------------------------------------------------------------

    def save_list(self) -> None:
        """Write the pictures chosen in the list to files; with none chosen, all that are not saved yet."""
        items = self.list.selectedItems() or [
            item
            for place in range(self.list.topLevelItemCount())
            if not (item := self.list.topLevelItem(place)).text(1)
        ]
        if not items:
            self.words.say("All pictures in the list are saved")
        elif not self.folder.text().strip():
            self.words.say("Choose a folder first", bad=True)
        else:
            self._write([item.data(0, Qt.ItemDataRole.UserRole) for item in items])

    def _write(self, pictures: list[Snapped]) -> None:
        try:
            folder = folder_of(self.folder.text())
        except ValueError as error:
            self.words.say(words(error), bad=True)
        else:
            self.files.write(pictures, folder, self.kind.currentData())

    def _saved(self, picture: Snapped, path: Path) -> None:
        for place in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(place)
            if item.data(0, Qt.ItemDataRole.UserRole) is picture:
                item.setText(1, f"saved {path.suffix}")
                item.setToolTip(1, tip(str(path)))
                break

    def _say(self, text: str, bad: bool) -> None:
        self.words.say(text, bad=bad)


def _make_list() -> QTreeWidget:
    tree = QTreeWidget()
    tree.setColumnCount(2)
    tree.setHeaderLabels(["Picture", "File"])
    tree.setRootIsDecorated(False)
    tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.Interactive)
    tree.header().setStretchLastSection(False)
    tree.setMinimumHeight(80)
    return tree


# ---- on threads of the session -------------------------------------------------------------------------


def _taking(camera: str, device: es.Camera, size: str | None, look: Look) -> Any:
    def work() -> _Outcome:
        try:
            picture = take(camera, device, size, look)
            return _Outcome(camera, Taken(picture, picture.image()), "")
        except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
            note(error)
            return _Outcome(camera, None, words(error))

    return work
