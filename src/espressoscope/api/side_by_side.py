"""Work on many cameras at once: none waits for another, and what is wrong with one is its own affair."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from espressoscope.errors import CameraError, CameraTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from espressoscope.api.camera import Camera
    from espressoscope.engine.session import CameraSession, StreamSource

__all__ = ["close", "each", "keep_streaming", "noted", "reach", "same_board"]

_T = TypeVar("_T")

OPEN_S = 6.0
"""Longest wait for cameras to answer when a fleet is opened, for all of them together, in seconds."""


async def reach(sessions: Sequence[CameraSession]) -> None:
    """Reach cameras; what is wrong with one is noted in its link."""
    tasks = [asyncio.ensure_future(session.reach()) for session in sessions]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=OPEN_S)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for session, result in zip(sessions, results, strict=True):
        if isinstance(result, CameraError):
            session.link.last_error = result
        elif isinstance(result, asyncio.CancelledError):
            session.link.last_error = CameraTimeout(
                f"no answer within {OPEN_S:g} s",
                phase="identify",
                timeout_s=OPEN_S,
                camera=session.camera,
                hint="Is it switched on, and in the same network as this computer?",
            )
        elif isinstance(result, Exception):
            raise result


async def keep_streaming(sessions: Iterable[CameraSession], source: StreamSource) -> None:
    """Start streams and keep them; what a camera cannot is noted in its link."""

    async def one(session: CameraSession) -> None:
        with noted(session):
            await session.keep_streaming(source)

    await asyncio.gather(*(one(session) for session in sessions))


@contextlib.contextmanager
def noted(session: CameraSession) -> Iterator[None]:
    """Note an error of one camera in its link, and let the others go on."""
    try:
        yield
    except CameraError as error:
        session.link.last_error = error


async def each(
    sessions: Iterable[CameraSession], work: Callable[[CameraSession], Coroutine[Any, Any, _T]]
) -> list[_T | CameraError]:
    """Reach cameras where need be, do something with each, and give what came of it."""

    async def one(session: CameraSession) -> _T | CameraError:
        try:
            await session.reach()
            return await work(session)
        except CameraError as error:
            return error

    return await asyncio.gather(*(one(session) for session in sessions))


async def close(sessions: Iterable[CameraSession]) -> None:
    """Close cameras."""
    await asyncio.gather(*(session.close() for session in sessions))


def same_board(member: Camera, newcomer: CameraSession) -> bool:
    """Tell whether a newcomer is a member under another address.

    Simulated cameras of several processes may share a MAC; boards do not sit behind one address.
    """
    known = member._known()
    if newcomer.info.mac is not None and known.info.mac is not None:
        # Of two that are away each may be known to have been last where the other one was.
        same = newcomer.info.mac == known.info.mac
        return same and (newcomer.address.host != known.address.host or newcomer.address == known.address)
    return known.address == newcomer.address
