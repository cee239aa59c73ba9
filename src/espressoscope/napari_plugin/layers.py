"""One layer of napari that is alive: a `Board` and the image layer that shows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    import napari

    from espressoscope.napari_plugin.board import Board

__all__ = ["WAITING", "LiveLayer"]

PLAIN_S: Final = 1.0
"""From one plain refresh to the next, in seconds: the quick ones leave the thumbnail as it was."""

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
        self._plain_at = time.monotonic()
        self._geometry: dict[str, Any] = _geometry_of(layer) if layer is not None else geometry
        self.layer = layer
        if layer is not None:
            layer.name, layer.metadata = name, metadata
            self._move(geometry)  # while its picture is small: each of these draws the thumbnail
            layer.data = board.shown
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

    def show(self, board: Board, geometry: dict[str, Any]) -> None:
        """Show another board, or the same one elsewhere."""
        if board is not self.board:
            board.take()
            self.board = board
            self.layer.data = board.shown
        self._move(geometry)

    def _move(self, geometry: dict[str, Any]) -> None:
        for key in ("units", "scale", "translate"):
            if geometry[key] != self._geometry.get(key):  # each costs a refresh
                setattr(self.layer, key, geometry[key])
        self._geometry = geometry

    def refresh(self, visible: Collection[str] | None, *, plain: bool) -> tuple[bool, bool]:
        """Show what is new.

        Parameters
        ----------
        visible : collection of str or None
            Cameras somebody can see; None: all.
        plain : bool
            A plain refresh may be made, if one is due: it costs more, and brings the thumbnail.

        Returns
        -------
        (bool, bool)
            Whether there was something new, and whether the refresh was a plain one.
        """
        if not self.board.take(visible):
            return False, False
        now = time.monotonic()
        if plain and now - self._plain_at >= PLAIN_S:
            self._plain_at = now
            self.layer.refresh()
            return True, True
        with self._viewer.layers.events.blocker_all():
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)
        return True, False

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
