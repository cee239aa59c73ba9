"""One search for cameras, as a call that may block; `LiveSession` has it run on a thread. No Qt here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Protocol

import espressoscope as es

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope import CameraInfo, Finding, SearchProgress

__all__ = ["TIPS", "Search"]

TIPS: Final = (
    "Is the camera powered, and has it had ten seconds to start?",
    "Is this computer in the same network? Guest networks and many phones' hotspots keep devices apart.",
    "A camera that knows no network makes its own: join the WiFi Matchboxscope-..., then look again.",
)
"""What to try when nothing was found, whatever this computer knows about it."""


class _Closable(Protocol):
    def close(self) -> None: ...


class Search:
    """A search that can be cancelled from another thread, at any moment.

    Parameters
    ----------
    networks : str, optional
        As for `espressoscope.discover`; several are separated by commas.
    """

    def __init__(self, networks: str | None = None) -> None:
        self._networks = [part.strip() for part in networks.split(",") if part.strip()] if networks else None
        self._lock = threading.Lock()
        self._cancelled = False
        self._running: _Closable | None = None

    def cancel(self) -> None:
        """End it; `run` then returns soon."""
        with self._lock:
            self._cancelled = True
            running, self._running = self._running, None
        if running is not None:
            running.close()

    def run(
        self, found: Callable[[CameraInfo], object], progress: Callable[[SearchProgress], None]
    ) -> list[str]:
        """Search; tell of each camera, and how far it is.

        Returns
        -------
        list of str
            What is known about why nothing was found; empty when something was, or when it was cancelled.

        Raises
        ------
        DiscoveryError
            There was no way to any of the addresses, or the networks cannot be searched.
        """
        count = 0
        search = es.discover(self._networks, progress=progress)
        if not self._hold(search):
            return []
        with search:
            for info in search:
                if self._cancelled:
                    return []
                count += 1
                found(info)
        if count or self._cancelled:
            return []
        with es.diagnose(networks=self._networks, search=False) as findings:
            if not self._hold(findings):
                return []
            return [*(_words(finding) for finding in findings), *TIPS]

    def _hold(self, running: _Closable) -> bool:
        with self._lock:
            if not self._cancelled:
                self._running = running
                return True
        running.close()
        return False


def _words(finding: Finding) -> str:
    return f"{finding.words} {finding.advice}".strip()
