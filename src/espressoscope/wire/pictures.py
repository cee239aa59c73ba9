"""From the body of a part to pictures: usually one, sometimes several, now and then a broken one.

Nothing is decoded, and no byte is changed: what a camera sent is what a picture holds.

A walk over every marker, or a search through all bytes for a second picture, would cost more than receiving
them; so this remembers what the stream's pictures look like, and looks closer where one is different:

* *Size.* The pictures of a stream share their header: the size is known by comparing some hundred bytes.
* *End.* A body whose last bytes are the end-of-image marker has an end. Anything else is walked.
* *Several pictures in one part* (esp32-camera#857). A body is searched for Huffman tables like those of its
  own first picture, which are the same for all qualities: always up to 64 KB; above, when it is 1.25 times
  as long as the last picture known to be single, and every 32nd time.
  It is walked from end to end, whatever its size, when anything is unusual: the first one, another header, a
  length more than a quarter off that of the last single picture, no end-of-image marker at the end.
  A second picture counts only where the walk says that the first is over, so that EXIF thumbnails stay where
  they are, and only if its own header can be walked up to its scan, so that stale bytes stay stale.

What remains: two pictures *with different Huffman tables* whose lengths add up to that of the one before, or,
above 64 KB, two pictures of half the usual length at once. They are taken for one with stale bytes behind it;
no byte of them is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from espressoscope.wire.jpeg import Walk, find_start

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["Picture", "PictureReader"]

EOI = b"\xff\xd9"
_NEXT = b"\xff\xd8\xff"
_ALWAYS_SEARCHED = 65536
_SEARCHED_EVERY = 32
_LONGEST_MARK = 192
_MOST_MARKED = 1024
# A body may hold many pictures, but not many beginnings that turn out to be none.
_MOST_FALSE_STARTS = 16


class Picture(NamedTuple):
    """One picture of a stream.

    Attributes
    ----------
    jpeg : bytes
        As sent: junk in front and stale bytes behind its end included.
    width, height : int
        Pixels; 0 when not to be found.
    status : {"ok", "truncated", "corrupt"}
        ``"truncated"``: the end is missing; ``"corrupt"``: not a JPEG that can be walked.
    """

    jpeg: bytes
    width: int
    height: int
    status: Literal["ok", "truncated", "corrupt"]


class PictureReader:
    """Turns the part bodies of one stream into pictures; one reader per stream, for what it remembers.

    Attributes
    ----------
    walked : int
        Bodies that were walked from end to end, because something was unusual.
    width, height : int
        Size of the pictures `read_usual` gives.
    """

    __slots__ = ("_header", "_least", "_mark", "_mark_at", "_most", "_turn", "height", "walked", "width")

    def __init__(self) -> None:
        self.walked = 0
        # Of the last picture known to be single: its bytes up to the end of the frame header, its size, a
        # piece of its Huffman tables, and the lengths that are not unusual after it.
        self._header = b""
        self.width = self.height = 0
        self._mark = b""
        self._mark_at = 0
        self._least = 1
        self._most = 0
        self._turn = 0

    def read(self, body: memoryview | bytes, complete: bool = True) -> list[Picture]:
        """Give the pictures in a body, in order.

        Parameters
        ----------
        body : memoryview or bytes
            Copied, unless it is `bytes`.
        complete : bool
            False when the body broke off: its last picture is ``"truncated"`` then.

        Returns
        -------
        list of Picture
            At least one; together they hold every byte of the body.
        """
        if complete and (usual := self.read_usual(body)) is not None:
            return [Picture(usual, self.width, self.height, "ok")]
        return self._walk(bytes(body), complete)

    def read_usual(self, body: memoryview | bytes) -> bytes | None:
        """Give the picture in a complete body when nothing about it is unusual, of size `width` x `height`.

        The short way for a link that takes thousands of frames a second: no list, no `Picture`.

        Returns
        -------
        bytes or None
            None: look closer, with `read`.
        """
        length = len(body)
        if not self._least <= length <= self._most:
            return None
        jpeg = bytes(body)
        if jpeg.startswith(self._header) and jpeg.endswith(EOI):
            if length > _ALWAYS_SEARCHED:
                self._turn = (self._turn + 1) % _SEARCHED_EVERY
                if self._turn:
                    return jpeg
            if jpeg.rfind(self._mark) == self._mark_at:
                return jpeg
        return None

    def _walk(self, jpeg: bytes, complete: bool) -> list[Picture]:
        self.walked += 1
        start = find_start(jpeg)
        if start is None:
            return [Picture(jpeg, 0, 0, "corrupt")]
        pictures: list[Picture] = []
        false_starts = 0
        begin = 0
        walk = Walk(jpeg, start)
        while True:
            following = jpeg.find(_NEXT, max(walk.stopped, start + 2))
            after = None
            while following >= 0 and false_starts < _MOST_FALSE_STARTS:
                after = Walk(jpeg, following)
                if after.start_of_scan is not None and after.header:
                    break
                after = None
                false_starts += 1
                following = jpeg.find(_NEXT, following + 3)
            stop = len(jpeg) if after is None else after.start
            pictures.append(_picture(jpeg[begin:stop], walk, complete or after is not None))
            if after is None:
                break
            begin = start = after.start
            walk = after
        if len(pictures) == 1 and start == 0 and pictures[0].status == "ok":
            self._remember(jpeg, walk)
        return pictures

    def _remember(self, jpeg: bytes, walk: Walk) -> None:
        """Note what a picture known to be the only one in its body looks like."""
        length = len(jpeg)
        self._least, self._most = length * 3 // 4, length * 5 // 4
        self._header = jpeg[: walk.header]
        self.width, self.height = walk.width, walk.height
        assert walk.start_of_scan is not None
        head = walk.start_of_scan
        # The mark must be unique, or it could not tell one picture from two.
        self._mark_at = jpeg.rfind(self._mark) if self._mark else head
        if self._mark_at < head:
            return
        begin, stop = walk.huffman
        if self._mark or stop == 0:  # tables made for each picture, or none: whatever else is in the header
            begin, stop = 0, walk.header
        stop = min(stop, begin + _MOST_MARKED)
        for first, end in (_best_mark(jpeg, begin, stop), (0, min(walk.header, 20))):
            self._mark = jpeg[first:end]
            self._mark_at = jpeg.rfind(self._mark)
            if self._mark_at < head:
                return
        self._mark = b""
        self._most = 0  # nothing to go by: each body is walked


def _picture(jpeg: bytes, walk: Walk, complete: bool) -> Picture:
    status: Literal["ok", "truncated", "corrupt"] = "ok"
    if not walk.header or walk.start_of_scan is None:
        status = "corrupt" if complete else "truncated"
    elif walk.end is None or not complete:
        status = "truncated"
    return Picture(jpeg, walk.width, walk.height, status)


def _best_mark(data: bytes, begin: int, stop: int) -> tuple[int, int]:
    """Choose the piece of ``data[begin:stop]`` that is found fastest by `bytes.rfind`.

    CPython keeps the low six bits of the needle's bytes in a set, and jumps over the needle's whole length at
    a byte that is not in it: best is a long piece of few different bytes.
    """
    best, best_gain = (begin, min(stop, begin + 20)), 0.0
    for most in (12, 18, 24):
        first = begin
        counts: dict[int, int] = {}
        for at in range(begin, stop):
            low = data[at] & 63
            counts[low] = counts.get(low, 0) + 1
            while len(counts) > most or at - first >= _LONGEST_MARK:
                low = data[first] & 63
                counts[low] -= 1
                if not counts[low]:
                    del counts[low]
                first += 1
            gain = (at + 1 - first) * (1 - len(counts) / 64)
            if gain > best_gain and at - first >= 16:
                best, best_gain = (first, at + 1), gain
    return best
