"""Moments as the files of a run have them in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["iso_utc"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso_utc(time_ns: int) -> str:
    """Write Unix nanoseconds as ISO 8601 in UTC, to the microsecond: ``2027-03-01T18:00:00.000000Z``.

    Raises
    ------
    OverflowError
        It is not within the years 1 to 9999.
    """
    # Not fromtimestamp: Windows refuses times before 1970, which a damaged file may have.
    when = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"
