"""Whether a time-lapse fits: on the disk, and between one point and the next. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from espressoscope.timelapse.spans import write_span

__all__ = ["Forecast", "forecast_disk", "too_slow"]

_A_PICTURE: Final = 64 + 8 + 256 + 64 + 160 + 120 + 44
"""Bytes beside a picture's own: record, page, line of the log, OME-XML, table."""
_A_POINT: Final = 200
_A_SEGMENT: Final = 16 * 10_000 + 4 + 2048


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of the disk.

    Attributes
    ----------
    bytes_a_point : int
        Of all cameras, what belongs to the pictures included.
    points : int or None
        Still to come; None: until it is stopped.
    needed : int or None
        Bytes these take.
    free : int
        Bytes there are for it.
    every_s : float
        From one point to the next.
    """

    bytes_a_point: int
    points: int | None
    needed: int | None
    free: int
    every_s: float

    @property
    def fits(self) -> bool:
        """Whether there is room for all of it."""
        return self.free > 0 if self.needed is None else self.needed <= self.free

    @property
    def room_s(self) -> float:
        """For how many seconds there is room."""
        return max(0, self.free) / max(1, self.bytes_a_point) * self.every_s

    def __str__(self) -> str:
        room = f"{_size(max(0, self.free))} free"
        if self.needed is None:
            return f"{_size(self.bytes_a_point)} a point, {room}: enough for {write_span(self.room_s)}"
        text = f"{self.points} points take {_size(self.needed)}, {room}"
        return text if self.fits else f"{text}: enough for {write_span(self.room_s)} only"


def forecast_disk(
    sizes: list[int | None], burst: int, points: int | None, every_s: float, free: int
) -> Forecast:
    """Forecast from the size of a picture of each camera; None where it is not known counts as the others.

    Parameters
    ----------
    sizes : list of int or None
        Bytes of a picture, for each camera.
    burst : int
        Pictures of a point.
    points : int or None
        How many there are to be.
    every_s : float
    free : int
        Bytes that may be used.
    """
    known = [size for size in sizes if size is not None]
    mean = sum(known) / len(known) if known else 0.0
    a_point = sum(
        round((mean if size is None else size) + _A_PICTURE) * burst + _A_POINT
        + round(_A_SEGMENT / 10_000 * burst)
        for size in sizes
    )  # fmt: skip
    needed = None if points is None else a_point * points + _A_SEGMENT * len(sizes)
    return Forecast(a_point, points, needed, free, every_s)


def too_slow(seconds: dict[str, float], every_s: float) -> dict[str, float]:
    """Give the cameras, and their seconds for a point, that cannot be ready for the next point in time."""
    return {name: took for name, took in seconds.items() if took > every_s}


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
