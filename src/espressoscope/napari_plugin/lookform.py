"""How pictures are shown: turned, mirrored, and how large a pixel is; for the cameras chosen, or all."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QWidget,
)

from espressoscope.napari_plugin.controls import Words, first_of
from espressoscope.napari_plugin.fields import end_typing, is_typed_in
from espressoscope.napari_plugin.mailbox import Soon

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["VARIOUS", "LookForm"]

VARIOUS: Final = "various"
"""Stands where the cameras it is about differ."""


class _PixelBox(QDoubleSpinBox):
    def stepEnabled(self) -> Any:
        """Take no step from "various": it would lead to 0, which is "unknown", for all of them."""
        if self.value() < 0:
            return QAbstractSpinBox.StepEnabledFlag.StepNone
        return super().stepEnabled()


class LookForm(QWidget):
    """A row of controls; where the cameras it is about differ it says so.

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
        self.pixel = _PixelBox()
        self.pixel.setDecimals(4)
        self.pixel.setRange(0.0, 100_000.0)
        self.pixel.setSpecialValueText("unknown")
        self.pixel.setSuffix(" µm")
        self.pixel.setKeyboardTracking(False)
        self.pixel.setToolTip("Size of one pixel of the full picture: makes napari's scale bar right")
        self._whose = Words()
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
        self.turns.setPlaceholderText(VARIOUS)
        self.turns.currentIndexChanged.connect(lambda index: self._change(turns=index))
        # Not `toggled`: Qt does not tell that where the box goes from various to on.
        self.mirror_x.clicked.connect(lambda on: self._change(mirror_x=on))
        self.mirror_y.clicked.connect(lambda on: self._change(mirror_y=on))
        self.pixel.valueChanged.connect(lambda um: self._change(pixel_um=um if um > 0 else None))
        self._soon = Soon(self, self._read)
        session.selection_changed.connect(self._chosen)
        session.camera_added.connect(self._soon.ask)
        session.camera_removed.connect(self._soon.ask)
        session.look_changed.connect(self._soon.ask)
        self._read()

    def _names(self) -> list[str]:
        return self._session.selected or self._session.names

    def _chosen(self, *_: object) -> None:
        end_typing(self.pixel)  # it was for others
        self._read()

    def _read(self, *_: object) -> None:
        names = self._names()
        self.setEnabled(bool(names))
        chosen = self._session.selected
        self._whose.say(first_of(chosen) or "all cameras")
        if names:
            looks = [self._session.look(name) for name in names]
            first = looks[0]
            with ExitStack() as quiet:
                for item in (self.turns, self.mirror_x, self.mirror_y, self.pixel):
                    quiet.enter_context(QSignalBlocker(item))
                self.turns.setCurrentIndex(first.turns if _alike(look.turns for look in looks) else -1)
                _check(self.mirror_x, [look.mirror_x for look in looks])
                _check(self.mirror_y, [look.mirror_y for look in looks])
                if not is_typed_in(self.pixel):
                    alike = _alike(look.pixel_um for look in looks)
                    # Below 0, which is "unknown": then both can be chosen where cameras differ.
                    self.pixel.setMinimum(0.0 if alike else -1.0)
                    self.pixel.setSpecialValueText("unknown" if alike else VARIOUS)
                    self.pixel.setValue((first.pixel_um or 0.0) if alike else -1.0)

    def _change(self, **what: Any) -> None:
        for name in self._names():
            self._session.set_look(name, replace(self._session.look(name), **what))


def _alike(values: Iterable[object]) -> bool:
    return len(set(values)) == 1


def _check(box: QCheckBox, states: Sequence[bool]) -> None:
    alike = _alike(states)
    box.setTristate(not alike)
    if alike:
        box.setChecked(states[0])
    else:
        box.setCheckState(Qt.CheckState.PartiallyChecked)
