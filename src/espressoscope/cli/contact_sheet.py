"""One picture of many: a tile for each camera, with its name and the time below."""

import io
import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

import espressoscope as es

__all__ = ["Tile", "contact_sheet"]

_PAPER = (18, 20, 24)
_CARD = (30, 33, 39)
_EMPTY = (42, 45, 52)
_TITLE = (240, 242, 245)
_QUIET = (150, 156, 166)
_ALARM = (235, 120, 95)
_GAP = 20
_CAPTION = 58
_WIDTHS = ((1, 800), (2, 640), (3, 480), (4, 400), (6, 320))
"""Width of a tile by the number of columns; more columns, 240."""


class Tile(NamedTuple):
    """One camera's place on the sheet.

    Attributes
    ----------
    name : str
        In large letters.
    details : list of str
        In small letters behind time and size, the most important first.
    frame : Frame or None
        None leaves the place dark and says so.
    """

    name: str
    details: list[str]
    frame: es.Frame | None


def contact_sheet(tiles: list[Tile], title: str) -> bytes:
    """Draw the sheet.

    Returns
    -------
    bytes
        A PNG.
    """
    from PIL import Image, ImageDraw

    columns = max(1, math.ceil(math.sqrt(len(tiles))))
    rows = max(1, math.ceil(len(tiles) / columns))
    width = next((width for most, width in _WIDTHS if columns <= most), 240)
    height = width * 3 // 4
    head = 78
    size = (
        _GAP + columns * (width + _GAP),
        head + rows * (height + _CAPTION + _GAP),
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 20), "Espressoscope", font=_font(26), fill=_TITLE)
    _write(draw, (_GAP, 52), title, 14, _QUIET, size[0] - 2 * _GAP)
    for index, tile in enumerate(tiles):
        left = _GAP + index % columns * (width + _GAP)
        top = head + index // columns * (height + _CAPTION + _GAP)
        draw.rounded_rectangle((left, top, left + width, top + height + _CAPTION), 8, fill=_CARD)
        _draw_tile(sheet, draw, tile, (left, top), (width, height))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_tile(sheet: Any, draw: Any, tile: Tile, corner: tuple[int, int], size: tuple[int, int]) -> None:
    left, top = corner
    width, height = size
    picture = _picture(tile.frame, size)
    if picture is None:
        draw.rectangle((left, top, left + width, top + height), fill=_EMPTY)
        draw.text(
            (left + width / 2, top + height / 2), "NO PICTURE", font=_font(20), fill=_ALARM, anchor="mm"
        )
    else:
        draw.rectangle((left, top, left + width - 1, top + height - 1), fill=(0, 0, 0))
        sheet.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
    below = top + height
    _write(draw, (left + 12, below + 8), tile.name, 17, _TITLE, width - 24)
    details = _details(tile)
    while len(details) > 1 and draw.textlength("   ".join(details), font=_font(13)) > width - 24:
        details.pop()
    _write(draw, (left + 12, below + 33), "   ".join(details), 13, _QUIET, width - 24)


def _details(tile: Tile) -> list[str]:
    if tile.frame is None:
        return list(tile.details)
    taken = datetime.fromtimestamp(tile.frame.received_ns / 1e9, UTC)
    return [f"{taken:%H:%M:%S} UTC", f"{tile.frame.width}x{tile.frame.height}", *tile.details]


def _picture(frame: es.Frame | None, size: tuple[int, int]) -> Any:
    from PIL import Image

    if frame is None or not frame.width or not frame.height:
        return None
    shrink = max(frame.width / size[0], frame.height / size[1])
    # The decoder's own scaling first: a large picture is never decoded whole for a small tile.
    scale = next(scale for scale in (8, 4, 2, 1) if scale <= max(shrink, 1))
    try:
        picture = Image.fromarray(frame.image(scale=scale, partial=True))  # type: ignore[arg-type]
    except es.DecodeError:
        return None
    fit = min(size[0] / picture.width, size[1] / picture.height)
    wanted = (max(1, round(picture.width * fit)), max(1, round(picture.height * fit)))
    return picture if wanted == picture.size else picture.resize(wanted, Image.Resampling.LANCZOS)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _write(
    draw: Any, where: tuple[int, int], text: str, size: int, colour: tuple[int, int, int], room: int
) -> None:
    """Write one line, shortened to the room there is."""
    font = _font(size)
    if draw.textlength(text, font=font) > room:
        while text and draw.textlength(text + "...", font=font) > room:
            text = text[:-1]
        text += "..."
    draw.text(where, text, font=font, fill=colour)
