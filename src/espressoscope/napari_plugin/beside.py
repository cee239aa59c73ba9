"""Several widgets in one viewer: what each shows stands beside recordings, and what earlier ones show."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final

from espressoscope.napari_plugin.layout import GAP
from espressoscope.napari_plugin.run_layers import ends_of

if TYPE_CHECKING:
    from espressoscope.napari_plugin.screen import Screen

__all__ = ["Beside"]

_all: Final[list[weakref.ref[Beside]]] = []
"""In the order they were opened; touched by the thread that draws."""


class Beside:
    """The place of one screen among those of its viewer.

    Parameters
    ----------
    screen : Screen
        Whose; told when it has to move.
    viewer : napari.Viewer
        Its viewer.
    """

    def __init__(self, screen: Screen, viewer: Any) -> None:
        self._screen = weakref.ref(screen)
        self._viewer = weakref.ref(getattr(viewer, "__wrapped__", viewer))  # napari gives plugins a proxy
        self._right = self._begin = 0.0
        self._me = weakref.ref(self)
        _all[:] = [*(each for each in _all if each() is not None), self._me]

    def left(self) -> float:
        """Give where this screen begins in the world: to the right of all earlier ones, and of recordings.

        Of those that were there before its layers; later ones are put to the left of all.
        """
        screen, viewer = self._screen(), self._viewer()
        if screen is not None and viewer is not None and not screen.layers:
            self._begin = (1 + GAP) * ends_of(viewer)[1]
        return max([self._begin, *(each._right for each in self._of_viewer(earlier=True))])

    def others(self) -> list[Any]:
        """Give the layers of the other screens of this viewer."""
        screens = [each._screen() for each in self._of_viewer()]
        return [
            live.layer
            for screen in screens
            if screen is not None
            for live in screen.layers.values()
            if live.layer.visible
        ]

    def tell(self) -> None:
        """Have later screens move, where this one has become wider or narrower."""
        screen = self._screen()
        layers = [] if screen is None else screen.layers.values()
        left = self.left()
        right = max((live.place.x + live.place.width for live in layers), default=left)
        right += GAP * (right - left)
        if abs(right - self._right) > 1e-6 * max(1.0, abs(right)):
            self._right = right
            for each in self._of_viewer(later=True):
                later = each._screen()
                if later is not None:
                    later.arrange_soon()

    def close(self) -> None:
        """Leave the place to later ones. Twice does nothing."""
        if self._me in _all:
            later = self._of_viewer(later=True)
            _all.remove(self._me)
            for each in later:
                screen = each._screen()
                if screen is not None:
                    with contextlib.suppress(RuntimeError):  # Qt has deleted it
                        screen.arrange_soon()

    def _of_viewer(self, *, earlier: bool = False, later: bool = False) -> list[Beside]:
        """Give those of this viewer but this one: the earlier ones, the later ones, or all."""
        if self._me not in _all:
            return []
        place = _all.index(self._me)
        some = _all[:place] if earlier else _all[place + 1 :] if later else _all[:place] + _all[place + 1 :]
        return [
            each
            for each in (reference() for reference in some)
            if each is not None and each._viewer() is self._viewer()
        ]
