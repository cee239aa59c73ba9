"""How sharp and how bright a picture is, in figures that can be compared from one picture to the next.

Sharpness is Tenengrad's: the gradient's energy, here as a root mean square over the mean, in percent of the
mean brightness per pixel. Divided by the mean, a change of the lamp is not taken for a change of focus. The
gradient, over two pixels, is preferred to the variance of the Laplacian, which answers first of all to the
noise of these sensors and to the edges of JPEG blocks. Figures of one camera at one picture size can be
compared with each other; those of another subject or size cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from espressoscope.model import Frame, Scale

__all__ = ["LONG_SIDE_PX", "Figures", "figures_of", "measure"]

LONG_SIDE_PX: Final = 400
"""Pictures are measured at the largest scale of at most this many pixels, whatever is shown of them."""
SATURATED: Final = 250
"""Gray values from here on count as saturated: JPEG rarely gives back exactly 255."""
_MARGIN: Final = 8


class Figures(NamedTuple):
    """What is told of one picture, of its middle three quarters.

    Attributes
    ----------
    sharpness : float
        Root mean square of the gradient in percent of the mean brightness per pixel.
    brightness : float
        Mean gray value, 0 to 255.
    saturated : float
        Share of pixels at `SATURATED` and above, 0 to 1.
    """

    sharpness: float
    brightness: float
    saturated: float


def measure(frame: Frame) -> Figures:
    """Decode a frame small and gray, always at the same scale for its size, and measure it.

    Raises
    ------
    DecodeError
        It is no whole JPEG.
    """
    side = max(frame.width, frame.height)
    scales: tuple[Scale, ...] = (1, 2, 4)
    scale: Scale = next((scale for scale in scales if side <= LONG_SIDE_PX * scale), 8)
    return figures_of(frame.image(scale, gray=True))


def figures_of(gray: NDArray[np.uint8]) -> Figures:
    """Measure a small gray picture.

    Parameters
    ----------
    gray : (H, W) uint8
        At least 3 pixels either way.
    """
    height, width = gray.shape
    y, x = height // _MARGIN, width // _MARGIN
    middle = gray[y : height - y, x : width - x]
    if middle.shape[0] < 3 or middle.shape[1] < 3:
        raise ValueError(f"a picture of {width}x{height} is too small to be measured")
    values = middle.astype(np.float32)
    across = values[:, 2:] - values[:, :-2]
    down = values[2:] - values[:-2]
    energy = float(np.mean(across * across) + np.mean(down * down)) / 4
    mean = float(values.mean())
    saturated = float(np.count_nonzero(middle >= SATURATED)) / middle.size
    return Figures(100 * energy**0.5 / max(mean, 1.0), mean, saturated)
