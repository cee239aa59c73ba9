"""What is wrong with a camera, as the table's last column says it, where nobody has to scroll."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.napari_plugin.controls import Words

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from espressoscope.napari_plugin.session import LiveSession
    from espressoscope.napari_plugin.table import CameraModel

__all__ = ["Trouble"]


class Trouble(Words):
    """Says what is wrong with the first camera of those chosen in the table, else of all; else is not there.

    Parameters
    ----------
    session : LiveSession
        Its cameras.
    cameras : CameraModel
        Knows what is said of each; its figures are new before this is told of them.
    """

    def __init__(self, session: LiveSession, cameras: CameraModel, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._session = session
        self._cameras = cameras
        self.hide()
        session.states.connect(self._look)
        session.live_changed.connect(self._look)
        session.selection_changed.connect(self._look)
        session.camera_removed.connect(self._look)

    def _look(self, *_: object) -> None:
        names, chosen = self._session.names, self._session.selected
        troubled = [name for name in names if self._cameras.trouble(name)]
        of_chosen = [name for name in troubled if name in chosen]
        text = ""
        if troubled:
            first = (of_chosen or troubled)[0]
            text = f"{first}: {self._cameras.trouble(first)}"
            if len(troubled) > 1:
                text += f" - {len(troubled) - 1} more, red in the table: choose one to read of it"
        self.say(text, bad=True)
        self.setVisible(bool(text))
