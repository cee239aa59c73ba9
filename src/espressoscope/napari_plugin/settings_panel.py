"""The settings of the cameras: a form for one of them, and whom its changes go to.

What the form shows is what the camera has told. It is read when the camera is chosen, after every change, and
every few seconds while somebody looks.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

import espressoscope as es
from espressoscope.napari_plugin.calls import words
from espressoscope.napari_plugin.controls import Whose, Words, narrow
from espressoscope.napari_plugin.fields import title_of
from espressoscope.napari_plugin.focus_box import FocusBox
from espressoscope.napari_plugin.form import SettingsForm
from espressoscope.napari_plugin.outbox import Outbox
from espressoscope.napari_plugin.profile_box import ProfileBox
from espressoscope.napari_plugin.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope import Setting
    from espressoscope.napari_plugin.outbox import Settled
    from espressoscope.napari_plugin.profile_box import Outcome
    from espressoscope.napari_plugin.session import CameraState, LiveSession

__all__ = ["SettingsPanel"]

REREAD_S: Final = 10.0
"""From one reading of the settings that are looked at to the next."""


class _Reading(NamedTuple):
    camera: str
    problem: str
    at: str


class SettingsPanel(QWidget):
    """A form for one camera, and what goes to several.

    Parameters
    ----------
    session : LiveSession
        Its cameras.

    Attributes
    ----------
    form, focus, profiles, report : QWidget
        Parts of it.
    outbox : Outbox
        What is on its way to cameras.
    """

    def __init__(self, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._shown: Mapping[str, Setting] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._reconnects: dict[str, int] = {}
        self._reading: set[str] = set()
        self._read_at = 0.0
        self.outbox = Outbox(session, self)
        self.camera = QComboBox()
        self.camera.setToolTip("The camera whose settings are shown")
        self.again = QPushButton("Read again")
        narrow(self.camera)
        self.scope = Whose(session, this=self.camera.currentText)
        self.scope.setToolTip("Whom every change, profile and restart goes to")
        self.words = Words("No camera yet", quiet=True)
        self.focus = FocusBox(session)
        self.reboot = QPushButton("Restart ...")
        self.reboot.setToolTip("Restart the cameras that changes go to; asks first")
        self.lock = QPushButton("Expose all like this camera")
        self.lock.setToolTip("Copy exposure, gain and white balance, as far as they are set by hand")
        self.profiles = ProfileBox(session)
        self.form = SettingsForm({"focus": self.focus, "exposure": self.lock, "system": self.reboot})
        self.report = Report()
        self.question: QMessageBox | None = None
        lines = QFormLayout()
        lines.addRow("Settings of", self.camera)
        lines.addRow("Changes go to", self.scope)
        told = QHBoxLayout()
        told.addWidget(self.words, 1)
        told.addWidget(self.again)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(lines)
        layout.addLayout(told)
        layout.addWidget(self.form, 1)
        layout.addWidget(self.profiles)
        layout.addWidget(self.report)

        self.camera.currentTextChanged.connect(self._chosen)
        self.again.clicked.connect(self.read)
        self.form.asked.connect(self._asked)
        self.focus.speed_asked.connect(self._asked_here)
        self.outbox.settled.connect(self._settled)
        self.lock.clicked.connect(self._lock)
        self.reboot.clicked.connect(self._ask_reboot)
        self.profiles.wanted.connect(self._profile)
        self.profiles.outcome.connect(self._outcome)
        session.camera_added.connect(self._added)
        session.camera_removed.connect(self._removed)
        session.selection_changed.connect(self._selected)
        session.states.connect(self._states)
        for name in session.names:
            self._added(name)
        self._show()

    # ---- whom it is about -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The camera in the form; "" when there is none."""
        return str(self.camera.currentText())

    @property
    def targets(self) -> list[str]:
        """The cameras that changes go to."""
        return self.scope.names

    def _added(self, name: str) -> None:
        if self.camera.findText(name) < 0:
            self.camera.addItem(name)

    def _removed(self, name: str) -> None:
        self.outbox.forget(name)
        self._told.pop(name, None)
        self._reconnects.pop(name, None)
        self.camera.removeItem(self.camera.findText(name))

    def _selected(self, names: list[str]) -> None:
        if names and self.name not in names:
            self.camera.setCurrentText(names[0])

    def _chosen(self, name: str) -> None:
        self.form.begin_anew()
        self._shown = {}
        self.profiles.show_camera(name)
        self._show()
        if name:
            self.words.say(f"Reading what {name} has …")
        self.read()

    # ---- what the camera has --------------------------------------------------------------------------

    def read(self) -> None:
        """Ask the camera in the form what it has."""
        name = self.name
        device = self._session.camera(name)
        if device is None or name in self._reading:
            return
        self._reading.add(name)
        self._read_at = time.monotonic()
        if not self._session.run(lambda: _read(name, device), self._was_read, camera=name, quiet=True):
            self._reading.discard(name)

    def _was_read(self, reading: _Reading) -> None:
        self._reading.discard(reading.camera)
        if reading.camera != self.name:  # another one was chosen meanwhile, and is read by itself
            return
        self._show()
        if reading.problem and self._shown:
            self.words.say(f"{reading.problem} The values below are older: what it told last.", bad=True)
        elif reading.problem:
            self.words.say(reading.problem, bad=True)
        else:
            self.words.say(f"As {reading.camera} told at {reading.at}")

    def _states(self, states: Mapping[str, CameraState]) -> None:
        for name, state in states.items():
            if self._reconnects.setdefault(name, state.stats.reconnects) != state.stats.reconnects:
                self._reconnects[name] = state.stats.reconnects
                self._forget(name)  # it may have restarted
        if self.isVisible() and self.name:
            self._show()
            if self.outbox.empty and time.monotonic() - self._read_at > REREAD_S:
                self.read()

    def _forget(self, camera: str) -> None:
        """Take nothing for granted any more that a camera was told and does not tell."""
        self._told.pop(camera, None)
        if camera == self.name and not self.outbox.is_pending(camera, "focus_speed"):
            self.focus.forget_speed()

    def _show(self) -> None:
        """Show the values the camera told last; no IO."""
        name = self.name
        device = self._session.camera(name)
        told = self._told.get(name, {})
        settings = {
            key: replace(setting, value=told[key]) if setting.value is None and key in told else setting
            for key, setting in (device.settings if device is not None else {}).items()
        }
        there = device is not None
        for widget in (self.again, self.scope, self.profiles):
            widget.setEnabled(there)
        self.form.setVisible(bool(settings))
        self.profiles.setVisible(bool(settings))
        if not there:
            self.words.say("No camera yet: find or add one above")
        if settings != self._shown:
            self._shown = settings
            self.focus.show_camera(name, settings.get("focus_speed"))
            self.form.show_settings(
                settings, frozenset(key for key in settings if self.outbox.is_pending(name, key))
            )

    # ---- setting --------------------------------------------------------------------------------------

    def _asked(self, setting: str, value: Any) -> None:
        targets = self.targets
        if not targets:
            self.words.say("Nobody to send this to: choose cameras in the table", bad=True)
            self._revert()
            return
        self._send(setting, value, targets)

    def _asked_here(self, setting: str, value: Any) -> None:
        self._send(setting, value, [self.name])

    def _send(self, setting: str, value: Any, targets: list[str]) -> None:
        self.report.begin(f"{title_of(setting)}:")
        for camera in targets:
            self.report.put(camera, f"{value} ...")
            self.outbox.put(camera, setting, value)
        if self.name not in targets:
            self._revert()  # the form shows a camera that is not among them

    def _revert(self) -> None:
        self._shown = {}
        self._show()

    def _settled(self, settled: Settled) -> None:
        camera = settled.camera
        for name, result in settled.results.items():
            if result.ok and result.actual is None:
                self._told.setdefault(camera, {})[name] = result.asked
        if not any(self.outbox.is_pending(camera, name) for name in settled.results):
            self.report.put_results(camera, settled.results)
        if camera != self.name:
            return
        self._revert()
        for name, result in settled.results.items():
            newer = self.outbox.is_pending(camera, name)
            self.form.show_result(name, result, newer=newer)
            if name == "focus_speed" and not result.ok and not newer:
                self.focus.forget_speed()

    def _lock(self) -> None:
        fleet, reference = self._session.fleet, self.name
        if fleet is not None:
            self._session.run(lambda: _locked(fleet, reference), self._was_locked, lane="lock exposure")

    def _was_locked(self, outcome: es.ExposureLock | str) -> None:
        self.report.begin(f"Exposure like {self.name}:")
        if isinstance(outcome, str):
            self.report.put(self.name, outcome, bad=True)
            return
        self.report.begin(f"Exposure like {outcome.reference}:")
        why = "; ".join(f"{what} not copied: {reason}" for what, reason in outcome.unequal.items())
        self.report.put(outcome.reference, why or "copied", bad=bool(why))
        for name, results in outcome.results.items():
            self.report.put_results(name, results)
        self.read()

    def _profile(self, what: str, profile: str) -> None:
        targets = self.targets
        if not targets:
            self.words.say("Nobody to give this to: choose cameras in the table", bad=True)
        for camera in targets:
            self.profiles.do(what, profile, camera)

    def _outcome(self, outcome: Outcome) -> None:
        self.report.begin(outcome.title)
        self.report.put_results(outcome.camera, outcome.results)
        if outcome.camera == self.name:
            self._revert()

    # ---- restarting -----------------------------------------------------------------------------------

    def _ask_reboot(self) -> None:
        targets = self.targets
        if not targets:
            self.words.say("Nobody to restart: choose cameras in the table", bad=True)
            return
        whom = targets[0] if len(targets) == 1 else f"{len(targets)} cameras"
        self.question = box = QMessageBox(
            QMessageBox.Icon.Question,
            "Restart",
            f"Restart {whom}? They are away for about 10 s, and forget what was not saved on them.",
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel,
            self,
        )
        box.setTextFormat(Qt.TextFormat.PlainText)  # a camera gives itself its name
        box.finished.connect(lambda answer: self._answered(answer, targets))
        box.open()  # not exec(): nothing else is to stand still meanwhile

    def _answered(self, answer: int, targets: list[str]) -> None:
        box, self.question = self.question, None
        if box is not None:
            box.deleteLater()
        if answer != int(getattr(QMessageBox.StandardButton.Yes, "value", QMessageBox.StandardButton.Yes)):
            return
        self.report.begin("Restart:")
        for camera in targets:
            device = self._session.camera(camera)
            if device is not None:
                self.report.put(camera, "restarting ...")
                self._session.run(_rebooting(camera, device), self._rebooted, camera=camera)

    def _rebooted(self, outcome: tuple[str, str]) -> None:
        camera, problem = outcome
        self._forget(camera)
        self.report.put(camera, problem or "back again", bad=bool(problem))
        if camera == self.name:
            self.read()


# ---- on threads of the session -------------------------------------------------------------------------


def _read(camera: str, device: es.Camera) -> _Reading:
    problem = ""
    try:
        device.status()
    except es.UnsupportedError as error:
        problem = f"{camera} has no settings that could be shown: {error.message}."
    except es.CameraError as error:
        problem = f"{words(error)}."
    return _Reading(camera, problem, time.strftime("%H:%M:%S"))


def _locked(fleet: es.Fleet, reference: str) -> es.ExposureLock | str:
    try:
        return fleet.lock_exposure(to=reference)
    except (es.CameraError, KeyError) as error:
        return words(error)


def _rebooting(camera: str, device: es.Camera) -> Any:
    def work() -> tuple[str, str]:
        try:
            device.reboot(wait=True)
        except es.CameraError as error:
            return camera, words(error)
        return camera, ""

    return work
