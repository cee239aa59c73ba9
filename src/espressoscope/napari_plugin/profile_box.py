"""Profiles: what pictures depend on, kept under a name in the fleet file, given to cameras, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QGroupBox, QPushButton, QWidget

import espressoscope as es
from espressoscope.napari_plugin.calls import note, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope import Camera, SetResult
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["Outcome", "ProfileBox"]

_FILE = "fleet file"
"""Lane of what reads it. What writes it needs none: `FleetFile.save` keeps what others wrote."""
_NAME_TIP = "A name for these settings, kept in {}"
_SAVE_TIP = "Keep the settings of the camera in the form under this name, in {}"


class _Profiles(NamedTuple):
    path: str
    names: list[str]


class Outcome(NamedTuple):
    """What a profile did to a camera, or how the camera differs from it."""

    title: str
    camera: str
    results: Mapping[str, SetResult] | Exception


class ProfileBox(QGroupBox):
    """Keeps the settings of the camera in the form as a profile, and gives profiles to cameras.

    Parameters
    ----------
    session : LiveSession
        Its cameras.
    """

    wanted = Signal(str, str)
    """"apply" or "compare", and the profile: for the cameras that changes go to."""
    outcome = Signal(object)
    """Outcome, one for each camera."""

    def __init__(self, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__("Profile", parent)
        self._session = session
        self._camera = ""
        self.name = QComboBox()
        self.name.setEditable(True)
        self.name.setToolTip(_NAME_TIP.format("the fleet file"))
        self.name.lineEdit().setPlaceholderText("name of a profile")
        self.save = QPushButton("Save")
        self.save.setToolTip(_SAVE_TIP.format("the fleet file"))
        self.apply = QPushButton("Apply")
        self.apply.setToolTip("Give these settings to the cameras that changes go to")
        self.compare = QPushButton("Compare")
        self.compare.setToolTip("Tell where the cameras that changes go to differ; nothing is set")
        grid = QGridLayout(self)
        grid.addWidget(self.name, 0, 0, 1, 3)
        for column, button in enumerate((self.save, self.apply, self.compare)):
            grid.addWidget(button, 1, column)
        self.save.clicked.connect(self._save)
        self.apply.clicked.connect(lambda: self._want("apply"))
        self.compare.clicked.connect(lambda: self._want("compare"))
        self.name.currentTextChanged.connect(self._name_changed)
        self._name_changed()
        self.read()

    def show_camera(self, camera: str) -> None:
        """Save the settings of this camera from now on."""
        self._camera = camera
        self._name_changed()

    def read(self) -> None:
        """Read which profiles there are."""
        self._session.run(_profiles, self._show, lane=_FILE, quiet=True)

    def do(self, what: str, profile: str, camera: str) -> None:
        """Apply a profile to a camera, or compare; `outcome` tells."""
        device = self._session.camera(camera)
        if device is not None:
            self._session.run(lambda: _do(what, profile, camera, device), self._done, camera=camera)

    def _done(self, outcome: Outcome) -> None:
        self.outcome.emit(outcome)

    def _name_changed(self, *_: object) -> None:
        named = bool(self.name.currentText().strip())
        self.save.setEnabled(named and bool(self._camera))
        self.apply.setEnabled(named)
        self.compare.setEnabled(named)

    def _show(self, profiles: _Profiles) -> None:
        text = self.name.currentText()
        self.name.clear()
        self.name.addItems(profiles.names)
        self.name.setEditText(text)
        # Not the one whose cameras were taken in: profiles are for all.
        self.name.setToolTip(_NAME_TIP.format(profiles.path))
        self.save.setToolTip(_SAVE_TIP.format(profiles.path))

    def _want(self, what: str) -> None:
        self.wanted.emit(what, self.name.currentText().strip())

    def _save(self) -> None:
        camera, profile = self._camera, self.name.currentText().strip()
        device = self._session.camera(camera)
        if device is not None:
            self._session.run(lambda: _save(profile, camera, device), self._saved, camera=camera)

    def _saved(self, outcome: Outcome) -> None:
        self.outcome.emit(outcome)
        self.read()


# ---- on threads of the session -------------------------------------------------------------------------


def _profiles() -> _Profiles:
    file = es.FleetFile.load()
    return _Profiles(str(file.path.absolute()), sorted(file.profiles))


def _save(profile: str, camera: str, device: Camera) -> Outcome:
    title = f"Profile {profile} saved"
    try:
        settings = device.take_profile()
        file = es.FleetFile.load()
        file.put_profile(profile, settings)
        file.save()
    except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
        note(error)
        return Outcome(f"Profile {profile} not saved", camera, error)
    return Outcome(title, camera, {name: es.SetResult(v, v, ok=True) for name, v in settings.items()})


def _do(what: str, profile: str, camera: str, device: Camera) -> Outcome:
    title = f"Profile {profile} {'applied' if what == 'apply' else 'compared: nothing was set'}"
    try:
        results = device.apply_profile(profile) if what == "apply" else device.compare_profile(profile)
    except KeyError as error:
        return Outcome(title, camera, ValueError(words(error)))
    except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
        note(error)
        return Outcome(title, camera, error)
    return Outcome(title, camera, results)
