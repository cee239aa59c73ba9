"""Reading the head of a response: status line and headers, up to the blank line.

Knows nothing of bodies. Interim answers (1xx) are read and forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.wire.events import Head
from espressoscope.wire.headers import Headers, parse_status_line, split_field
from espressoscope.wire.window import LineTooLongError

if TYPE_CHECKING:
    from espressoscope.wire.limits import Limits
    from espressoscope.wire.window import Window

__all__ = ["HeadError", "HeadReader"]

_MOST_INTERIM_HEADS = 16


class HeadError(Exception):
    """These bytes are no response head; never leaves `wire`.

    Parameters
    ----------
    message : str
    hint : str, optional
        What to try.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class HeadReader:
    """Reads one response head from the wire bytes of a window.

    Parameters
    ----------
    window : Window
    limits : Limits
    """

    __slots__ = ("_bytes", "_fields", "_interim", "_limits", "_status", "_window")

    def __init__(self, window: Window, limits: Limits) -> None:
        self._window = window
        self._limits = limits
        self._status: tuple[str, int, str] | None = None
        self._fields: list[tuple[str, str]] = []
        self._bytes = 0
        self._interim = 0

    def read(self) -> Head | None:
        """Read on; give the head when it is whole.

        Raises
        ------
        HeadError
            No HTTP response, or one over the limits.
        """
        window = self._window
        limits = self._limits
        while True:
            if self._status is None:
                self._check_beginning()
            try:
                line = window.wire_line(limits.max_line)
            except LineTooLongError:
                raise HeadError("a header line of the answer has no end") from None
            if line is None:
                return None
            self._bytes += len(line)
            if self._bytes > limits.max_head or len(self._fields) > limits.max_headers:
                raise HeadError("the head of the answer has no end")
            text = line.strip()
            if self._status is None:
                if text:
                    self._status = parse_status_line(text)
                    if self._status is None:
                        window.raw -= len(line)
                        raise HeadError("not an HTTP status line")
            elif not text:
                head = self._finished()
                if head is not None:
                    return head
            elif line[0] in b" \t" and self._fields:
                name, value = self._fields[-1]
                self._fields[-1] = (name, f"{value} {text.decode('latin-1')}")
            else:
                field = split_field(text)
                if field is not None:  # a line without a colon says nothing and harms nobody
                    self._fields.append(field)

    def _check_beginning(self) -> None:
        """Fail at the first byte that no HTTP response begins with, rather than wait for a line end."""
        window = self._window
        begin = bytes(window.view[window.raw : min(window.end, window.raw + 5)])
        if b"HTTP/".startswith(begin) or begin[0] in b"\r\n":
            return
        for pictures in (b"--", b"\xff\xd8"):
            if begin.startswith(pictures):
                raise HeadError(
                    "pictures without an HTTP answer around them",
                    hint="The source must speak HTTP; GStreamer's tcpserversink does not",
                )
            if pictures.startswith(begin):
                return
        raise HeadError("not an HTTP answer")

    def _finished(self) -> Head | None:
        assert self._status is not None
        head = Head(*self._status, Headers(self._fields))
        self._status, self._fields, self._bytes = None, [], 0
        if not 100 <= head.status < 200:
            return head
        self._interim += 1
        if self._interim > _MOST_INTERIM_HEADS:
            raise HeadError("interim answers without end")
        return None
