"""A function of the user's own on live pictures: chosen, started, loaded anew, and told what it does."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from espressoscope.napari_plugin.controls import Browse, Whose, Words, first_of
from espressoscope.napari_plugin.hook_source import HookSourceError, Wanted, load
from espressoscope.napari_plugin.processing import HookRunner, hung_functions

if TYPE_CHECKING:
    from espressoscope.napari_plugin.processing import Range
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["HookPanel"]

TELL_MS: Final = 250
SLOW_LOAD_S: Final = 3.0
_ABOUT: Final = (
    "Shows what your function makes of the live pictures. It is called with a frame, and with the picture "
    "where it takes two arguments: the newest one of each camera, decoded as finely as it is shown, before "
    "it is turned or mirrored. Recordings and snaps are not touched."
)


class HookPanel(QWidget):
    """Starts and stops a user's function.

    Parameters
    ----------
    session : LiveSession
        Its cameras.

    Attributes
    ----------
    source : QLineEdit
        ``file.py:function`` or ``module:function``.
    scope, low, high, start, stop, words : QWidget
        Other controls, and what is to be said.
    runner : HookRunner or None
        The function at work.
    """

    def __init__(self, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._loading_since: float | None = None
        self._only: list[str] | None = None
        self._refused = ""
        self.runner: HookRunner | None = None
        about = Words(_ABOUT, quiet=True)
        self.source = QLineEdit()
        self.source.setPlaceholderText("file.py:function or module:function")
        self.browse = Browse(
            "A file with your function", self.source.setText, kinds="Python (*.py)", tip="Choose a file"
        )
        self.scope = Whose(session)
        self.low, self.high = QLineEdit(), QLineEdit()
        for box, word, extreme in ((self.low, "black", "lowest"), (self.high, "white", "highest")):
            box.setPlaceholderText(f"{extreme} value")
            box.setToolTip(
                f"The value shown {word}, for results that are not uint8; empty: the {extreme} one. "
                "Goes for what is loaded from now on"
            )
        self.start = QPushButton("Start")
        self.stop = QPushButton("Stop")
        self.words = Words()
        line, values, buttons = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        line.addWidget(self.source, 1)
        line.addWidget(self.browse)
        for widget in (self.low, QLabel("white is"), self.high):
            values.addWidget(widget)
        buttons.addWidget(self.start)
        buttons.addWidget(self.stop)
        form = QFormLayout()
        form.addRow("Function", line)
        form.addRow("Pictures of", self.scope)
        form.addRow("Black is", values)
        layout = QVBoxLayout(self)
        layout.addWidget(about)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.words)
        layout.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setInterval(TELL_MS)
        self._timer.timeout.connect(self._tell)
        self.start.clicked.connect(self.load)
        self.source.returnPressed.connect(self.load)
        self.stop.clicked.connect(self.end)
        session.camera_added.connect(self._added)
        self._show_buttons()

    def _added(self, name: str) -> None:
        if self.runner is not None and (self._only is None or name in self._only):
            self._session.pictures.set_hook(name, self.runner)

    # ---- starting and stopping ------------------------------------------------------------------------

    def load(self) -> None:
        """Load the function and give it pictures; one that is at work is loaded anew."""
        try:
            wanted = Wanted(self.source.text())
            fixed = self._fixed()
            if self.scope.only == []:
                raise ValueError("No camera is chosen: click one in the table, or take all")
        except (HookSourceError, ValueError) as error:
            self.words.say(str(error), bad=True)
            return
        if self._loading_since is not None:
            self.words.say("The file is still being loaded: its own code has not come to an end", bad=True)
            return
        if hung_functions():
            self.words.say(
                "A function that hung has not returned yet: no other one is started before. "
                "If it never does, restart napari",
                bad=True,
            )
            return
        self._loading_since = time.monotonic()
        self.words.say(f"Loading {wanted.place} …")
        self._timer.start()
        self._show_buttons()
        threading.Thread(
            target=_load,
            args=(wanted, fixed, self._session, weakref.WeakMethod(self._loaded)),
            daemon=True,
            name="espressoscope-hook-load",
        ).start()

    def _fixed(self) -> Range | None:
        low, high = self.low.text().strip(), self.high.text().strip()
        if not low and not high:
            return None
        try:
            fixed = float(low.replace(",", ".")), float(high.replace(",", "."))
        except ValueError:
            raise ValueError("Black and white: give two numbers, or leave both empty") from None
        if not fixed[0] < fixed[1]:
            raise ValueError("Black and white: black must be the lower number")
        return fixed

    def _loaded(self, made: HookRunner | str) -> None:
        self._loading_since = None
        self._refused = ""
        if isinstance(made, str):
            self.words.say(made, bad=True)
            if self.runner is None:
                self._timer.stop()
            else:
                self._refused = f"{made}\nWhat was loaded before goes on. "
                self._tell()
        else:
            self._let_go()
            self._only = self.scope.only
            self.runner = made
            for name in self._session.names if self._only is None else self._only:
                self._session.pictures.set_hook(name, made)
            self._tell()
        self._show_buttons()

    def end(self) -> None:
        """Show pictures as they are again."""
        self._let_go()
        self._refused = ""
        self._timer.stop()
        left = ": a thread is left to a function that hangs" if hung_functions() else ""
        self.words.say(f"Stopped{left}")
        self._show_buttons()

    def _let_go(self) -> None:
        runner, self.runner = self.runner, None
        if runner is not None:
            for name in self._session.names:
                self._session.pictures.set_hook(name, None)
            runner.close()

    def _show_buttons(self) -> None:
        self.start.setText("Load again" if self.runner is not None else "Start")
        self.start.setEnabled(self._loading_since is None)
        self.stop.setEnabled(self.runner is not None)

    # ---- telling --------------------------------------------------------------------------------------

    def _tell(self) -> None:
        runner = self.runner
        since = self._loading_since
        if since is not None:
            for_s = time.monotonic() - since
            if for_s > SLOW_LOAD_S:
                self.words.say(
                    f"Still loading, for {for_s:.0f} s: the file's own code takes so long", bad=True
                )
        elif runner is None:
            return
        elif runner.given_up:
            left = hung_functions()
            self.words.say(
                f"{runner.given_up}. "
                + (
                    f"{left} {'thread is' if left == 1 else 'threads are'} left to it until it returns"
                    if left
                    else "It has returned by now: Load again"
                ),
                bad=True,
            )
        else:
            whose = "" if self._only is None else f" on {first_of(self._only)}"
            text = (
                f"{self._refused}{runner.name}{whose}: {runner.calls} pictures, {runner.mean_ms:.1f} ms each"
            )
            if runner.errors:
                text += f", {runner.errors} errors"
            failing = {name: why for name, why in runner.failing.items() if name in self._session.names}
            if failing:
                names = sorted(failing)
                text += f"; fails for {first_of(names)}: {failing[names[0]]}"
            elif runner.ranges:
                low = min(each[0] for each in runner.ranges.values())
                high = max(each[1] for each in runner.ranges.values())
                text += f"; {low:.4g} is black, {high:.4g} white"
            self.words.say(text, bad=bool(failing or self._refused))


def _load(wanted: Wanted, fixed: Range | None, session: LiveSession, told: weakref.WeakMethod[Any]) -> None:
    """On a thread of its own, which nobody waits for."""
    made: HookRunner | str
    try:
        made = HookRunner(load(wanted), wanted.place, fixed)
    except (HookSourceError, TypeError) as error:
        made = str(error)

    def tell() -> None:
        method = told()
        if method is not None:
            method(made)

    session.post(tell)
