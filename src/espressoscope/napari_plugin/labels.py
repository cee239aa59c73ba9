"""Letters as arrays, for tiles: drawn by Qt, which has fonts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QFont, QFontMetrics, QImage, QPainter

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["text_mask"]


@lru_cache(maxsize=256)
def text_mask(text: str, height: int) -> NDArray[np.uint8]:
    """Draw a line of text.

    Parameters
    ----------
    text : str
        What to write.
    height : int
        Of the line in pixels.

    Returns
    -------
    (height, w) uint8
        How bright each pixel is; read-only.
    """
    font = QFont()
    font.setPixelSize(max(6, round(height * 0.72)))
    width = QFontMetrics(font).horizontalAdvance(text) + height // 2
    image = QImage(width, height, QImage.Format.Format_Grayscale8)
    image.fill(0)
    painter = QPainter(image)
    try:
        painter.setFont(font)
        painter.setPen(_white())
        painter.drawText(height // 4, round(height * 0.78), text)
    finally:
        painter.end()
    pixels = image.constBits()
    if hasattr(pixels, "setsize"):  # PyQt; PySide gives a memoryview
        pixels.setsize(image.sizeInBytes())
    rows = np.frombuffer(pixels, np.uint8).reshape(height, image.bytesPerLine())
    mask = rows[:, :width].copy()
    mask.flags.writeable = False
    return mask


def _white() -> object:
    from qtpy.QtGui import QColor

    return QColor(255, 255, 255)
