"""The settings of one camera as a form, made from what the camera says it has: a page for each group.

A page is made when it is first looked at, a few lines in each turn of the loop: making all of them at once
would hold the screen up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFrame, QGridLayout, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from espressoscope.napari_plugin.fields import Field, make_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from espressoscope import SetResult, Setting

__all__ = ["GROUPS", "SettingsForm"]

GROUPS: Final = ("picture", "exposure", "light", "focus", "system")
"""In this order; a group that is not here comes last, under its own name."""
ELSEWHERE: Final = frozenset({"focus_speed"})
"""Settings that have a control of their own beside the form."""
TURN_S: Final = 0.006
"""After so many seconds of making lines everything else has its turn."""


class SettingsForm(QTabWidget):
    """A form for the settings of one camera at a time.

    Parameters
    ----------
    extras : Mapping of str to QWidget
        What stands on top of a group's page besides the settings; its page is there also without any.
    """

    asked = Signal(str, object)
    """Name and value: the user wants this."""

    def __init__(self, extras: Mapping[str, QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._extras = dict(extras)
        self._shape: object = None
        self._settings: dict[str, Setting] = {}
        self._fields: dict[str, Field] = {}
        self._pages: dict[str, QScrollArea] = {}
        self._begun: dict[str, Iterator[None]] = {}
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.timeout.connect(self._go_on)
        self.setDocumentMode(True)
        for widget in self._extras.values():
            widget.setParent(self)
            widget.hide()
        self.currentChanged.connect(self._make_page)

    @property
    def fields(self) -> dict[str, Field]:
        """Lines made so far, by the setting's name."""
        return dict(self._fields)

    def field(self, name: str) -> Field | None:
        """Give a setting's line, on a page that may have to be made first; None when there is none."""
        setting = self._settings.get(name)
        if setting is not None and name not in self._fields:
            for _ in self._lines(setting.group):
                pass
        return self._fields.get(name)

    def show_settings(self, settings: Mapping[str, Setting], keep: frozenset[str] = frozenset()) -> None:
        """Show these settings with their values; the lines are made anew where others are needed.

        Parameters
        ----------
        settings : Mapping of str to Setting
            What the camera has.
        keep : frozenset of str
            Lines that are to stay as they are: something newer has been asked for.
        """
        settings = {name: setting for name, setting in settings.items() if name not in ELSEWHERE}
        shape = tuple(
            (s.name, s.kind, s.minimum, s.maximum, s.step, s.choices, s.unit, s.group)
            for s in settings.values()
        )
        self._settings = settings
        if shape != self._shape:
            self._shape = shape
            self._lay_out()
            return
        for name, field in self._fields.items():
            if name not in keep and not field.busy:
                field.show_value(settings[name].value)

    def begin_anew(self) -> None:
        """Be about another camera: say nothing about any setting, and give up what was being typed."""
        for field in self._fields.values():
            field.say("")
            field.let_go()

    def show_result(self, name: str, result: SetResult, *, newer: bool) -> None:
        """Show what became of a value: what the camera has now, and in words what was refused.

        Parameters
        ----------
        name : str
            The setting.
        result : SetResult
            What the camera said.
        newer : bool
            Another value of it is on its way already: then what is shown stays.
        """
        field = self._fields.get(name)
        if field is None or newer or field.busy:
            return
        if result.actual is not None:
            field.show_value(result.actual)
        elif result.ok:
            field.show_value(result.asked)
        if not result.ok:
            field.say(result.message or f"{result.asked} was not taken", bad=True)
        elif result.actual is None and field.setting.kind != "action":
            field.say("set; the camera does not tell what it has")
        else:
            field.say(result.message)

    def _lay_out(self) -> None:
        """Make empty pages for the groups there are."""
        chosen = self.tabText(self.currentIndex()).lower()
        for widget in self._extras.values():
            widget.setParent(self)  # pages take with them what is in them
            widget.hide()
        self._fields = {}
        self._begun = {}
        pages, self._pages = self._pages, {}
        self.blockSignals(True)
        while self.count():
            self.removeTab(0)
        for page in pages.values():
            page.deleteLater()
        there = {setting.group for setting in self._settings.values()} | set(self._extras)
        for group in [*GROUPS, *sorted(there.difference(GROUPS))]:
            if group in there:
                page = self._pages[group] = QScrollArea()
                page.setWidgetResizable(True)
                page.setFrameShape(QFrame.Shape.NoFrame)
                self.addTab(page, group.capitalize())
                if group == chosen:
                    self.setCurrentWidget(page)
        self.blockSignals(False)
        self._make_page()

    def showEvent(self, event: Any) -> None:
        """Make what is seen now."""
        super().showEvent(event)
        self._make_page()

    def _make_page(self) -> None:
        if self.isVisible():  # else when it is shown
            self._turn.start(0)

    def _go_on(self) -> None:
        """Make some lines of the page that is seen."""
        until = time.perf_counter() + TURN_S
        for group, page in self._pages.items():
            if page is self.currentWidget():
                for _ in self._lines(group):
                    if time.perf_counter() >= until:
                        self._turn.start(0)
                        return

    def _lines(self, group: str) -> Iterator[None]:
        """Give what makes the rest of a group's page, line by line."""
        page = self._pages.get(group)
        if page is None:
            return iter(())
        if group not in self._begun:
            self._begun[group] = self._fill(group, page)
        return self._begun[group]

    def _fill(self, group: str, page: QScrollArea) -> Iterator[None]:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(2, 4, 2, 4)
        grid = QGridLayout()
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 2)
        layout.addLayout(grid)
        layout.addStretch(1)
        page.setWidget(content)
        yield
        extra = self._extras.get(group)
        if extra is not None:
            layout.insertWidget(0, extra)
            extra.show()
            yield
        row = 0
        for name in [name for name, setting in self._settings.items() if setting.group == group]:
            setting = self._settings[name]  # its value may have become another one meanwhile
            field = self._fields[name] = make_field(setting, content)
            field.asked.connect(self.asked)
            if setting.kind != "action":
                grid.addWidget(field.title, row, 0)
            grid.addWidget(field.editor, row, 1)
            grid.addWidget(field.note, row + 1, 0, 1, 2)
            row += 2
            yield
