"""Cameras on one axis of time: which frame of each belongs to each instant.

Every camera has its own rate, begins and ends when it likes, and pauses. The axis has an instant for every
frame of every camera: frames that arrive within the time between two frames of the fastest camera, one of
each camera at most, make one instant, and its time is that of the last of them. Between, in silence, there
are instants without a new frame, so that they follow each other about evenly. At an instant a camera has its
newest frame, unless that is too old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Timeline", "timeline"]

OLD_S: Final = 1.0
"""Age at which a frame stands for an instant no more, in seconds; of slow cameras three intervals."""
_INTERVALS: Final = 3
_USUAL_SHARE: Final = 0.95
"""Share of a camera's intervals that are usual: those between bursts or after a break are not."""
_MOST_EMPTY: Final = 4
"""Most instants without a new frame, to one with."""
_ALONE_NS: Final = 40_000_000  # stands for the interval of cameras that have a single frame


class Timeline(NamedTuple):
    """Cameras on one axis of time.

    Attributes
    ----------
    times : (N,) datetime64[ns]
        The instants, UTC.
    frames : Mapping of str to (N,) int64
        By camera, which frame it has at each instant; -1: none, it had not begun, or its last is too old.
    even : bool
        Instants follow each other about evenly: each is `step_s` after the one before, give or take what
        frames arrive early or late. Otherwise there are pauses, too long to be filled; one instant without
        any frame stands for each.
    """

    times: NDArray[np.datetime64]
    frames: Mapping[str, NDArray[np.int64]]
    even: bool

    @property
    def step_s(self) -> float:
        """Mean time from one instant to the next in seconds; 0 where there are fewer than two."""
        if len(self.times) < 2:
            return 0.0
        span = self.times[-1] - self.times[0]
        return float(span / np.timedelta64(1, "s")) / (len(self.times) - 1)


def timeline(times: Mapping[str, NDArray[np.datetime64]]) -> Timeline:
    """Put cameras on one axis.

    Parameters
    ----------
    times : Mapping of str to (T,) datetime64[ns]
        When the frames of each camera arrived, in their order.
    """
    # A clock that was set back makes no second past: there a frame counts as of the time before it.
    ordered = {name: np.maximum.accumulate(each.astype(np.int64)) for name, each in times.items()}
    some = [each for each in ordered.values() if len(each)]
    if not some:
        nothing = np.empty(0, np.int64)
        return Timeline(nothing.view("datetime64[ns]"), dict.fromkeys(times, nothing), True)
    instants = _instants(some)
    limits = {name: _limit(each) for name, each in ordered.items()}
    instants, even = _filled(instants, max(limits.values()))
    frames = {}
    for name, each in ordered.items():
        newest = np.searchsorted(each, instants, "right") - 1
        known = newest >= 0
        age = instants[known] - each[newest[known]]
        newest[known] = np.where(age <= limits[name], newest[known], -1)
        frames[name] = newest.astype(np.int64)
    return Timeline(instants.view("datetime64[ns]"), frames, even)


def _instants(some: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Give the times of all instants that have a new frame."""
    if len(some) == 1:
        return np.unique(some[0])
    apart = min((int(np.median(np.diff(each))) for each in some if len(each) > 1), default=_ALONE_NS)
    times = np.concatenate(some)
    cameras = np.repeat(np.arange(len(some)), [len(each) for each in some])
    order = np.argsort(times, kind="stable")
    times, cameras = times[order], cameras[order]
    # For each frame the one before it of the same camera; an instant ends before the first frame whose
    # predecessor is in it.
    before = np.full(len(times), -1)
    for camera in range(len(some)):
        own = np.flatnonzero(cameras == camera)
        before[own[1:]] = own[:-1]
    repeated = np.searchsorted(np.maximum.accumulate(before), np.arange(len(times)))
    late = np.searchsorted(times, times + apart, "right")
    nexts = np.minimum(repeated, late).tolist()
    last = []
    first = 0
    while first < len(nexts):
        first = nexts[first]
        last.append(first - 1)
    return np.unique(times[last])


def _limit(times: NDArray[np.int64]) -> int:
    """Give the age at which a camera's frame is too old, in nanoseconds."""
    intervals = np.sort(np.diff(times))
    usual = int(intervals[int(_USUAL_SHARE * (len(intervals) - 1))]) if len(intervals) else 0
    return max(round(OLD_S * 1e9), _INTERVALS * usual)


def _filled(instants: NDArray[np.int64], limit: int) -> tuple[NDArray[np.int64], bool]:
    """Put instants into stretches without any; tell whether all of them are even then."""
    gaps = np.diff(instants)
    if not len(gaps):
        return instants, True
    step = max(1, int(np.median(gaps)))
    more = np.maximum(np.rint(gaps / step).astype(np.int64) - 1, 0)
    even = int(more.sum()) <= _MOST_EMPTY * len(instants)
    if not even:
        more = (gaps > limit).astype(np.int64)
    wide = np.flatnonzero(more)
    if not len(wide):
        return instants, even
    parts = [instants]
    for place in wide.tolist():
        count, begin, gap = int(more[place]), int(instants[place]), int(gaps[place])
        # The one that stands for a pause is where every frame is too old.
        offsets = (
            gap * np.arange(1, count + 1) // (count + 1) if even else np.array([min(limit + 1, gap - 1)])
        )
        parts.append(begin + offsets)
    return np.unique(np.concatenate(parts)), even
