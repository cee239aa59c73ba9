"""The incremental parser of one HTTP response, over one buffer it owns. Bytes in, events out; no IO.

`ResponseParser` reads the head (`head`), leaves the body to a framing (`framing`), and what comes out of
that to `multipart`, or collects it. ``feed`` or ``get_buffer``/``receive`` may be called with any split of
the bytes: the events are the same. Whatever the bytes, the outcome is events or `RemoteProtocolError`, within
`Limits`, in linear time.

The short cut: a body of known length that lies in one piece on the wire is not unframed at all (`_due` bytes
are waited for where they arrive), and the bytes between two such bodies are recognised as a whole once their
`shape` is learned. A frame then costs one comparison and one `Part`.
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
from espressoscope.wire.multipart import Multipart, NoBoundaryError, State
from espressoscope.wire.shape import EOI, Shape
from espressoscope.wire.window import Window

if TYPE_CHECKING:
    from typing import NoReturn

    from espressoscope.wire.events import Event, Head

__all__ = ["ResponseParser"]

# ffmpeg's mpjpeg listener calls its stream application/octet-stream; some servers name no type at all.
_SNIFFED_TYPES = ("", "application/octet-stream")
_SNIFF = re.compile(rb"--[!-~]{1,200}\r?\n(?:\r?\n)?content-", re.IGNORECASE)
_SNIFF_BYTES = 220
_MOST_SHAPES = 4
_LARGE = 32768
_TYPICAL_GAP = 256


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
        self._short_cut = short_cut
        self._due = 0  # length of the body that is waited for in place; 0: none
        self._after = 0  # bytes of the chunk behind that body
        self._in_gap = False  # what waits is the beginning of the gap that the first shape describes
        self._shapes: list[Shape] = []  # the one last used first

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
        if self._mode is _Mode.PARTS:
            if self._parts.state is State.BODY:
                return max(1, self._parts.length - self._window.waiting)
        elif self._mode is _Mode.BODY and isinstance(self._framing, Identity):
            return max(1, self._framing.left or 1)
        return 1

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Give the writable free tail of the buffer, never empty; as `asyncio.BufferedProtocol` wants it.

        Part bodies handed out before are no longer valid afterwards.
        """
        window = self._window
        due = self._due
        if due < _LARGE:
            return window.writable(self.missing)
        # Stop about where a picture ends: the beginning of the next would have to be moved to the front.
        missing = max(1, due - (window.end - window.raw))
        room = window.writable(missing)
        limit = missing + (len(room) - missing) // (due + _TYPICAL_GAP) * due + due // 16
        return room[:limit]

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
        due = self._due
        if due > end - window.raw:
            return []
        events: list[Event] = []
        if due:
            if self._bodies(events, self._after):
                self._run(events)
        elif not (self._in_gap and self._wait_in_gap()):
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
        self._short_cut = False  # what waits is read for good now
        self._due = 0
        self._in_gap = False
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
        elif mode is _Mode.OUT_OF_STEP:
            events.append(End(False))
        self._finish()
        return events

    # -- the general machine ----------------------------------------------------------------------------

    def _run(self, events: list[Event]) -> None:
        if self._error is not None:
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
        try:
            while True:
                if parts.state is State.BODY and not parts.searching and self._short_cut:
                    after = framing.hold(parts.length)
                    if after is not None:
                        if self._bodies(events, after):
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
        if framing.finished:
            parts.finish(events, True)
            self._finish()
        return False

    def _finish(self) -> None:
        window = self._window
        window.jump(window.end)
        self._mode = _Mode.DONE

    # -- the short cut ----------------------------------------------------------------------------------

    def _bodies(self, events: list[Event], after: int) -> bool:
        """Give out the body at hand, and all that follow in the same shape, as far as they are there.

        Parameters
        ----------
        after : int
            Bytes of the chunk behind the body.

        Returns
        -------
        bool
            True: the general machine goes on. False: more bytes are needed.
        """
        window = self._window
        parts = self._parts
        data, view, end = window.data, window.view, window.end
        self._due = 0
        start, length, head = window.raw, parts.length, parts.head
        announced, stamp = parts.announced, parts.stamp
        shape = self._learn(after)
        largest, trusted = parts.largest, parts.trusted
        while True:
            stop = start + length
            doubtful = False
            if stop > end:
                self._due, self._after = length, after
                break
            following = shape.match(data, stop, end, jpeg=True) if shape is not None else -1
            if following < 0:
                if not data.endswith(EOI, start, stop):
                    doubtful = True
                    break
                shape, following = self._known_shape(stop, after)
            events.append(Part(view[start:stop], head, True, announced, stamp))
            if length > largest:
                parts.believe(length)
                largest, trusted = parts.largest, parts.trusted
            if shape is None or not 0 < following <= trusted:
                return self._leave(stop, after)
            start = stop + shape.size
            length, head, announced, stamp = following, shape.head, following, shape.stamp
        window.jump(start)
        self._framing.resume(length + after)
        parts.state = State.BODY
        parts.length, parts.head, parts.announced, parts.stamp = length, head, announced, stamp
        parts.searching = doubtful
        return doubtful

    def _leave(self, stop: int, after: int) -> bool:
        """Take the place between two parts, at `stop`; False: wait for the rest of a gap of known shape."""
        window = self._window
        window.jump(stop)
        window.trace = []
        self._framing.resume(after)
        self._parts.state = State.GAP
        self._in_gap = bool(self._shapes) and self._shapes[0].after == after
        return not (self._in_gap and self._wait_in_gap())

    def _wait_in_gap(self) -> bool:
        """Whether what waits is the mere beginning of the usual gap: nothing can be lost by waiting."""
        window = self._window
        begun = window.data[window.raw : min(window.end, window.raw + 512)]
        shape = self._shapes[0]
        if len(begun) <= len(shape.prefix) and shape.prefix.startswith(begun):
            return True
        self._in_gap = False
        found, length = self._known_shape(window.raw, shape.after)
        parts = self._parts
        if found is not None and 0 < length <= parts.trusted:
            shape = found
            window.jump(window.raw + shape.size)
            window.trace = None
            self._framing.resume(length + shape.after)
            parts.state = State.BODY
            parts.searching = False
            parts.length, parts.head, parts.announced, parts.stamp = length, shape.head, length, shape.stamp
        return False

    def _learn(self, after: int) -> Shape | None:
        """Give the shape to expect behind the body at hand: one just learned from what was before it."""
        window = self._window
        shapes = self._shapes
        if window.trace is not None:
            shape = Shape.learn(window.trace, self._parts.head, self._parts.length, after)
            window.trace = None
            if shape is not None:
                shapes[:] = [shape, *(known for known in shapes if known != shape)][:_MOST_SHAPES]
        return shapes[0] if shapes and shapes[0].after == after else None

    def _known_shape(self, at: int, after: int) -> tuple[Shape | None, int]:
        """Give the known shape of the gap at `at`, and the length it tells, which may have a digit more."""
        window = self._window
        for number, shape in enumerate(self._shapes):
            if shape.after == after:
                length = shape.match(window.data, at, window.end, jpeg=False)
                if length >= 0:
                    self._shapes.insert(0, self._shapes.pop(number))
                    return shape, length
        return None, -1

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
