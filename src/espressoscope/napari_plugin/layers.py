"""One layer of napari that is alive: a `Board` and the image layer that shows it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from espressoscope.napari_plugin.layout import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import napari
    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.napari_plugin.board import Board

__all__ = ["NO_SNAP", "READY", "WAITING", "LiveLayer", "match_units", "seen_of"]

THUMBNAIL_S: Final = 2.0
"""From one thumbnail of a layer to the next, in seconds: napari draws its list of layers anew with each."""

WAITING: Final = "waiting"
"""Metadata of a layer that stands for cameras until they are there."""
READY: Final = "ready"
"""Metadata of the layer that waits for cameras."""
NO_SNAP: Final = "no snap yet"
"""Metadata of the layer that waits for snapped pictures."""


class LiveLayer:
    """A board on the screen.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets a new layer.
    board : Board
        What it shows.
    name : str
        The layer's; a number is added when it is taken.
    geometry : dict
        ``scale``, ``translate`` and ``units`` of the layer.
    metadata : dict
        What the layer carries along.
    layer : napari.layers.Image, optional
        Take this one in place of a new one.

    Attributes
    ----------
    board : Board
        What it shows; `show` changes it.
    layer : napari.layers.Image
        The layer.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        board: Board,
        name: str,
        geometry: dict[str, Any],
        metadata: dict[str, Any],
        layer: Any = None,
    ) -> None:
        board.take()
        self._viewer = viewer
        self.board = board
        self._drawn_at = time.monotonic()
        self._is_older = False
        self._geometry: dict[str, Any] = _geometry_of(layer) if layer is not None else geometry
        self.layer = layer
        if layer is not None:
            layer.name, layer.metadata = name, metadata
            self._change(geometry, board.shown)
            if not layer.visible:
                layer.visible = True
            match_units(viewer)
            return
        self.layer = viewer.add_image(
            board.shown,
            rgb=True,
            name=name,
            metadata=metadata,
            contrast_limits=(0, 255),
            cache=False,
            **geometry,
        )
        match_units(viewer)

    @property
    def place(self) -> Place:
        """What it covers of the world."""
        (high, wide), (y, x) = self._geometry["scale"], self._geometry["translate"]
        height, width = self.board.shown.shape[:2]
        return Place(y - high / 2, x - wide / 2, height * high, width * wide)

    def show(self, board: Board, geometry: dict[str, Any]) -> None:
        """Show another board, or the same one elsewhere."""
        shown = None
        if board is not self.board:
            board.take()
            self.board = board
            shown = board.shown
        self._change(geometry, shown)

    def _change(self, geometry: dict[str, Any], shown: NDArray[np.uint8] | None) -> None:
        """Have the layer elsewhere, and show something else, if that is given."""
        layer, before = self.layer, self._geometry
        self._geometry = geometry
        if geometry["units"] != before.get("units"):
            layer.units = geometry["units"]
            match_units(self._viewer)
        changes = [(key, geometry[key]) for key in ("scale", "translate") if geometry[key] != before.get(key)]
        if shown is not None:
            changes.append(("data", shown))
        for last, (key, value) in enumerate(changes, 1 - len(changes)):
            # With each change napari looks at the sizes of everything anew, 10 to 20 ms: the last one, which
            # brings all of them to the screen, is enough. One that is hidden it would not look at then.
            with contextlib.nullcontext() if not last or not layer.visible else layer.events.blocker_all():
                setattr(layer, key, value)

    def refresh(self, visible: Collection[str] | None) -> bool:
        """Show what is new; its thumbnail stays as it was.

        Parameters
        ----------
        visible : collection of str or None
            Cameras somebody can see; None: all.

        Returns
        -------
        bool
            Whether there was something new.
        """
        if not self.board.take(visible):
            return False
        self._is_older = True
        with self._viewer.layers.events.blocker_all():
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)
        return True

    def draw_thumbnail(self) -> bool:
        """Bring the thumbnail up to date, if that is due; whether it was."""
        now = time.monotonic()
        if not self._is_older or now - self._drawn_at < THUMBNAIL_S:
            return False
        self._is_older, self._drawn_at = False, now
        self.layer.refresh(data_displayed=False, extent=False, highlight=False)
        return True

    def at(self, position: Any) -> str | None:
        """Give the camera at this place of the world; None beside all."""
        y, x = self.layer.world_to_data(position)[-2:]
        height, width = self.board.shown.shape[:2]
        if not (-0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5):
            return None
        return self.board.at(y + 0.5, x + 0.5)


def seen_of(viewer: napari.Viewer, layers: Iterable[LiveLayer]) -> float:
    """Give the share of the canvas that these layers take, which do not cover each other."""
    camera, (high, wide) = viewer.scene.camera, viewer.canvas.size
    (middle_y, middle_x), zoom = camera.center[-2:], camera.zoom
    seen = 0.0
    for y, x, height, width in (live.place for live in layers):
        top, left = (y - middle_y) * zoom + high / 2, (x - middle_x) * zoom + wide / 2
        rows = min(high, top + height * zoom) - max(0.0, top)
        seen += max(0.0, rows) * max(0.0, min(wide, left + width * zoom) - max(0.0, left))
    return float(seen / max(1.0, high * wide))


def match_units(viewer: Any) -> None:
    """Give layers that wait the units of live ones, where these are of one mind.

    napari's scale bar knows of no unit as soon as layers differ, hidden ones too.
    """
    abouts = [(layer, layer.metadata.get("espressoscope")) for layer in viewer.layers]
    live = {layer.units[-2:] for layer, about in abouts if isinstance(about, dict) and about.get("live")}
    if len(live) != 1:
        return
    (units,) = live
    for layer, about in abouts:
        if about in (WAITING, READY, NO_SNAP) and layer.units[-2:] != units:
            layer.units = (*layer.units[:-2], *units)


def _geometry_of(layer: Any) -> dict[str, Any]:
    units = {"micrometer": "um"}
    return {
        "scale": tuple(float(value) for value in layer.scale),
        "translate": tuple(float(value) for value in layer.translate),
        "units": tuple(units.get(str(unit), str(unit)) for unit in layer.units),
    }
