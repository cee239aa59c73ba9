"""What stands between two JPEGs of one stream, learned: the parser's short cut.

A firmware writes the same bytes between any two pictures, but for the length and perhaps a time stamp. Once
the general machine has read one such gap, a `Shape` recognises the next as a whole: fixed fields compared,
numbers converted, chunk sizes checked against the length. Whatever does not fit exactly is left to the
general machine, so that the short cut can only be faster, never different.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from espressoscope.wire.events import EOI, Part

if TYPE_CHECKING:
    from espressoscope.wire.events import Event, PartHead
    from espressoscope.wire.multipart import Multipart
    from espressoscope.wire.window import Window

__all__ = ["Shape"]

_LENGTH = re.compile(rb"[Cc]ontent-[Ll]ength[ \t]*:[ \t]*([1-9][0-9]*)[ \t]*\r?\n")
_STAMP = re.compile(rb"[Xx]-[Tt]imestamp[ \t]*:[ \t]*([0-9]+\.[0-9]+)[ \t]*\r?\n")
_CHUNK_SIZE = re.compile(rb"([1-9a-fA-F][0-9a-fA-F]*)\r\n")


class Shape:
    """The bytes between two bodies, with places for length, time stamp and chunk size.

    The numbers keep their count of digits, so everything has its place. A gap is recognised by writing out
    what it must be for the length it shows, and comparing: one comparison checks text, digits and chunk size.

    Parameters
    ----------
    head : PartHead
    fields : tuple of bytes
        Text up to the length, the length, text, the time stamp, text, the chunk size, text.
    after : int

    Attributes
    ----------
    head : PartHead
        Headers of the part it was learned from.
    size : int
        Bytes from the end of one body to the beginning of the next.
    prefix : bytes
        Its bytes up to the length.
    after : int
        Bytes of the chunk behind each body.
    """

    __slots__ = (
        "_behind_jpeg",
        "_chunked",
        "_digits_at",
        "_digits_end",
        "_least",
        "_most",
        "_stamp_at",
        "_stamp_end",
        "_template",
        "after",
        "head",
        "prefix",
        "size",
    )

    def __init__(self, head: PartHead, fields: tuple[bytes, ...], after: int) -> None:
        prefix, length, middle, stamp, last, chunk_size, tail = fields
        text = [field.replace(b"%", b"%%") for field in (prefix, middle, last, tail)]
        hexadecimal = (b"%X" if chunk_size.isupper() else b"%x") if chunk_size else b""
        self.head = head
        self.size = sum(map(len, fields))
        self.prefix = prefix
        self.after = after
        self._template = b"".join(
            (text[0], b"%d", text[1], b"%b" if stamp else b"", text[2], hexadecimal, text[3])
        )
        self._behind_jpeg = EOI + self._template
        self._digits_at = len(prefix)
        self._digits_end = len(prefix) + len(length)
        self._stamp_at = self._digits_end + len(middle)
        self._stamp_end = self._stamp_at + len(stamp) if stamp else 0
        self._chunked = bool(chunk_size)
        # A number with a digit more or less makes a longer or shorter gap, which is of another shape.
        self._least, self._most = 10 ** (len(length) - 1), 10 ** len(length) - 1
        if chunk_size:
            self._least = max(self._least, 16 ** (len(chunk_size) - 1) - after)
            self._most = min(self._most, 16 ** len(chunk_size) - 1 - after)

    def same_as(self, other: Shape) -> bool:
        """Whether both recognise the same gaps."""
        mine = (self._template, self._digits_end, self._stamp_end, self.size, self.after)
        return mine == (other._template, other._digits_end, other._stamp_end, other.size, other.after)

    def match(self, data: bytearray, at: int, end: int) -> tuple[int, bytes | None]:
        """Recognise the gap that begins at `at`.

        Parameters
        ----------
        data : bytearray
        at, end : int
            Where the gap begins, and where the bytes received end.

        Returns
        -------
        int
            Length of the body that begins `size` bytes behind `at`; -1 when this is not such a gap, or not
            all there.
        bytes or None
            The time stamp.
        """
        if end - at >= self.size:
            try:
                length = int(data[at + self._digits_at : at + self._digits_end])
            except ValueError:
                return -1, None
            if self._chunked and not self._stamp_end:  # nearly every camera
                stamp = None
                gap = self._template % (length, length + self.after)
            else:
                stamp = self._stamp(data, at)
                gap = self._template % self._values(length, stamp)
            if self._least <= length <= self._most and data.startswith(gap, at):
                return length, stamp
        return -1, None

    def follow(self, window: Window, parts: Multipart, events: list[Event]) -> None:
        """Give out the bodies that end like a JPEG and are followed by this gap, up to the first that is not.

        This is where a stream spends its time: about a microsecond a picture.

        Parameters
        ----------
        window : Window
            Its wire bytes begin with a body; afterwards with the first body that was not given out.
        parts : Multipart
            What is known of that body.
        events : list of Event
        """
        data, view, after = window.data, window.view, self.after
        size, own_head = self.size, self.head
        digits_at, digits_end, template = self._digits_at, self._digits_end, self._behind_jpeg
        plain = self._chunked and not self._stamp_end
        start, length, head = window.raw, parts.length, parts.head
        announced, stamp, following_stamp = parts.announced, parts.stamp, None
        largest = parts.largest
        least, most = self._least, min(self._most, parts.trusted)
        last = window.end - size
        startswith, append = data.startswith, events.append
        while True:
            stop = start + length
            if stop > last:
                break
            try:
                following = int(data[stop + digits_at : stop + digits_end])
            except ValueError:
                break
            if plain:
                gap = template % (following, following + after)
            else:
                following_stamp = self._stamp(data, stop)
                gap = template % self._values(following, following_stamp)
            if not (least <= following <= most and startswith(gap, stop - 2)):
                break
            append(Part(view[start:stop], head, True, announced, stamp))
            if length > largest:
                largest = length
            start = stop + size
            length = announced = following
            head, stamp = own_head, following_stamp
        if largest > parts.largest:
            parts.believe(largest)
        parts.length, parts.head, parts.announced, parts.stamp = length, head, announced, stamp
        if start != window.raw:
            window.jump(start)

    def _stamp(self, data: bytearray, at: int) -> bytes | None:
        """Give the time stamp of a gap, b"" when it is none."""
        if not self._stamp_end:
            return None
        stamp = bytes(data[at + self._stamp_at : at + self._stamp_end])
        seconds, _, fraction = stamp.partition(b".")
        return stamp if seconds.isdigit() and fraction.isdigit() else b""

    def _values(self, length: int, stamp: bytes | None) -> tuple[int | bytes, ...]:
        """Give what the template wants."""
        if stamp is None:
            return (length, length + self.after) if self._chunked else (length,)
        return (length, stamp, length + self.after) if self._chunked else (length, stamp)

    @classmethod
    def learn(cls, trace: list[tuple[bool, bytes]], head: PartHead, length: int, after: int) -> Shape | None:
        """Make a shape of the lines between two bodies.

        Parameters
        ----------
        trace : list of (bool, bytes)
            All lines in the order they were read, True for those of chunk framing.
        head : PartHead
            What they said.
        length, after : int
            Length of the body behind them, and bytes of its chunk behind it.

        Returns
        -------
        Shape or None
            None when these lines are none that can be expected again in the same form.
        """
        size_line = _last_chunk_size(trace, length, after)
        if size_line is None:
            return None
        fields = [b"", b"", b"", b"", b"", b"", b""]
        place = 0
        for number, (framing, line) in enumerate(trace):
            match, slot = None, 0
            if framing:
                if number == size_line:
                    match, slot = _CHUNK_SIZE.fullmatch(line), 5
            else:
                match, slot = _LENGTH.fullmatch(line), 1
                if match is None:
                    match, slot = _STAMP.fullmatch(line), 3
            if match is None:
                fields[place] += line
            elif slot < place:
                return None  # not in this order, or twice
            else:
                begin, end = match.span(1)
                fields[place] += line[:begin]
                # Fields left out are empty, and so is the fixed text before them: it went to `place`.
                fields[slot] = line[begin:end]
                place = slot + 1
                fields[place] += line[end:]
        shape = cls(head, tuple(fields), after)
        # It must recognise what it was made of; fields in an order that it cannot express show up here.
        gap = bytearray(b"".join(line for _, line in trace))
        return shape if shape.match(gap, 0, len(gap))[0] == length else None


def _last_chunk_size(trace: list[tuple[bool, bytes]], length: int, after: int) -> int | None:
    """Give the place of the size line of the body's chunk, -1 without chunks, None when sizes do not add up.

    Lines of text that run over the end of a chunk are in the trace at another place than on the wire; this
    finds them out.
    """
    left = after
    place = -1
    for number, (framing, line) in enumerate(trace):
        if not framing:
            left -= len(line)
        elif line.strip():
            match = _CHUNK_SIZE.fullmatch(line)
            if match is None or left != 0:
                return None
            left = int(match[1], 16)
            place = number
        elif left != 0 or line != b"\r\n":
            return None
    if place < 0:
        return -1 if after == 0 else None
    # The chunk sizes must repeat: the text in front of the first chunk header is what `after` says.
    return place if left == length + after else None
