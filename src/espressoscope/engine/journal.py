"""Log lines about one camera: when its trouble begins and ends, few however long it lasts.

A camera may be off for a week, or come and go every second; neither may fill a log. So a line tells a change,
never an attempt; each kind of trouble is told once until all is well again, and once in ten minutes at most.
"""

from __future__ import annotations

import logging
import math
import time

__all__ = ["SAME_AGAIN_S", "Journal"]

_log = logging.getLogger("espressoscope.engine.link")

SAME_AGAIN_S = 600.0
"""Seconds before trouble of a kind that has been told is told again."""


class Journal:
    """What is logged about one camera."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._now: set[str] = set()
        self._since: float | None = None

    def trouble(self, kind: str, text: str, *details: object, level: int = logging.INFO) -> None:
        """Tell that something is wrong, unless that has been told.

        Parameters
        ----------
        kind : str
            One of few; lines of the same kind count as the same.
        text, *details
            As for `logging`.
        """
        if kind in self._now:
            return
        self._now.add(kind)
        if self._due(kind):
            if self._since is None:
                self._since = self._told[kind]
            _log.log(level, text, *details)

    def remark(self, kind: str, text: str, *details: object, level: int = logging.INFO) -> None:
        """Tell something that need not end: it leaves nothing that could be well again."""
        if self._due(kind):
            _log.log(level, text, *details)

    def _due(self, kind: str) -> bool:
        """Whether a kind has not been told for ten minutes; it counts as told from now on."""
        now = time.monotonic()
        due = now - self._told.get(kind, -math.inf) >= SAME_AGAIN_S
        if due:
            self._told[kind] = now
        return due

    def well(self, text: str, *details: object) -> None:
        """Tell that all is well again, when trouble has been told.

        The last place in `text` is for the seconds it lasted.
        """
        since, self._since = self._since, None
        if self._now:
            self._now.clear()
        if since is not None:
            _log.info(text, *details, time.monotonic() - since)
