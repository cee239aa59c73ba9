"""Moments as somebody gives them for an export; in UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["moment_ns"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_S: Final = 9_000_000_000
"""Times are 64-bit nanoseconds: until the year 2255."""


def moment_ns(when: object, first_ns: int) -> int:
    """Give a moment in Unix nanoseconds.

    Parameters
    ----------
    when : datetime or float
        A point in time, in UTC where it has no zone; or seconds since `first_ns`.
    first_ns : int
        Of the run's first frame.

    Raises
    ------
    ValueError
        It is neither, or centuries away.
    """
    if isinstance(when, datetime):
        since = (when if when.tzinfo is not None else when.replace(tzinfo=UTC)) - _EPOCH
        micro = round(since / timedelta(microseconds=1))
        if abs(micro) > _MOST_S * 10**6:
            raise ValueError(f"{when} is too far away")
        return micro * 1000
    if isinstance(when, bool) or not isinstance(when, int | float) or not math.isfinite(when):
        raise ValueError(f"a moment is a datetime, or seconds since the first frame, not {when!r}")
    found = first_ns + round(when * 1e9)
    if abs(found) > _MOST_S * 10**9:
        raise ValueError(f"{when} seconds are too many")
    return found
