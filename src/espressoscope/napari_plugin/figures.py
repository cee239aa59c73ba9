"""The figures of all cameras, read twice a second on a thread of its own. No Qt here."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import espressoscope as es

__all__ = ["CameraState", "Figures"]

_log = logging.getLogger(__name__)

STATES_S: Final = 0.5
"""From one look at the figures of all cameras to the next, in seconds."""


class CameraState(NamedTuple):
    """A camera's figures, and what is wrong with it in words."""

    stats: es.StreamStats
    message: str


class Figures:
    """Looks at a fleet until it is closed.

    Parameters
    ----------
    fleet : callable
        Gives the fleet, or None.
    tell : callable
        Told the CameraState of each camera, by name, on the thread that reads them.
    """

    def __init__(
        self, fleet: Callable[[], es.Fleet | None], tell: Callable[[dict[str, CameraState]], object]
    ) -> None:
        self._fleet = fleet
        self._tell = tell
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on; twice does nothing."""
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(
                target=self._look_on, name="espressoscope-napari-states", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Look no more; never blocks."""
        self._closed.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread after `close`."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _look_on(self) -> None:
        while not self._closed.wait(STATES_S):
            fleet = self._fleet()
            if fleet is None:
                continue
            try:
                stats, messages = fleet.stats(), fleet.messages()
            except Exception:  # noqa: BLE001 (a thread boundary)
                _log.exception("the figures of the cameras could not be read")
                continue
            self._tell({name: CameraState(stats[name], messages.get(name, "")) for name in stats})
