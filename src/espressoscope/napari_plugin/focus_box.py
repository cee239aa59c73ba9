"""The focus of one camera: steps, continuous drive, and the search the camera makes itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QGroupBox,
    QLabel,
    QProgressBar,
    QPushButton,
    QSlider,
    QSpinBox,
    QWidget,
)

from espressoscope.napari_plugin.calls import note, words
from espressoscope.napari_plugin.controls import Words

if TYPE_CHECKING:
    from espressoscope import Camera, Setting
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["FocusBox"]

POSITION_S: Final = 0.35
"""What a position of an autofocus takes: 41 of them 10 to 20 s on boards, most of it the pictures."""
_MOST_STEPS: Final = 5000
_TICK_MS: Final = 250


class FocusBox(QGroupBox):
    """Focus of the camera the form shows; a board without a motor accepts it all and does nothing.

    Parameters
    ----------
    session : LiveSession
        Its cameras.
    """

    speed_asked = Signal(str, object)
    """Name and value of a setting: the motor is to run at this speed."""

    def __init__(self, session: LiveSession, parent: QWidget | None = None) -> None:
        super().__init__("Focus motor", parent)
        self._session = session
        self._camera = ""
        self._searches: dict[str, tuple[float, float]] = {}
        self.up = QPushButton("Up 50")
        self.down = QPushButton("Down 50")
        self.speed = QSlider(Qt.Orientation.Horizontal)
        self.speed.setRange(-500, 500)
        self.speed.setPageStep(50)
        self.speed.setToolTip("Runs the motor at this speed until it is stopped, steps/s")
        self.speed_words = QLabel("Speed: unknown")
        self.stop = QPushButton("Stop")
        self.first, self.last, self.step = (QSpinBox() for _ in range(3))
        for box, value, tip in (
            (self.first, -100, "Where the search begins, in steps from where the motor is"),
            (self.last, 100, "Where it ends"),
            (self.step, 5, "From one position to the next"),
        ):
            box.setRange(1 if box is self.step else -_MOST_STEPS, _MOST_STEPS)
            box.setValue(value)
            box.setToolTip(tip)
        self.autofocus = QPushButton("Autofocus")
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.hide()
        self.words = Words(quiet=True)
        self.words.hide()
        self.speed_words.setWordWrap(True)
        for button, way in ((self.up, "one way"), (self.down, "the other way")):
            button.setToolTip(f"Turn the motor 50 steps {way}")
        grid = QGridLayout(self)
        grid.setContentsMargins(2, 4, 2, 4)
        grid.addWidget(self.down, 0, 0, 1, 2)
        grid.addWidget(self.up, 0, 2, 1, 2)
        grid.addWidget(self.speed_words, 1, 0)
        grid.addWidget(self.speed, 1, 1, 1, 2)
        grid.addWidget(self.stop, 1, 3)
        for row, (word, box) in enumerate(
            (("Search from", self.first), ("to", self.last), ("in steps of", self.step)), 2
        ):
            grid.addWidget(QLabel(word), row, 0)
            grid.addWidget(box, row, 1, 1, 2)
        grid.addWidget(self.autofocus, 2, 3, 3, 1)
        grid.addWidget(self.progress, 5, 0, 1, 4)
        grid.addWidget(self.words, 6, 0, 1, 4)
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        self.up.clicked.connect(lambda: self._move("focus_up"))
        self.down.clicked.connect(lambda: self._move("focus_down"))
        self.speed.valueChanged.connect(self._drive)
        self.stop.clicked.connect(self._halt)
        self.autofocus.clicked.connect(self._search)

    def show_camera(self, camera: str, setting: Setting | None) -> None:
        """Be about this camera from now on; without a speed to set it can only be searched and stepped."""
        if camera != self._camera:
            self._camera = camera
            self._say("")
            self._show_speed(None)
        for widget in (self.speed, self.speed_words, self.stop):
            widget.setVisible(setting is not None)
        self._tick()

    def forget_speed(self) -> None:
        """Say that nobody knows how fast the motor runs: it was not reached, or has restarted."""
        if not self.speed.isSliderDown():
            self._show_speed(None)

    def _show_speed(self, speed: int | None) -> None:
        self.speed.blockSignals(True)
        self.speed.setValue(speed or 0)
        self.speed.blockSignals(False)
        self.speed_words.setText("Speed: unknown" if speed is None else f"Speed: {speed}")

    def _drive(self, speed: int) -> None:
        self.speed_words.setText(f"Speed: {speed}")
        self.speed_asked.emit("focus_speed", speed)

    def _halt(self) -> None:
        self._show_speed(0)
        self.speed_asked.emit("focus_speed", 0)

    def _move(self, command: str) -> None:
        camera = self._camera
        device = self._session.camera(camera)
        if device is not None:
            self._session.run(lambda: getattr(device, command)(), failed=self._failed, camera=camera)

    def _search(self) -> None:
        camera = self._camera
        device = self._session.camera(camera)
        first, last, step = self.first.value(), self.last.value(), self.step.value()
        if device is None or camera in self._searches:
            return
        if first >= last:
            self._say("Nothing to search: the first position must be below the last", bad=True)
            return
        expected_s = ((last - first) // step + 1) * POSITION_S
        self._searches[camera] = (time.monotonic(), expected_s)
        self._say("")
        self._timer.start()
        self._tick()
        if not self._session.run(
            lambda: _autofocus(camera, device, first, last, step), self._searched, camera=camera
        ):
            self._searches.pop(camera, None)
            self._tick()

    def _searched(self, outcome: tuple[str, float, str]) -> None:
        camera, took_s, problem = outcome
        self._searches.pop(camera, None)
        if camera == self._camera:
            self._say(problem or f"Autofocus of {camera} finished after {took_s:.0f} s", bad=bool(problem))
        elif problem:
            self._session.failed.emit(problem)
        self._tick()

    def _tick(self) -> None:
        if not self._searches:
            self._timer.stop()
        running = self._searches.get(self._camera)
        self.progress.setVisible(running is not None)
        for widget in (self.autofocus, self.up, self.down, self.speed):
            widget.setEnabled(running is None and bool(self._camera))
        if running is not None:
            begun, expected_s = running
            for_s = time.monotonic() - begun
            # The camera tells nothing before it has finished: this is an estimate, and never reaches the end.
            self.progress.setValue(min(95, round(100 * for_s / expected_s)))
            self.progress.setFormat(f"searching for {for_s:.0f} s, about {expected_s:.0f} s expected")

    def _failed(self, error: Exception) -> None:
        self._say(words(error), bad=True)

    def _say(self, text: str, *, bad: bool = False) -> None:
        self.words.say(text, bad=bad)
        self.words.setVisible(bool(text))


def _autofocus(camera: str, device: Camera, first: int, last: int, step: int) -> tuple[str, float, str]:
    """On a thread of the session."""
    begun = time.monotonic()
    problem = ""
    try:
        device.autofocus(first, last, step)
    except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
        note(error)
        problem = words(error)
    return camera, time.monotonic() - begun, problem
