"""Well plates: how many rows and columns, and what a well is called. Plain arithmetic, no file, no camera."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLATES", "well_at", "well_name", "wells"]

PLATES: Final[Mapping[int, tuple[int, int]]] = MappingProxyType(
    {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12)}
)
"""Rows and columns by number of wells; rows are A to H from the top, columns 1 to 12 from the left."""

_ROWS: Final = "ABCDEFGH"
_WELL: Final = re.compile(r"([A-Z])(\d{1,2})")


def wells(plate: int) -> tuple[str, ...]:
    """Give the names of all wells of a plate, row by row: ``"A1"`` ... ``"D6"`` for 24.

    Raises
    ------
    ValueError
        There is no such plate.
    """
    rows, columns = _size(plate)
    return tuple(f"{row}{column}" for row in _ROWS[:rows] for column in range(1, columns + 1))


def well_at(well: str, plate: int) -> tuple[int, int]:
    """Give row and column of a well, both from 0: ``"B3"`` is (1, 2).

    Parameters
    ----------
    well : str
        Its name; ``"b3"`` and ``"B03"`` will do.
    plate : int
        Number of wells: 6, 12, 24, 48 or 96.

    Raises
    ------
    ValueError
        There is no such plate, or no such well on it.
    """
    rows, columns = _size(plate)
    found = _WELL.fullmatch(well.strip().upper()) if well.isascii() else None
    row = _ROWS.find(found[1]) if found is not None else -1
    column = int(found[2]) - 1 if found is not None else -1
    if 0 <= row < rows and 0 <= column < columns:
        return row, column
    last = f"{_ROWS[rows - 1]}{columns}"
    shown = "".join(c for c in well[:20] if c.isprintable())
    raise ValueError(f"a plate of {plate} has no well {shown!r}: it has A1 to {last}")


def well_name(well: str, plate: int) -> str:
    """Give the usual name of a well: ``"b03"`` is ``"B3"``.

    Raises
    ------
    ValueError
        There is no such plate, or no such well on it.
    """
    row, column = well_at(well, plate)
    return f"{_ROWS[row]}{column + 1}"


def _size(plate: int) -> tuple[int, int]:
    if type(plate) is not int or plate not in PLATES:  # 24.0 is equal to a number of wells, and none
        numbers = ", ".join(map(str, PLATES))
        raise ValueError(f"no plate has {plate!r} wells: there are plates of {numbers}")
    return PLATES[plate]
