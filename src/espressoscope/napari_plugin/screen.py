"""Cameras on napari's canvas: a layer each, or one mosaic of them all; what is seen, how fine, how often.

Decode threads call `_show`; everything else is on the thread that draws, which copies what is new and
refreshes at its own `Pace`.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Qt, QTimer, Signal

from espressoscope.napari_plugin.beside import Beside
from espressoscope.napari_plugin.framing import fit_view
from espressoscope.napari_plugin.freeze import Freeze
from espressoscope.napari_plugin.geometry import MOSAIC, Geometry
from espressoscope.napari_plugin.judging import Judging
from espressoscope.napari_plugin.layers import WAITING, LiveLayer, seen_of
from espressoscope.napari_plugin.layout import LAYERS_MOST
from espressoscope.napari_plugin.mailbox import application, delete_soon
from espressoscope.napari_plugin.pace import Pace
from espressoscope.napari_plugin.stock import REST_MS, Stock

if TYPE_CHECKING:
    import napari
    import numpy as np
    from numpy.typing import NDArray

    from espressoscope import Frame
    from espressoscope.display import TileState
    from espressoscope.napari_plugin.board import Board
    from espressoscope.napari_plugin.geometry import Planned
    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["Screen"]

JUDGE_MS: Final = 500
"""From one look at the age of all pictures to the next."""
SETTLE_MS: Final = 120
"""After the last change of zoom or of the cameras, before what is shown is arranged anew."""
FIRST_S: Final = 1.0
"""Longest wait for a picture of every camera before the first layers are shown: their sizes decide."""
LEAST_SEEN: Final = 0.15
"""Share of the canvas: where less is left of what was seen, all is brought into view."""
_TURNS: Final = 8
"""In so many parts is the age of all pictures looked at: one label costs half a millisecond."""


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
    layers : dict of str to LiveLayer
        By camera, and the mosaic.
    freeze : Freeze
        Whether the user lets the picture stand still.
    judging : Judging
        How old pictures are, and what is written on them.
    """

    painted = Signal()
    """A pass is over in which something new was shown."""
    arranged = Signal()
    """Layers, their sizes or their places have changed."""

    def __init__(self, session: LiveSession, viewer: napari.Viewer) -> None:
        super().__init__(application())
        self.layers: dict[str, LiveLayer] = {}
        self._session = session
        self._viewer: Any = viewer
        self.freeze = Freeze(session, viewer)
        self.freeze.setParent(self)
        self.judging = Judging(session, self.freeze)
        self._geometry = Geometry(session, self.arrange)
        self._boards: dict[str, tuple[Board, ...]] = {}
        self._pinned: list[str] = []
        self._hidden: set[str] = set()
        self._closed = False
        self._fit: tuple[Any, ...] | None = None
        self._aim: str | None = None
        self._beside = Beside(self, viewer)
        self._first_at: float | None = None
        self._stock = Stock(session, viewer, self._ready, self._beside.left)
        self._pace = Pace(session, self.layers, self._visible, self.judging, self)
        self._pace.painted.connect(self.painted)
        self._settle = self._timer(SETTLE_MS, self.arrange, single=True)
        self._more = self._timer(REST_MS, self.arrange, single=True)
        self._turn = 0
        self._looking = self._timer(JUDGE_MS // _TURNS, self._judge)
        session.camera_added.connect(self._moved)  # more may come with it
        session.camera_removed.connect(self._gone)
        session.look_changed.connect(self.arrange_soon)
        session.live_changed.connect(self._live_changed)
        session.failed.connect(self._remove_waiting, Qt.ConnectionType.QueuedConnection)
        session.states.connect(self.judging.note)
        self.freeze.changed.connect(self._freeze_changed)
        self._camera = viewer.scene.camera
        for events in (self._camera.events.zoom, self._camera.events.center, viewer.canvas.events.size):
            events.connect(self._moved)
        viewer.layers.events.removed.connect(self._layer_removed)
        viewer.mouse_double_click_callbacks.append(self._double_click)
        session.pictures.add_tap(self.judging.came)
        session.pictures.sink = self._show
        session.set_on_demand(True)
        self._looking.start()

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
            self.judging.held(frame)
            return
        state = self.judging.paint_as(frame)
        if self._geometry.note(name, frame, picture):
            self._session.post(self.arrange_soon)
        for board in self._boards.get(name, ()):
            board.paint(name, picture, state)
        self.judging.painted(frame)
        self._pace.tell()

    # ---- showing ------------------------------------------------------------------------------------

    @property
    def passes(self) -> int:
        """Times something new was shown."""
        return self._pace.passes

    @property
    def failures(self) -> int:
        """Times napari, or another listener to a layer, raised something while a layer was shown."""
        return self._pace.failures

    def _visible(self, key: str) -> frozenset[str] | None:
        return self._geometry.visible if key == MOSAIC else None

    def age_s(self, name: str) -> float | None:
        """Seconds since a camera's newest picture arrived that was decoded; None before the first."""
        return self.judging.age_s(name)

    def shown_age_s(self, name: str) -> float | None:
        """Seconds since the picture of a camera arrived that is on the screen; None before the first."""
        return self.judging.shown_age_s(name)

    def sees(self, name: str) -> bool:
        """Tell whether a camera's picture can be seen: its tile is not out of view."""
        visible = self._geometry.visible
        return MOSAIC not in self.layers or visible is None or name in visible or name in self._pinned

    def state(self, name: str) -> TileState:
        """Say what may be said of a camera's picture now."""
        return self.judging.state(name)

    def _judge(self) -> None:
        """Look at the age of some pictures, and write what there is to be said; all have their turn."""
        self._turn += 1
        alone = "name" if len(self.layers) > 1 else ""
        for key, live in tuple(self.layers.items()):
            height = self._geometry.label_height(live, self._viewer)
            for name in live.board.names[self._turn % _TURNS :: _TURNS]:
                self.judging.write(key, live, name, height, "figures" if key == MOSAIC else alone)
        self._pace.soon()

    def _judge_all(self) -> None:
        """Have nothing look live that is not; what is written follows."""
        for live in self.layers.values():
            self.judging.judge(live)
        self._pace.soon()

    def _freeze_changed(self, _: str) -> None:
        self._judge_all()
        self._write_all()

    def _write_all(self) -> None:
        for _ in range(_TURNS):  # that the picture stands still must not be told late
            self._judge()

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
        names, keys, layers = self._session.names, self._keys(), self.layers
        if names and self._is_early(names):
            self._settle.start()
            return
        mosaic = names if len(names) > LAYERS_MOST and MOSAIC not in self._hidden else []
        fit = self._fit in (None, self._view()) and not (self._pinned and len(names) > LAYERS_MOST)
        seen, left = seen_of(self._viewer, layers.values()), self._beside.left()
        plan = self._geometry.plan(keys[bool(mosaic) :], mosaic, layers, self._viewer, fit=fit, left=left)
        if plan is None:  # the mosaic is being made, and tells when it is there
            return
        self._boards = {
            name: tuple(item.board for item in plan.values() if name in item.board.names) for name in names
        }
        self._make_layers(plan)
        for name in names:
            self._session.set_scale(name, self._geometry.scale(name, name in self._pinned))
        if self._aim in layers:
            self.fit(self._aim)
        elif plan and (fit or seen_of(self._viewer, layers.values()) < min(LEAST_SEEN, seen / 2)):
            self.fit()
        self._beside.tell()
        self._judge_all()
        if self.freeze.at:
            self._write_all()
        self.arranged.emit()

    def _keys(self) -> list[str]:
        """Give the layers there should be: the mosaic, and cameras."""
        names = self._session.names
        keys = [MOSAIC, *self._pinned] if len(names) > LAYERS_MOST else names
        return [key for key in keys if key not in self._hidden]

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
        if plan:
            self._remove_waiting()
        made = False
        for key, item in plan.items():
            live = self.layers.get(key)
            if live is not None:
                live.show(item.board, item.geometry)
                continue
            title = "Cameras" if key == MOSAIC else key
            metadata = {"espressoscope": {"live": True, "cameras": list(item.board.names)}}
            layer = self._stock.take() or (gone.pop(0) if gone else None)
            if layer is None and made:  # one layer for each turn of the loop: it takes napari 150 to 300 ms
                self._more.start()
                continue
            made = made or layer is None
            self.layers[key] = LiveLayer(
                self._viewer, item.board, title, item.geometry, metadata, layer=layer
            )
        if gone and not plan:
            self._stock.put_back(gone.pop(0))
        self._stock.remove(gone)

    def _remove_waiting(self, *_: object) -> None:
        """Take away what stood for cameras until they are there."""
        if not self._closed:
            self._stock.remove(
                layer for layer in self._viewer.layers if layer.metadata.get("espressoscope") == WAITING
            )

    def _ready(self, _: object = None) -> None:
        """Make the layer that waits; napari can now do so in a moment."""
        if not self._closed:
            self._stock.make()
            self.arrange_soon()

    def fit(self, key: str | None = None) -> None:
        """Bring all layers that stay into view, also those of other widgets, or one when it is made."""
        keys = self._keys()
        self._aim = key if key in keys and key not in self.layers else None
        stay = {each: live for each, live in self.layers.items() if each in keys}
        live = None if key is None else stay.get(key)
        layers = [live.layer] if live is not None else [each.layer for each in stay.values()]
        if layers and live is None:
            layers += self._beside.others()
        if layers and self._aim is None:
            fit_view(self._viewer, layers)
            self._fit = self._view() if live is None else ()

    def _view(self) -> tuple[Any, ...]:
        return (round(self._camera.zoom, 6), *(round(value, 3) for value in self._camera.center[-2:]))

    def arrange_soon(self, *_: object) -> None:
        """Look again at what layers should be, in a moment."""
        if not self._closed and not self._settle.isActive():
            self._settle.start()

    def _moved(self, event: object = None) -> None:
        if not self._closed:
            self._geometry.visible = None  # what comes into view is new at once, not when the view rests
            self._pace.soon()
            self._settle.start()

    def _gone(self, name: str) -> None:
        self.judging.forget(name)
        self._geometry.forget(name)
        if len(self._session.names) <= LAYERS_MOST:
            self._hidden.discard(MOSAIC)
        self._hidden.discard(name)
        self._aim = None if self._aim == name else self._aim
        if name in self._pinned:
            self._pinned.remove(name)
        self.arrange_soon()

    def _live_changed(self, live: bool) -> None:
        if live:
            self._hidden.clear()
            self.arrange_soon()
        self._judge_all()

    def _layer_removed(self, event: Any) -> None:
        for key, live in tuple(self.layers.items()):
            if live.layer == event.value:  # by the user: it is not to come back by itself
                del self.layers[key]
                if key in self._pinned:
                    self._pinned.remove(key)
                    self._fit = None if self._fit == () else self._fit  # it was what was looked at
                else:
                    self._hidden.add(key)
                    self._session.said.emit(
                        f"The layer {live.layer.name} was removed: switch Live off and on to show it again"
                    )
                self.arrange_soon()

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
        self._session.set_on_demand(False)
        self._session.pictures.remove_tap(self.judging.came)
        self.freeze.close()
        self._pace.close()
        for timer in (self._settle, self._more, self._looking):
            with contextlib.suppress(RuntimeError):  # Qt has deleted it
                timer.stop()
        viewer = self._viewer
        for events in (self._camera.events.zoom, self._camera.events.center, viewer.canvas.events.size):
            events.disconnect(self._moved)
        viewer.layers.events.removed.disconnect(self._layer_removed)
        with contextlib.suppress(ValueError):
            viewer.mouse_double_click_callbacks.remove(self._double_click)
        self._stock.close([live.layer for live in self.layers.values()])
        self.layers.clear()
        self._beside.close()
        self._boards = {}
        delete_soon(self)
