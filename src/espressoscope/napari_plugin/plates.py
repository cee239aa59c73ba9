"""Where cameras of a plate stand: rows and columns from the names of wells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from espressoscope import Member

__all__ = ["PLATES", "Plate", "Plates", "plate_places", "plate_size", "rows_of"]

PLATES: Final = {6: 3, 12: 4, 24: 6, 48: 8, 96: 12, 384: 24}
"""Columns of plates by their number of wells."""
_WELL: Final = re.compile(r"([A-Z]{1,2})(\d{1,2})")


class Plate(NamedTuple):
    """A plate in the mosaic: its first row, how many rows and columns of wells it has, and who told of it."""

    top: int
    rows: int
    columns: int
    source: str = ""

    @property
    def wells(self) -> frozenset[tuple[int, int]]:
        """Row and column of each of its wells."""
        return frozenset(
            (self.top + row, column) for row in range(self.rows) for column in range(self.columns)
        )


class Plates(NamedTuple):
    """Plates below each other, and row and column of each camera that stands in a well, by its name."""

    plates: tuple[Plate, ...]
    places: dict[str, tuple[int, int]]


def rows_of(plates: Iterable[Plate]) -> int:
    """Give the rows that plates take together; 0 where there is none."""
    return max((plate.top + plate.rows for plate in plates), default=0)


def plate_places(
    members: Iterable[Member], sizes: Mapping[str, int] | None = None, top: int = 0, source: str = ""
) -> Plates:
    """Give row and column of each camera that stands in a well; plates below each other, a row between.

    Parameters
    ----------
    members : iterable of Member
        The cameras, in wells or not.
    sizes : Mapping of str to int, optional
        How many wells each plate has; else as many as the smallest one on which its cameras find room.
    top : int
        First row.
    source : str
        Who tells of them.
    """
    on: dict[str, dict[str, tuple[int, int]]] = {}
    for member in members:
        well = _WELL.fullmatch(member.well or "")
        if well is not None:
            row = 0
            for letter in well[1]:
                row = row * 26 + ord(letter) - ord("A") + 1
            on.setdefault(member.plate or "", {})[member.name] = (row - 1, int(well[2]) - 1)
    places: dict[str, tuple[int, int]] = {}
    plates: list[Plate] = []
    for plate, those in on.items():
        rows, columns = (1 + max(place[axis] for place in those.values()) for axis in (0, 1))
        plates.append(Plate(top, *plate_size((sizes or {}).get(plate), rows, columns), source))
        places.update({name: (top + row, column) for name, (row, column) in those.items()})
        top += plates[-1].rows + 1
    return Plates(tuple(plates), places)


def plate_size(wells: int | None, rows: int, columns: int) -> tuple[int, int]:
    """Give rows and columns of the plate: with so many wells, or the smallest that these fit on."""
    for count, wide in PLATES.items():
        if (wells is None or count == wells) and rows <= count // wide and columns <= wide:
            return count // wide, wide
    return rows, columns
