"""One camera of the demo: opened, set and streamed from in a thread of its own, with its own faults."""

import threading
import time
from typing import TYPE_CHECKING, Any

from rich.text import Text

import espressoscope as es
from espressoscope.cli.control import shown
from espressoscope.cli.output import clean

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Watcher"]

_TRIED = {"quality": (12, 10), "brightness": (1, 0)}
"""The setting that is changed, the first there is: to one value, or the other where that is what it has."""
_POLL_S = 1.0
_PAUSE_S = 0.5
_NOTE_S = 0.2
_OLD_S = 2.0
_SILENT_S = 5.0


class Watcher:
    """A camera and what became of it.

    Parameters
    ----------
    info : CameraInfo
        The camera.
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

    def __init__(self, info: es.CameraInfo, label: str, *, restore: bool) -> None:
        self.info = info
        self.label = label
        self.frame: es.Frame | None = None
        self.path: Path | None = None
        self._restore = restore
        self._camera = es.Camera(info)
        self._stats: es.StreamStats | None = None
        self._setting = ""
        self._before: object = None
        self._result: es.SetResult | None = None
        self._error: Exception | None = None
        self._connected = False
        self._noted = 0.0
        self._stopped_at: float | None = None
        self._settled = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"demo {clean(label, 30)}", daemon=True)

    # --- the thread

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end, and end what it waits for."""
        self._stopped_at = self._stopped_at or time.time()
        self._stopping.set()
        self._settled.set()
        self._camera.close()

    def join(self) -> None:
        """Wait until it has ended, two seconds at most."""
        self._thread.join(2.0)

    def wait_until_set(self, timeout_s: float) -> None:
        """Wait until its setting has been changed or that has failed, in slices for Ctrl-C."""
        end = time.monotonic() + timeout_s
        while not self._settled.wait(0.2) and time.monotonic() < end:
            pass

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._use()
            except Exception as error:  # noqa: BLE001 (a thread's boundary; told in the table)
                if not self._stopping.is_set():
                    self._error, self._connected = error, False
            self._settled.set()
            self._stopping.wait(_PAUSE_S)

    def _use(self) -> None:
        with self._camera as camera:
            self._connected = True
            if self._result is None:
                self._change_a_setting(camera)
            self._settled.set()
            self._stream(camera)

    def _change_a_setting(self, camera: "es.Camera") -> None:
        settings = camera.settings
        self._setting = next((name for name in _TRIED if name in settings), "")
        if not self._setting:
            return
        self._before = settings[self._setting].value
        usual, other = _TRIED[self._setting]
        asked = usual if self._before != usual else other
        self._result = camera.set(strict=False, **{self._setting: asked})[self._setting]
        if self._restore and isinstance(self._before, int):
            camera.set(strict=False, **{self._setting: self._before})

    def _stream(self, camera: "es.Camera") -> None:
        with camera.stream(timeout=_POLL_S) as frames:
            while not self._stopping.is_set():
                try:
                    frame = next(frames, None)
                except es.CameraError as error:  # the stream mends itself; this says why it has to
                    self._error = error
                else:
                    if frame is None:
                        return
                    self._error = None
                    self.frame = frame
                self._note_stats(camera)

    def _note_stats(self, camera: "es.Camera") -> None:
        now = time.monotonic()
        if now - self._noted >= _NOTE_S:
            self._noted = now
            self._stats = camera.stats

    # --- what to show

    @property
    def ok(self) -> bool:
        """Whether it was set, where it can be, gave frames, and went on giving them to the end."""
        taken = self._result is None or self._result.ok
        return taken and self._age_s is not None and self._age_s < _SILENT_S

    @property
    def _age_s(self) -> float | None:
        if self.frame is None:
            return None
        return max(0.0, (self._stopped_at or time.time()) - self.frame.received_ns / 1e9)

    def _state(self) -> str:
        if self._error is not None and not self._connected:
            return "failed"
        return "opening" if self._stats is None else str(self._stats.state)

    def cells(self) -> list[Text]:
        """Give its line of the live table, the name left out: state, fps, KB/s, size, age, frames."""
        state, stats, age_s = self._state(), self._stats, self._age_s
        colour = {"live": "green", "failed": "red", "stalled": "red"}.get(state, "yellow")
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
            error = self._error
            why = (
                "cannot be set"
                if error is None
                else error.message
                if isinstance(error, es.CameraError)
                else error
            )
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
        if self._connected:
            return f"it answers, but not one whole frame came ({self._state()})"
        if isinstance(self._error, es.CameraError):
            return self._error.message
        return "no frame came" if self._error is None else f"{type(self._error).__name__}: {self._error}"

    def hint(self) -> str | None:
        """Say what to try, where something is known."""
        return self._error.hint if isinstance(self._error, es.CameraError) else None

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
