"""Frames of one camera in order, as an iterator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from espressoscope.errors import CameraTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from espressoscope.engine.session import CameraSession
    from espressoscope.engine.slot import Subscription
    from espressoscope.model import Frame

__all__ = ["FrameStream", "no_frame_error"]


class FrameStream:
    """What `Camera.stream` gives: an iterator over frames that can also be closed, or used in ``with``.

    In order; when the consumer is slower than the camera, the oldest waiting frames are dropped, which shows
    as a
    gap in `Frame.sequence` and in `dropped`. Ends when the camera is closed. Reconnects are silent, and
    counted in
    the camera's `stats`.
    """

    def __init__(
        self,
        session: CameraSession,
        subscription: Subscription,
        timeout_s: float,
        end: Callable[[bool], None],
    ) -> None:
        self._session = session
        self._subscription = subscription
        self._timeout_s = timeout_s
        self._end: Callable[[bool], None] | None = end

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
        if self._end is None:
            raise StopIteration
        session = self._session
        started = time.monotonic()
        frame = self._subscription.wait(lambda: session.closed, self._timeout_s)
        if frame is not None:
            return frame
        if session.closed:
            self.close()
            raise StopIteration
        raise no_frame_error(session, time.monotonic() - started, self._timeout_s)

    def close(self) -> None:
        """Stop taking frames; the last consumer's leaving ends the camera's stream. Twice does nothing."""
        self._close(wait=True)

    def _close(self, *, wait: bool) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(wait)

    def __enter__(self) -> FrameStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Collected on any thread, the loop's own included: it must not wait there.
        self._close(wait=False)


def no_frame_error(session: CameraSession, waited_s: float, timeout_s: float) -> Exception:
    """Say why no frame came: the link's own reason when it has one, else that time ran out."""
    error = session.link.last_error
    if error is not None:
        return error
    return CameraTimeout(
        f"no frame for {waited_s:.1f} s ({session.link.state.value})",
        phase="stream",
        timeout_s=timeout_s,
        camera=session.camera,
        hint="Check its power and radio; if it has just been opened, another viewer may hold its only stream",
    )
