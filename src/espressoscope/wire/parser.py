"""The incremental parser of one HTTP response, over one buffer it owns. Bytes in, events out; no IO.

`ResponseParser` reads the head (`head`), leaves the body to a framing (`framing`), and what comes out of
that to `multipart`, or collects it. ``feed`` or ``get_buffer``/``receive`` may be called with any split of
the bytes: the events are the same. Whatever the bytes, the outcome is events or `RemoteProtocolError`, within
`Limits`, in linear time.

For the usual stream all this is by-passed: see `shortcut`.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.events import Body, Damage, End, Part
from espressoscope.wire.framing import Chunked, FramingError, Identity
from espressoscope.wire.head import HeadError, HeadReader
from espressoscope.wire.headers import boundary_of, content_length, is_chunked, media_type
from espressoscope.wire.limits import DEFAULT_LIMITS, Limits
from espressoscope.wire.multipart import EndlessGapError, Multipart, NoBoundaryError, State
from espressoscope.wire.shortcut import ShortCut
from espressoscope.wire.window import Window

if TYPE_CHECKING:
    from typing import NoReturn

    from espressoscope.wire.events import Event, Head

__all__ = ["ResponseParser"]

# ffmpeg's mpjpeg listener calls its stream application/octet-stream; some servers name no type at all.
_SNIFFED_TYPES = ("", "application/octet-stream")
_SNIFF = re.compile(rb"--[!-~]{1,200}\r?\n(?:\r?\n)?content-", re.IGNORECASE)
_SNIFF_BYTES = 220


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
    short_cut : bool
        Use the short cut; without it every byte takes the general way, with the same result.

    Attributes
    ----------
    head : Head or None
        The response's head once it was read.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, short_cut: bool = True) -> None:
        self.head: Head | None = None
        self._limits = limits
        self._window = Window(limits)
        self._mode = _Mode.HEAD
        self._error: RemoteProtocolError | None = None
        self._head_reader = HeadReader(self._window, limits)
        self._framing: Identity | Chunked = Identity(self._window, None)
        self._parts = Multipart(self._window, limits, None)
        self._use_short_cut = short_cut
        self._short_cut: ShortCut | None = None

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
        short_cut = self._short_cut
        if short_cut is not None:
            if short_cut.due:
                return short_cut.due - (window.end - window.raw)
            if short_cut.in_gap:
                return 1
        if self._mode is _Mode.PARTS:
            if self._parts.state is State.BODY:
                return max(1, self._parts.length - window.waiting)
        elif self._mode is _Mode.BODY and isinstance(self._framing, Identity):
            return max(1, self._framing.left or 1)
        return 1

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Give the writable free tail of the buffer, never empty; as `asyncio.BufferedProtocol` wants it.

        Part bodies handed out before are no longer valid afterwards.
        """
        short_cut = self._short_cut
        if short_cut is not None and short_cut.due:
            return short_cut.writable()
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
        end = window.end + nbytes
        if nbytes < 0 or end > len(window.data):
            raise ValueError(f"{nbytes} bytes cannot have been received")
        window.end = end
        window.received += nbytes
        events: list[Event] = []
        short_cut = self._short_cut
        if short_cut is not None:
            if short_cut.due:
                if end - window.raw < short_cut.due or not short_cut.bodies(events):
                    return events
            elif short_cut.in_gap and not short_cut.go_on_in_gap(events):
                return events
        self._run(events)
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

    def release(self) -> None:
        """Give the buffer's memory back, for nothing more will come: errors may keep a parser alive."""
        self._window.release()

    def end(self) -> list[Event]:
        """Take note that the connection was closed.

        Returns
        -------
        list of Event
            The last events; an incomplete part's body is `bytes`. Empty when the response was over already.

        Raises
        ------
        RemoteProtocolError
            The connection was closed before a whole head had come.
        """
        events: list[Event] = []
        self._short_cut = None  # what waits is read for good now
        self._run(events)
        mode = self._mode
        window = self._window
        framing = self._framing
        until_close = isinstance(framing, Identity) and framing.left is None
        if mode is _Mode.HEAD:
            self._fail("the connection was closed before an answer had come")
        elif mode in (_Mode.BODY, _Mode.SNIFF):
            events += [Body(bytes(window.view[window.start : window.stop])), End(until_close)]
        elif mode is _Mode.PARTS:
            self._parts.finish(events, until_close)
            for event in events:
                if isinstance(event, Part):
                    event.body = bytes(event.body)
        elif mode is _Mode.OUT_OF_STEP:
            events.append(End(False))
        self._finish()
        return events

    # -- the general machine ----------------------------------------------------------------------------

    def _run(self, events: list[Event]) -> None:
        if self._error is not None:
            self._window.jump(self._window.end)
            raise self._error
        if self._mode is _Mode.HEAD:
            self._read_head(events)
        while self._mode is not _Mode.HEAD:
            if self._mode is _Mode.PARTS:
                going = self._run_parts(events)
            elif self._mode is _Mode.OUT_OF_STEP:
                going = self._find_step()
            elif self._mode is _Mode.DONE:
                self._finish()
                return
            else:
                going = self._collect(events)
            if not going:
                return

    def _read_head(self, events: list[Event]) -> None:
        try:
            head = self._head_reader.read()
        except HeadError as error:
            self._fail(error.message, error.hint)
        if head is None:
            return
        self.head = head
        headers = head.headers
        try:
            length = content_length(headers)
            chunked = is_chunked(headers)
        except ValueError as error:
            self._fail(str(error))
        if head.status in (204, 304):
            length, chunked = 0, False
        # RFC 9112 §6.3: chunked beats a length.
        if chunked:
            self._framing = Chunked(self._window, self._limits.max_line)
        else:
            if length is not None and length > self._limits.max_body:
                self._fail(f"Content-Length {length} is over the limit of {self._limits.max_body} bytes")
            self._framing = Identity(self._window, length)
        events.append(head)
        content_type = headers.get("content-type")
        kind = media_type(content_type)
        if kind.startswith("multipart/"):
            self._begin_parts(boundary_of(content_type))
        elif kind in _SNIFFED_TYPES and head.status == 200:
            self._mode = _Mode.SNIFF
        else:
            self._mode = _Mode.BODY

    def _begin_parts(self, boundary: bytes | None) -> None:
        self._parts = Multipart(self._window, self._limits, boundary)
        self._mode = _Mode.PARTS
        if self._use_short_cut:
            self._short_cut = ShortCut(self._window, self._framing, self._parts)

    def _collect(self, events: list[Event]) -> bool:
        """Gather a body that is not multipart, or not known to be; False: more bytes needed."""
        window = self._window
        framing = self._framing
        try:
            progress = framing.advance()
        except FramingError as error:
            self._fail(str(error))
        if self._mode is _Mode.SNIFF:
            begin = bytes(window.view[window.start : min(window.stop, window.start + _SNIFF_BYTES)])
            if _SNIFF.match(begin):
                self._begin_parts(None)
                return True
            if framing.finished or len(begin) >= _SNIFF_BYTES or not b"--".startswith(begin[:2]):
                self._mode = _Mode.BODY
        if window.stop - window.start > self._limits.max_body:
            self._fail(f"the body is larger than {self._limits.max_body} bytes")
        if framing.finished:
            events += [Body(bytes(window.view[window.start : window.stop])), End(True)]
            self._finish()
        return progress

    def _run_parts(self, events: list[Event]) -> bool:
        parts = self._parts
        window = self._window
        framing = self._framing
        short_cut = self._short_cut
        try:
            while True:
                if parts.state is State.BODY and short_cut is not None and short_cut.enter():
                    if short_cut.bodies(events):
                        continue
                    return False
                if window.start < window.stop and parts.step(events):
                    continue
                if parts.state is State.ENDED:
                    self._finish()
                    return False
                if not framing.advance():
                    break
        except FramingError as error:
            return self._lose_step(events, str(error))
        except NoBoundaryError as error:
            self._fail(f"a multipart stream without a boundary to go by: {error}")
        except EndlessGapError as error:
            self._fail(str(error))
        if framing.finished:
            parts.finish(events, True)
            self._finish()
        return False

    def _finish(self) -> None:
        window = self._window
        window.jump(window.end)
        self._mode = _Mode.DONE

    # -- trouble ----------------------------------------------------------------------------------------

    def _lose_step(self, events: list[Event], reason: str) -> bool:
        """Take note that the chunk structure is broken: parts can be found again, other bodies cannot."""
        window = self._window
        if self._parts.boundary.line is None or not isinstance(self._framing, Chunked):
            self._fail(reason)
        self._parts.interrupt(events)
        sample = bytes(window.view[window.raw : min(window.end, window.raw + 64)])
        events.append(Damage(reason, window.offset, sample))
        window.wire_seen = 0
        window.trace = None
        self._mode = _Mode.OUT_OF_STEP
        return True

    def _find_step(self) -> bool:
        line = self._parts.boundary.line
        if line is None or not isinstance(self._framing, Chunked) or not self._framing.find_step(line):
            return False
        self._mode = _Mode.PARTS
        return True

    def _fail(self, message: str, hint: str | None = None) -> NoReturn:
        window = self._window
        first = window.raw if window.start == window.stop else window.start
        sample = bytes(window.view[first : min(window.end, first + 64)])
        self._error = RemoteProtocolError(message, offset=window.offset, sample=sample, hint=hint)
        raise self._error
