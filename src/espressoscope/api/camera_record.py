"""Recording one camera, also from before it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.api.keeper import FrameKeeper, keeper_among, keeper_for
from espressoscope.api.recorder import Recorder
from espressoscope.api.upkeep import CameraUpkeep

if TYPE_CHECKING:
    import os

__all__ = ["CameraRecording"]


class CameraRecording(CameraUpkeep):
    """What `Camera` does to keep its frames."""

    def record(
        self,
        path: str | os.PathLike[str],
        seconds: float | None = None,
        frames: int | None = None,
        *,
        before: float | None = None,
        keep_free: int | None = None,
    ) -> Recorder:
        """Record its frames, byte for byte with their times, into a new folder.

        Parameters
        ----------
        path : str or path
            The folder: new, or empty. Nothing is ever overwritten.
        seconds, frames : optional
            When to end; else with `Recorder.stop`, or the end of the ``with`` block. The seconds count from
            when the camera is recorded; it need not have answered then. A camera that lacks frames and sends
            none for 15 s is not waited for any longer.
        before : float, optional
            Begin with what came in so many seconds before this call, which `keep` has kept; `seconds` and
            `frames` are counted from the call on. What has been kept for less time is less.
        keep_free : int, optional
            Bytes of the disk to leave free; else 100 MB, or 2 % of a smaller disk.

        Returns
        -------
        Recorder

        Raises
        ------
        RecordingError
            The folder cannot be used, or the system gives no more threads.
        UnsupportedError
            It sends no pictures.
        ValueError
            `seconds`, `frames`, `before` or `keep_free` is out of range, or nothing is kept.
        """
        runtime, session = self._opened()
        with keeper_for(before, self._followers) as keeper:
            recorder = Recorder(
                path,
                seconds,
                frames,
                keep_free,
                self._holders,
                self._followers,
                keeper=keeper,
                before=before or 0.0,
                runtime=runtime,
            )
            try:
                recorder.join(session.link.name, runtime, session, self._pending)
                recorder.begin()
            except BaseException:
                recorder.close()
                raise
        return recorder

    def keep(self, seconds: float, *, max_bytes: int | None = None) -> FrameKeeper:
        """Keep the frames of the last seconds in memory, for recordings that begin before they are asked for.

        Starts the stream when it does not run. A second call changes how much is kept from then on.

        Parameters
        ----------
        seconds : float
            How far back.
        max_bytes : int, optional
            Most bytes kept; else 512 MiB. Frames that have to go for it are counted.

        Returns
        -------
        FrameKeeper
            Close it, or use it in ``with``; it ends with the camera at the latest.

        Raises
        ------
        UnsupportedError
            It sends no pictures.
        ValueError
            `seconds` or `max_bytes` is not positive.

        Examples
        --------
        >>> with es.Camera("A1") as cam, cam.keep(10):  # doctest: +SKIP
        ...     wait_for_something()
        ...     cam.record("run-01", seconds=20, before=10).wait()
        """
        runtime, session = self._opened()
        keeper = keeper_among(self._followers)
        if keeper is not None:
            keeper.change(seconds, max_bytes)
            return keeper
        keeper = FrameKeeper(seconds, max_bytes, self._followers)
        try:
            keeper.join(session.link.name, runtime, session, self._pending)
        except BaseException:
            keeper.close()
            raise
        return keeper
