"""Frames of one camera in order, as an iterator."""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import math
import time
from typing import TYPE_CHECKING

from espressoscope.errors import CameraTimeout

if TYPE_CHECKING:
    from types import TracebackType

    from espressoscope.api.runtime import Runtime
    from espressoscope.engine.session import CameraSession, StreamSource
    from espressoscope.engine.slot import Subscription
    from espressoscope.model import Frame

__all__ = ["FrameStream", "check_waiting", "no_frame_error"]


class FrameStream:
    """What `Camera.stream` gives: an iterator over frames that can also be closed, or used in ``with``.

    In order; when the consumer is slower than the camera, the oldest waiting frames are dropped, which shows
    as a gap in `Frame.sequence` and in `dropped`. Ends when the camera is closed, which it holds until then.
    Reconnects are silent, and counted in the camera's `stats`.
    """

    def __init__(
        self,
        owner: object,
        runtime: Runtime,
        session: CameraSession,
        subscription: Subscription,
        timeout_s: float,
    ) -> None:
        self._owner: object | None = owner
        self._runtime = runtime
        self._session = session
        self._subscription = subscription
        self._timeout_s = timeout_s
        self._closed = False

    async def begin(self, source: StreamSource, interval_s: float | None) -> None:
        """Start the camera's stream when it does not run, and take its frames; `Camera.stream` calls this."""
        await self._session.take_frames(self._subscription, source, interval_s)

    @property
    def dropped(self) -> int:
        """Frames this stream let go because its consumer was too slow."""
        return self._subscription.dropped

    def __iter__(self) -> FrameStream:
        return self

    def __next__(self) -> Frame:
        """Give the next frame.

        Raises
        ------
        CameraTimeout, ConnectError
            None came for `timeout` seconds; the stream stays usable and may be asked again.
        """
        if self._closed:
            raise StopIteration
        check_waiting(self._runtime)
        session = self._session
        started = time.monotonic()
        frame = self._subscription.wait(lambda: session.closed or self._closed, self._timeout_s)
        if frame is not None:
            return frame
        if session.closed or self._closed:
            self.close()
            raise StopIteration
        raise no_frame_error(session, time.monotonic() - started, self._timeout_s)

    def close(self) -> None:
        """Stop taking frames; the last consumer's leaving ends the camera's stream. Twice does nothing.

        From another thread it also ends the wait for the next frame.
        """
        self._close(wait=True)

    def _close(self, *, wait: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self._subscription.wake()
        try:
            if not self._session.closed:
                self._leave(wait=wait)
        finally:
            self._owner = None

    def _leave(self, *, wait: bool) -> None:
        leaving = self._session.leave_frames(self._subscription)
        if wait and self._runtime.problem() is None:
            with contextlib.suppress(
                concurrent.futures.CancelledError
            ):  # the camera is closed at this moment
                self._runtime.call(leaving, pending=set())
        else:
            self._runtime.post(leaving)

    def abandon(self) -> None:
        """Close without waiting; from any thread, the loop's own included."""
        self._close(wait=False)

    def __enter__(self) -> FrameStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.abandon()


def check_waiting(runtime: Runtime, timeout_s: float = 0.0) -> None:
    """Refuse a wait that nothing could end.

    Raises
    ------
    ValueError
        The timeout is not a number.
    RuntimeError
        On the loop's own thread, or in a forked process.
    """
    if math.isnan(timeout_s):
        raise ValueError("timeout must be a number of seconds, not nan")
    problem = runtime.problem()
    if problem is not None:
        raise RuntimeError(problem)


def no_frame_error(session: CameraSession, waited_s: float, timeout_s: float) -> Exception:
    """Say why no frame came: the link's own reason when it has one, else that time ran out."""
    error = session.link.last_error
    if error is not None:
        return copy.copy(error)  # raised again and again, one object would gather every caller's traceback
    return CameraTimeout(
        f"no frame for {waited_s:.1f} s ({session.link.state.value})",
        phase="stream",
        timeout_s=timeout_s,
        camera=session.camera,
        hint="Check its power and radio; if it has just been opened, another viewer may hold its only stream",
    )
