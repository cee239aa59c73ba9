"""One camera of the demo and what became of it: its setting changed and read back, its newest picture."""

import time
from typing import TYPE_CHECKING, Any

from rich.text import Text

import espressoscope as es
from espressoscope.cli.control import shown
from espressoscope.cli.output import clean

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DemoCamera"]

_TRIED = {"quality": (12, 10), "brightness": (1, 0)}
"""The setting that is changed, the first there is: to one value, or the other where that is what it has."""
_OLD_S = 2.0
_SILENT_S = 5.0


class DemoCamera:
    """A member of the demo's fleet.

    Parameters
    ----------
    camera : Camera
        The fleet's.
    label : str
        Its name here.
    restore : bool
        Put the setting back after it has been read.

    Attributes
    ----------
    frame : Frame or None
        The newest whole frame.
    path : Path or None
        Where that has been stored.
    """

    def __init__(self, camera: "es.Camera", label: str, *, restore: bool) -> None:
        self.label = label
        self.frame: es.Frame | None = None
        self.path: Path | None = None
        self._camera = camera
        self._restore = restore
        self._stats: es.StreamStats | None = None
        self._message = ""
        self._setting = ""
        self._before: object = None
        self._result: es.SetResult | None = None
        self._error: es.CameraError | None = None
        self._noted_at = time.time()

    @property
    def info(self) -> es.CameraInfo:
        """What it is."""
        return self._camera.info

    def change_a_setting(self) -> None:
        """Change one setting and read it back; what goes wrong is kept, to be told."""
        settings = self._camera.settings
        self._setting = next((name for name in _TRIED if name in settings), "")
        if not self._setting:
            self._message = self._camera.message
            return
        self._before = settings[self._setting].value
        usual, other = _TRIED[self._setting]
        asked = usual if self._before != usual else other
        try:
            self._result = self._camera.set(strict=False, **{self._setting: asked})[self._setting]
            if self._restore and isinstance(self._before, int):
                self._camera.set(strict=False, **{self._setting: self._before})
        except es.CameraError as error:
            self._error = error

    def note(self, frame: es.Frame | None) -> None:
        """Note how it is doing now."""
        self.frame = frame or self.frame
        self._stats, self._message = self._camera.stats, self._camera.message
        self._noted_at = time.time()

    # --- what to show

    @property
    def ok(self) -> bool:
        """Whether it was set, where it can be, gave frames, and went on giving them to the end."""
        taken = self._result is None or self._result.ok
        return taken and self._age_s is not None and self._age_s < _SILENT_S

    @property
    def _age_s(self) -> float | None:
        return None if self.frame is None else max(0.0, self._noted_at - self.frame.received_ns / 1e9)

    def _state(self) -> str:
        return "opening" if self._stats is None else str(self._stats.state)

    def cells(self) -> list[Text]:
        """Give its line of the live table, the name left out: state, fps, KB/s, size, age, frames."""
        state, stats, age_s = self._state(), self._stats, self._age_s
        colour = {"live": "green", "stalled": "red"}.get(state, "yellow")
        if stats is None:
            return [Text(state, colour), *(Text("-", "dim") for _ in range(5))]
        return [
            Text(state, colour),
            Text(f"{stats.fps:.1f}"),
            Text(f"{stats.kb_per_s:.0f}"),
            Text(f"{stats.width}x{stats.height}" if stats.width else "-"),
            Text(
                "-" if age_s is None else f"{age_s:.1f} s",
                "yellow" if age_s is None or age_s > _OLD_S else "",
            ),
            Text(str(stats.frames)),
        ]

    def setting_cells(self) -> list[Text]:
        """Give its line of the table of settings, the name left out."""
        result = self._result
        if result is None:
            why = (self._message or "cannot be set") if self._error is None else self._error.message
            return [Text("-", "dim")] * 4 + [Text(clean(why, 60), "yellow")]
        mark = Text("ok", "green") if result.ok else Text(clean(result.message, 60), "red")
        told = Text(clean(shown(result.actual), 20), "bold")
        return [Text(self._setting), Text(shown(self._before)), Text(shown(result.asked)), told, mark]

    def rates(self) -> list[str]:
        """Tell its frame and data rate, where there are any."""
        stats = self._stats
        return [] if stats is None else [f"{stats.fps:.1f} fps", f"{stats.kb_per_s:.0f} KB/s"]

    def trouble(self) -> str:
        """Say what went wrong."""
        if self._result is not None and not self._result.ok:
            return f"{self._setting} did not take ({self._result.message})"
        if self.frame is not None:
            return f"no frame for the last {self._age_s:.0f} s"
        if self._message:
            return self._message
        return "no frame came" if self._error is None else self._error.message

    def hint(self) -> str | None:
        """Say what to try, where something is known."""
        return None if self._error is None else self._error.hint

    def keys(self) -> dict[str, Any]:
        """Give what ``--json`` says."""
        stats = self._stats
        counts = ("frames", "fps", "kb_per_s", "width", "height", "reconnects", "damaged")
        return {
            "camera": self.label,
            "url": self.info.url,
            "firmware": self.info.firmware,
            "state": self._state(),
            **{name: getattr(stats, name) if stats is not None else 0 for name in counts},
            "path": None if self.path is None else str(self.path),
            "ok": self.ok,
        }
