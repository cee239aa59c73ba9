"""Where recordings go, and what they are called: never where there is one already. No Qt here."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

__all__ = ["default_folder", "default_name", "folder_of", "next_name", "run_path"]

_MOST_CHARS: Final = 80
# Windows refuses these; a run should be free to travel.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def default_folder() -> Path:
    """Give the folder that recordings go to when nobody says where."""
    return Path.home() / "Espressoscope"


def default_name() -> str:
    """Give a name of the present moment."""
    return time.strftime("run-%Y%m%d-%H%M%S")


def next_name(name: str) -> str:
    """Give the name that follows: another number, or a first one."""
    found = re.fullmatch(r"(.*?)(\d{1,9})", name)
    if found is None:
        return f"{name}-2"
    return f"{found[1]}{int(found[2]) + 1:0{len(found[2])}}"


def run_path(folder: str, name: str) -> Path:
    """Give the folder of a run.

    Raises
    ------
    ValueError
        No run can have this name, or there is no such folder.
    """
    name = name.strip()
    if (
        _FORBIDDEN.search(name)
        or _RESERVED.fullmatch(name)
        or name != name.rstrip(".")
        or not 0 < len(name) <= _MOST_CHARS
    ):
        raise ValueError(
            f"no run can be called {name[:_MOST_CHARS]!r}: use letters, digits, spaces, - and _, "
            f"at most {_MOST_CHARS}"
        )
    return folder_of(folder) / name


def folder_of(text: str) -> Path:
    """Give the folder somebody has typed; `default_folder` for nothing, and below it what is no whole path.

    Raises
    ------
    ValueError
        There can be no such folder.
    """
    text = text.strip()
    if "\0" in text:
        raise ValueError("there is no such folder")
    try:
        where = Path(text).expanduser() if text else default_folder()
    except RuntimeError as error:  # ~name, of nobody here
        raise ValueError(f"there is no folder {text}: this computer knows no such user") from error
    return where if where.is_absolute() else default_folder() / where
