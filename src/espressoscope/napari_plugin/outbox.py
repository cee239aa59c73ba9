"""What is to be set on cameras: a few requests a second each, the newest value wins, the last is always sent.

A slider that is dragged tells a hundred values a second; an ESP32 answers one request at a time, in 20 to
100 ms. So of each setting only the newest value waits, one request of a camera is under way at a time, and
each camera goes at its own pace: a dead one holds up no other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from qtpy.QtCore import QObject, QTimer, Signal

import espressoscope as es
from espressoscope.napari_plugin.calls import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope import SetResult
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["PACE_S", "Outbox", "Settled"]

PACE_S: Final = 0.2
"""Least time between two requests to set something on one camera."""
_TICK_MS: Final = 40


class Settled(NamedTuple):
    """What became of values that were sent to a camera.

    Attributes
    ----------
    camera : str
        Its name.
    results : Mapping of str to SetResult
        One for each setting, also when the camera could not be asked.
    answered : bool
        The camera answered.
    """

    camera: str
    results: Mapping[str, SetResult]
    answered: bool


class Outbox(QObject):
    """Values on their way to cameras.

    Parameters
    ----------
    session : LiveSession
        Its cameras.
    """

    settled = Signal(object)
    """Settled: a camera has answered, or has not."""

    def __init__(self, session: LiveSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._waiting: dict[str, dict[str, bool | int | float | str]] = {}
        self._under_way: dict[str, frozenset[str]] = {}
        self._sent_at: dict[str, float] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._pump)

    def put(self, camera: str, name: str, value: bool | int | float | str) -> None:
        """Set something soon; a value of the same setting that still waits is forgotten."""
        self._waiting.setdefault(camera, {})[name] = value
        self._pump()

    def is_pending(self, camera: str, name: str) -> bool:
        """Tell whether a value of this setting waits or is under way."""
        return name in self._waiting.get(camera, ()) or name in self._under_way.get(camera, ())

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._waiting and not self._under_way

    def forget(self, camera: str) -> None:
        """Send nothing more to a camera that has left."""
        self._waiting.pop(camera, None)
        self._sent_at.pop(camera, None)

    def _pump(self) -> None:
        now = time.monotonic()
        for camera in list(self._waiting):
            if camera not in self._under_way and now >= self._sent_at.get(camera, 0.0) + PACE_S:
                self._send(camera, now)
        if self._waiting and not self._session.closed:
            self._timer.start()
        else:
            self._timer.stop()

    def _send(self, camera: str, now: float) -> None:
        values = self._waiting.pop(camera)
        device = self._session.camera(camera)
        self._sent_at[camera] = now
        self._under_way[camera] = frozenset(values)
        if not self._session.run(lambda: _set(camera, device, values), self._over, camera=camera):
            self._over(_unsent(camera, values, "not sent: too many calls wait for cameras"))

    def _over(self, settled: Settled) -> None:
        self._under_way.pop(settled.camera, None)
        self.settled.emit(settled)
        self._pump()


def _set(camera: str, device: es.Camera | None, values: Mapping[str, bool | int | float | str]) -> Settled:
    """On a thread of the session; never raises what a camera may do."""
    if device is None:
        return _unsent(camera, values, "this camera has left")
    try:
        return Settled(camera, device.set(strict=False, **values), answered=True)
    except es.SettingError as error:
        # Nothing was sent. One value that does not fit must not keep the others from being set.
        if len(values) == 1:
            return _unsent(camera, values, _reason(error))
    except es.CameraError as error:
        return _unsent(camera, values, _reason(error))
    results: dict[str, SetResult] = {}
    answered = False
    for name, value in values.items():
        one = _set(camera, device, {name: value})
        results.update(one.results)
        answered = answered or one.answered
    return Settled(camera, results, answered)


def _unsent(camera: str, values: Mapping[str, bool | int | float | str], message: str) -> Settled:
    results = {name: es.SetResult(value, None, ok=False, message=message) for name, value in values.items()}
    return Settled(camera, results, answered=False)


def _reason(error: es.CameraError) -> str:
    """Say it without the address: the form names the camera already."""
    return (
        f"{error.message}. {error.hint}"
        if error.hint
        else words(error)
        if not error.message
        else error.message
    )
