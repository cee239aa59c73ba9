"""A camera's settings as a whole: taken as a profile, given back, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from espressoscope.api.handle import CameraHandle
from espressoscope.lab.fleet_file import FleetFile
from espressoscope.lab.profiles import take
from espressoscope.model import SettingValue

if TYPE_CHECKING:
    from espressoscope.model import SetResult

__all__ = ["CameraUpkeep", "Profile", "settings_of"]

Profile: TypeAlias = str | Mapping[str, SettingValue] | None


def settings_of(profile: Profile) -> Mapping[str, SettingValue] | None:
    """Give the settings of a profile, looked up in the fleet file if it is a name; None for a camera's own.

    Raises
    ------
    KeyError
        There is no profile of this name.
    FleetFileError
        The fleet file is broken.
    """
    return FleetFile.load().profile(profile) if isinstance(profile, str) else profile


class CameraUpkeep(CameraHandle):
    """What `Camera` does with its settings as a whole."""

    def take_profile(self) -> dict[str, SettingValue]:
        """Read its settings anew, and give those that make a profile: what pictures depend on.

        Raises
        ------
        UnsupportedError
            It does not tell its settings.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        runtime, session = self._opened()
        self._run(runtime, session.status())
        return take(session.settings())

    def apply_profile(self, profile: Profile = None, *, keep: bool = False) -> dict[str, SetResult]:
        """Give it the settings of a profile, read them back, and report what it now has.

        What it has already is not sent. A setting that this camera does not know, or a value it cannot have,
        is reported and keeps the others from nothing.

        Parameters
        ----------
        profile : str or mapping, optional
            Name of a profile in the fleet file, or settings; else the profile that the fleet file gives this
            camera.
        keep : bool
            See to it from now on: whenever pictures begin, and after every break long enough for a restart,
            what it has lost is set again. What is `set` on purpose meanwhile is kept instead.

        Returns
        -------
        dict of str to SetResult
            One for each setting of the profile.

        Raises
        ------
        KeyError
            There is no profile of this name.
        UnsupportedError
            This camera cannot be set, or has no profile.
        ConnectError, CameraTimeout, RemoteProtocolError, FleetFileError
        """
        settings = settings_of(profile)
        runtime, session = self._opened()
        return self._run(runtime, session.upkeep.apply(settings, keep=keep))

    def compare_profile(self, profile: Profile = None) -> dict[str, SetResult]:
        """Compare its settings with a profile; nothing is set.

        Parameters
        ----------
        profile : str or mapping, optional
            As for `apply_profile`.

        Returns
        -------
        dict of str to SetResult
            One for each setting of the profile: `SetResult.ok` where the camera has it, or tells nothing.

        Raises
        ------
        KeyError
            There is no profile of this name.
        UnsupportedError
            This camera cannot be set, or has no profile.
        ConnectError, CameraTimeout, RemoteProtocolError, FleetFileError
        """
        settings = settings_of(profile)
        runtime, session = self._opened()
        return self._run(runtime, session.upkeep.compare(settings))
