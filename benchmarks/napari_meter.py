"""What the thread that draws does meanwhile: its longest gap, its CPU, and where it was in the worst gaps."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_MS = 4
"""From one beat to the next, where the thread has nothing else to do."""


class Meter(QObject):
    """A heart that beats on the thread that draws; made and asked there.

    Parameters
    ----------
    why_ms : float, optional
        Tell on stderr where that thread was in gaps longer than this.
    """

    def __init__(self, why_ms: float | None = None) -> None:
        super().__init__()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._at = self._cpu = 0.0
        self._worst = (0.0, 0.0)
        self._began = (0.0, 0.0)
        self._ended = threading.Event()
        self._why = why_ms
        self._seen: list[str] = []
        self.where = ""
        if why_ms is not None:
            self._main = threading.get_ident()
            threading.Thread(target=self._look, daemon=True, name="benchmark-why").start()

    def begin(self, where: str) -> None:
        """Measure from now on."""
        self.where = where
        self._at, self._cpu = time.perf_counter(), time.thread_time()
        self._began = (self._at, self._cpu)
        self._worst = (0.0, 0.0)
        self._seen = []
        self._timer.start()

    def end(self) -> dict[str, float]:
        """Give the worst gap since `begin`, how much of it that thread computed, and its CPU."""
        self._beat()  # one that has not ended yet counts too
        self._timer.stop()
        wall = time.perf_counter() - self._began[0]
        return {
            "gap_ms": round(1000 * self._worst[0], 1),
            "computed_ms": round(1000 * self._worst[1], 1),
            "main_percent": round(100 * (time.thread_time() - self._began[1]) / wall, 1),
            "seconds": round(wall, 2),
        }

    def close(self) -> None:
        """End what looks on."""
        self._timer.stop()
        self._ended.set()

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        gap = now - self._at
        if gap > self._worst[0]:
            self._worst = (gap, cpu - self._cpu)
        self._at, self._cpu = now, cpu
        if self._why is not None and self._seen:
            seen, self._seen = self._seen, []
            if 1000 * gap > self._why:
                print(
                    f"-- {self.where}: {1000 * gap:.0f} ms", *dict.fromkeys(seen), sep="\n", file=sys.stderr
                )

    def _look(self) -> None:
        assert self._why is not None
        while not self._ended.wait(0.006):
            late = time.perf_counter() - self._at
            if self._timer.isActive() and late > 0.012:
                frame: Any = sys._current_frames().get(self._main)
                lines = traceback.extract_stack(frame)[-14:]
                self._seen.append(
                    "   "
                    + " < ".join(
                        f"{line.filename.rsplit('/', 1)[-1]}:{line.lineno} {line.name}"
                        for line in reversed(lines)
                    )
                )


class Shown:
    """Counts pictures that come to the screen, and how old they are then.

    Parameters
    ----------
    session, screen : LiveSession, Screen
        Of the widget.
    canvas : vispy canvas
        Its drawing ends what is counted.
    """

    def __init__(self, session: Any, screen: Any, canvas: Any) -> None:
        self._sink: Callable[..., object] = session.pictures.sink
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._ages: list[float] = []
        self._count: dict[str, int] = {}
        self._at = time.perf_counter()
        session.pictures.sink = self._painted
        screen.painted.connect(self._took)
        canvas.events.draw.connect(self._drawn, position="last")

    def _painted(self, frame: Any, picture: Any) -> None:
        self._sink(frame, picture)
        with self._lock:
            self._waiting[frame.camera] = frame.received_ns

    def _took(self) -> None:
        with self._lock:
            self._taken.update(self._waiting)
            self._waiting.clear()

    def _drawn(self, event: Any = None) -> None:
        now = time.time_ns()
        with self._lock:
            for name, received_ns in self._taken.items():
                self._count[name] = self._count.get(name, 0) + 1
                self._ages.append((now - received_ns) / 1e6)
            self._taken.clear()

    def begin(self) -> None:
        """Count from now on."""
        with self._lock:
            self._ages, self._count = [], {}
            self._at = time.perf_counter()

    def end(self, cameras: int) -> dict[str, float]:
        """Give new pictures drawn a second and camera, and their ages in ms from the last byte received."""
        wall = time.perf_counter() - self._at
        with self._lock:
            ages = sorted(self._ages) or [0.0]
            return {
                "shown_fps": round(sum(self._count.values()) / cameras / wall, 2),
                "slowest_fps": round(min(self._count.values(), default=0) / wall, 2)
                if len(self._count) == cameras
                else 0.0,
                "age_p50_ms": round(ages[len(ages) // 2], 1),
                "age_p99_ms": round(ages[int(len(ages) * 0.99)], 1),
            }
