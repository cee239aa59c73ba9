"""Taking the body out of its framing: chunked, by length, or until the connection closes.

A framing turns wire bytes of a `Window` into payload, one run at a time, so that what stands between two
chunks can be read before the next chunk is touched. What the payload means is not known here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from espressoscope.wire.window import LineTooLongError

if TYPE_CHECKING:
    from espressoscope.wire.window import Window

__all__ = ["Chunked", "FramingError", "Identity"]

# Chunk extensions are allowed and ignored (RFC 9112 §7.1.1); twelve digits are 256 TB.
_SIZE_LINE = re.compile(rb"[ \t]*0*([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
_MOST_TRAILERS = 64
_LONGEST_SIZE_LINE = 40  # of a chunk header looked for after damage: digits, a short extension, line ends


class FramingError(Exception):
    """The chunk structure is broken; never leaves `wire`."""


class Identity:
    """A body without framing.

    Parameters
    ----------
    window : Window
    length : int or None
        Bytes of the body; None: it ends with the connection.
    """

    __slots__ = ("left", "window")

    def __init__(self, window: Window, length: int | None) -> None:
        self.window = window
        self.left = length

    @property
    def finished(self) -> bool:
        """Whether the body is over."""
        return self.left == 0

    def advance(self) -> bool:
        """Make wire bytes payload; False when there is nothing to do."""
        window = self.window
        count = window.end - window.raw
        if self.left is not None:
            count = min(count, self.left)
            self.left -= count
        if count == 0:
            return False
        window.take_payload(count)
        return True

    def hold(self, length: int) -> int | None:
        """Leave the next `length` bytes of the body where they are, as `Chunked.hold` does.

        A body of known length that is multipart is too rare to be worth it.
        """
        if self.left is not None:
            return None
        window = self.window
        window.jump(window.start if window.start < window.stop else window.raw)
        return 0

    def resume(self, left: int) -> None:
        """Nothing to account for."""


class Chunked:
    """A chunked body (RFC 9112 §7.1).

    Parameters
    ----------
    window : Window
    max_line : int
        Longest chunk-size or trailer line.
    """

    __slots__ = ("_in_trailer", "_line_due", "_max_line", "_trailers", "finished", "left", "window")

    def __init__(self, window: Window, max_line: int) -> None:
        self.window = window
        self.left = 0
        self.finished = False
        self._line_due = False  # the line end behind a chunk's data
        self._in_trailer = False
        self._trailers = 0
        self._max_line = max_line

    def advance(self) -> bool:
        """Make the next run of wire bytes payload, or read one line of framing.

        Returns
        -------
        bool
            False when there is nothing to do without more bytes.

        Raises
        ------
        FramingError
            What stands where a chunk size is due is none; the wire bytes stay where they are.
        """
        window = self.window
        if self.left:
            count = min(self.left, window.end - window.raw)
            if count == 0:
                return False
            window.take_payload(count)
            self.left -= count
            self._line_due = self.left == 0
            return True
        if self.finished:
            return False
        if self._line_due and window.raw < window.end and window.data[window.raw] not in b"\r\n":
            raise FramingError("chunk longer than its size")
        try:
            line = window.wire_line(self._max_line)
        except LineTooLongError:
            raise FramingError("endless chunk-size line") from None
        if line is None:
            return False
        self._read_line(line)
        return True

    def _read_line(self, line: bytes) -> None:
        if self._in_trailer:
            self._trailers += 1
            if self._trailers > _MOST_TRAILERS:
                raise FramingError("endless trailer")
            self.finished = not line.strip()
        elif self._line_due:
            if line.strip():
                self.window.raw -= len(line)
                raise FramingError("chunk longer than its size")
            self._line_due = False
        else:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                self.window.raw -= len(line)
                raise FramingError("not a chunk size")
            self.left = int(match[1], 16)
            self._in_trailer = self.left == 0
        self.window.note(True, line)

    def hold(self, length: int) -> int | None:
        """Turn what waits as payload back into wire bytes, if the next `length` bytes are in one piece.

        They can then be used where they arrive, without `advance`; `resume` accounts for them afterwards.

        Returns
        -------
        int or None
            Bytes of the chunk that follow behind them; None when they are not in one piece, and nothing
            was changed.
        """
        window = self.window
        waiting = window.stop - window.start
        if waiting and (window.stop != window.raw or not (self.left or self._line_due)):
            return None
        total = waiting + self.left
        if total < length:
            return None
        window.jump(window.raw - waiting)
        self.left = total
        self._line_due = False
        return total - length

    def resume(self, left: int) -> None:
        """Go on at the window's position with `left` bytes of the chunk still to come."""
        self.left = left
        self._line_due = left == 0

    def find_step(self, core: bytes) -> bool:
        """After a `FramingError`: drop wire bytes up to a chunk that holds the boundary `core`.

        The chunk is recognised by its header right before the boundary (ESP-IDF's layout), or by one right
        behind the boundary's line (ffmpeg's, where the boundary ends a chunk).

        Returns
        -------
        bool
            True when in step again: the next payload begins with the boundary. False: more bytes needed.
        """
        window = self.window
        while True:
            found = window.data.find(core, window.raw + window.wire_seen, window.end)
            if found < 0:
                # Keep what may be the beginning of the boundary, and a chunk header before it.
                keep = len(core) + _LONGEST_SIZE_LINE
                window.drop_wire(max(0, window.end - window.raw - keep))
                window.wire_seen = max(0, window.end - window.raw - len(core))
                return False
            behind = found + len(core)
            before = bytes(window.view[max(window.raw, found - _LONGEST_SIZE_LINE) : found])
            match = _HEADER_BEFORE.search(before)
            if match is not None and int(match[1], 16) >= len(match[2]) + len(core):
                window.drop_wire(found - len(match[2]) - window.raw)
                self.left, self._line_due = int(match[1], 16), False
                self._in_trailer = False
                return True
            if window.end - behind < _LONGEST_SIZE_LINE:
                window.wire_seen = found - window.raw
                return False
            after = bytes(window.view[behind : behind + _LONGEST_SIZE_LINE])
            match = _HEADER_AFTER.match(after)
            if match is not None:
                window.drop_wire(found - window.raw)
                self.left, self._line_due = len(core) + match.end(1), False
                self._in_trailer = False
                return True
            window.wire_seen = behind - window.raw


_HEADER_BEFORE = re.compile(rb"\n0*([0-9a-fA-F]{1,8})[ \t]*\r?\n((?:\r?\n)?)\Z")
_HEADER_AFTER = re.compile(rb"(\r?\n)\r?\n0*[0-9a-fA-F]{1,8}[ \t]*\r?\n")
