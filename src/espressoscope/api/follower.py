"""What goes along with a camera or fleet until it is closed: views of pictures, sets of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import concurrent.futures

    from espressoscope.api.runtime import Runtime
    from espressoscope.engine.session import CameraSession

__all__ = ["Follower"]


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
