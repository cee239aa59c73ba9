"""The fleet file, ``lab.toml``: which cameras a laboratory has, what they are called, and where they stand.

People edit it and programs do; neither may harm what the other wrote. A change is made on the text as it is
on the disk at that moment, so two programs that save at once lose nothing, and a broken file is told by line
and reason and never overwritten.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self, TypeVar

from espressoscope.errors import FleetFileError
from espressoscope.lab.draft import Draft, unwritten
from espressoscope.lab.on_disk import one_writer, read_bytes, write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from espressoscope.lab.entries import Member
    from espressoscope.model import CameraInfo, SettingValue

__all__ = ["FleetFile", "fleet_file_path"]

_T = TypeVar("_T")


def fleet_file_path() -> Path:
    """Tell where the fleet file is when nobody says.

    What ``ESPRESSOSCOPE_FLEET`` names, else ``lab.toml`` in the present folder if there is one, else the
    user's own.
    """
    given = os.environ.get("ESPRESSOSCOPE_FLEET")
    if given:
        return Path(given)
    here = Path("lab.toml")
    if here.exists():
        return here
    import platformdirs

    return platformdirs.user_config_path("espressoscope", appauthor=False) / "lab.toml"


class FleetFile:
    """A fleet file in memory; `load` reads one, `save` writes what was changed.

    Attributes
    ----------
    path : Path
        The file; it need not exist.
    """

    def __init__(self, path: Path, data: bytes | None) -> None:
        self.path = path
        self._there = data is not None
        self._edits: list[Callable[[Draft], object]] = []
        self._draft = Draft(path, data)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, *, must_exist: bool = False) -> Self:
        """Read a fleet file.

        Parameters
        ----------
        path : str or path, optional
            Without: what ``ESPRESSOSCOPE_FLEET`` names, else ``lab.toml`` in the present folder if there is
            one, else ``lab.toml`` in the user's folder for such things.
        must_exist : bool
            Else a file that is not there is an empty one, made when it is first saved.

        Raises
        ------
        FleetFileError
            It is broken, cannot be read, or is not there and must be.
        """
        where = fleet_file_path() if path is None else Path(path)
        data = _read(where)
        if data is None and must_exist:
            error = FleetFileError(path=str(where), line=None, reason="there is no such file")
            error.hint = "`espressoscope fleet add` makes one"
            raise error
        return cls(where, data)

    # ---- what stands in it --------------------------------------------------------------------------

    @property
    def members(self) -> Mapping[str, Member]:
        """Its cameras by name, in the order of the file."""
        return MappingProxyType(self._draft.entries.members)

    @property
    def plates(self) -> Mapping[str, int]:
        """Its plates: how many wells each has, by name."""
        return MappingProxyType(self._draft.entries.plates)

    @property
    def profiles(self) -> Mapping[str, Mapping[str, SettingValue]]:
        """Its settings profiles by name."""
        return MappingProxyType(self._draft.entries.profiles)

    def find(self, name: str) -> Member | None:
        """Find a camera by its name, whatever its case; None when there is none of that name."""
        return self._draft.find(name)

    def profile(self, name: str) -> Mapping[str, SettingValue]:
        """Give the settings of a profile, whatever the case of its name.

        Raises
        ------
        KeyError
            There is none of that name.
        """
        return MappingProxyType(self._draft.entries.profiles[self.profile_name(name)])

    def profile_name(self, name: str) -> str:
        """Give a profile's name as it stands in the file.

        Raises
        ------
        KeyError
            There is none of that name.
        """
        return self._draft.profile_name(name)

    def find_camera(self, info: CameraInfo) -> Member | None:
        """Find a camera that was met on the network: by its MAC, or else by its address."""
        return self._draft.find_camera(info)

    # ---- changing it --------------------------------------------------------------------------------

    def add(self, info: CameraInfo, name: str | None = None) -> Member:
        """Take a camera in; one that is in it already (same MAC) keeps its name and gets its present address.

        Parameters
        ----------
        info : CameraInfo
            As `discover` gave it, or `Camera.info`.
        name : str, optional
            What to call it; else its own name, made unique and safe.

        Raises
        ------
        ValueError
            The name cannot be used, is taken, or the camera has another one already.
        """
        return self._edit(lambda draft: draft.add(info, name))

    def rename(self, old: str, new: str) -> Member:
        """Give a camera another name.

        Raises
        ------
        KeyError
            There is none called `old`.
        ValueError
            `new` cannot be used, or is taken.
        """
        return self._edit(lambda draft: draft.rename(old, new))

    def assign(
        self, name: str, plate: str | None = None, well: str | None = None, *, wells: int | None = None
    ) -> Member:
        """Say where a camera stands; without plate and well, that it stands nowhere.

        Parameters
        ----------
        name : str
            Which camera.
        plate : str, optional
            Which plate; may be left out where there is one only.
        well : str, optional
            ``"A1"`` to ``"H12"``.
        wells : int, optional
            How many wells the plate has, if it is a new one: 6, 12, 24, 48 or 96.

        Raises
        ------
        KeyError
            There is no such camera.
        ValueError
            There is no such plate or well, or another camera is there.
        """
        return self._edit(lambda draft: draft.assign(name, plate, well, wells))

    def forget(self, name: str) -> None:
        """Take a camera out.

        Raises
        ------
        KeyError
            There is none of that name.
        """
        self._edit(lambda draft: draft.forget(name))

    def set_profile(self, name: str, profile: str | None, *, keep: bool | None = None) -> Member:
        """Say which profile a camera is to have.

        Parameters
        ----------
        name : str
            Which camera.
        profile : str or None
            A profile of this file; None for none.
        keep : bool, optional
            Whether programs that take pictures give it that profile again after a restart; else as it was.

        Raises
        ------
        KeyError
            There is no such camera, or no such profile.
        """
        return self._edit(lambda draft: draft.set_profile(name, profile, keep))

    def put_profile(self, profile: str, settings: Mapping[str, SettingValue]) -> None:
        """Keep settings as a profile, in place of those it had.

        Raises
        ------
        ValueError
            The name cannot be used, there are no settings, or one is no plain value.
        """
        self._edit(lambda draft: draft.put_profile(profile, dict(settings)))

    def forget_profile(self, profile: str) -> None:
        """Take a profile out.

        Raises
        ------
        KeyError
            There is none of that name.
        ValueError
            A camera is to have it.
        """
        self._edit(lambda draft: draft.forget_profile(profile))

    def note(self, info: CameraInfo) -> Member | None:
        """Take note of the present address of a camera of this file; None when it is none of them."""
        member = self._draft.find_camera(info)
        return None if member is None else self._edit(lambda draft: draft.update(info))

    def _edit(self, edit: Callable[[Draft], _T]) -> _T:
        # Tried on what is known, and made again on what is on the disk by then.
        result = edit(self._draft)
        self._edits.append(edit)
        return result

    def save(self) -> bool:
        """Write what was changed; tell whether anything was.

        Changes are made on the file as it is by then: what others wrote meanwhile stays.

        Raises
        ------
        FleetFileError
            It has been broken or removed meanwhile, what others wrote rules a change out, or it cannot be
            written. The file is as it was.
        """
        if not self._edits:
            return False
        target = Path(os.path.realpath(self.path))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with one_writer(target):
                self._write(target)
        except TimeoutError:
            raise unwritten(self.path, "another program is writing it and does not finish") from None
        except OSError as error:
            hint = "It is as it was. Choose another file: --file, or ESPRESSOSCOPE_FLEET"
            raise unwritten(self.path, f"it cannot be written ({error.strerror or error})", hint) from error
        return True

    def _write(self, target: Path) -> None:
        data = _read(self.path)
        if data is None and self._there:
            raise unwritten(self.path, "it has been removed or renamed meanwhile", "Load it anew")
        draft = self._draft
        if data != draft.data:
            draft = Draft(self.path, data)
            for edit in self._edits:
                try:
                    edit(draft)
                except (KeyError, ValueError) as error:
                    reason = f"it was changed by somebody else meanwhile: {error.args[0]}"
                    raise unwritten(self.path, reason, "Load it anew and try again") from error
        written = draft.encode()
        if written != data:
            write_bytes(target, written)
        self._draft, self._there = Draft(self.path, written), True
        self._edits.clear()


def _read(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except OSError as error:
        reason = f"it cannot be read ({error.strerror or error})"
        raise FleetFileError(path=str(path), line=None, reason=reason) from error
