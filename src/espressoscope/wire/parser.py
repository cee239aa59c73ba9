"""The incremental parser of one HTTP response, over one buffer it owns. Bytes in, events out; no IO.

`ResponseParser` reads the head, then leaves the body to a framing (`framing`), and what comes out of that
to `multipart`, or collects it. ``feed`` or ``get_buffer``/``receive`` may be called with any split of the
bytes: the events are the same. Whatever the bytes, the outcome is events or `RemoteProtocolError`, within
`Limits`, in linear time.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.events import Body, Damage, End, Head, Part
from espressoscope.wire.framing import Chunked, FramingError, Identity
from espressoscope.wire.headers import (
    Headers,
    boundary_of,
    content_length,
    is_chunked,
    media_type,
    parse_status_line,
    split_field,
)
from espressoscope.wire.limits import DEFAULT_LIMITS, Limits
from espressoscope.wire.multipart import Multipart, NoBoundaryError, State
from espressoscope.wire.window import LineTooLongError, Window

if TYPE_CHECKING:
    from typing import NoReturn

    from espressoscope.wire.events import Event

__all__ = ["ResponseParser"]

# ffmpeg's mpjpeg listener calls its stream application/octet-stream; some servers name no type at all.
_SNIFFED_TYPES = ("", "application/octet-stream")
_SNIFF = re.compile(rb"--[!-~]{1,200}\r?\n(?:\r?\n)?content-", re.IGNORECASE)
_SNIFF_BYTES = 220
_MOST_INTERIM_HEADS = 16


class _Mode(IntEnum):
    HEAD = 0
    SNIFF = 1
    PARTS = 2
    BODY = 3
    OUT_OF_STEP = 4
    DONE = 5


class ResponseParser:
    """Parses one HTTP response and the multipart body inside it.

    Parameters
    ----------
    limits : Limits
        Ceilings; memory is bounded by them.

    Attributes
    ----------
    head : Head or None
        The response's head once it was read.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._window = Window(limits)
        self._mode = _Mode.HEAD
        self._error: RemoteProtocolError | None = None
        self.head: Head | None = None
        self._status: tuple[str, int, str] | None = None
        self._fields: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._interim_heads = 0
        self._framing: Identity | Chunked = Identity(self._window, None)
        self._parts: Multipart | None = None

    # -- what callers use -------------------------------------------------------------------------------

    @property
    def offset(self) -> int:
        """Bytes consumed so far."""
        return self._window.offset

    @property
    def buffered(self) -> int:
        """Bytes received and not consumed yet."""
        return self._window.waiting

    @property
    def missing(self) -> int:
        """Bytes the part or body at hand still misses on the wire, at least; 1 when that is not known."""
        window = self._window
        if self._mode is _Mode.PARTS:
            parts = self._parts
            if parts is not None and parts.state is State.BODY:
                return max(1, parts.length - window.waiting)
        elif self._mode is _Mode.BODY and self._framing.left is not None:
            return max(1, self._framing.left)
        return 1

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Give the writable free tail of the buffer, never empty; as `asyncio.BufferedProtocol` wants it.

        Part bodies handed out before are no longer valid afterwards.
        """
        return self._window.writable(self.missing)

    def receive(self, nbytes: int) -> list[Event]:
        """Take note of `nbytes` bytes written to the start of the last `get_buffer`.

        Returns
        -------
        list of Event
            What they completed. Part bodies are views, valid until the next call.

        Raises
        ------
        RemoteProtocolError
            These bytes are no HTTP response this parser understands; every later call raises it again.
        ValueError
            More bytes than the buffer had room for.
        """
        window = self._window
        if not 0 <= nbytes <= len(window.data) - window.end:
            raise ValueError("more bytes received than there was room for")
        window.end += nbytes
        window.received += nbytes
        events: list[Event] = []
        self._guarded(events)
        return events

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Copy bytes in, any number of them; part bodies in the result are `bytes` and stay valid."""
        events: list[Event] = []
        rest = memoryview(data)
        while True:
            target = self.get_buffer()
            count = min(len(rest), len(target))
            target[:count] = rest[:count]
            for event in self.receive(count):
                if isinstance(event, Part):
                    event.body = bytes(event.body)
                events.append(event)
            rest = rest[count:]
            if not rest:
                return events

    def end(self) -> list[Event]:
        """Take note that the connection was closed; a second call gives an empty list.

        Raises
        ------
        RemoteProtocolError
            The connection was closed before a whole head had come.
        """
        self._raise_if_dead()
        events: list[Event] = []
        mode = self._mode
        if mode is _Mode.HEAD:
            self._fail("the connection was closed before an answer had come")
        window = self._window
        framing = self._framing
        until_close = isinstance(framing, Identity) and framing.left is None
        if mode in (_Mode.BODY, _Mode.SNIFF):
            events.append(Body(bytes(window.view[window.start : window.stop])))
            events.append(End(until_close))
        elif mode is _Mode.PARTS and self._parts is not None:
            self._parts.finish(events, until_close)
        elif mode is _Mode.OUT_OF_STEP:
            events.append(End(False))
        self._finish()
        return events

    # -- the machine ------------------------------------------------------------------------------------

    def _guarded(self, events: list[Event]) -> None:
        self._raise_if_dead()
        try:
            self._run(events)
        except NoBoundaryError as error:
            self._fail(f"a multipart stream without a boundary to go by: {error}")

    def _run(self, events: list[Event]) -> None:
        if self._mode is _Mode.HEAD:
            self._read_head(events)
        while self._mode not in (_Mode.HEAD, _Mode.DONE):
            if self._mode is _Mode.OUT_OF_STEP and not self._find_step():
                return
            framing = self._framing
            try:
                progress = framing.advance()
            except FramingError as error:
                self._lose_step(events, str(error))
                continue
            if not progress and not framing.finished:
                return
            if self._mode is _Mode.SNIFF:
                self._sniff(framing.finished)
            if self._mode is _Mode.BODY:
                self._collect(events)
            elif self._mode is _Mode.PARTS and self._parts is not None:
                self._parts.run(events)
                if framing.finished and self._parts.state is not State.ENDED:
                    self._parts.finish(events, True)
                if self._parts.state is State.ENDED:
                    self._finish()
        if self._mode is _Mode.DONE:
            self._finish()

    def _collect(self, events: list[Event]) -> None:
        window = self._window
        if window.stop - window.start > self._limits.max_body:
            self._fail(f"the body is larger than {self._limits.max_body} bytes")
        if self._framing.finished:
            events.append(Body(bytes(window.view[window.start : window.stop])))
            events.append(End(True))
            self._finish()

    def _finish(self) -> None:
        window = self._window
        window.start = window.stop = window.raw = window.end
        self._mode = _Mode.DONE

    # -- the head ---------------------------------------------------------------------------------------

    def _read_head(self, events: list[Event]) -> None:
        window = self._window
        limits = self._limits
        while self._mode is _Mode.HEAD:
            if self._status is None:
                self._check_beginning()
            try:
                line = window.wire_line(limits.max_line)
            except LineTooLongError:
                self._fail("endless header line")
            if line is None:
                return
            self._head_bytes += len(line)
            text = line.rstrip(b"\r\n")
            if self._head_bytes > limits.max_head or len(self._fields) >= limits.max_headers:
                self._fail("the head of the answer has no end")
            if self._status is None:
                if text:
                    self._status = parse_status_line(text)
                    if self._status is None:
                        window.raw -= len(line)
                        self._fail("not an HTTP status line")
            elif not text.strip():
                self._end_head(events)
            elif text[0] in b" \t" and self._fields:
                name, value = self._fields[-1]
                self._fields[-1] = (name, f"{value} {text.strip().decode('latin-1')}")
            else:
                field = split_field(text)
                if field is not None:  # a line without a colon says nothing and harms nobody
                    self._fields.append(field)

    def _check_beginning(self) -> None:
        """Fail at the first byte that no HTTP response begins with, rather than wait for a line end."""
        window = self._window
        begin = bytes(window.view[window.raw : min(window.end, window.raw + 5)])
        if b"HTTP/".startswith(begin) or begin[:1] in (b"\r", b"\n"):
            return
        if begin.startswith(b"--") or begin.startswith(b"\xff\xd8"):
            self._fail(
                "these are pictures without an HTTP answer around them",
                hint="The source must speak HTTP; GStreamer's tcpserversink does not",
            )
        if not b"--".startswith(begin) and not b"\xff\xd8".startswith(begin):
            self._fail("not an HTTP answer")

    def _end_head(self, events: list[Event]) -> None:
        assert self._status is not None
        version, status, reason = self._status
        headers = Headers(self._fields)
        self._status, self._fields, self._head_bytes = None, [], 0
        if 100 <= status < 200:
            self._interim_heads += 1
            if self._interim_heads > _MOST_INTERIM_HEADS:
                self._fail("interim answers without end")
            return
        self.head = Head(version, status, reason, headers)
        try:
            length = content_length(headers)
            chunked = is_chunked(headers)
        except ValueError as error:
            self._fail(str(error))
        if status in (204, 304):
            length, chunked = 0, False
        if not chunked and length is not None and length > self._limits.max_body:
            self._fail(f"Content-Length {length} is over the limit of {self._limits.max_body} bytes")
        events.append(self.head)
        # RFC 9112 §6.3: chunked beats a length.
        if chunked:
            self._framing = Chunked(self._window, self._limits.max_line)
        else:
            self._framing = Identity(self._window, length)
        content_type = headers.get("content-type")
        kind = media_type(content_type)
        if kind.startswith("multipart/"):
            self._begin_parts(boundary_of(content_type))
        elif kind in _SNIFFED_TYPES and status == 200:
            self._mode = _Mode.SNIFF
        else:
            self._mode = _Mode.BODY

    def _begin_parts(self, boundary: bytes | None) -> None:
        self._parts = Multipart(self._window, self._limits, boundary)
        self._mode = _Mode.PARTS

    def _sniff(self, finished: bool) -> None:
        window = self._window
        begin = bytes(window.view[window.start : min(window.stop, window.start + _SNIFF_BYTES)])
        if _SNIFF.match(begin):
            self._begin_parts(None)
        elif finished or len(begin) >= _SNIFF_BYTES or not b"--".startswith(begin[:2]):
            self._mode = _Mode.BODY

    # -- trouble ----------------------------------------------------------------------------------------

    def _lose_step(self, events: list[Event], reason: str) -> None:
        parts = self._parts
        window = self._window
        if parts is None or parts.core is None or not isinstance(self._framing, Chunked):
            self._fail(reason)
        parts.interrupt(events)
        sample = bytes(window.view[window.raw : min(window.end, window.raw + 64)])
        events.append(Damage(reason, window.offset, sample))
        window.wire_seen = 0
        self._mode = _Mode.OUT_OF_STEP

    def _find_step(self) -> bool:
        parts = self._parts
        assert parts is not None
        assert parts.core is not None
        assert isinstance(self._framing, Chunked)
        if not self._framing.find_step(parts.core):
            return False
        self._mode = _Mode.PARTS
        return True

    def _raise_if_dead(self) -> None:
        if self._error is not None:
            raise self._error

    def _fail(self, message: str, hint: str | None = None) -> NoReturn:
        window = self._window
        first = window.raw if window.start == window.stop else window.start
        sample = bytes(window.view[first : min(window.end, first + 64)])
        self._error = RemoteProtocolError(message, offset=window.offset, sample=sample, hint=hint)
        raise self._error
