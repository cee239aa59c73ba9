"""Recording from napari: every JPEG as the camera sent it, with its time; figures while it goes on."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTabWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from espressoscope.napari_plugin.calls import words
from espressoscope.napari_plugin.controls import BAD, Browse, Whose, Words, tip
from espressoscope.napari_plugin.mailbox import Soon
from espressoscope.napari_plugin.run_follower import LEFT, RunFigures, RunFollower
from espressoscope.napari_plugin.run_names import default_folder, default_name, next_name, run_path

if TYPE_CHECKING:
    import espressoscope as es
    from espressoscope.napari_plugin.run_follower import CameraFigures
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["RecordPanel", "span"]

_STOPPED, _SECONDS, _FRAMES = range(3)
_BAD: Final = QBrush(QColor(BAD))
_TITLE, _ON = "Record", "● Record"


class RecordPanel(QWidget):
    """Records the cameras of a session.

    Parameters
    ----------
    session : LiveSession
        Its cameras.

    Attributes
    ----------
    folder, name : QLineEdit
        Where runs go; what the next one is called, the present time if nothing.
    whom, until : QComboBox
        All cameras or those chosen in the table; when it ends.
    seconds, frames, before : QWidget
        After so many seconds or frames; and so many seconds from before.
    record : QPushButton
        Begins, and ends.
    table : QTreeWidget
        A line for each camera.
    words, room : QLabel
        What it does, or why it does not; for how long the disk has room.
    figures : RunFigures or None
        The newest.
    """

    def __init__(self, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._follower: RunFollower | None = None
        self._lines: dict[str, QTreeWidgetItem] = {}
        self._kept: es.FrameKeeper | None = None
        self.figures: RunFigures | None = None
        self._make_fields()
        self.record = QPushButton("Record")
        self.record.setCheckable(True)
        self.record.clicked.connect(self._clicked)
        self.words, self.room = Words(), Words()
        self.table = _table()
        place, end, form = QHBoxLayout(), QHBoxLayout(), QFormLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(self.browse)
        for item in (self.until, self.seconds, self.frames):
            end.addWidget(item, 1)
        for text, item in (
            ("Folder", place),
            ("Name", self.name),
            ("Cameras", self.whom),
            ("Until", end),
            ("Begin earlier by", self.before),
        ):
            form.addRow(text, item)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for item in (self.record, self.words, self.room):
            layout.addWidget(item)
        layout.addWidget(self.table, 1)
        layout.addStretch()
        self._soon = Soon(self, self._show)
        session.camera_added.connect(self._added)
        session.camera_removed.connect(self._soon.ask)
        self._show()

    def _make_fields(self) -> None:
        self.folder = QLineEdit()
        self.folder.setPlaceholderText(str(default_folder()))
        self.folder.setToolTip("Each recording is a new folder in here")
        self.browse = Browse(
            "Recordings go to",
            self.folder.setText,
            at=lambda: self.folder.text() or str(default_folder().parent),
            tip="Choose the folder",
        )
        self.name = QLineEdit()
        self.name.setPlaceholderText("the time, as run-20261231-235959")
        self.name.setToolTip("What the recording is called; none is ever overwritten")
        self.whom = Whose(self._session)
        self.until = QComboBox()
        self.until.addItems(["I stop it", "so many seconds", "so many frames"])
        self.until.currentIndexChanged.connect(self._show)
        self.seconds = QDoubleSpinBox()
        self.seconds.setDecimals(1)
        self.seconds.setRange(0.1, 10_000_000.0)
        self.seconds.setValue(60.0)
        self.seconds.setSuffix(" s")
        self.frames = QSpinBox()
        self.frames.setRange(1, 1_000_000_000)
        self.frames.setValue(1000)
        self.frames.setToolTip("Of each camera")
        self.before = QDoubleSpinBox()
        self.before.setDecimals(0)
        self.before.setRange(0.0, 3600.0)
        self.before.setSuffix(" s")
        self.before.setSpecialValueText("0 s: with the click")
        self.before.setKeyboardTracking(False)
        self.before.setToolTip(
            "Keep the last seconds of all cameras in memory, and begin with them. "
            "Cameras stream all the time then, also with Live off; most of all together: 512 MB"
        )
        self.before.valueChanged.connect(self._keep)

    # ---- whom and where -------------------------------------------------------------------------------

    @property
    def recording(self) -> bool:
        """Whether one is under way, or being ended."""
        return self._follower is not None

    def _show(self, *_: object) -> None:
        """Bring everything in line with what there is and what it does."""
        on = self.recording
        self.seconds.setVisible(self.until.currentIndex() == _SECONDS)
        self.frames.setVisible(self.until.currentIndex() == _FRAMES)
        for item in (self.folder, self.browse, self.name, self.whom, self.until, self.seconds, self.frames):
            item.setEnabled(not on)
        self.before.setEnabled(not on)
        self.record.setEnabled(on or bool(self._session.names))
        self.record.setChecked(on)
        self.table.setVisible(bool(self._lines))
        self.room.setVisible(bool(self.room.text()))
        tabs = self.parentWidget()
        while tabs is not None and not isinstance(tabs, QTabWidget):
            tabs = tabs.parentWidget()
        if tabs is not None and tabs.indexOf(self) >= 0:
            tabs.setTabText(tabs.indexOf(self), _ON if on else _TITLE)

    # ---- the seconds before ---------------------------------------------------------------------------

    def _added(self, name: str) -> None:
        if self.before.value() and len(self._session.names) == 1:  # there is a fleet from now on
            self._keep()
        self.record.setEnabled(True)
        self._soon.ask()

    def _keep(self, *_: object) -> None:
        fleet, seconds = self._session.fleet, self.before.value()
        if seconds:
            if fleet is not None:
                self._session.run(lambda: fleet.keep(seconds), self._keeps, lane="record", quiet=True)
        elif self._kept is not None:
            kept, self._kept = self._kept, None
            self._session.run(kept.close, lane="record", quiet=True)

    def _keeps(self, keeper: es.FrameKeeper) -> None:
        self._kept = keeper
        if not self.before.value():  # changed before it came
            self._keep()

    # ---- begin and end --------------------------------------------------------------------------------

    def _clicked(self) -> None:
        if self._follower is not None:
            self._follower.stop()
            self.record.setText("Ending …")
            self.record.setEnabled(False)
        else:
            self._begin()
        self.record.setChecked(self.recording)

    def _begin(self) -> None:
        session = self._session
        fleet = session.fleet
        chosen = self.whom.only
        name = self.name.text().strip() or default_name()
        try:
            path = run_path(self.folder.text(), name)
            if chosen is not None and not chosen:
                raise ValueError("no camera is chosen: click one in the table, or record all")
        except ValueError as error:
            self.words.say(words(error), bad=True)
            return
        if fleet is None or session.closed:
            return
        how = self.until.currentIndex()
        seconds = self.seconds.value() if how == _SECONDS else None
        frames = self.frames.value() if how == _FRAMES else None
        before = self.before.value() or None

        def start() -> es.Recorder:
            if before is not None:
                fleet.keep(before)  # it may be another fleet than when that was asked for
            return fleet.record(path, seconds, frames, before=before, cameras=chosen)

        told = weakref.WeakMethod(self._told)  # a run may end long after its panel

        def tell(figures: RunFigures) -> None:
            session.post(lambda: _tell(told, figures))

        self._lines.clear()
        self.table.clear()
        self.room.clear()
        self.words.say(f"Beginning {path} …")
        self._follower = RunFollower(fleet, start, tell, lambda: session.closed)
        self.record.setText("Stop")
        self._show()

    def _told(self, figures: RunFigures) -> None:
        """Show how it is doing."""
        self.figures = figures
        for name, camera in figures.cameras.items():
            self._put(name, camera, figures.over)
        total = f"{figures.frames} frames, {figures.megabytes:.1f} MB, {span(figures.seconds)}"
        lost = f", {figures.missing} missing" if figures.missing else ""
        if not figures.over:
            nobody = bool(figures.cameras) and all(each.message == LEFT for each in figures.cameras.values())
            if nobody:
                lost += "; all its cameras were removed: Stop ends it"
            self.words.say(f"Recording to {figures.path}: {total}{lost}", bad=nobody)
            left = figures.disk_left_s
            self.room.say("" if left is None else f"The disk has room for {span(left)}")
            self._show()
            return
        self._follower = None
        self.record.setText("Record")
        self.room.clear()
        if figures.trouble:
            kept = f"\n{total} are whole{lost}, in {figures.path}" if figures.frames else ""
            self.words.say(figures.trouble + kept, bad=True)
        else:
            self.words.say(f"Recorded {total}{lost}: {figures.path}")
        if figures.path is not None and self.name.text().strip():
            self.name.setText(next_name(self.name.text().strip()))
        self._show()

    def _put(self, name: str, camera: CameraFigures, over: bool) -> None:
        progress = camera.progress
        lost = progress.missing + progress.dropped
        item = self._lines.get(name)
        if item is None:
            item = self._lines[name] = QTreeWidgetItem()
            for column in range(1, 5):
                item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.addTopLevelItem(item)
        quiet = camera.message == LEFT or (not over and camera.state != "live")
        cells = (
            name,
            str(progress.frames_written),
            f"{camera.fps:.1f}",
            f"{progress.bytes_written / 1e6:.1f}",
            str(lost),
            (camera.message or camera.state)
            if quiet
            else f"{progress.damaged} damaged" * bool(progress.damaged),
        )
        lost_where = (
            f"{progress.missing} never came, {progress.dropped} were let go because the disk was too slow, "
            f"{progress.damaged} came damaged and are kept, marked"
        )
        for column, text in enumerate(cells):
            if item.text(column) != text:
                item.setText(column, text)
        item.setToolTip(4, lost_where)
        item.setToolTip(5, tip(cells[5]))
        for column, bad in ((4, lost > 0), (5, quiet)):
            item.setForeground(column, _BAD if bad else QBrush())


def _tell(told: weakref.WeakMethod[Any], figures: RunFigures) -> None:
    method = told()
    if method is not None:
        method(figures)


def _table() -> QTreeWidget:
    table = QTreeWidget()
    table.setHeaderLabels(["Camera", "Frames", "fps", "MB", "Missing", ""])
    table.setRootIsDecorated(False)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setUniformRowHeights(True)
    header = table.header()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    header.setStretchLastSection(True)
    for column, width in enumerate((110, 60, 45, 50, 55)):
        table.setColumnWidth(column, width)
    table.setMinimumHeight(80)
    return table


def span(seconds: float) -> str:
    """Say a time in words."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
