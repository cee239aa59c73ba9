"""How pictures are shown: turned, mirrored, and how large a pixel is; for the cameras chosen, or all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QGridLayout, QLabel, QWidget

from espressoscope.napari_plugin.mailbox import Soon

if TYPE_CHECKING:
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["LookForm"]


class LookForm(QWidget):
    """A row of controls.

    Parameters
    ----------
    session : LiveSession
        Whose pictures.

    Attributes
    ----------
    turns : QComboBox
        Quarter turns counter-clockwise.
    mirror_x, mirror_y : QCheckBox
        Left and right, up and down exchanged.
    pixel : QDoubleSpinBox
        um of a pixel; 0: not known.
    """

    def __init__(self, session: LiveSession, parent: Any = None) -> None:
        super().__init__(parent)
        self._session = session
        self.turns = QComboBox()
        self.turns.addItems(["0°", "90°", "180°", "270°"])
        self.turns.setToolTip("Turn the picture, counter-clockwise")
        self.mirror_x, self.mirror_y = QCheckBox("⇄"), QCheckBox("⇅")
        self.mirror_x.setToolTip("Exchange left and right")
        self.mirror_y.setToolTip("Exchange up and down")
        self.pixel = QDoubleSpinBox()
        self.pixel.setDecimals(4)
        self.pixel.setRange(0.0, 100_000.0)
        self.pixel.setSpecialValueText("unknown")
        self.pixel.setSuffix(" µm")
        self.pixel.setKeyboardTracking(False)
        self.pixel.setToolTip("Size of one pixel of the full picture: makes napari's scale bar right")
        self._whose = QLabel()
        self._whose.setWordWrap(True)  # names are long, docks narrow
        self._whose.setToolTip("Whose pictures these are: the cameras chosen in the table, or all")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for column, item in enumerate((QLabel("Turn"), self.turns, self.mirror_x, self.mirror_y)):
            layout.addWidget(item, 0, column)
        layout.addWidget(self._whose, 0, 4)
        layout.addWidget(QLabel("Pixel size"), 1, 0)
        layout.addWidget(self.pixel, 1, 1, 1, 4)
        layout.setColumnStretch(4, 1)
        self.turns.currentIndexChanged.connect(lambda index: self._change(turns=index))
        self.mirror_x.toggled.connect(lambda on: self._change(mirror_x=on))
        self.mirror_y.toggled.connect(lambda on: self._change(mirror_y=on))
        self.pixel.valueChanged.connect(lambda um: self._change(pixel_um=um or None))
        self._soon = Soon(self, self._read)
        session.selection_changed.connect(self._read)
        session.camera_added.connect(self._soon.ask)
        session.camera_removed.connect(self._soon.ask)
        self._read()

    def _names(self) -> list[str]:
        return self._session.selected or self._session.names

    def _read(self, *_: object) -> None:
        names = self._names()
        self.setEnabled(bool(names))
        chosen = self._session.selected
        self._whose.setText(", ".join(chosen[:3]) + (" …" if len(chosen) > 3 else "") or "all cameras")
        if names:
            look = self._session.look(names[0])
            for item in (self.turns, self.mirror_x, self.mirror_y, self.pixel):
                item.blockSignals(True)
            self.turns.setCurrentIndex(look.turns)
            self.mirror_x.setChecked(look.mirror_x)
            self.mirror_y.setChecked(look.mirror_y)
            self.pixel.setValue(look.pixel_um or 0.0)
            for item in (self.turns, self.mirror_x, self.mirror_y, self.pixel):
                item.blockSignals(False)

    def _change(self, **what: Any) -> None:
        for name in self._names():
            self._session.set_look(name, replace(self._session.look(name), **what))
