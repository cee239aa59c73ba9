"""Cameras on napari's canvas: a layer each, or one mosaic of them all; what is seen, how fine, how often.

Decode threads call `_show`; everything else is on the thread that draws, which copies what is new and
refreshes, no more often than every `PASS_S`.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Qt, QTimer, Signal

from espressoscope.display import TileState
from espressoscope.napari_plugin.framing import fit_view
from espressoscope.napari_plugin.freeze import Freeze
from espressoscope.napari_plugin.geometry import Geometry
from espressoscope.napari_plugin.labels import text_mask
from espressoscope.napari_plugin.layers import WAITING, LiveLayer
from espressoscope.napari_plugin.layout import LAYERS_MOST, label_of, state_of
from espressoscope.napari_plugin.mailbox import application, delete_soon
from espressoscope.napari_plugin.stock import REST_MS, Stock

if TYPE_CHECKING:
    import napari
    import numpy as np
    from numpy.typing import NDArray

    from espressoscope import Frame
    from espressoscope.napari_plugin.board import Board
    from espressoscope.napari_plugin.geometry import Planned
    from espressoscope.napari_plugin.session import CameraState, LiveSession

__all__ = ["Screen"]

PASS_S: Final = 0.036
"""From the beginning of one pass of refreshing to that of the next, at least."""
REST_S: Final = 0.008
"""Left to everything else between two passes, at least."""
JUDGE_MS: Final = 500
"""From one look at the age of all pictures to the next."""
SETTLE_MS: Final = 120
"""After the last change of zoom or of the cameras, before what is shown is arranged anew."""
FIRST_S: Final = 1.0
"""Longest wait for a picture of every camera before the first layers are shown: their sizes decide."""
LETTER: Final = 0.4
"""Width of a letter, as a share of a label's height."""
_TURNS: Final = 8
"""In so many parts is the age of all pictures looked at: one label costs half a millisecond."""
MOSAIC: Final = "mosaic"
"""Key of the layer that shows all cameras."""


class Screen(QObject):
    """Shows the cameras of a session in a viewer until `close`.

    Parameters
    ----------
    session : LiveSession
        Whose pictures are shown.
    viewer : napari.Viewer
        Where.

    Attributes
    ----------
    passes : int
        Times something new was shown.
    layers : dict of str to LiveLayer
        By camera, and the mosaic.
    freeze : Freeze
        Whether the user lets the picture stand still.
    """

    painted = Signal()
    """A pass is over in which something new was shown."""
    arranged = Signal()
    """Layers, their sizes or their places have changed."""
    _news = Signal()

    def __init__(self, session: LiveSession, viewer: napari.Viewer) -> None:
        super().__init__(application())
        self.passes = 0
        self.layers: dict[str, LiveLayer] = {}
        self._session = session
        self._viewer: Any = viewer
        self.freeze = Freeze(session, viewer)
        self._geometry = Geometry(session, self.arrange)
        self._boards: dict[str, tuple[Board, ...]] = {}
        self._arrived: dict[str, float] = {}
        self._frozen: frozenset[str] = frozenset()
        self._states: dict[str, CameraState] = {}
        self._pinned: list[str] = []
        self._hidden: set[str] = set()
        self._told = False
        self._closed = False
        self._fit: tuple[Any, ...] | None = None
        self._first_at: float | None = None
        self._stock = Stock(session, viewer, self._ready)
        self._rest = self._timer(0, self._go_on, single=True)
        self._settle = self._timer(SETTLE_MS, self.arrange, single=True)
        self._more = self._timer(REST_MS, self.arrange, single=True)
        self._turn = 0
        self._judging = self._timer(JUDGE_MS // _TURNS, self._judge)
        self._news.connect(self._pass, Qt.ConnectionType.QueuedConnection)
        session.camera_added.connect(self._moved)  # more may come with it
        session.camera_removed.connect(self._gone)
        session.look_changed.connect(self._later)
        session.live_changed.connect(self._live_changed)
        session.states.connect(self._note)
        self.freeze.changed.connect(self._freeze_changed)
        self._camera = viewer.scene.camera
        for events in (self._camera.events.zoom, self._camera.events.center, viewer.canvas.events.size):
            events.connect(self._moved)
        viewer.layers.events.removed.connect(self._layer_removed)
        viewer.mouse_double_click_callbacks.append(self._double_click)
        session.pictures.sink = self._show
        self._judging.start()

    def _timer(self, every_ms: int, call: Any, *, single: bool = False) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(every_ms)
        timer.setSingleShot(single)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(call)
        return timer

    # ---- on decode threads --------------------------------------------------------------------------

    def _show(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        name = frame.camera
        if not self._session.live:
            return
        if self.freeze.at:
            self._arrived[name] = time.monotonic()
            return
        state = TileState.FROZEN if name in self._frozen else TileState.LIVE
        if self._geometry.note(name, frame, picture):
            self._session.post(self._later)
        for board in self._boards.get(name, ()):
            board.paint(name, picture, state)
        self._arrived[name] = time.monotonic()
        if not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):  # Qt has deleted this object
                self._news.emit()

    # ---- showing ------------------------------------------------------------------------------------

    def _pass(self) -> None:
        if self._closed:
            return
        # Decode threads tell of news again when `_rest` is over.
        began = time.perf_counter()
        some, plain_left = False, True
        for key, live in tuple(self.layers.items()):
            new, plain = live.refresh(self._visible(key), plain=plain_left)
            some, plain_left = some or new, plain_left and not plain
        if some:
            self.passes += 1
            self.painted.emit()
        took = time.perf_counter() - began
        self._rest.start(round(1000 * max(PASS_S - took, REST_S)))

    def _go_on(self) -> None:
        self._told = False
        if self._waits():
            self._told = True
            self._pass()

    def _visible(self, key: str) -> frozenset[str] | None:
        return self._geometry.visible if key == MOSAIC else None

    def _waits(self) -> bool:
        return any(live.board.waits(self._visible(key)) for key, live in self.layers.items())

    def age_s(self, name: str) -> float | None:
        """Seconds since a camera's newest picture was decoded; None before the first."""
        arrived = self._arrived.get(name)
        return None if arrived is None else time.monotonic() - arrived

    def state(self, name: str) -> TileState:
        """Say what may be said of a camera's picture now."""
        entry = self._states.get(name)
        return state_of(self.age_s(name), self._session.live, None if entry is None else entry.stats)

    def _note(self, states: dict[str, CameraState]) -> None:
        self._states = states
        self._frozen = frozenset(name for name, state in states.items() if state.stats.frozen)

    def _judge(self) -> None:
        """Look at the age of some pictures, and write what there is to be said; all have their turn."""
        self._turn += 1
        for key, live in tuple(self.layers.items()):
            height = self._geometry.label_height(live.board, self._viewer)
            for name in live.board.names[self._turn % _TURNS :: _TURNS]:
                self._judge_one(key, live, name, height)
        self._pass_soon()

    def _judge_one(self, key: str, live: LiveLayer, name: str, height: int) -> None:
        state, entry = self.state(name), self._states.get(name)
        if self.freeze.at:
            words = self.freeze.label(name, live.board.states.get(name, TileState.NO_SIGNAL))
            live.board.label(name, text_mask(words, height))
            return
        live.board.judge(name, state)
        told = live.board.states.get(name, state) if state is TileState.LIVE else state
        fps = entry.stats.fps if entry else 0.0
        most = round(live.board.tile[1] / height / LETTER)
        text = label_of(name, told, self.age_s(name), fps, self._session.live, most)
        wanted = key == MOSAIC or told is not TileState.LIVE
        live.board.label(name, text_mask(text, height) if wanted else None)

    def _judge_all(self) -> None:
        """Have nothing look live that is not; what is written follows."""
        for live in self.layers.values():
            for name in live.board.names:
                if not self.freeze.at:
                    live.board.judge(name, self.state(name))
        self._pass_soon()

    def _freeze_changed(self, _: str) -> None:
        self._judge_all()
        for _turn in range(_TURNS):  # what is written must not come late
            self._judge()

    def _pass_soon(self) -> None:
        if not self._told and self._waits():
            self._told = True
            self._news.emit()

    # ---- what is shown where ------------------------------------------------------------------------

    @property
    def pinned(self) -> list[str]:
        """Cameras with a layer of their own beside the mosaic."""
        return list(self._pinned)

    def pin(self, name: str, pinned: bool = True) -> None:
        """Give a camera a layer of its own at full resolution beside the mosaic, or take it back."""
        if pinned == (name in self._pinned) or name not in self._session.names:
            return
        if pinned:
            self._hidden.discard(name)
            self._pinned.append(name)
        else:
            self._pinned.remove(name)
        self.arrange()

    def arrange(self) -> None:
        """Make layers what they should be, for the cameras there are, their sizes and the zoom."""
        if self._closed:
            return
        names = self._session.names
        many = len(names) > LAYERS_MOST
        singles = [name for name in (self._pinned if many else names) if name not in self._hidden]
        mosaic = names if many and MOSAIC not in self._hidden else []
        if names and self._is_early(names):
            self._settle.start()
            return
        fit = (self._fit is None or self._fit == self._view()) and not self._pinned
        plan = self._geometry.plan(singles, mosaic, self.layers, self._viewer, fit=fit)
        if plan is None:  # the mosaic is being made, and tells when it is there
            return
        self._boards = {
            name: tuple(item.board for item in plan.values() if name in item.board.names) for name in names
        }
        self._make_layers(plan)
        for name in names:
            self._session.set_scale(name, self._geometry.scale(name, name in self._pinned))
        if fit and plan:
            self.fit()
        self._judge_all()
        self.arranged.emit()

    def _is_early(self, names: list[str]) -> bool:
        """Tell whether it is better to wait a moment with the first layers."""
        if self.layers:
            return False
        if not self._stock.ready:
            return True
        if self._first_at is None:
            self._first_at = time.monotonic()
        early = time.monotonic() - self._first_at < FIRST_S
        return early and self._session.live and not self._geometry.knows(names)

    def _make_layers(self, plan: dict[str, Planned]) -> None:
        """Bring the layers in line with the plan; those that go are used for those that come."""
        gone = [self.layers.pop(key).layer for key in tuple(self.layers) if key not in plan]
        if plan and not self.layers:
            self._stock.remove(
                layer for layer in self._viewer.layers if layer.metadata.get("espressoscope") == WAITING
            )
        made = False
        for key, item in plan.items():
            live = self.layers.get(key)
            if live is not None:
                live.show(item.board, item.geometry)
                continue
            metadata = {"espressoscope": {"live": True, "cameras": list(item.board.names)}}
            layer = self._stock.take() or (gone.pop(0) if gone else None)
            if layer is None and made:  # one layer for each turn of the loop: it takes napari 150 to 300 ms
                self._more.start()
                continue
            made = made or layer is None
            self.layers[key] = LiveLayer(
                self._viewer, item.board, "Cameras" if key == MOSAIC else key, item.geometry, metadata, layer
            )
        if gone and not plan:
            self._stock.put_back(gone.pop(0))
        self._stock.remove(gone)

    def _ready(self, _: object = None) -> None:
        """Make the layer that waits; napari can now do so in a moment."""
        if not self._closed:
            self._stock.make()
            self._later()

    def fit(self, key: str | None = None) -> None:
        """Bring all layers into view, or one of them."""
        live = None if key is None else self.layers.get(key)
        layers = [live.layer] if live is not None else [each.layer for each in self.layers.values()]
        if layers:
            fit_view(self._viewer, layers)
            self._fit = self._view() if live is None else ()

    def _view(self) -> tuple[Any, ...]:
        return (round(self._camera.zoom, 6), *(round(value, 3) for value in self._camera.center[-2:]))

    def _later(self, *_: object) -> None:
        if not self._closed and not self._settle.isActive():
            self._settle.start()

    def _moved(self, event: object = None) -> None:
        if not self._closed:
            self._settle.start()

    def _gone(self, name: str) -> None:
        self._arrived.pop(name, None)
        self._geometry.forget(name)
        self._hidden.discard(name)
        if name in self._pinned:
            self._pinned.remove(name)
        self._later()

    def _live_changed(self, live: bool) -> None:
        if live:
            self._hidden.clear()
            self._later()
        self._judge_all()

    def _layer_removed(self, event: Any) -> None:
        if event.value is self._stock.spare:
            self._stock.take()
        for key, live in tuple(self.layers.items()):
            if live.layer == event.value:  # by the user: it is not to come back by itself
                del self.layers[key]
                if key in self._pinned:
                    self._pinned.remove(key)
                else:
                    self._hidden.add(key)
                self._later()

    def _double_click(self, viewer: Any, event: Any) -> None:
        for key, live in reversed(tuple(self.layers.items())):
            name = live.at(event.position) if live.layer.visible else None
            if name is None:
                continue
            if key != MOSAIC and self._fit == ():
                if key in self._pinned:
                    self.pin(key, False)
                self.fit(MOSAIC if MOSAIC in self.layers else None)
                self._fit = self._view()
            else:
                if key == MOSAIC:
                    self.pin(name)
                self.fit(name)
            return

    # ---- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Show nothing any more and take the layers away: none may look live. Twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._session.pictures.sink = None
        self.freeze.close()
        for timer in (self._rest, self._settle, self._more, self._judging):
            with contextlib.suppress(RuntimeError):  # Qt has deleted it
                timer.stop()
        viewer = self._viewer
        for events in (self._camera.events.zoom, self._camera.events.center, viewer.canvas.events.size):
            events.disconnect(self._moved)
        viewer.layers.events.removed.disconnect(self._layer_removed)
        with contextlib.suppress(ValueError):
            viewer.mouse_double_click_callbacks.remove(self._double_click)
        self._stock.close([live.layer for live in self.layers.values()])
        self.layers, self._boards = {}, {}
        delete_soon(self)
