"""Recording all cameras of a fleet, also from before it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.api.keeper import FrameKeeper, keeper_among, keeper_for
from espressoscope.api.membership import FleetHandle
from espressoscope.api.recorder import Recorder

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

__all__ = ["FleetRecording"]


class FleetRecording(FleetHandle):
    """What `Fleet` does to keep its cameras' frames."""

    def record(
        self,
        path: str | os.PathLike[str],
        seconds: float | None = None,
        frames: int | None = None,
        *,
        before: float | None = None,
        keep_free: int | None = None,
        cameras: Iterable[str] | None = None,
    ) -> Recorder:
        """Record the frames of all cameras, byte for byte with their times, into a new folder.

        Starts the streams that do not run. Cameras that are not there are recorded from when they are.

        Parameters
        ----------
        path, before, keep_free
            As for `Camera.record`.
        seconds, frames : optional
            As for `Camera.record`; the seconds count from when all cameras are recorded, the frames are those
            of each.
        cameras : iterable of str, optional
            Names of those to record; else all, also those added later.

        Returns
        -------
        Recorder

        Raises
        ------
        RecordingError
            The folder cannot be used, or the system gives no more threads.
        KeyError
            There is no camera of one of these names.
        ValueError
            `seconds`, `frames`, `before` or `keep_free` is out of range, nothing is kept, or no camera named.
        """
        runtime = self._opened()
        only = None if cameras is None else frozenset(cameras)
        if only is not None:
            if not only:
                raise ValueError("cameras must name at least one")
            for name in only:
                self[name]
        with keeper_for(before, self._followers) as keeper:
            recorder = Recorder(
                path,
                seconds,
                frames,
                keep_free,
                self,
                self._followers,
                only,
                keeper=keeper,
                before=before or 0.0,
                runtime=runtime,
            )
            self._bring_in(recorder, runtime)
            recorder.begin()
        return recorder

    def keep(self, seconds: float, *, max_bytes: int | None = None) -> FrameKeeper:
        """Keep the frames of the last seconds of all cameras in memory, as `Camera.keep` does for one.

        Cameras added later are kept too.

        Parameters
        ----------
        seconds : float
            How far back.
        max_bytes : int, optional
            Most bytes kept of all of them together, in equal shares; else 512 MiB.

        Returns
        -------
        FrameKeeper
            Close it, or use it in ``with``; it ends with the fleet at the latest.

        Raises
        ------
        ValueError
            `seconds` or `max_bytes` is not positive.
        """
        runtime = self._opened()
        keeper = keeper_among(self._followers)
        if keeper is not None:
            keeper.change(seconds, max_bytes)
            return keeper
        keeper = FrameKeeper(seconds, max_bytes, self._followers)
        self._bring_in(keeper, runtime)
        return keeper
