"""The widget: cameras are found, chosen and switched live here."""

from __future__ import annotations

import atexit
import contextlib
import functools
import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from espressoscope.napari_plugin.controls import BAD, Words
from espressoscope.napari_plugin.finder import Finder
from espressoscope.napari_plugin.freeze import FreezeButton
from espressoscope.napari_plugin.lookform import LookForm
from espressoscope.napari_plugin.panels import PANELS
from espressoscope.napari_plugin.qt_pair import bad_pair
from espressoscope.napari_plugin.screen import Screen
from espressoscope.napari_plugin.session import LiveSession
from espressoscope.napari_plugin.table import CameraTable
from espressoscope.napari_plugin.trouble import Trouble

if TYPE_CHECKING:
    import napari

__all__ = ["LiveWidget"]

_sessions: weakref.WeakSet[LiveSession] = weakref.WeakSet()


class LiveWidget(QWidget):
    """Live pictures of one to many cameras.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        napari gives it, by the name of the parameter.

    Attributes
    ----------
    session : LiveSession
        Its cameras.
    screen : Screen
        What is shown of them.
    finder, table, live, freeze, look, trouble : QWidget
        Parts of it.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: Any = None) -> None:
        super().__init__(parent)
        self.session = session = LiveSession()
        self.screen = Screen(session, napari_viewer)
        self.finder = Finder(session)
        self.table = CameraTable(session)
        self.table.doubleClicked.connect(self._pin)
        self.live = QPushButton("Live")
        self.live.setCheckable(True)
        self.live.setToolTip("Show the cameras' pictures as they come")
        self.live.clicked.connect(session.set_live)
        self.freeze = FreezeButton(self.screen.freeze, session)
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Let the cameras chosen in the table go")
        self.remove.clicked.connect(lambda: session.remove(session.selected))
        self.remove.setEnabled(False)
        self.look = LookForm(session)
        self.trouble = Trouble(session, self.table.cameras)
        self.words = Words()
        self.warning = QLabel(bad_pair())  # stays, whatever else is said
        self.warning.setWordWrap(True)
        self.warning.setStyleSheet(f"color: {BAD}")
        self.warning.setVisible(bool(self.warning.text()))
        self.tabs = QTabWidget()
        makers = []
        for title, make in PANELS:
            panel = make(session, self.tabs)
            if hasattr(panel, "attach"):  # it makes layers
                makers.append(panel.attach(napari_viewer))
            self.tabs.addTab(panel, title)
        self.tabs.setVisible(bool(PANELS))
        row = QHBoxLayout()
        row.addWidget(self.live, 2)
        row.addWidget(self.freeze, 2)
        row.addWidget(self.remove, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.finder)
        below = QWidget()
        lower = QVBoxLayout(below)
        lower.setContentsMargins(0, 0, 0, 0)
        lower.addLayout(row)
        lower.addWidget(self.look)
        lower.addWidget(self.warning)
        lower.addWidget(self.trouble)
        lower.addWidget(self.words)
        lower.addWidget(self.tabs, 1)
        halves = QSplitter(Qt.Orientation.Vertical)  # so many rows of the table as somebody wants to see
        halves.addWidget(self.table)
        halves.addWidget(below)
        halves.setChildrenCollapsible(False)
        halves.setStretchFactor(0, 1)
        halves.setStretchFactor(1, 2)
        layout.addWidget(halves, 1)
        session.failed.connect(self._say_wrong)
        session.said.connect(self.words.say)
        session.busy.connect(self._busy)
        session.live_changed.connect(self.live.setChecked)
        session.live_changed.connect(self._settled)
        self.finder.find.clicked.connect(self._settled)
        session.selection_changed.connect(self._chosen)  # a function with us in it PySide would keep for ever
        session.camera_added.connect(self._added)

        # closeEvent never comes to a docked widget: it ends when its dock lets it go, when it is deleted,
        # when the window is, or with the program. None of these may hold the widget.
        self._end = functools.partial(_end, self.screen, session, makers)
        self.destroyed.connect(self._end)
        self._docked = False
        self._window: QWidget | None = None
        if not _sessions:
            atexit.unregister(_end_all)
            atexit.register(_end_all)
        _sessions.add(session)

    def event(self, event: Any) -> bool:
        """Notice when the dock lets it go: napari takes its parent away and does not close it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.shut_down()
        elif event.type() == QEvent.Type.Show and self._window is None and self.window() is not self:
            self._window = self.window()
            self._window.destroyed.connect(self._end)
        return bool(super().event(event))

    def shut_down(self) -> None:
        """Let all cameras and layers go; returns at once. Twice does nothing."""
        if not self.session.closed:
            if self._window is not None:
                with contextlib.suppress(RuntimeError, TypeError):  # the window is gone
                    self._window.destroyed.disconnect(self._end)
            self._end()
            for dialog in self.findChildren(QDialog):  # nothing comes of an answer any more
                dialog.close()
            self.setEnabled(False)

    def _chosen(self, names: list[str]) -> None:
        self.remove.setEnabled(bool(names))

    def _settled(self, *_: object) -> None:
        """Drop what was said: it is of before."""
        self.words.say("")

    def _added(self, name: str) -> None:
        self._settled()
        if len(self.session.names) == 1 and not self.session.live:
            self.session.set_live(True)

    def _pin(self, index: Any) -> None:
        self._settled()
        name = self.table.cameras.name(index.row())
        self.screen.pin(name, name not in self.screen.pinned)
        self.screen.fit(name)

    def _say_wrong(self, text: str) -> None:
        self.words.say(text, bad=True)

    def _busy(self, busy: bool) -> None:
        self.setCursor(Qt.CursorShape.BusyCursor if busy else Qt.CursorShape.ArrowCursor)


def _end(screen: Screen, session: LiveSession, makers: list[Any], *_: object) -> None:
    with contextlib.ExitStack() as ends:  # each has its turn, whatever the others raise
        for each in (session, *makers, screen):
            ends.callback(_close, each)


def _close(part: Any) -> None:
    with contextlib.suppress(RuntimeError):  # Qt has deleted it, or parts of it
        part.close()


def _end_all() -> None:
    for session in tuple(_sessions):
        session.close()
        session.wait_closed()
