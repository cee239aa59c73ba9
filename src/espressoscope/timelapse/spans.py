"""Spans of time as people write them: read from ``10min``, ``1h30`` or ``2d``, and written back."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

__all__ = ["MOST_S", "read_moment", "read_span", "write_span"]

MOST_S: Final = 20 * 365 * 86400.0
"""Longest span, in seconds."""

_UNITS: Final = {
    **dict.fromkeys(("ms",), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86400.0),
}
_BELOW: Final = {86400.0: 3600.0, 3600.0: 60.0, 60.0: 1.0}
_PIECE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([a-z]*)")
_EXAMPLES: Final = "write it like 30s, 10min, 1h30 or 2d"


def read_span(text: str | float) -> float:
    """Read a span of time, in seconds; a number counts as seconds already.

    Parameters
    ----------
    text : str or float
        ``"30s"``, ``"10min"``, ``"1h30"`` (what has no unit behind hours are minutes), ``"2d"``, ``"1.5h"``.

    Raises
    ------
    ValueError
        It is none, nothing, or longer than 20 years; the message has examples.
    """
    if isinstance(text, str):
        total, rest, unit = 0.0, text.strip().lower().replace(" ", ""), 0.0
        while rest:
            piece = _PIECE.match(rest)
            size = None if piece is None else _UNITS.get(piece[2], 0.0) if piece[2] else _BELOW.get(unit)
            if piece is None or not size or (unit and size >= unit):
                raise ValueError(f"{text!r} is no span of time: {_EXAMPLES}")
            total, rest, unit = total + float(piece[1]) * size, rest[piece.end() :], size
    else:
        total = float(text)
    if not 0.001 <= total <= MOST_S:  # nan neither
        raise ValueError(f"{text!r} is no span of time from 1 ms to 20 years: {_EXAMPLES}")
    return total


def write_span(seconds: float) -> str:
    """Write a span as people do: ``1 d 4 h``, ``10 min``, ``1.5 s``."""
    if seconds < 60:
        return f"{max(0.0, seconds):.3g} s"
    rest = round(seconds)
    pieces = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            pieces.append(f"{count} {unit}")
    return " ".join(pieces[:2])


def read_moment(text: str) -> int:
    """Read a moment as ISO 8601, in Unix nanoseconds; without a zone it is this computer's time.

    Raises
    ------
    ValueError
        It is none; the message has an example.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return round(moment.timestamp()) * 1_000_000_000
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no moment: write it like 2027-03-01T18:00 or 2027-03-01") from None
