"""A contact sheet: for each camera pictures evenly spaced in time, with their times, as one PNG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from espressoscope.errors import DecodeError, ExportError
from espressoscope.recording.moments import iso_utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from espressoscope.export.chosen import Chosen
    from espressoscope.model import Frame

__all__ = ["MOST_PIXELS", "evenly", "write_sheet"]

MOST_PIXELS: Final = 64_000_000
_PAPER: Final = (18, 20, 24)
_EMPTY: Final = (42, 45, 52)
_TITLE: Final = (240, 242, 245)
_QUIET: Final = (160, 166, 176)
_ALARM: Final = (235, 120, 95)
_GAP: Final = 12
_MARGIN: Final = 20
_CAPTION: Final = 22
_HEADING: Final = 54
_WIDTHS: Final = (320, 240, 180, 120, 80)
_COLUMNS: Final = 6


def evenly(times_ns: NDArray[np.int64], count: int) -> list[int]:
    """Choose frames evenly spaced in time, the first and the last among them; each once, in order.

    Parameters
    ----------
    times_ns : (T,) array of int
    count : int
        How many, at most.
    """
    if len(times_ns) <= count:
        return list(range(len(times_ns)))
    if count == 1:
        return [0]
    wanted = times_ns[0] + np.linspace(0, float(times_ns[-1] - times_ns[0]), count)
    after = np.clip(np.searchsorted(times_ns, wanted), 1, len(times_ns) - 1)
    nearer = np.abs(times_ns[after - 1] - wanted) <= np.abs(times_ns[after] - wanted)
    places = np.where(nearer, after - 1, after)
    # In a long gap several moments have one nearest frame.
    return sorted(set(places.tolist()))


class _Plan(NamedTuple):
    """Sizes in pixels."""

    columns: int
    width: int
    size: tuple[int, int]
    tops: list[int]


def write_sheet(
    path: Path, chosen: list[Chosen], count: int, title: str, on_frame: Callable[[Chosen, Frame], None]
) -> None:
    """Draw the sheet and write it to a new file.

    Parameters
    ----------
    path : Path
    chosen : list of Chosen
        The cameras, one below the other.
    count : int
        Pictures of each, at most.
    title : str
        The run's name.
    on_frame : callable
        Called after each picture.

    Raises
    ------
    ExportError
        They are too many for one sheet.
    OSError
    """
    from PIL import Image, ImageDraw

    picked = [camera.pictures[evenly(camera.times_ns(camera.pictures), count)] for camera in chosen]
    heights = [_height(camera) for camera in chosen]
    plan = _plan([len(places) for places in picked], heights)
    if plan is None:
        raise ExportError(
            f"{sum(map(len, picked))} pictures are too many for one sheet",
            path=str(path),
            hint="Take fewer of each camera (--count), or fewer cameras (--camera)",
        )
    sheet = Image.new("RGB", plan.size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    room = plan.size[0] - 2 * _MARGIN
    _write(draw, (_MARGIN, 16), title, 24, _TITLE, room)
    for camera, places, top, ratio in zip(chosen, picked, plan.tops, heights, strict=True):
        times = camera.times_ns(camera.pictures)
        _write(draw, (_MARGIN, top + 6), camera.name, 18, _TITLE, room)
        text = f"{len(times)} pictures, {_when(int(times[0]))} to {_when(int(times[-1]))} UTC"
        _write(draw, (_MARGIN, top + 30), text, 13, _QUIET, room)
        height = round(plan.width * ratio)
        for number, place in enumerate(places.tolist()):
            frame = camera.frame(place)
            row, column = divmod(number, plan.columns)
            left = _MARGIN + column * (plan.width + _GAP)
            upper = top + _HEADING + row * (height + _CAPTION + _GAP)
            _draw_tile(sheet, draw, frame, (left, upper), (plan.width, height))
            seconds = (frame.received_ns - int(times[0])) / 1e9
            label = f"{iso_utc(frame.received_ns)[11:-4]}   {_elapsed(seconds)}"
            _write(draw, (left, upper + height + 4), label, 12, _QUIET, plan.width)
            on_frame(camera, frame)
    with path.open("xb") as file:
        sheet.save(file, "PNG")


def _height(camera: Chosen) -> float:
    """Give the height of its tallest picture, as a part of the width."""
    return max(min(each.height / max(each.width, 1), 4.0) for each in camera.stretches)


def _plan(counts: list[int], heights: list[float]) -> _Plan | None:
    """Find the widest tiles that fit."""
    columns = min(max(counts), _COLUMNS if len(counts) == 1 else max(_COLUMNS, max(counts)), 12)
    for width in _WIDTHS:
        at = 58
        tops = []
        for count, height in zip(counts, heights, strict=True):
            tops.append(at)
            at += _HEADING + math.ceil(count / columns) * (round(width * height) + _CAPTION + _GAP) + _GAP
        size = (max(2 * _MARGIN + columns * (width + _GAP) - _GAP, 460), at + _MARGIN - _GAP)
        if size[0] * size[1] <= MOST_PIXELS and max(size) < 60_000:
            return _Plan(columns, width, size, tops)
    return None


def _draw_tile(sheet: Any, draw: Any, frame: Frame, corner: tuple[int, int], size: tuple[int, int]) -> None:
    from PIL import Image

    left, top = corner
    width, height = size
    # The decoder's own scaling first: a large picture is never decoded whole for a small tile.
    shrink = max(frame.width / width, frame.height / height, 1)
    scale = next(scale for scale in (8, 4, 2, 1) if scale <= shrink)
    try:
        picture = Image.fromarray(frame.image(scale=scale, partial=True))  # type: ignore[arg-type]
    except (DecodeError, ValueError):
        draw.rectangle((left, top, left + width - 1, top + height - 1), fill=_EMPTY)
        draw.text((left + width / 2, top + height / 2), "BROKEN", font=_font(14), fill=_ALARM, anchor="mm")
        return
    fit = min(width / picture.width, height / picture.height)
    wanted = (max(1, round(picture.width * fit)), max(1, round(picture.height * fit)))
    if wanted != picture.size:
        picture = picture.resize(wanted, Image.Resampling.LANCZOS)
    sheet.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))


def _when(time_ns: int) -> str:
    return iso_utc(time_ns)[:-5].replace("T", " ")


def _elapsed(seconds: float) -> str:
    if seconds < 100:
        return f"+{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"+{days} d {hours:02}:{minutes:02}:{rest:02}" if days else f"+{hours:02}:{minutes:02}:{rest:02}"


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _write(
    draw: Any, where: tuple[int, int], text: str, size: int, colour: tuple[int, int, int], room: int
) -> None:
    """Write one line, shortened to the room there is."""
    font = _font(size)
    text = "".join(char for char in text if char.isprintable())
    if draw.textlength(text, font=font) > room:
        while text and draw.textlength(text + "...", font=font) > room:
            text = text[:-1]
        text += "..."
    draw.text(where, text, font=font, fill=colour)
