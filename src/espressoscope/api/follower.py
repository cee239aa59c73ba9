"""What goes along with a camera or fleet until it is closed: views, sets of frames, recordings."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from espressoscope.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from espressoscope.api.runtime import Runtime
    from espressoscope.engine.session import CameraSession
    from espressoscope.engine.slot import Consumer

    _C = TypeVar("_C", bound=Consumer)
    Place: TypeAlias = tuple[Runtime, CameraSession, _C]
    """A camera that frames are taken of, and who takes them."""

__all__ = ["Follower", "leave_frames", "take_frames"]


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
    first: Callable[[], None] | None = None,
) -> None:
    """Have a camera's frames handed to a consumer; the camera's closing meanwhile is a CameraError.

    Parameters
    ----------
    first : callable, optional
        Called on the loop's thread at the last moment: no frame comes between this and the first one handed
        over.
    """
    try:
        runtime.call(session.take_frames(consumer, first=first), pending=pending)
    except concurrent.futures.CancelledError:
        raise CameraError("it was closed while this call waited", camera=session.camera) from None


def leave_frames(places: Sequence[Place[Any]]) -> None:
    """Have frames handed over no more, by all these cameras at once; twice does nothing."""
    for runtime in {place[0] for place in places}:
        if runtime.problem() is None:
            with contextlib.suppress(concurrent.futures.CancelledError, RuntimeError):  # it is ending
                runtime.call(_leave([place for place in places if place[0] is runtime]), pending=set())


async def _leave(places: Iterable[Place[Any]]) -> None:
    await asyncio.gather(*(session.leave_frames(consumer) for _, session, consumer in places))
