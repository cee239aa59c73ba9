"""What goes along with a camera or fleet until it is closed: views of pictures, sets of frames."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, Protocol

from espressoscope.errors import CameraError

if TYPE_CHECKING:
    from espressoscope.api.runtime import Runtime
    from espressoscope.engine.session import CameraSession
    from espressoscope.engine.slot import Consumer

__all__ = ["Follower", "take_frames"]


class Follower(Protocol):
    """Takes frames of cameras as they join and until they leave."""

    def join(
        self,
        name: str,
        runtime: Runtime,
        session: CameraSession,
        pending: set[concurrent.futures.Future[Any]],
    ) -> None:
        """Take a camera's frames from now on; raises a CameraError when it has none."""

    def part(self, name: str) -> None:
        """Take a camera's frames no more; does nothing when it took none."""

    def close(self) -> None:
        """End; more than once does nothing."""


def take_frames(
    runtime: Runtime,
    session: CameraSession,
    consumer: Consumer,
    pending: set[concurrent.futures.Future[Any]],
) -> None:
    """Have a camera's frames handed to a consumer; the camera's closing meanwhile is a CameraError."""
    try:
        runtime.call(session.take_frames(consumer), pending=pending)
    except concurrent.futures.CancelledError:
        raise CameraError("it was closed while this call waited", camera=session.camera) from None
