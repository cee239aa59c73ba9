"""The user lets the live picture stand still, plainly marked, and go on again. Streams go on meanwhile."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QPushButton, QWidget

from espressoscope.display import TileState

if TYPE_CHECKING:
    import napari

    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["Freeze", "FreezeButton"]

KEY: Final = "Space"
_all: Final[weakref.WeakSet[Freeze]] = weakref.WeakSet()
"""All there are; touched by the thread that draws."""


class Freeze(QObject):
    """Whether the picture stands still, and since when; the space bar of the viewer changes it while live.

    Parameters
    ----------
    session : LiveSession
        What is not live is not frozen either.
    viewer : napari.Viewer
        Whose key it is, while the session is live; then the key does what it did before.

    Attributes
    ----------
    at : str
        Time of day at which the picture was frozen; "" when it is not.
    """

    changed = Signal(str)
    """`at` has changed."""

    def __init__(self, session: LiveSession, viewer: napari.Viewer) -> None:
        super().__init__()
        self.at = ""
        self._session = session
        self._viewer: Any = viewer
        self._bound: Any = None
        self._before: Any = None
        _all.add(self)
        session.live_changed.connect(self._live_changed)

    def toggle(self, *_: object) -> None:
        """Freeze the picture, or let it go on; nothing happens while it is not live."""
        at = "" if self.at or not self._session.live else time.strftime("%H:%M:%S")
        if at != self.at:
            self.at = at
            self.changed.emit(at)

    def label(self, name: str, state: TileState) -> str:
        """Say in one line what a frozen tile shows.

        Parameters
        ----------
        name : str
            The camera.
        state : TileState
            What it showed when it was frozen.
        """
        old = {TileState.LIVE: "", TileState.NO_SIGNAL: ", no picture by then"}.get(state, ", old by then")
        return f"FROZEN BY YOU {self.at}{old}  {name}"

    def _live_changed(self, live: bool) -> None:
        if not live:
            self._unbind()
            if self.at:
                self.toggle()
        elif self._bound is None:
            self._before = self._viewer.bind_key(KEY, None)

            def pressed(viewer: Any) -> None:
                self.toggle()

            self._bound = pressed
            self._viewer.bind_key(KEY, pressed)

    def _unbind(self) -> None:
        if self._bound is None:
            return
        now = self._viewer.bind_key(KEY, None)
        back = self._before if now is self._bound else now  # another widget may have taken it meanwhile
        for each in _all:  # what is given back there later must not be ours, which is over
            if each._before is self._bound:
                each._before = self._before
        if back is not None:
            self._viewer.bind_key(KEY, back)
        self._bound = self._before = None

    def close(self) -> None:
        """Give the key back. Twice does nothing."""
        with contextlib.suppress(RuntimeError):  # the window is gone
            self._unbind()


class FreezeButton(QPushButton):
    """A button for it.

    Parameters
    ----------
    freeze : Freeze
        What it changes.
    """

    def __init__(self, freeze: Freeze, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setToolTip(f"Let the picture stand still, and go on; also the {KEY.lower()} bar. Streams go on")
        self.clicked.connect(freeze.toggle)
        freeze.changed.connect(self._show)
        session.live_changed.connect(self.setEnabled)
        self.setEnabled(session.live)
        self._show(freeze.at)

    def _show(self, at: str) -> None:
        self.setChecked(bool(at))
        self.setText(f"Frozen {at}" if at else "Freeze")
        self.setStyleSheet("background: #a03030" if at else "")
