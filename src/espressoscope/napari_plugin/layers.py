"""One layer of napari that is alive: a `Board` and the image layer that shows it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    import napari
    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.napari_plugin.board import Board

__all__ = ["WAITING", "LiveLayer"]

THUMBNAIL_S: Final = 2.0
"""From one thumbnail of a layer to the next, in seconds: napari draws its list of layers anew with each."""

WAITING: Final = "waiting"
"""Metadata of a layer that stands for cameras until they are there."""


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

    @property
    def right(self) -> float:
        """Where it ends in the world, to the right."""
        each, x = float(self._geometry["scale"][1]), float(self._geometry["translate"][1])
        return x + (float(self.board.shown.shape[1]) - 0.5) * each

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


def _geometry_of(layer: Any) -> dict[str, Any]:
    units = {"micrometer": "um"}
    return {
        "scale": tuple(float(value) for value in layer.scale),
        "translate": tuple(float(value) for value in layer.translate),
        "units": tuple(units.get(str(unit), str(unit)) for unit in layer.units),
    }
