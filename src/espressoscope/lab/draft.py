"""A fleet file as it is being changed: its text and what it says, together, each change checked as a whole.

Nothing here touches a disk; `fleet_file` reads, locks and writes.
"""

from __future__ import annotations

import math
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from espressoscope.device.address import clean_text, parse_address
from espressoscope.errors import FleetFileError
from espressoscope.lab.entries import EntryError, mac_of, read_entries
from espressoscope.lab.names import check_name, free_name, key_of, some_of
from espressoscope.lab.on_disk import Content, NotTextError, decode
from espressoscope.lab.plates import well_name, wells
from espressoscope.lab.toml_lines import begin_of_unfinished
from espressoscope.lab.toml_text import TomlText, UneditableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from espressoscope.lab.entries import Entries, Member
    from espressoscope.model import CameraInfo, SettingValue

__all__ = ["Draft", "unwritten"]

_HEAD: Final = """\
# The cameras of this laboratory, for Espressoscope. Edit it as you like: comments, order and keys that
# Espressoscope does not know stay as they are.
"""

_UNFINISHED: Final = (
    ("Unclosed", "a bracket is opened here and not closed"),
    ("Expected '\"", "a quote is missing"),
    ("Expected \"'", "a quote is missing"),
    ("Unterminated", "a quote is missing"),
)
# What the standard library's reader says, and what that means to somebody who edits a file by hand.
_MEANT: Final = (
    ("Invalid value", "what stands behind = is no value: text stands in quotes"),
    ("Cannot overwrite", "this stands further up already"),
    ("Cannot declare", "this table stands further up already"),
    ("Expected '='", "a key and = are wanted here, or a # before words for people"),
    ("Invalid statement", "a key and = are wanted here, or a # before words for people"),
    ("Illegal character", "a quote is missing, or a character stands here that cannot be seen"),
    ("Expected newline or end", "there is more on this line than a key and its value"),
)


class Draft:
    """The text of a fleet file and what it says.

    Parameters
    ----------
    path : Path
        Named in errors.
    data : bytes or None
        What is in the file; None for one that is not there yet.

    Attributes
    ----------
    entries : Entries
        What it says.

    Raises
    ------
    FleetFileError
        It is broken.
    """

    def __init__(self, path: Path, data: bytes | None) -> None:
        self.path = path
        self.data = data
        self._content = Content(_HEAD)
        try:
            if data is not None:
                self._content = decode(data)
            self._text = TomlText(self._content.text)
        except NotTextError as error:
            raise self._broken(error.line, str(error)) from None
        except tomllib.TOMLDecodeError as error:
            raise self._broken(*_meaning_of(error, self._content.text)) from None
        except RecursionError:
            raise self._broken(None, "it is nested too deeply") from None
        try:
            self.entries: Entries = read_entries(self._text.data)
        except EntryError as error:
            raise self._broken(self._text.line_of(error.path), str(error)) from None

    def _broken(self, line: int | None, reason: str) -> FleetFileError:
        return FleetFileError(path=str(self.path), line=line, reason=reason)

    def encode(self) -> bytes:
        """Give the file as it is to be written.

        Raises
        ------
        FleetFileError
            It is written in a way that a program cannot change safely.
        """
        try:
            return self._content.encode(self._text.text())
        except UneditableError as error:
            raise unwritten(self.path, str(error), "Make this change by hand") from None

    def _reread(self) -> None:
        self.entries = read_entries(self._text.data)

    def _done(self, name: str) -> Member:
        """Read what the text says now; give a camera of it."""
        self._reread()
        return self._member(name)

    def _put(self, name: str, key: str, value: SettingValue | None) -> None:
        """Write one key of a camera, or take it away."""
        if value is None:
            self._text.remove(("cameras", name, key))
        else:
            self._text.set(("cameras", name, key), value)

    # ---- finding

    def find(self, name: str) -> Member | None:
        """Find a camera by its name, whatever its case."""
        members = self.entries.members
        if name in members:
            return members[name]
        return next((each for key, each in members.items() if key_of(key) == key_of(name)), None)

    def find_camera(self, info: CameraInfo) -> Member | None:
        """Find a camera by its MAC, or, where one of the two is not known, by its address."""
        members = self.entries.members.values()
        if info.mac is not None:
            known = next((each for each in members if each.mac == info.mac), None)
            if known is not None:
                return known
        at = parse_address(info.url) if info.url else None
        if at is None:
            return None
        unsure = (each for each in members if each.mac is None or info.mac is None)
        return next((each for each in unsure if each.url == at.url), None)

    def _member(self, name: str) -> Member:
        member = self.find(name)
        if member is None:
            there = some_of(self.entries.members)
            raise KeyError(f"{self.path} has no camera {clean_text(name)!r}; it has {there}")
        return member

    def profile_name(self, name: str) -> str:
        """Give a profile's name as it is written in the file."""
        for each in self.entries.profiles:
            if key_of(each) == key_of(name):
                return each
        there = some_of(self.entries.profiles)
        raise KeyError(f"{self.path} has no profile {clean_text(name)!r}; it has {there}")

    def _new_name(self, name: str, old: str | None = None) -> str:
        name = check_name(name)
        other = self.find(name)
        if other is not None and other.name != old:
            raise ValueError(f"there is a camera {other.name} already")
        return name

    # ---- changing

    def add(self, info: CameraInfo, name: str | None) -> Member:
        """Take a camera in, or update the one it is."""
        member = self.find_camera(info)
        if member is not None:
            if name is not None and key_of(name) != key_of(member.name):
                raise ValueError(f"this camera is in {self.path} already, as {member.name}: rename it")
            return self.update(info)
        taken = {key_of(each) for each in self.entries.members}
        name = self._new_name(name) if name is not None else free_name(info, taken)
        if info.mac:
            self._put(name, "mac", mac_of(info.mac))
        self._put(name, "url", info.url)
        if info.firmware not in ("", "unknown"):
            self._put(name, "firmware", clean_text(info.firmware))
        return self._done(name)

    def update(self, info: CameraInfo) -> Member:
        """Take over what is known of a camera now."""
        member = self.find_camera(info)
        if member is None:
            raise KeyError(f"{info.shown.url} is none of the cameras of {self.path}")
        if info.url and info.url != member.url:
            self._put(member.name, "url", _with_login(info.url, member))
        if info.mac and member.mac is None:
            self._put(member.name, "mac", mac_of(info.mac))
        if info.firmware not in ("", "unknown", member.firmware):
            self._put(member.name, "firmware", clean_text(info.firmware))
        return self._done(member.name)

    def rename(self, old: str, new: str) -> Member:
        """Give a camera another name."""
        member = self._member(old)
        name = self._new_name(new, member.name)
        if name != member.name:
            self._text.rename(("cameras", member.name), name)
        return self._done(name)

    def assign(self, name: str, plate: str | None, well: str | None, size: int | None) -> Member:
        """Say where a camera stands."""
        member = self._member(name)
        if plate is None and well is None:
            return self._place(member, None, None)
        plates = self.entries.plates
        if plate is None and len(plates) != 1:
            raise ValueError(f"on which plate? There is {'none' if not plates else ', '.join(plates)}")
        wanted = plate if plate is not None else next(iter(plates))
        known = next((each for each in plates if key_of(each) == key_of(wanted)), None)
        if known is not None:
            if size not in (None, plates[known]):
                raise ValueError(f"{known} has {plates[known]} wells, not {size}")
            place, size = known, plates[known]
        elif size is None:
            raise ValueError(f"there is no plate {clean_text(wanted)!r} yet: say how many wells it has")
        else:
            place = check_name(wanted)
            wells(size)
        if well is not None:
            well = well_name(well, size)
            for other in self.entries.members.values():
                if (other.plate, other.well) == (place, well) and other.name != member.name:
                    raise ValueError(f"well {well} of {place} has {other.name}")
        if known is None:
            for other in self.entries.members.values():
                if other.plate is not None:  # perhaps only because there was but one
                    self._put(other.name, "plate", other.plate)
            self._text.set(("plates", place, "wells"), size)
        return self._place(member, place, well)

    def _place(self, member: Member, plate: str | None, well: str | None) -> Member:
        self._put(member.name, "plate", plate)
        self._put(member.name, "well", well)
        return self._done(member.name)

    def forget(self, name: str) -> None:
        """Take a camera out."""
        self._text.remove(("cameras", self._member(name).name))
        self._reread()

    def set_profile(self, name: str, profile: str | None, keep: bool | None) -> Member:
        """Say which profile a camera is to have."""
        member = self._member(name)
        self._put(member.name, "profile", None if profile is None else self.profile_name(profile))
        if profile is None:
            keep = False
        if keep is not None:
            self._put(member.name, "keep_profile", keep or None)
        return self._done(member.name)

    def put_profile(self, name: str, settings: Mapping[str, Any]) -> None:
        """Keep settings as a profile."""
        known = [each for each in self.entries.profiles if key_of(each) == key_of(name)]
        profile = known[0] if known else check_name(name)
        if not settings:
            raise ValueError("a profile without settings is none")
        for key, value in settings.items():
            finite = not isinstance(value, float) or math.isfinite(value)
            if not isinstance(value, bool | int | float | str) or not finite:
                raise ValueError(f"{clean_text(key)} cannot be {value!r}: it is a number, a truth or a text")
        for key in self.entries.profiles.get(profile, {}):
            if key not in settings:
                self._text.remove(("profiles", profile, key))
        for key, value in settings.items():
            self._text.set(("profiles", profile, key), value)
        self._reread()

    def forget_profile(self, name: str) -> None:
        """Take a profile out."""
        profile = self.profile_name(name)
        users = [member.name for member in self.entries.members.values() if member.profile == profile]
        if users:
            raise ValueError(f"{', '.join(users)} {'is' if len(users) == 1 else 'are'} to have {profile}")
        self._text.remove(("profiles", profile))
        self._reread()


def unwritten(path: Path, reason: str, hint: str | None = None) -> FleetFileError:
    """Build the error for a fleet file that was not written."""
    error = FleetFileError(path=str(path), line=None, reason=reason)
    error.hint = hint or "It is as it was"
    return error


def _with_login(url: str, member: Member) -> str:
    """Write an address with the user name and password that stood in the one before."""
    login = None if member.address is None else member.address.auth
    if login is None:
        return url
    user, password = (quote(each, safe="") for each in login)
    return url.replace("://", f"://{user}:{password}@", 1)


def _meaning_of(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    said = str(error)
    for beginning, words in _UNFINISHED:
        if said.startswith(beginning):  # noticed far below
            return begin_of_unfinished(text), words
    found = re.search(r"\(at line (\d+), column \d+\)", said)
    line = int(found[1]) if found is not None else text.count("\n") + 1
    said = re.sub(r"\s*\(at [^()]*\)$", "", said)
    meant = next((words for beginning, words in _MEANT if said.startswith(beginning)), None)
    return line, meant or f"this is not TOML: {clean_text(said, 120)}"
