"""The widget: cameras are found, chosen and switched live here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from espressoscope.napari_plugin.session import LiveSession

if TYPE_CHECKING:
    import napari

__all__ = ["LiveWidget"]


class LiveWidget(QWidget):
    """Live pictures of one to many cameras.

    Parameters
    ----------
    viewer : napari.Viewer
        napari gives it by its type.

    Attributes
    ----------
    session : LiveSession
        Its cameras.
    """

    def __init__(self, viewer: napari.Viewer, parent: Any = None) -> None:
        super().__init__(parent)
        self.session = LiveSession()
        self._viewer = viewer
        self.tabs = QTabWidget()
        layout = QVBoxLayout(self)
        layout.addWidget(self.tabs)
