"""What shape a JPEG has: read from its markers, or known because its header is the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.recording.layout import Shape
from espressoscope.wire.jpeg import Walk

if TYPE_CHECKING:
    from espressoscope.model import Frame

__all__ = ["Shaper"]

_BASELINE_TO_PROGRESSIVE = (0xC0, 0xC1, 0xC2)
_SAMPLINGS = (1, 2, 4)


class Shaper:
    """Tells the shape of one camera's frames, one after the other."""

    def __init__(self) -> None:
        self._header = b"\0"
        self._shape: Shape | None = None

    def shape_of(self, frame: Frame) -> Shape | None:
        """Give what a page of this frame would be; None for one that no TIFF reader could decode."""
        if frame.status not in ("ok", "duplicate"):
            return None
        jpeg = frame.jpeg
        if jpeg.startswith(self._header):
            return self._shape
        if not jpeg.startswith(b"\xff\xd8"):
            return None
        walk = Walk(jpeg, 0, to_end=False)
        if walk.start_of_scan is None:
            return None
        # The scan header behind it is the same wherever the frame header is.
        self._header = jpeg[: walk.start_of_scan]
        self._shape = _shape(walk)
        return self._shape


def _shape(walk: Walk) -> Shape | None:
    sampling = walk.sampling
    if walk.sof not in _BASELINE_TO_PROGRESSIVE or not (walk.width and walk.height):
        return None
    if len(sampling) == 1:
        return Shape(walk.width, walk.height, 1, 1, 1)
    # TIFF knows subsampled colours beside whole brightness, nothing else.
    if len(sampling) != 3 or sampling[1] != (1, 1) or sampling[2] != (1, 1):
        return None
    across, down = sampling[0]
    if across not in _SAMPLINGS or down not in _SAMPLINGS:
        return None
    return Shape(walk.width, walk.height, 3, across, down)
