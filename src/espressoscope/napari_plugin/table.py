"""The table of cameras: what each is doing, in figures and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from espressoscope.napari_plugin.controls import BAD, tip

if TYPE_CHECKING:
    from espressoscope.napari_plugin.session import CameraState, LiveSession

__all__ = ["CameraModel", "CameraTable"]

COLUMNS: Final = ("Name", "State", "fps", "KB/s", "Age", "Drops", "Sharpness", "Message")
TIPS: Final = (
    "Double click: this camera in full resolution in its own layer",
    "What the connection is doing",
    "Pictures a second that arrive",
    "Kilobytes a second that arrive",
    "Seconds since the newest picture arrived",
    "Pictures that were lost or arrived damaged",
    "How sharp the picture is; larger is sharper, for the same subject",
    "What is wrong, and what to try",
)
_STATE: Final = 1

_PLAIN: Final = {"stalled": "no picture", "busy": "in use", "backing off": "trying again", "stopped": "off"}
"""States of a link that need other words; the others say what they mean."""

_SEEN: Final = ("live", "slow")
"""States in which pictures come: only then a figure of the newest one holds."""


class CameraModel(QAbstractTableModel):
    """The cameras of a session as rows.

    Parameters
    ----------
    session : LiveSession
        Whose cameras.
    """

    def __init__(self, session: LiveSession, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self._names: list[str] = session.names
        self._states: dict[str, CameraState] = {}
        self._rows: dict[str, tuple[str, ...]] = {}
        session.camera_added.connect(self._added)
        session.camera_removed.connect(self._removed)
        session.states.connect(self._note)
        session.live_changed.connect(self._refresh)

    def rowCount(self, parent: Any = None) -> int:  # noqa: D102 (Qt's)
        return 0 if parent is not None and parent.isValid() else len(self._names)

    def columnCount(self, parent: Any = None) -> int:  # noqa: D102 (Qt's)
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: D102 (Qt's)
        self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return TIPS[section]
        return None

    def data(self, index: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102 (Qt's)
        if not index.isValid():
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(self._names[index.row()], index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(self.trouble(self._names[index.row()])) or None
        if role == Qt.ItemDataRole.ForegroundRole and index.column() == _STATE:
            return QColor(BAD) if self.trouble(self._names[index.row()]) else None
        if role == Qt.ItemDataRole.TextAlignmentRole and 2 <= index.column() <= 6:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def text(self, name: str, column: int) -> str:
        """Say what stands in a cell."""
        row = self._rows.get(name)  # Qt asks for every cell whenever anything of the window is drawn
        if row is None:
            row = self._rows[name] = self._row(name)
        return row[column]

    def trouble(self, name: str) -> str:
        """Say what is wrong with a camera; empty when nothing is."""
        return self.text(name, len(COLUMNS) - 1)

    def _row(self, name: str) -> tuple[str, ...]:
        state = self._states.get(name)
        if state is None:
            return (name, *[""] * (len(COLUMNS) - 1))
        stats, live = state.stats, self._session.live
        sharpness = self._session.sharpness.get(name)
        failure = self._session.pictures.failures.get(name, "")
        return (
            name,
            ("frozen" if stats.frozen else _PLAIN.get(stats.state, str(stats.state))) if live else "off",
            f"{stats.fps:.1f}" if live else "",
            f"{stats.kb_per_s:.0f}" if live else "",
            "" if stats.age_s is None else f"{stats.age_s:.1f} s",
            str(stats.dropped + stats.damaged),
            f"{sharpness:.3g}" if sharpness is not None and live and stats.state in _SEEN else "",
            "; ".join(text for text in (state.message if live else "", failure) if text),
        )

    def name(self, row: int) -> str:
        """Give the camera of a row."""
        return self._names[row]

    def row(self, name: str) -> int | None:
        """Give the row of a camera; None when there is none."""
        return self._names.index(name) if name in self._names else None

    def _added(self, name: str) -> None:
        if name not in self._names:
            self.beginInsertRows(QModelIndex(), len(self._names), len(self._names))
            self._names.append(name)
            self.endInsertRows()

    def _removed(self, name: str) -> None:
        row = self.row(name)
        if row is not None:
            self.beginRemoveRows(QModelIndex(), row, row)
            del self._names[row]
            self._rows.pop(name, None)
            self.endRemoveRows()

    def _note(self, states: dict[str, CameraState]) -> None:
        self._states = states
        self._refresh()

    def _refresh(self, *_: object) -> None:
        self._rows.clear()
        if self._names:
            last = self.index(len(self._names) - 1, len(COLUMNS) - 1)
            roles = [Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ForegroundRole]
            self.dataChanged.emit(self.index(0, 1), last, roles)


class CameraTable(QTableView):
    """The table; rows chosen in it are the session's selection.

    Parameters
    ----------
    session : LiveSession
        Whose cameras.
    """

    def __init__(self, session: LiveSession, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self.cameras = CameraModel(session, self)
        self.setModel(self.cameras)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        for column, width in enumerate((110, 80, 45, 50, 50, 48, 75)):
            self.setColumnWidth(column, width)
        self.setMinimumHeight(110)
        self.selectionModel().selectionChanged.connect(self._chosen)

    def _chosen(self, *_: object) -> None:
        rows = sorted({index.row() for index in self.selectionModel().selectedRows()})
        self._session.select([self.cameras.name(row) for row in rows])
