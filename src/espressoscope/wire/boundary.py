"""The boundary of a multipart stream: believed, learned, found.

Firmwares and servers spell it in every way: quoted, with the dashes or without, in the head or not at all.
What counts in the end is the first boundary line of the body.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espressoscope.wire.window import Window

__all__ = ["Boundary"]

# This long, it does not occur in a JPEG by chance; a shorter one ("--b") must begin a line.
_SURE_LENGTH = 14
_BEHIND = re.compile(rb"\r\n|\n|--")
_LINE = re.compile(rb"--[!-~]{1,200}")


class Boundary:
    """What separates the parts of one stream.

    Parameters
    ----------
    name : bytes or None
        The boundary parameter of the response's Content-Type; None: only the first boundary line will tell.

    Attributes
    ----------
    line : bytes or None
        The boundary line without its line ends, dashes in front included; None while unknown.
    """

    __slots__ = ("_learned", "line")

    def __init__(self, name: bytes | None) -> None:
        # "boundary=--foo" and "boundary=foo" both mean lines of "--foo": RFC 2046 and what is made of it.
        name = name.lstrip(b"-") if name else b""
        self.line: bytes | None = b"--" + name if name else None
        self._learned = False

    def may_begin_with(self, first: int) -> bool:
        """Whether a boundary line may have this first byte."""
        line = self.line
        return first == 0x2D or (line is not None and first in (line[0], line[2]))

    def accepts(self, line: bytes) -> bool:
        """Whether this is a boundary line; the first one to come is learned.

        Until one was seen, any line of that form is believed: the head may lack the boundary or spell it
        otherwise.
        """
        known = self.line
        if self._learned:
            return line == known
        if _LINE.fullmatch(line) or (known is not None and line == known[2:]):
            self.line = line
            self._learned = True
        return self._learned

    def closes(self, window: Window) -> bool:
        """Whether the payload begins with the closing boundary."""
        line = self.line
        return line is not None and window.data.startswith(line + b"--", window.start, window.stop)

    def find(self, window: Window, stop: int) -> int:
        """Find the next boundary line that begins in the payload before `stop`; -1: none yet.

        It counts when it is whole, followed by a line end or ``--``, and long or at the beginning of a line.
        How far the search came is remembered in the window.
        """
        line = self.line
        if line is None:
            return -1
        data = window.data
        at = window.start + window.payload_seen
        while True:
            at = data.find(line, at, stop)
            if at < 0:
                at = max(window.start + window.payload_seen, stop - len(line) + 1)
                break
            if len(line) >= _SURE_LENGTH or at == window.start or data[at - 1] == 0x0A:
                behind = at + len(line)
                if stop - behind < 2:
                    break
                if _BEHIND.match(data, behind, stop):
                    window.payload_seen = 0
                    return at
            at += 1
        window.payload_seen = at - window.start
        return -1

    def swallowed(self, tail: bytes) -> bytes | None:
        """Give the rest of the boundary line of which `tail` ends with the beginning; None: it does not."""
        if self.line is None:
            return None
        whole = b"\r\n" + self.line + b"\r\n"
        at = tail.rfind(whole[:4])
        if at >= 0 and whole.startswith(tail[at:]):
            return whole[len(tail) - at :]
        for count in (3, 2, 1):
            if tail.endswith(whole[:count]):
                return whole[count:]
        return None


def line_end_before(window: Window, at: int) -> int:
    """Give where the line end that belongs to the boundary at `at` begins; `at` when there is none."""
    if at > window.start and window.data[at - 1] == 0x0A:
        at -= 1
        if at > window.start and window.data[at - 1] == 0x0D:
            at -= 1
    return at
