"""The one buffer of a parser, and which of its bytes are what.

::

    0 ........ start ===== stop ........ raw ~~~~~ end ........ capacity
               |  payload  |   removed    |  wire  |   free

*payload* is the response body with the chunk framing taken out, as far as it is not consumed; *wire* is what
arrived and has not been unframed yet. Unframing moves payload down over the framing, at most once per byte,
and not at all while no payload waits: a JPEG that is one chunk is used where it arrived.
Bytes are moved to the front only in `writable` and `make_room`: memoryviews handed out stay good until then.
No meaning of the bytes is known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espressoscope.wire.limits import Limits

__all__ = ["LineTooLongError", "Window"]

# Less room than this at the end is not worth a receive call of its own: a TCP segment is about 1436 bytes.
_LEAST_ROOM = 4096
_LONGEST_TRACE = 48
# Pictures a buffer should hold, as long as it need not be larger than this for it.
_PICTURES = 4
_ROOMY = 1024 * 1024
# So little is moved to the front as soon as it is so far from it: the next bytes arrive where the last ones
# did, in memory that is still in the caches.
_LITTLE, _FAR = 128, 16384


class LineTooLongError(Exception):
    """A line does not end where it must; never leaves `wire`."""


class Window:
    """A byte buffer with a payload part and a wire part; see the module's drawing.

    Attributes
    ----------
    data : bytearray
    view : memoryview
        Of all of `data`.
    start, stop, raw, end : int
        The positions of the drawing.
    received : int
        Bytes that ever arrived.
    moved : int
        Bytes ever copied inside the buffer or into a new one; tests hold it against `received`.
    payload_seen, wire_seen : int
        How many bytes behind `start` or `raw` were searched in vain already: nothing is searched twice.
    trace : list of (bool, bytes) or None
        When a list: the lines read since the last part's body, in order, True for lines of framing. What
        `shape` learns from; None when there is nothing to learn.
    """

    __slots__ = (
        "data",
        "end",
        "max_capacity",
        "moved",
        "payload_seen",
        "raw",
        "received",
        "slack",
        "start",
        "stop",
        "trace",
        "view",
        "wire_seen",
    )

    def __init__(self, limits: Limits) -> None:
        self.max_capacity = limits.max_buffer
        self.slack = limits.slack
        self.data = bytearray(limits.buffer + limits.slack)
        self.view = memoryview(self.data)
        self.start = self.stop = self.raw = self.end = 0
        self.received = 0
        self.moved = 0
        self.payload_seen = self.wire_seen = 0
        self.trace: list[tuple[bool, bytes]] | None = None

    @property
    def capacity(self) -> int:
        """Bytes the buffer has."""
        return len(self.data)

    @property
    def waiting(self) -> int:
        """Bytes that arrived and are not consumed, without the framing already removed."""
        return (self.stop - self.start) + (self.end - self.raw)

    @property
    def offset(self) -> int:
        """Bytes of the stream that are consumed."""
        return self.received - self.waiting

    def writable(self, missing: int) -> memoryview:
        """Give the free tail, after making room for `missing` more bytes and what comes with them.

        Invalidates every view into the buffer handed out before.
        """
        if self.start == self.stop:
            self.start = self.stop = self.raw  # no payload waits: nothing lies between it and the wire bytes
            little = self.end - self.raw
            if little == 0:
                self.start = self.stop = self.raw = self.end = 0
            elif little <= _LITTLE and self.raw >= _FAR:
                self.view[:little] = self.view[self.raw : self.end]
                self.moved += little
                self.start = self.stop = self.raw = 0
                self.end = little
        elif self.raw == self.end:
            self.raw = self.end = self.stop  # the framing behind the payload is of no use any more
        if len(self.data) - self.end < max(missing, _LEAST_ROOM):
            self.make_room(missing)
        return self.view[self.end :]

    def make_room(self, missing: int) -> None:
        """Move what waits to the front, into a larger buffer if `missing` more bytes do not fit into this."""
        waiting = self.waiting
        wanted = waiting + missing + self.slack
        capacity = len(self.data)
        if wanted > capacity:
            # Twice as much each time keeps the copying linear when the length is unknown.
            capacity = max(wanted, 2 * capacity)
        # With room for few pictures only, a good part of each would be moved to the front.
        capacity = min(max(capacity, min(_PICTURES * (waiting + missing), _ROOMY)), self.max_capacity)
        if capacity > len(self.data):
            data = bytearray(capacity)
            view = memoryview(data)
        else:
            data, view = self.data, self.view
        payload = self.stop - self.start
        # memoryview assignment within one buffer is a memmove: overlap is fine.
        if self.start or data is not self.data:
            view[:payload] = self.view[self.start : self.stop]
        view[payload:waiting] = self.view[self.raw : self.end]
        self.moved += waiting
        self.data, self.view = data, view
        self.start, self.stop, self.raw, self.end = 0, payload, payload, waiting

    def release(self) -> None:
        """Give the memory back; what waits is lost."""
        self.data = bytearray()
        self.view = memoryview(self.data)
        self.start = self.stop = self.raw = self.end = 0

    def take_payload(self, count: int) -> None:
        """Unframe the next `count` wire bytes: they become payload."""
        if self.start == self.stop:
            self.start = self.raw
        elif self.stop != self.raw:
            self.view[self.stop : self.stop + count] = self.view[self.raw : self.raw + count]
            self.moved += count
            self.stop += count
            self.raw += count
            return
        self.raw += count
        self.stop = self.raw

    def note(self, framing: bool, line: bytes) -> None:
        """Add a line to the trace, unless it has become too long to be worth anything."""
        trace = self.trace
        if trace is not None:
            if len(trace) < _LONGEST_TRACE:
                trace.append((framing, line))
            else:
                self.trace = None

    def jump(self, at: int) -> None:
        """Go to a place: nothing is payload, and the wire bytes begin there."""
        self.start = self.stop = self.raw = at
        self.payload_seen = self.wire_seen = 0

    def consume(self, count: int) -> None:
        """Let the next `count` bytes of payload go."""
        self.start += count
        self.payload_seen = 0

    def drop_wire(self, count: int) -> None:
        """Take the next `count` wire bytes out of the stream: they were framing, or are of no use."""
        self.raw += count
        self.wire_seen = 0

    def payload_line(self, limit: int) -> bytes | None:
        """Consume one line of payload, line end included; None while it is not all there.

        Raises
        ------
        LineTooLongError
            There is no line end within `limit` bytes.
        """
        found = self.data.find(b"\n", self.start + self.payload_seen, min(self.stop, self.start + limit))
        if found < 0:
            self.payload_seen = self.stop - self.start
            if self.payload_seen >= limit:
                raise LineTooLongError
            return None
        line = bytes(self.view[self.start : found + 1])
        self.start = found + 1
        self.payload_seen = 0
        return line

    def wire_line(self, limit: int) -> bytes | None:
        """Take one line out of the wire bytes, as `payload_line` does of the payload."""
        found = self.data.find(b"\n", self.raw + self.wire_seen, min(self.end, self.raw + limit))
        if found < 0:
            self.wire_seen = self.end - self.raw
            if self.wire_seen >= limit:
                raise LineTooLongError
            return None
        line = bytes(self.view[self.raw : found + 1])
        self.raw = found + 1
        self.wire_seen = 0
        return line
