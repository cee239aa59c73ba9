"""What stands in a fleet file: its members, plates and profiles, read from plain data and checked.

Whoever is wrong is told where: an `EntryError` carries the path of the key, and `fleet_file` knows its line.
Keys that are not known here are nobody's mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from espressoscope.device.address import Address, clean_text, parse_address
from espressoscope.errors import CameraError
from espressoscope.lab.names import check_name, key_of, some_of
from espressoscope.lab.plates import PLATES, well_name
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.model import SettingValue

__all__ = ["Entries", "EntryError", "Member", "mac_of", "read_entries"]

_T = TypeVar("_T")
_MAC: Final = re.compile(r"[0-9A-F]{2}(?:([:-])[0-9A-F]{2}(?:\1[0-9A-F]{2}){4})|[0-9A-F]{12}")


class EntryError(ValueError):
    """Something in a fleet file that cannot be.

    Attributes
    ----------
    path : tuple of str
        The key it stands at.
    """

    def __init__(self, path: tuple[str, ...], reason: str) -> None:
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True, slots=True)
class Member:
    """One camera of the fleet file.

    Attributes
    ----------
    name : str
        Its name, unique in the file ignoring case.
    mac : str or None
        Upper-case with colons: what it is recognised by wherever it is.
    url : str or None
        Its last address, without the password that may stand there; None where only the MAC is known.
    firmware : str
        Firmware family, ``"unknown"`` where none is given.
    profile : str or None
        The profile it is to have.
    keep_profile : bool
        Whether a program that takes pictures with it gives it that profile again after a restart.
    plate, well : str or None
        Where it is.
    address : Address or None
        `url` with user name and password.
    settings : Mapping of str to value
        What its profile says; empty without one.
    """

    name: str
    mac: str | None
    url: str | None
    firmware: str
    profile: str | None
    keep_profile: bool
    plate: str | None
    well: str | None
    address: Address | None = field(default=None, repr=False)
    settings: Mapping[str, SettingValue] = field(default_factory=dict, repr=False, hash=False)

    @property
    def info(self) -> CameraInfo:
        """What is known of it, as discovery would tell; `CameraInfo.url` is empty where it is not known."""
        return CameraInfo(self.name, self.url or "", None, self.mac, self.firmware, "remembered")


class Entries(NamedTuple):
    """All that a fleet file says.

    Attributes
    ----------
    members : dict of str to Member
        By name, in the order of the file.
    plates : dict of str to int
        Number of wells by name.
    profiles : dict of str to (dict of str to value)
        Settings by name.
    """

    members: dict[str, Member]
    plates: dict[str, int]
    profiles: dict[str, dict[str, SettingValue]]


def mac_of(text: str) -> str:
    """Write a MAC as everywhere here: upper-case with colons.

    Raises
    ------
    ValueError
        It is none.
    """
    mac = text.strip().upper()
    if not _MAC.fullmatch(mac):
        raise ValueError(f"{clean_text(text, 40)!r} is no MAC: write it like 24:0A:C4:12:34:56")
    digits = mac.replace(":", "").replace("-", "")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def read_entries(data: Mapping[str, Any]) -> Entries:
    """Read and check the data of a fleet file.

    Raises
    ------
    EntryError
        Something cannot be.
    """
    plates = {name: _plate(name, table) for name, table in _tables(data, "plates").items()}
    profiles = {name: _profile(name, table) for name, table in _tables(data, "profiles").items()}
    members: dict[str, Member] = {}
    macs: dict[str, str] = {}
    places: dict[tuple[str, str], str] = {}
    for name, table in _tables(data, "cameras").items():
        member = _member(name, table, plates, profiles)
        path = ("cameras", name)
        if member.mac is not None and macs.setdefault(member.mac, name) != name:
            raise EntryError(
                (*path, "mac"), f"{macs[member.mac]} and {name} have the same MAC: one board, twice"
            )
        if member.plate is not None and member.well is not None:
            other = places.setdefault((member.plate, member.well), name)
            if other != name:
                reason = f"well {member.well} of {member.plate} has {other} and {name}: a well has one camera"
                raise EntryError((*path, "well"), reason)
        members[name] = member
    return Entries(members, plates, profiles)


def _tables(data: Mapping[str, Any], kind: str) -> Mapping[str, dict[str, Any]]:
    tables = data.get(kind, {})
    if not isinstance(tables, dict):
        raise EntryError((kind,), f"{kind} is no table: write [{kind}.NAME] and below it what belongs to it")
    known: dict[str, str] = {}
    for name, table in tables.items():
        path = (kind, name)
        if not isinstance(table, dict):
            raise EntryError(
                path, f"this is no table: write [{kind}.{clean_text(name)}] on a line of its own"
            )
        try:
            same = check_name(name) == name
        except ValueError as error:
            raise EntryError(path, str(error)) from None
        if not same:
            raise EntryError(path, f"the name {clean_text(name)!r} has blanks around it, or loose accents")
        other = known.setdefault(key_of(name), name)
        if other != name:
            raise EntryError(
                path, f"{other} and {name} differ in nothing but case: Windows takes them for one"
            )
    return tables


def _plate(name: str, table: dict[str, Any]) -> int:
    wells = table.get("wells")
    if type(wells) is not int or wells not in PLATES:
        numbers = ", ".join(map(str, PLATES))
        raise EntryError(("plates", name, "wells"), f"wells must be one of {numbers}")
    return wells


def _profile(name: str, table: dict[str, Any]) -> dict[str, SettingValue]:
    for key, value in table.items():
        if not isinstance(value, bool | int | float | str):
            raise EntryError(
                ("profiles", name, key), f"{clean_text(key)} must be a number, true, false, or text in quotes"
            )
    return dict(table)


def _member(
    name: str,
    table: dict[str, Any],
    plates: Mapping[str, int],
    profiles: Mapping[str, dict[str, SettingValue]],
) -> Member:
    path = ("cameras", name)

    def text(key: str) -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            raise EntryError((*path, key), f"{key} must be text in quotes")
        return value or None

    mac, url = text("mac"), text("url")
    if mac is not None:
        try:
            mac = mac_of(mac)
        except ValueError as error:
            raise EntryError((*path, "mac"), str(error)) from None
    address = None
    if url is not None:
        try:
            address = parse_address(url)
        except CameraError as error:
            raise EntryError((*path, "url"), f"{error.camera}: {error.message}") from None
    if mac is None and address is None:
        raise EntryError(path, f"{name} has neither url nor mac: nothing to find it by")
    keep = table.get("keep_profile", False)
    if not isinstance(keep, bool):
        raise EntryError((*path, "keep_profile"), "keep_profile must be true or false")
    profile = _one_of(profiles, text("profile"), (*path, "profile"))
    plate = _one_of(plates, text("plate"), (*path, "plate"))
    well = text("well")
    if well is not None:
        if plate is None and len(plates) != 1:
            reason = (
                f"well {well!r} of which plate? Add plate"
                if plates
                else "there is no plate: add [plates.NAME]"
            )
            raise EntryError((*path, "well"), reason)
        plate = plate or next(iter(plates))
        try:
            well = well_name(well, plates[plate])
        except ValueError as error:
            raise EntryError((*path, "well"), str(error)) from None
    return Member(
        name=name,
        mac=mac,
        url=None if address is None else address.url,
        firmware=clean_text(text("firmware") or "unknown"),
        profile=profile,
        keep_profile=keep,
        plate=plate,
        well=well,
        address=address,
        settings=profiles[profile] if profile is not None else {},
    )


def _one_of(known: Mapping[str, object], name: str | None, path: tuple[str, ...]) -> str | None:
    """Find what a name means, whatever its case."""
    if name is None:
        return None
    for each in known:
        if key_of(each) == key_of(name):
            return each
    reason = f"there is no {path[-1]} {clean_text(name)!r} in this file: it has {some_of(known)}"
    raise EntryError(path, reason)
