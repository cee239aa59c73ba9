"""What becomes of points, told to whoever wants to know: functions of the user's, and the alarm."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.timelapse.hook import Alarm
    from espressoscope.timelapse.ledger import Line

__all__ = ["LapseNews"]

_log = logging.getLogger(__name__)


class LapseNews:
    """Passes on what is written of each point, on the thread of its camera.

    Parameters
    ----------
    on_point, on_missed : callable, optional
        As for `TimeLapse`.

    Attributes
    ----------
    lines : dict of str to (Line or None)
        The last line of each camera.
    alarm : Alarm or None
        Runs the command for missed points.
    """

    def __init__(
        self,
        on_point: Callable[[str, Line], object] | None,
        on_missed: Callable[[str, list[Line]], object] | None,
    ) -> None:
        self.lines: dict[str, Line | None] = {}
        self.alarm: Alarm | None = None
        self._on_point = on_point
        self._on_missed = on_missed
        self._in_a_row: dict[str, int] = {}

    def tell(self, name: str, lines: list[Line]) -> None:
        """Pass on lines of one camera, in the order of its points."""
        self.lines[name] = lines[-1]
        missed = [line for line in lines if line.outcome == "missed"]
        self._in_a_row[name] = self._in_a_row.get(name, 0) + len(missed) if missed else 0
        if self._on_point is not None:
            failed = 0
            for line in lines:
                try:
                    self._on_point(name, line)
                except Exception:  # noqa: BLE001 - what a user's function does must not end a time-lapse
                    failed += 1
                    if failed == 1:  # of 10,000 lines it tells once
                        _log.exception("on_point failed for point %d of %s", line.point, name)
            if failed > 1:
                _log.error("on_point failed for %d of %d points of %s", failed, len(lines), name)
        if missed and self._on_missed is not None:
            try:
                self._on_missed(name, missed)
            except Exception:  # noqa: BLE001 - the same
                _log.exception("on_missed failed for %d points of %s", len(missed), name)
        if missed and self.alarm is not None:
            self.alarm.missed(name, missed, self._in_a_row[name])
