"""Where cameras of a plate stand: rows and columns from the names of wells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from espressoscope import Member

__all__ = ["PLATES", "Plates", "plate_places", "plate_size"]

PLATES: Final = {6: 3, 12: 4, 24: 6, 48: 8, 96: 12, 384: 24}
"""Columns of plates by their number of wells."""
_WELL: Final = re.compile(r"([A-Z]{1,2})(\d{1,2})")


class Plates(NamedTuple):
    """Plates below each other.

    Attributes
    ----------
    rows, columns : int
        What they take together; 0 when there is none.
    places : dict of str to (int, int)
        Row and column of each camera that stands in a well, by its name.
    """

    rows: int
    columns: int
    places: dict[str, tuple[int, int]]


def plate_places(members: Iterable[Member], sizes: Mapping[str, int] | None = None) -> Plates:
    """Give row and column of each camera that stands in a well; plates below each other.

    A plate begins below the last row with a camera of the one above: nobody looks at empty rows.

    Parameters
    ----------
    members : iterable of Member
        The cameras, in wells or not.
    sizes : Mapping of str to int, optional
        How many wells each plate has; else as many as the smallest one on which its cameras find room.
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
    rows = columns = below = 0
    for name, those in plates.items():
        used = 1 + max(row for row, _ in those.values())
        high, wide = plate_size(
            (sizes or {}).get(name), used, 1 + max(column for _, column in those.values())
        )
        places.update({name: (below + row, column) for name, (row, column) in those.items()})
        rows, columns = below + high, max(columns, wide)
        below += used
    return Plates(rows, columns, places)


def plate_size(wells: int | None, rows: int, columns: int) -> tuple[int, int]:
    """Give rows and columns of the plate: with so many wells, or the smallest that these fit on."""
    for count, wide in PLATES.items():
        if (wells is None or count == wells) and rows <= count // wide and columns <= wide:
            return count // wide, wide
    return rows, columns
