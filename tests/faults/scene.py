"""Cameras that are struck, one for each case: when a fault begins and ends, and who plays that."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from espressoscope.sim import SimulatedCamera
from faults.seen import Moment
from support import steady_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from faults.cases import Case

__all__ = ["Player", "Strike", "struck_cameras"]

FPS: Final = 5
PATIENCE_S: Final = 30.0
"""Longest wait for anything to be well again; what a table promises is less."""
_TICK_S: Final = 0.02
_SEED: Final = 61
_BREAK_S: Final = 0.4
_FOREVER_S: Final = 600.0


class Strike:
    """One camera and the fault that strikes it.

    Attributes
    ----------
    case : Case
    camera : SimulatedCamera
        Its name is the case's.
    began, ended : Moment
    """

    def __init__(self, case: Case, camera: SimulatedCamera) -> None:
        self.case = case
        self.camera = camera
        self.began = Moment()
        self.ended = Moment()
        options = dict(case.options)
        if case.fault == "reboot":
            options["seconds"] = _FOREVER_S  # else it ends by itself
        self._fault = camera.fault(case.fault, **options)
        self._awaited: list[Callable[[], bool]] = []

    def await_also(self, condition: Callable[[], bool]) -> None:
        """Let it last until this is so, too: on a machine with other things to do that may take longer."""
        self._awaited.append(condition)

    @property
    def has_been_seen(self) -> bool:
        """Whether all that is awaited is so."""
        return all(condition() for condition in self._awaited)

    def begin(self) -> None:
        """Let it strike."""
        self.began.stamp()
        self._fault.__enter__()
        if self.case.breaks:
            # It concerns who comes anew: open connections are broken, so that all do.
            self.camera.fault("cut", every=1, seconds=_BREAK_S).__enter__()
        self.began.now()

    def end(self) -> None:
        """Let it be over."""
        at_s = time.monotonic()  # before the camera hears of it: what comes then comes afterwards
        self._fault.__exit__(None, None, None)
        self.ended.now(at_s)

    @property
    def hits(self) -> int:
        """How often it has struck."""
        return self._fault.hits

    @property
    def is_on(self) -> bool:
        """Whether it has begun, and not ended."""
        return bool(self.began) and not self.ended


@contextlib.contextmanager
def struck_cameras(cases: Sequence[Case]) -> Iterator[dict[str, Strike]]:
    """Run a camera for each case, well at first; each bears the name of its case."""
    with contextlib.ExitStack() as stack:
        strikes = {}
        for case in cases:
            camera = SimulatedCamera(
                framesize="QVGA",
                fps=FPS,
                prerender=True,
                side_delays=False,
                seed=_SEED,
                name=case.name,
                # One that listens no more for a while finds its port taken by others otherwise.
                port=steady_port() if case.fault == "refuse" else 0,
            )
            strikes[case.name] = Strike(case, stack.enter_context(camera))
        for strike in strikes.values():
            strike.camera.prepare()
        yield strikes


class Player(threading.Thread):
    """Begins all strikes at once; ends each when it has lasted as long as its case says, and been seen."""

    def __init__(self, strikes: Iterable[Strike]) -> None:
        super().__init__(name="faults-player")
        self._strikes = list(strikes)

    def run(self) -> None:
        """Play; whatever happens, nobody waits for an end that never comes."""
        try:
            self._play()
        finally:
            for strike in self._strikes:
                strike.ended.now()

    def _play(self) -> None:
        for strike in self._strikes:
            strike.begin()
        left = self._strikes
        while left:
            time.sleep(_TICK_S)
            for strike in left:
                lasted_s = strike.began.ago_s()
                left_s = strike.case.seconds - lasted_s
                if left_s <= -PATIENCE_S or (left_s <= 0 and strike.has_been_seen):
                    strike.end()
            left = [strike for strike in left if not strike.ended]
