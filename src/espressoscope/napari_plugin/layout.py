"""What is shown at which size: numbers only, no Qt and no napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from espressoscope.display import TileState, choose_grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from espressoscope import StreamStats
    from espressoscope.napari_plugin.pictures import Scale

__all__ = [
    "LAYERS_MOST",
    "LOST_S",
    "STALE_S",
    "Place",
    "arrange",
    "label_of",
    "mosaic_scale",
    "scale_at",
    "state_of",
]

LAYERS_MOST: Final = 4
"""Cameras that get a layer each; more share one mosaic: 24 layers cost 57 to 124 ms a pass, one mosaic 9."""
STALE_S: Final = 2.0
"""Age of a picture in seconds from which it is shown gray; a slow camera has two and a half intervals."""
LOST_S: Final = 6.0
"""Age from which there is no picture any more: a camera's own send timeout is 5 s."""
MOSAIC_PIXELS: Final = 8_000_000
"""Most pixels of the mosaic when zoomed in: it goes to the graphics card as a whole."""
GAP: Final = 0.02
"""Room between layers, as a share of their size."""

_RUNNING = ("live", "slow")


class Place(NamedTuple):
    """Where a layer is, in pixels of full pictures."""

    y: float
    x: float
    height: float
    width: float


def arrange(sizes: Sequence[tuple[float, float]], beside: float = 0.0) -> list[Place]:
    """Put pictures of these heights and widths beside and below each other, two in a row."""
    columns = 2 if len(sizes) > 1 else 1
    high = max((height for height, _ in sizes), default=1) * (1 + GAP)
    wide = max((width for _, width in sizes), default=1) * (1 + GAP)
    return [
        Place(index // columns * high, beside + index % columns * wide, height, width)
        for index, (height, width) in enumerate(sizes)
    ]


def scale_at(width: int, screen_px: float) -> Scale:
    """Give the fraction at which a picture suffices for so many pixels on the screen."""
    scales: tuple[Scale, ...] = (8, 4, 2)
    for scale in scales:
        if width / scale >= screen_px * 0.9:
            return scale
    return 1


def mosaic_scale(count: int, size: tuple[int, int], screen_px: float | None) -> Scale:
    """Give the fraction at which tiles are decoded: as the screen shows them, within `MOSAIC_PIXELS`."""
    height, width = size
    grid = choose_grid(count, size)
    if screen_px is None:
        scales: tuple[Scale, ...] = (1, 2, 4)
        return next((each for each in scales if -(-width // each) <= grid.tile[1]), 8)
    scale = scale_at(width, screen_px)
    while scale < 8 and grid.rows * grid.columns * (height // scale) * (width // scale) > MOSAIC_PIXELS:
        scale = _COARSER[scale]
    return scale


_COARSER: Mapping[Scale, Scale] = {1: 2, 2: 4, 4: 8, 8: 8}


def state_of(age_s: float | None, live: bool, stats: StreamStats | None) -> TileState:
    """Judge a camera's picture.

    Parameters
    ----------
    age_s : float or None
        Seconds since it came; None when none has.
    live : bool
        Whether pictures are asked for at all.
    stats : StreamStats or None
        The camera's figures, as last read.
    """
    if age_s is None:
        return TileState.NO_SIGNAL
    if not live:
        return TileState.STALE
    interval_s = (stats.interval_p50_ms or 0.0) / 1000 if stats is not None else 0.0
    if age_s >= min(LOST_S, max(STALE_S, 2.5 * interval_s)):
        lost = age_s >= LOST_S or (stats is not None and stats.state not in _RUNNING)
        return TileState.NO_SIGNAL if lost else TileState.STALE
    return TileState.FROZEN if stats is not None and stats.frozen else TileState.LIVE


_BRIEF: Final = {TileState.FROZEN: "  FROZEN", TileState.NO_SIGNAL: "  NO SIGNAL"}


def label_of(
    name: str,
    state: TileState,
    age_s: float | None,
    fps: float,
    live: bool,
    most: int = 200,
    *,
    slow: bool = False,
    waiting_s: float = 0.0,
) -> str:
    """Say in one line what a tile shows, in fewer words or with less of the name for `most` characters.

    Where it is old because the user's function is `slow`, that is said; where there has been none yet
    (`age_s` None), for how long it has been waited for.
    """
    rest = _rest_of_label(state, age_s, fps, live)
    brief = _BRIEF.get(state, rest)
    if age_s is None and state is TileState.NO_SIGNAL:
        rest = f"  no picture yet, for {waiting_s:.0f} s" if live else "  no picture yet, not live"
        brief = "  no picture yet"
    if slow and state is TileState.STALE and live:
        rest = brief = f"  function too slow: {rest.strip()}"
    if len(name) + len(rest) > most:
        rest = brief
    room = max(3, most - len(rest))
    return (name if len(name) <= room else f"…{name[1 - room :]}") + rest


def _rest_of_label(state: TileState, age_s: float | None, fps: float, live: bool) -> str:
    if state is TileState.LIVE:
        return f"  {fps:.1f} fps  {age_s or 0.0:.1f} s"
    if state is TileState.FROZEN:
        return "  FROZEN: the same picture again and again"
    if state is TileState.STALE:
        return f"  {age_s or 0:.0f} s old" + ("" if live else ", not live")
    return f"  NO SIGNAL for {age_s or 0:.0f} s"
