"""What a camera, a plate or a profile may be called: anything a person can read, and every system can store.

A name becomes a folder, a part of a file name, a layer and a word on a command line.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from espressoscope.model import CameraInfo

__all__ = ["check_name", "free_name", "key_of", "may_be_name", "some_of"]

MOST_CHARS: Final = 48
MOST_BYTES: Final = 120
"""In UTF-8: a file name may have 255, and time, number and suffix stand behind the camera's name."""

_MOST_LISTED: Final = 12
_FORBIDDEN: Final = '<>:"/\\|?*'
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.I)

# What boards call themselves when they leave the compiler: the same on every one.
_FACTORY: Final = frozenset(
    (
        *("matchboxscope", "omniscope", "easytarget", "esp32 camera server", "camerawebserver"),
        *("esp32-cam", "esp32cam", "esphome", "tasmota", "unknown"),
    )
)


def check_name(text: str) -> str:
    """Give a name as it is kept: without blanks around it, composed characters in one form (NFC).

    Raises
    ------
    ValueError
        It cannot be used; the message says why.
    """
    name = unicodedata.normalize("NFC", text.strip())
    problem = _problem(name)
    if problem is None:
        return name
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:60])
    raise ValueError(f"the name {shown!r} cannot be used: {problem}")


def _problem(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > MOST_CHARS or len(name.encode("utf-8", "replace")) > MOST_BYTES:
        return f"it is longer than {MOST_CHARS} characters, or {MOST_BYTES} bytes"
    for character in name:
        if not character.isprintable():
            return f"it holds the invisible character U+{ord(character):04X}"
        if character in _FORBIDDEN:
            return f"it holds {character}, which Windows allows in no file name"
        if character == "@":
            return "it holds @, which marks a user name in an address"
    if name[0] in "-.":
        return f"it begins with {name[0]}, which marks an option or a hidden file"
    if name[-1] == ".":
        return "it ends with a full stop, which Windows drops"
    if _DEVICES.fullmatch(name):
        return "Windows keeps it for a device"
    if _is_number_address(name):
        return "it is an address"
    return None


def _is_number_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def key_of(name: str) -> str:
    """Give what two names must differ in: Windows and macOS take A1 and a1 for the same folder."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def some_of(names: Iterable[str]) -> str:
    """List names for a message: twelve at most, and how many more there are; "none" where there is none."""
    known = list(names)
    more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    return (", ".join(known[:_MOST_LISTED]) or "none") + more


def may_be_name(text: str) -> bool:
    """Tell whether what stands for a camera could be a name of the fleet file, and not only an address."""
    try:
        check_name(text)
    except ValueError:
        return False
    return True


def free_name(info: CameraInfo, taken: Container[str]) -> str:
    """Make a readable name for a camera found: its own, with the end of its MAC where that is not unique.

    Names that a firmware gives to every board count as not unique even for the first.

    Parameters
    ----------
    info : CameraInfo
        The camera.
    taken : container of str
        Keys (`key_of`) of the names in use.
    """
    own = _made_safe(info.name, 24) or _made_safe(info.firmware, 24) or "camera"
    own = f"camera-{own}" if _problem(own) else own
    host = info.shown.url.removeprefix("http://").partition("/")[0]
    mark = info.mac.replace(":", "")[-6:] if info.mac else _made_safe(host, 20)
    candidates = [] if own.casefold() in _FACTORY else [own]
    candidates.append(f"{own}-{mark}")
    if info.mac:
        candidates.append(f"{own}-{info.mac.replace(':', '')}")
    number = 1
    while True:
        for name in candidates:
            if key_of(name) not in taken:
                return check_name(name)
        number += 1
        candidates = [f"{own}-{mark}-{number}"]


def _made_safe(text: str, most: int) -> str:
    """Turn what the network says into characters that pass, few enough for more before and behind them."""
    text = unicodedata.normalize("NFC", text)
    name = "".join(c if c.isprintable() and c not in _FORBIDDEN + "@[]" else "-" for c in text)
    name = name.strip(" -.")[:most]
    while len(name.encode("utf-8", "replace")) > MOST_BYTES // 3:
        name = name[:-1]
    return name.rstrip(" -.")
