"""Where cameras of a plate stand: rows and columns from the names of wells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from espressoscope import Member

__all__ = ["PLATES", "plate_places"]

PLATES: Final = {6: 3, 12: 4, 24: 6, 48: 8, 96: 12, 384: 24}
"""Columns of plates by their number of wells."""
_WELL: Final = re.compile(r"([A-Z]{1,2})(\d{1,2})")


def plate_places(members: Iterable[Member]) -> tuple[int, dict[str, tuple[int, int]]]:
    """Give row and column of each camera that stands in a well; plates below each other.

    Returns
    -------
    (int, dict of str to (int, int))
        Columns that are needed, and the places by name.
    """
    plates: dict[str, dict[str, tuple[int, int]]] = {}
    for member in members:
        well = _WELL.fullmatch(member.well or "")
        if well is not None:
            row = 0
            for letter in well[1]:
                row = row * 26 + ord(letter) - ord("A") + 1
            plates.setdefault(member.plate or "", {})[member.name] = (row - 1, int(well[2]) - 1)
    places: dict[str, tuple[int, int]] = {}
    columns = below = 0
    for those in plates.values():
        wide = 1 + max(column for _, column in those.values())
        columns = max(columns, next((each for each in PLATES.values() if each >= wide), wide))
        places.update({name: (below + row, column) for name, (row, column) in those.items()})
        below = 1 + max(row for row, _ in places.values())
    return columns, places
