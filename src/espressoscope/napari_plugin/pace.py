"""How often what is new is brought to the screen: no more than the thread that draws can bear.

A pass brings all that is new to the layers; napari draws them after it. Between two passes a picture of each
camera is decoded, and no more: what would never be seen costs the processors that draw, where there is no
graphics card.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from qtpy.QtCore import QObject, Qt, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from espressoscope.napari_plugin.judging import Judging
    from espressoscope.napari_plugin.layers import LiveLayer
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["Pace"]

_log = logging.getLogger(__name__)

PASS_S: Final = 0.036
"""From the beginning of one pass of refreshing to that of the next, at least."""
REST_S: Final = 0.008
"""Left to everything else between two passes, at least."""
LATE_S: Final = 0.004
"""A rest that ends later than this was taken up by drawing."""
MORE_S: Final = 0.1
"""Longest further rest: napari holds Python's lock while its window is put together, and without a graphics
card that takes tens of milliseconds, in which nothing is decoded. A pass right after it would bring next to
nothing. So others get as long as drawing took, or until there is something new of every camera."""
SLICE_S: Final = 0.004
"""From one look to the next whether there is."""
THUMBNAIL_MS: Final = 250
"""From one look to the next whether a thumbnail is due."""


class Pace(QObject):
    """Refreshes layers in passes, until `close`.

    Parameters
    ----------
    session : LiveSession
        Told of what goes wrong.
    layers : Mapping of str to LiveLayer
        Those to refresh; looked at anew in each pass.
    visible : callable
        Gives the cameras of a layer that can be seen; None: all.
    judging : Judging
        Told what is on the screen now.

    Attributes
    ----------
    passes : int
        Times something new was shown.
    failures : int
        Times napari, or another listener to a layer, raised something while a layer was shown.
    """

    painted = Signal()
    """A pass is over in which something new was shown."""
    _news = Signal()

    def __init__(
        self,
        session: LiveSession,
        layers: Mapping[str, LiveLayer],
        visible: Callable[[str], frozenset[str] | None],
        judging: Judging,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.passes = 0
        self.failures = 0
        self._session = session
        self._layers = layers
        self._visible = visible
        self._judging = judging
        self._told = False
        self._closed = False
        self._due = 0.0
        self._until: float | None = None
        self._failing: set[str] = set()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setTimerType(Qt.TimerType.PreciseTimer)
        self._rest.timeout.connect(self._go_on)
        self._thumbnails = QTimer(self)
        self._thumbnails.setInterval(THUMBNAIL_MS)
        self._thumbnails.timeout.connect(self._thumbnail)
        self._thumbnails.start()
        self._news.connect(self._pass, Qt.ConnectionType.QueuedConnection)

    def tell(self) -> None:
        """Say that something new is painted; on any thread."""
        if not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):  # Qt has deleted this object
                self._news.emit()

    def soon(self) -> None:
        """Have a pass made if anything waits for one."""
        if not self._told:
            if self._waits():
                self.tell()
            else:  # the user lets the picture stand still, for example: what came is told all the same
                self._session.ask()

    def close(self) -> None:
        """Refresh nothing any more."""
        self._closed = True
        with contextlib.suppress(RuntimeError):  # Qt has deleted it
            self._rest.stop()
            self._thumbnails.stop()

    def _pass(self) -> None:
        if self._closed:
            return
        # Decode threads tell of news again when `_rest` is over: it has to begin, whatever happens here.
        began = time.perf_counter()
        try:
            if sum(self._refresh(key, live) for key, live in tuple(self._layers.items())):  # all, not any
                self.passes += 1
                self.painted.emit()
        finally:
            self._session.ask()
            took = time.perf_counter() - began
            self._until = None
            self._start(max(PASS_S - took, REST_S))

    def _start(self, rest_s: float) -> None:
        self._due = time.perf_counter() + rest_s
        self._rest.start(round(1000 * rest_s))

    def _thumbnail(self) -> None:
        """Draw one thumbnail, in a turn of its own: a pass is long enough."""
        for key, live in tuple(self._layers.items()):
            if self._safely(key, live, live.draw_thumbnail):
                return

    def _refresh(self, key: str, live: LiveLayer) -> bool:
        """Bring a layer up to date; true when there was something new."""
        visible, pictures = self._visible(key), self._judging.pictures_of(live)
        done = self._safely(key, live, lambda: live.refresh(visible))
        if done is not None:
            self._judging.showed(pictures, visible)
        return bool(done)

    def _safely(self, key: str, live: LiveLayer, change: Callable[[], bool]) -> bool | None:
        """Change a layer; what others do then must not end the view of any: None when they raise."""
        try:
            done = change()
        except Exception as error:  # noqa: BLE001 (functions of others are called)
            self.failures += 1
            if key not in self._failing:  # not 25 times a second
                self._failing.add(key)
                _log.exception("layer %s: showing a new picture failed", key)
                self._session.failed.emit(
                    f"{live.layer.name}: showing a new picture failed ({type(error).__name__}: {error}). "
                    "What is seen of it may be old. Close other plugins that use this layer"
                )
            return None
        self._failing.discard(key)
        return done

    def _go_on(self) -> None:
        if self._closed:
            return
        now = time.perf_counter()
        if self._until is None:  # what drawing took from the others they get now
            late = now - self._due
            self._until = now + min(late, MORE_S) if late > LATE_S else now
        if now < self._until and not self._complete():
            self._start(min(SLICE_S, self._until - now))
            return
        self._told = False
        if self._waits():
            self._told = True
            self._pass()

    def _waits(self) -> bool:
        return any(live.board.waits(self._visible(key)) for key, live in self._layers.items())

    def _complete(self) -> bool:
        return all(live.board.complete(self._visible(key)) for key, live in self._layers.items())
