"""Who wants the stream of a camera, and so whether it runs. Asynchronous, on the loop's thread."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from espressoscope.engine.session import CameraSession

__all__ = ["Demand"]


class Demand:
    """Starts the link of a camera with the first who wants its frames, and stops it with the last.

    Parameters
    ----------
    session : CameraSession
        Whose.

    Attributes
    ----------
    users : int
        Consumers that want it now.
    kept : bool
        It runs until `let_go` or the session's end, whoever uses it.
    pausing : asyncio.Lock
        Held by who has it `paused`.
    """

    def __init__(self, session: CameraSession) -> None:
        self._session = session
        self.users = 0
        self.kept = False
        self.pausing = asyncio.Lock()

    @property
    def wanted(self) -> bool:
        """Whether the stream is to run, for a consumer or because it is kept."""
        return self.kept or self.users > 0

    def keep(self) -> None:
        """Start the stream and keep it; twice does nothing."""
        self.kept = True
        self._start()

    async def let_go(self) -> None:
        """End what `keep` began; consumers that are left keep the stream."""
        self.kept = False
        if not self.wanted:
            await self._stop()

    def add(self) -> None:
        """One consumer more."""
        self.users += 1
        self._start()

    async def remove(self) -> None:
        """One consumer less; the last one stops the stream, unless it is kept."""
        self.users -= 1
        if not self.wanted:
            await self._stop()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Have the stream neither begin nor pause for anybody else; it begins then, if it is wanted.

        Who wants it meanwhile waits for nobody: a camera that does not answer would hold up all others.
        """
        try:
            async with self.pausing:
                yield
        finally:
            if self.wanted and self._session.link.stopped and not self._session.closed:
                self._start()

    def _start(self) -> None:
        """Start the link, or leave that to who has paused it.

        Why a camera could not be reached holds until an attempt says otherwise.
        """
        if self.pausing.locked():
            return
        link = self._session.link
        known = None if self._session.reached else link.last_error
        link.start()
        if known is not None:
            link.last_error = known

    async def _stop(self) -> None:
        """Stop the link; why a camera could not be reached holds until it has been."""
        link = self._session.link
        known = None if self._session.reached else link.last_error
        await link.stop()
        if known is not None and link.stopped:
            link.last_error = known
