"""What people look at, as arrays: the mosaic of many cameras, what its tiles tell. numpy, no window system.

Where frames come from, and who shows the array, is not its business.
"""

from espressoscope.display.figures import Figures, figures_of, measure
from espressoscope.display.fit import scale_for
from espressoscope.display.grid import Grid, choose_grid
from espressoscope.display.mosaic import MAX_PIXELS, Mosaic, TileState

__all__ = [
    "MAX_PIXELS",
    "Figures",
    "Grid",
    "Mosaic",
    "TileState",
    "choose_grid",
    "figures_of",
    "measure",
    "scale_for",
]
