"""A link to a simulated camera, with its moves written down; shared by the tests of the engine.

Nothing is patched: the stream is a real connection over loopback, opened as the session opens it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Self

from espressoscope.device.address import parse_address
from espressoscope.device.http import fetch
from espressoscope.device.stream import open_stream
from espressoscope.engine.link import Link, Patience
from espressoscope.errors import CameraError
from espressoscope.model import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.device.stream import Source, StreamSink
    from espressoscope.sim import SimulatedCamera

Move = tuple[LinkState, LinkState]

QUICK = Patience(
    stall_s=1.2,
    busy_after_s=0.6,
    slow_after_s=0.5,
    poke_after_s=0.25,
    nudge_after_s=0.4,
    busy_ask_s=0.3,
    renew_first_s=1.0,
    renew_ceiling_s=4.0,
    backoff_first_s=0.02,
    backoff_ceiling_s=0.3,
    stolen_pause_s=1.0,
    open_s=5.0,
)
"""The same link, in less time."""


class WatchedLink(Link):
    """A link that remembers its moves."""

    moves: list[Move]

    def enter(self, state: LinkState, generation: int) -> None:
        before = self.state
        super().enter(state, generation)
        if self.state is not before:
            self.moves.append((before, self.state))


class Rig:
    """A link and its camera.

    Parameters
    ----------
    control : bool
        The control port can be asked.
    steals : bool
        The newest viewer gets the stream.
    """

    def __init__(
        self,
        camera: SimulatedCamera,
        patience: Patience = QUICK,
        *,
        control: bool = True,
        steals: bool = False,
    ) -> None:
        self.camera = camera
        self.opened = 0
        self.attempts: list[float] = []
        self._stream = parse_address(camera.stream_url)
        self._control = parse_address(camera.url)
        self.link = WatchedLink(camera.url, self.open_source, patience)
        self.link.moves = []
        self.link.identify(
            camera.name, control_answers=self.answers if control else None, newcomer_steals=steals
        )

    async def open_source(self, sink: StreamSink) -> Source:
        """Open the stream as the session does."""
        self.attempts.append(time.monotonic())
        source = await open_stream(self._stream, sink, camera=self.link.camera, connect_timeout_s=0.6)
        self.opened += 1
        return source

    async def answers(self) -> bool:
        """Ask the control port."""
        try:
            await fetch(self._control, "/status", timeout_s=1.0, connect_timeout_s=0.5)
        except CameraError:
            return False
        return True

    async def __aenter__(self) -> Self:
        self.link.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.link.stop()

    async def until(self, condition: Callable[[], object], timeout_s: float = 10.0, what: str = "") -> None:
        """Wait for a condition, looking often."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= end:
                raise AssertionError(
                    f"waited {timeout_s:g} s for {what or 'a condition'}: {self.link.state.value}, "
                    f"{self.link.message!r}, moves {self.named()}"
                )
            await asyncio.sleep(0.005)

    async def until_state(self, *states: LinkState, timeout_s: float = 10.0) -> None:
        """Wait for one of these states."""
        await self.until(lambda: self.link.state in states, timeout_s, " or ".join(states))

    async def until_moved(self, *moves: Move, timeout_s: float = 10.0) -> None:
        """Wait until each of these moves has been made."""
        await self.until(lambda: set(moves) <= set(self.link.moves), timeout_s, str(moves))

    async def live(self, timeout_s: float = 10.0) -> None:
        """Wait for the next whole frame."""
        before = self.link.meter.frames

        def fresh() -> bool:
            return self.link.state is LinkState.LIVE and self.link.meter.frames > before

        await self.until(fresh, timeout_s, "a frame")

    @contextlib.asynccontextmanager
    async def fault(self, name: str, **options: float | str | None):  # type: ignore[no-untyped-def]
        """Let something go wrong, without holding up this loop."""
        fault = self.camera.fault(name, **options)
        await asyncio.to_thread(fault.__enter__)
        try:
            yield fault
        finally:
            await asyncio.to_thread(fault.__exit__, None, None, None)

    def named(self) -> list[str]:
        """Give the moves as words."""
        return [f"{before.name}>{after.name}" for before, after in self.link.moves]
