"""The multipart machine: payload in, parts and damage out, whatever the split of the bytes.

::

            boundary line / header            blank line, length known
      GAP ------------------------> HEAD ------------------------------> BODY
       ^ ^                            |  blank line, no length             |
       | |                            +-------------------> OPEN           |
       | |            boundary found                         |             |
       | +---------------------------------------------------+-------------+
       | boundary found
      LOST <-- anything else: `Damage`, once, then everything up to the next boundary is skipped

A part with a length is given out with its last byte, before anything behind it is known, because layout B
of ESP32 firmwares sends the boundary with the *next* frame. So the length is verified afterwards, by the
boundary (or header) that must follow. A length too large has swallowed a boundary: a body that does not end
like a JPEG is searched for it, and so, while it arrives, is one announced much larger than any seen.
No framing, no sockets: `parser` brings the payload.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING

from espressoscope.wire.boundary import Boundary, line_end_before
from espressoscope.wire.events import EOI, Damage, End, Part, PartHead
from espressoscope.wire.headers import Headers, content_length, split_field
from espressoscope.wire.window import LineTooLongError

if TYPE_CHECKING:
    from espressoscope.wire.events import Event
    from espressoscope.wire.limits import Limits
    from espressoscope.wire.window import Window

__all__ = ["EndlessGapError", "Multipart", "NoBoundaryError", "State"]

_DASH = 0x2D
_PART_FIELD = re.compile(rb"(?:content-[a-z-]+|x-timestamp)[ \t]*:", re.IGNORECASE)
# First bytes of what may stand between two parts, besides a boundary: blank lines, and `_PART_FIELD`.
_BETWEEN = b"\r\n \tCcXx"
# A length this much above the largest seen is not waited for blindly.
_TRUST_FACTOR, _TRUST_BYTES = 4, 65536
_LONGEST_BOUNDARY = 256
# Each line costs as much as a small picture: a camera that sends nothing else would take the time of others.
_MOST_IDLE_LINES = 10_000
# No JPEG is shorter: its tables alone are longer.
_SMALLEST_PICTURE = 100


class NoBoundaryError(Exception):
    """Out of step, and the boundary was never learned; never leaves `wire`."""


class EndlessGapError(Exception):
    """Lines without end and no picture among them; never leaves `wire`."""


class State(IntEnum):
    """Where in a part the machine is; see the module's drawing."""

    GAP = 0
    HEAD = 1
    BODY = 2
    OPEN = 3
    LOST = 4
    ENDED = 5


class Multipart:
    """Parses one multipart body.

    Parameters
    ----------
    window : Window
        Its payload is consumed.
    limits : Limits
    boundary : bytes or None
        The boundary parameter of the response's Content-Type.

    Attributes
    ----------
    state : State
    boundary : Boundary
    length : int
        In `State.BODY`: the length of the part's body.
    searching : bool
        In `State.BODY`: the length is not believed, a boundary inside the body ends it.
    head, stamp, announced : PartHead, bytes or None, int or None
        Of the part at hand; the last two as `Part` wants them.
    largest, trusted : int
        Largest part that ended like a JPEG, and the length up to which another is believed.
    """

    __slots__ = (
        "_blanks",
        "_fields",
        "_head_bytes",
        "_idle",
        "_limits",
        "_owed",
        "announced",
        "boundary",
        "head",
        "largest",
        "length",
        "searching",
        "stamp",
        "state",
        "trusted",
        "window",
    )

    def __init__(self, window: Window, limits: Limits, boundary: bytes | None) -> None:
        self.window = window
        self.boundary = Boundary(boundary)
        self.state = State.GAP
        self.length = 0
        self.searching = False
        self.head = PartHead(Headers())
        self.stamp: bytes | None = None
        self.announced: int | None = None
        self.largest = 0
        self.trusted = min(_TRUST_BYTES, limits.max_part)
        self._limits = limits
        self._fields: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._blanks = 0
        self._idle = 0  # lines since a part was large enough for a picture
        # What is left of a boundary line whose beginning the body before has swallowed.
        self._owed: bytes | None = None

    def step(self, events: list[Event]) -> bool:
        """Make one step with the payload at hand, of which there must be some; append what it means.

        Returns
        -------
        bool
            False when more payload is needed.
        """
        state = self.state
        if state is State.BODY:
            return self._body(events)
        if state is State.GAP:
            return self._gap(events)
        if state is State.HEAD:
            return self._part_head(events)
        if state is State.OPEN:
            return self._open(events)
        if state is State.LOST:
            return self._lost()
        return False

    def believe(self, length: int) -> None:
        """Note the length of a part that ended like a JPEG."""
        if length > self.largest:
            self.largest = length
            self.trusted = min(_TRUST_FACTOR * length + _TRUST_BYTES, self._limits.max_part)

    def finish(self, events: list[Event], clean: bool) -> None:
        """Take the end of the payload: a part at hand is given out incomplete.

        Parameters
        ----------
        clean : bool
            Whether ending here is fine for the framing.
        """
        between = self.state is State.GAP or (self.state is State.HEAD and not self._fields)
        self.interrupt(events)
        self.state = State.ENDED
        events.append(End(clean and between))

    def interrupt(self, events: list[Event]) -> None:
        """Give out what there is of the part at hand, and wait for a boundary."""
        window = self.window
        if self.state in (State.BODY, State.OPEN) and window.stop > window.start:
            body = window.view[window.start : window.stop]
            events.append(Part(body, self.head, False, self.announced, self.stamp))
        window.consume(window.stop - window.start)
        self._owed = None
        self.state = State.GAP

    # -- between parts ----------------------------------------------------------------------------------

    def _gap(self, events: list[Event]) -> bool:
        window = self.window
        if self._owed is not None:
            settled = self._settle(events, self._owed)
            if settled is not None:
                return settled
        first = window.data[window.start]
        if self.boundary.may_begin_with(first):
            if self.boundary.closes(window):
                # These may be the last bytes ever sent: do not wait for a line end.
                window.consume(window.stop - window.start)
                self.state = State.ENDED
                events.append(End(True))
                return True
        elif first not in _BETWEEN:
            return self._lose(events, "no boundary where one is due")
        try:
            line = window.payload_line(self._limits.max_line)
        except LineTooLongError:
            return self._lose(events, "endless line where a boundary is due")
        if line is None:
            return False
        self._count_line()
        text = line.strip()
        if not text:
            window.note(False, line)
        elif self.boundary.accepts(text):
            window.note(False, line)
            self._begin_head()
        elif _PART_FIELD.match(line):
            window.start -= len(line)  # layout A has no boundary before the first part
            self._begin_head()
        else:
            window.start -= len(line)
            return self._lose(events, "no boundary where one is due")
        return True

    def _settle(self, events: list[Event], owed: bytes) -> bool | None:
        """Look for the rest of a boundary line that the body before has begun to swallow; None: not there."""
        window = self.window
        count = min(len(owed), window.stop - window.start)
        if not owed.startswith(window.view[window.start : window.start + count]):
            self._owed = None
            return None
        if count < len(owed):
            return False
        self._damage(events, "Content-Length too large: it holds the beginning of a boundary")
        window.consume(count)
        self._begin_head()
        return True

    def _count_line(self) -> None:
        self._idle += 1
        if self._idle > _MOST_IDLE_LINES:
            raise EndlessGapError(f"{_MOST_IDLE_LINES} lines and no picture among them")

    def _begin_head(self) -> None:
        self._owed = None
        self._fields = []
        self._head_bytes = 0
        self._blanks = 0
        self.state = State.HEAD

    # -- the headers of a part --------------------------------------------------------------------------

    def _part_head(self, events: list[Event]) -> bool:
        window = self.window
        limits = self._limits
        if self._blanks and not self._fields:
            # Blank lines behind the boundary: a part without headers, unless headers follow after all.
            first = window.data[window.start]
            if first == _DASH:
                self.state = State.GAP
                return True
            if first not in b"\r\n" and not (0x41 <= first <= 0x5A or 0x61 <= first <= 0x7A):
                return self._end_head(events)
        try:
            line = window.payload_line(limits.max_line)
        except LineTooLongError:
            return self._lose(events, "endless header line")
        if line is None:
            return False
        self._count_line()
        self._head_bytes += len(line)
        if self._head_bytes > limits.max_part_head or len(self._fields) > limits.max_headers:
            window.start -= len(line)
            return self._lose(events, "endless part headers")
        text = line.strip()
        if not text:
            window.note(False, line)
            if self._fields:
                return self._end_head(events)
            self._blanks += 1
            return True
        if line[0] in b" \t" and self._fields:
            name, value = self._fields[-1]
            self._fields[-1] = (name, f"{value} {text.decode('latin-1')}")
        else:
            field = split_field(text)
            if field is None:
                window.start -= len(line)
                return self._lose(events, "not a header line")
            self._fields.append(field)
        window.note(False, line)
        return True

    def _end_head(self, events: list[Event]) -> bool:
        headers = Headers(self._fields)
        try:
            length = content_length(headers)
        except ValueError as error:
            return self._lose(events, str(error))
        if length is not None and length > self._limits.max_part:
            return self._lose(events, f"Content-Length {length} is over the limit")
        self.head = PartHead(headers)
        self.stamp = self.announced = None
        if length is not None and length >= _SMALLEST_PICTURE:
            self._idle = 0
        if length is None:
            self.state = State.OPEN
        else:
            self.length = length
            self.searching = length > self.trusted
            self.state = State.BODY
            if length == 0:
                self._give_out(events, self.window.start)
        return True

    # -- bodies -----------------------------------------------------------------------------------------

    def _body(self, events: list[Event]) -> bool:
        window = self.window
        stop = window.start + self.length
        if stop > window.stop:
            return self.searching and self._cut_at_boundary(events, window.stop)
        like_jpeg = window.data.endswith(EOI, window.start, stop)
        if (self.searching or not like_jpeg) and self._cut_at_boundary(events, stop):
            return True
        if like_jpeg:
            self.believe(self.length)
        else:
            tail = bytes(window.view[max(window.start, stop - _LONGEST_BOUNDARY) : stop])
            self._owed = self.boundary.swallowed(tail)
        self._give_out(events, stop)
        return True

    def _open(self, events: list[Event]) -> bool:
        window = self.window
        found = self.boundary.find(window, window.stop)
        limit = self._limits.max_part
        if found < 0:
            # What may still turn out to be the boundary and its line end does not count.
            spare = len(self.boundary.line or b"") + 4
            if window.stop - window.start > limit + spare:
                return self._lose(events, "part without a length is over the limit")
            return False
        stop = line_end_before(window, found)
        if stop - window.start > limit:
            return self._lose(events, "part without a length is over the limit")
        if stop - window.start >= _SMALLEST_PICTURE:
            self._idle = 0
        self._give_out(events, stop)
        window.consume(found - stop)
        return True

    def _cut_at_boundary(self, events: list[Event], stop: int) -> bool:
        """End the body at a boundary inside it, if there is one before `stop`."""
        window = self.window
        found = self.boundary.find(window, stop)
        if found < 0:
            return False
        self._give_out(events, line_end_before(window, found))
        window.consume(found - window.start)
        self._damage(events, "Content-Length too large: there is a boundary inside the part")
        window.trace = None
        return True

    def _give_out(self, events: list[Event], stop: int) -> None:
        window = self.window
        body = window.view[window.start : stop]
        events.append(Part(body, self.head, True, self.announced, self.stamp))
        window.consume(stop - window.start)
        window.trace = []
        self.state = State.GAP

    # -- finding the way back ---------------------------------------------------------------------------

    def _lose(self, events: list[Event], reason: str) -> bool:
        if self.boundary.line is None:
            raise NoBoundaryError(reason)
        self._damage(events, reason)
        self.window.payload_seen = 0
        self._owed = None
        self.state = State.LOST
        return True

    def _lost(self) -> bool:
        window = self.window
        found = self.boundary.find(window, window.stop)
        if found >= 0:
            window.consume(found - window.start)
            self.state = State.GAP
            return True
        # Keep what may be the beginning of a boundary, and the byte before it.
        seen = window.payload_seen
        spare = max(0, seen - 1)
        window.consume(spare)
        window.payload_seen = seen - spare
        return False

    def _damage(self, events: list[Event], reason: str) -> None:
        window = self.window
        sample = bytes(window.view[window.start : min(window.stop, window.start + 64)])
        events.append(Damage(reason, window.offset, sample))
        window.trace = None
