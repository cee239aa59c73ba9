"""Cameras by the names of the fleet file: what somebody wrote for a camera becomes what is known of it.

Reading the file is IO, so nothing here happens before a camera is opened; what is surely an address never
leads to the file.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from espressoscope.device.address import Address, clean_text, parse_address
from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.lab.entries import Member
from espressoscope.lab.fleet_file import FleetFile
from espressoscope.lab.names import may_be_name, some_of
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.model import SettingValue

__all__ = ["Card", "Roll", "card_of", "whereabouts_of"]

_NOWHERE = Address("", 80)


class Card(NamedTuple):
    """What is known of a camera before it is reached.

    Attributes
    ----------
    address : Address or None
        Where it is; without a host where nobody knows, None where only the fleet file can tell.
    info : CameraInfo or None
        What else is known.
    name : str
        What was written, if it may be a name of the fleet file; of a member its name there.
    profile : Mapping of str to value
        The settings the fleet file wants it to have.
    keep : bool
        Whether it is to be given them again when it has lost them.
    place : Mapping of str to str
        ``plate`` and ``well``, where the fleet file tells them.
    """

    address: Address | None
    info: CameraInfo | None = None
    name: str = ""
    profile: Mapping[str, SettingValue] = {}
    keep: bool = False
    place: Mapping[str, str] = {}

    def __str__(self) -> str:
        return clean_text(self.name) if self.address is None or not self.address.host else str(self.address)


def card_of(camera: str | CameraInfo | Member) -> Card:
    """Read what somebody wrote for a camera; no IO.

    Raises
    ------
    TypeError
        It is nothing of the kind.
    ConnectError, UnsupportedError
        It is neither an address nor could it be a name.
    """
    if isinstance(camera, Member):
        address = camera.address or _NOWHERE
        place = {"plate": camera.plate, "well": camera.well}
        known = {key: value for key, value in place.items() if value is not None}
        return Card(address, camera.info, camera.name, camera.settings, camera.keep_profile, known)
    if isinstance(camera, CameraInfo):
        return Card(parse_address(camera.url) if camera.url else _NOWHERE, camera)
    if not isinstance(camera, str):
        raise TypeError(
            f"a camera is an address, a name or a CameraInfo, not {type(camera).__name__}; "
            "write it like '192.168.4.1'"
        )
    name = camera if may_be_name(camera) else ""
    try:
        return Card(parse_address(camera), name=name)
    except CameraError:
        if not name:
            raise
        return Card(None, name=name)


class Roll:
    """The fleet file as cameras are looked up in it; read at the first name, once."""

    def __init__(self) -> None:
        self._file: FleetFile | None = None

    def look_up(self, card: Card) -> Card:
        """Find a camera by its name; what has no name, or one that is a host's, stays as it is.

        Raises
        ------
        FleetFileError
            The file is broken.
        ConnectError
            There is no camera of this name, and it is no address.
        """
        if not card.name or card.info is not None:
            return card
        if self._file is None:
            self._file = FleetFile.load()
        member = self._file.find(card.name)
        if member is not None:
            return card_of(member)
        if card.address is None:
            raise ConnectError(
                "this is neither a camera of the fleet file nor an address",
                reason=ConnectReason.UNRESOLVED,
                camera=str(card),
                hint=self.hint(card.name),
            )
        return card._replace(name="")

    def hint(self, name: str) -> str:
        """Say what somebody may have meant who wrote a name that is none."""
        file = self._file or FleetFile.load()
        close = difflib.get_close_matches(name.lower(), [each.lower() for each in file.members], n=1)
        meant = file.find(close[0]) if close else None
        if meant is not None:
            return f"Did you mean {meant.name}?"
        if not file.members:
            return (
                "There are no names yet: `espressoscope fleet add` gives cameras names, in "
                f"{file.path}. Until then give the address, as `espressoscope discover` tells it"
            )
        return (
            f"{file.path} has {some_of(file.members)}. For another camera give the address, as "
            "`espressoscope discover` tells it"
        )


def whereabouts_of(camera: str | CameraInfo | Member) -> tuple[Address, CameraInfo | None]:
    """Give what is known of a camera that is not opened; a name is looked up.

    Returns
    -------
    tuple of (Address, CameraInfo or None)
        Its last address, without a host where only its MAC is known; what else is known.

    Raises
    ------
    TypeError
        It is nothing of the kind.
    ConnectError, UnsupportedError
        It is no address and no name of the fleet file, or nobody knows its address nor its MAC.
    FleetFileError
        The file is broken.
    """
    card = Roll().look_up(card_of(camera))
    mac = None if card.info is None else card.info.mac
    if card.address is None or not (card.address.host or mac):
        raise ConnectError(
            "its address is not known",
            reason=ConnectReason.UNRESOLVED,
            camera=str(card),
            hint="`espressoscope discover` lists the cameras it can see: give the address of one",
        )
    return card.address, card.info
