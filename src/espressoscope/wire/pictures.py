"""From the body of a part to pictures: usually one, sometimes several, now and then a broken one.

Cheap because it remembers: a stream's pictures share their header, so the size is known by comparing some
hundred bytes. Nothing is decoded, and no byte is changed: what a camera sent is what a picture holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from espressoscope.wire.jpeg import Walk, find_start

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["Picture", "PictureReader"]

EOI = b"\xff\xd9"
_NEXT = b"\xff\xd8\xff"


class Picture(NamedTuple):
    """One picture of a stream.

    Attributes
    ----------
    jpeg : bytes
        As sent, stale bytes behind its end included.
    width, height : int
        Pixels; 0 when not to be found.
    status : {"ok", "truncated", "corrupt"}
        ``"truncated"``: the end is missing; ``"corrupt"``: no JPEG.
    """

    jpeg: bytes
    width: int
    height: int
    status: Literal["ok", "truncated", "corrupt"]


class PictureReader:
    """Turns the part bodies of one stream into pictures."""

    def read(self, body: memoryview | bytes, complete: bool = True) -> list[Picture]:
        """Give the pictures in a body, in order; never empty."""
        jpeg = bytes(body)
        pictures: list[Picture] = []
        begin = 0
        start = find_start(jpeg)
        if start is None:
            return [Picture(jpeg, 0, 0, "corrupt")]
        while True:
            walk = Walk(jpeg, start)
            following = -1
            if walk.start_of_scan is not None:
                following = jpeg.find(_NEXT, walk.stopped)
                while following >= 0 and Walk(jpeg, following, to_end=False).start_of_scan is None:
                    following = jpeg.find(_NEXT, following + 3)
            stop = len(jpeg) if following < 0 else following
            status: Literal["ok", "truncated", "corrupt"]
            if walk.start_of_scan is None or not walk.header:
                status = "corrupt"
            elif walk.end is None or (following < 0 and not complete):
                status = "truncated"
            else:
                status = "ok"
            pictures.append(Picture(jpeg[begin:stop], walk.width, walk.height, status))
            if following < 0:
                return pictures
            begin = start = following
