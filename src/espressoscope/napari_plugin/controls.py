"""Controls that several panels have: a line of words, whose cameras it is about, a path to choose."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QPushButton, QSizePolicy

from espressoscope.napari_plugin.mailbox import Soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["BAD", "Browse", "Whose", "Words", "first_of", "narrow", "tip"]

BAD: Final = "#e5534b"
"""Colour of what went wrong."""
_QUIET: Final = "gray"
_ALL, _CHOSEN, _THIS = "all", "chosen", "this"
_NAMED: Final = 3


def first_of(names: list[str]) -> str:
    """Name some cameras, and say when there are more."""
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


def tip(text: str) -> str:
    """Give what a tooltip shows as it stands here: Qt takes what looks like HTML for that."""
    return f"<qt>{html.escape(text)}</qt>" if "<" in text else text


def narrow(box: QComboBox) -> None:
    """Let a dock be narrow though a name in this box is long."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)


class Words(QLabel):
    """What is to be said, in as many lines as it takes; can be copied.

    Never HTML: names of cameras are among it, which anybody in the network can give himself.

    Parameters
    ----------
    text : str
        At first.
    quiet : bool
        In gray while all is well.
    """

    def __init__(self, text: str = "", *, quiet: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._quiet = quiet
        self._selectable = False
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        policy = self.sizePolicy()
        policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)  # one long word must not make a dock wider
        self.setSizePolicy(policy)
        if text:
            self.say(text)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Say something else."""
        if text and not self._selectable:  # not before: a form has dozens that say nothing, and it costs
            self._selectable = True
            self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if self.text() != text:  # else what somebody is copying would not stay selected
            self.setText(text)
        colour = BAD if bad else _QUIET if self._quiet else ""
        sheet = f"color: {colour}" if colour else ""
        if self.styleSheet() != sheet:
            self.setStyleSheet(sheet)


class Whose(QComboBox):
    """Whose cameras something is about: all, or those chosen in the table; says how many these are.

    Parameters
    ----------
    session : LiveSession
        Its cameras.
    this : callable, optional
        Gives the name of a camera that may be meant alone, "" for none: it is offered first.
    """

    def __init__(
        self, session: LiveSession, this: Callable[[], str] | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._this = this
        for kind in (_ALL, _CHOSEN) if this is None else (_THIS, _CHOSEN, _ALL):
            self.addItem("", kind)
        narrow(self)
        self._soon = Soon(self, self._write)
        session.camera_added.connect(self._soon.ask)
        session.camera_removed.connect(self._soon.ask)
        session.selection_changed.connect(self._write)
        self._write()

    def changeEvent(self, event: Any) -> None:
        """Say whose cameras these are now, when they may be chosen again."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.EnabledChange:
            self._write()

    def _write(self, *_: object) -> None:
        if not self.isEnabled():  # it says what is being done, not what might be
            return
        chosen, names = self._session.selected, self._session.names
        texts = {
            _ALL: f"all {len(names)} cameras" if len(names) > 1 else "all cameras",
            _CHOSEN: f"the {len(chosen)} chosen in the table",
            _THIS: "this camera",
        }
        for place in range(self.count()):
            self.setItemText(place, texts[self.itemData(place)])
        self.setItemData(self.findData(_CHOSEN), tip(first_of(chosen)), Qt.ItemDataRole.ToolTipRole)

    @property
    def only(self) -> list[str] | None:
        """The cameras meant, where it is not all of them whichever there are; empty when none is."""
        kind = self.currentData()
        if kind == _ALL:
            return None
        if kind == _CHOSEN:
            return self._session.selected
        name = "" if self._this is None else self._this()
        return [name] if name in self._session.names else []

    @property
    def names(self) -> list[str]:
        """The cameras meant now."""
        only = self.only
        return self._session.names if only is None else only


class Browse(QPushButton):
    """Opens a dialog for a file or a folder; nothing else stands still meanwhile.

    Parameters
    ----------
    title : str
        Of the dialog.
    given : callable
        Is told the path.
    at : callable, optional
        Gives the folder the dialog begins in.
    kinds : str
        Which files, as Qt writes them; empty: a folder.
    text, tip : str
        Of the button.

    Attributes
    ----------
    dialog : QFileDialog or None
        While it is open.
    """

    def __init__(
        self,
        title: str,
        given: Callable[[str], object],
        *,
        at: Callable[[], str] = str,
        kinds: str = "",
        text: str = "…",
        tip: str = "",
    ) -> None:
        super().__init__(text)
        self.dialog: QFileDialog | None = None
        self._title, self._given, self._at, self._kinds = title, given, at, kinds
        self.setToolTip(tip)
        if text == "…":
            self.setFixedWidth(self.fontMetrics().horizontalAdvance(text) + 24)
        self.clicked.connect(self._open)

    def _open(self) -> None:
        if self.dialog is not None:
            return
        self.dialog = dialog = QFileDialog(self, self._title, self._at(), self._kinds)
        if self._kinds:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        else:
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        dialog.fileSelected.connect(self._given)
        dialog.finished.connect(self._over)
        dialog.open()  # not exec()

    def _over(self, *_: object) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()
