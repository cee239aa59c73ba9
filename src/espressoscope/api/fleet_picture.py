"""A fleet in one picture: which cameras have which place, and what may be shown as live."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from espressoscope.display import Mosaic, TileState, choose_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.engine.session import CameraSession
    from espressoscope.model import Frame

__all__ = ["FleetPicture"]

STALE_S = 2.0
"""Age in seconds from which a picture is shown greyed: at the lowest rate there may be, one every 2 s."""
_USUAL = (480, 640)


class FleetPicture:
    """The mosaic of a fleet, kept from call to call, so that cameras keep their places."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mosaic: Mosaic | None = None
        self._asked: tuple[tuple[int, int] | None, int | None, int] | None = None

    def draw(
        self,
        sessions: Mapping[str, CameraSession],
        frames: Mapping[str, Frame | None],
        asked: tuple[tuple[int, int] | None, int | None, int],
        out: NDArray[np.uint8] | None,
    ) -> NDArray[np.uint8]:
        """Draw the newest frames; `asked` are tile, columns and greatest width."""
        with self._lock:
            mosaic = self._mosaic
            if mosaic is None or asked != self._asked:
                mosaic = self._mosaic = _laid_out(frames, *asked)
                self._asked = asked
            for name in set(mosaic.names) - set(frames):
                mosaic.remove(name)
            for name in frames:
                if name not in mosaic.names:
                    mosaic.add(name)
            states = {
                name: _state(sessions[name], frame) for name, frame in frames.items() if frame is not None
            }
            return mosaic.draw(frames, out, states=states)


def _laid_out(
    frames: Mapping[str, Frame | None], tile: tuple[int, int] | None, columns: int | None, width: int
) -> Mosaic:
    sizes = Counter((frame.height, frame.width) for frame in frames.values() if frame is not None)
    size = sizes.most_common(1)[0][0] if sizes else _USUAL
    if tile is not None:
        return Mosaic(frames, tile, columns)
    grid = choose_grid(len(frames), size, width)
    if columns is None:
        return Mosaic(frames, grid.tile, grid.columns)
    # `Mosaic` refuses fewer columns than one.
    return Mosaic(frames, choose_grid(1, size, width // max(1, columns)).tile, columns)


def _state(session: CameraSession, frame: Frame) -> TileState:
    if session.link.age_s(frame) > STALE_S:
        return TileState.STALE
    return TileState.FROZEN if session.link.meter.frozen else TileState.LIVE
