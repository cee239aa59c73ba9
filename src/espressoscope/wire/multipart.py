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

from espressoscope.wire.events import Damage, End, Part, PartHead
from espressoscope.wire.headers import Headers, content_length, split_field
from espressoscope.wire.window import LineTooLongError

if TYPE_CHECKING:
    from espressoscope.wire.events import Event
    from espressoscope.wire.limits import Limits
    from espressoscope.wire.window import Window

__all__ = ["Multipart", "NoBoundaryError", "State"]

EOI = b"\xff\xd9"
# This long, it does not occur in a JPEG by chance; a shorter one ("--b") must begin a line.
_SURE_LENGTH = 14
_BLANK = b"\r\n \t"
_BEHIND_BOUNDARY = re.compile(rb"\r\n|\n|--")
_PART_FIELD = re.compile(rb"(?:content-[a-z-]+|x-timestamp)[ \t]*:", re.IGNORECASE)
_BOUNDARY_LINE = re.compile(rb"--[!-~]{1,200}")


class NoBoundaryError(Exception):
    """Out of step, and the boundary was never learned; never leaves `wire`."""


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
        The boundary parameter of the response's Content-Type; None: learn it from the first boundary line.

    Attributes
    ----------
    state : State
    core : bytes or None
        The boundary line without line ends, dashes in front included.
    length : int
        In `State.BODY`: the length of the part's body.
    head : PartHead
        Of the part at hand, or of the one before.
    trusted : int
        A body longer than this is searched for a swallowed boundary while it arrives.
    trace : list or None
        When a list: everything consumed outside of bodies is appended, as (False, bytes).
    """

    __slots__ = (
        "_blanks",
        "_fields",
        "_head_bytes",
        "_largest",
        "_learned",
        "_limits",
        "_owed",
        "_searching",
        "core",
        "head",
        "length",
        "state",
        "trace",
        "trusted",
        "window",
    )

    def __init__(self, window: Window, limits: Limits, boundary: bytes | None) -> None:
        self.window = window
        self._limits = limits
        self.state = State.GAP
        # "boundary=--foo" and "boundary=foo" both mean lines of "--foo": RFC 2046 and what is made of it.
        self.core: bytes | None = b"--" + boundary.lstrip(b"-") if boundary else None
        self._learned = False
        self.length = 0
        self.head = PartHead(Headers())
        self.trace: list[tuple[bool, bytes]] | None = None
        self._fields: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._blanks = 0
        self._largest = 0
        self.trusted = 0
        self._owed: bytes | None = None
        self._searching = False
        self.believe(0)

    def believe(self, length: int) -> None:
        """Note the length of a part that ended like a JPEG."""
        if length >= self._largest:
            self._largest = length
            self.trusted = 4 * length + 65536

    def run(self, events: list[Event]) -> None:
        """Consume as much payload as there is meaning in, and append what it means."""
        window = self.window
        while window.start < window.stop:
            state = self.state
            if state is State.BODY:
                going = self._body(events)
            elif state is State.GAP:
                going = self._gap(events)
            elif state is State.HEAD:
                going = self._part_head(events)
            elif state is State.OPEN:
                going = self._open(events)
            elif state is State.LOST:
                going = self._lost()
            else:
                window.consume(window.stop - window.start)
                return
            if not going:
                return

    def finish(self, events: list[Event], clean: bool) -> None:
        """Take the end of the payload: a part at hand is given out incomplete.

        Parameters
        ----------
        clean : bool
            Whether ending here is fine for the framing.
        """
        if self.state is State.ENDED:
            return
        between = self.state is State.GAP or (self.state is State.HEAD and not self._fields)
        self.interrupt(events)
        self.state = State.ENDED
        events.append(End(clean and between))

    def interrupt(self, events: list[Event]) -> None:
        """Give out what there is of the part at hand, and wait for a boundary."""
        window = self.window
        if self.state in (State.BODY, State.OPEN) and window.stop > window.start:
            events.append(Part(window.view[window.start : window.stop], self.head, None, False))
        window.consume(window.stop - window.start)
        self._owed = None
        self.state = State.GAP

    # -- between parts ----------------------------------------------------------------------------------

    def _gap(self, events: list[Event]) -> bool:
        window = self.window
        first = window.data[window.start]
        if self._owed is not None:
            settled = self._settle_owed(events)
            if settled is not None:
                return settled
        core = self.core
        if (
            core is not None
            and first == 0x2D
            and window.data.startswith(core + b"--", window.start, window.stop)
        ):
            # The closing boundary may be the last bytes ever sent: do not wait for its line end.
            window.consume(window.stop - window.start)
            self.state = State.ENDED
            events.append(End(True))
            return False
        if first not in _BLANK and first != 0x2D and first not in b"CcXx":
            return self._lose(events, "no boundary where one is due")
        try:
            line = window.payload_line(self._limits.max_line)
        except LineTooLongError:
            return self._lose(events, "endless line where a boundary is due")
        if line is None:
            return False
        if not line.strip():
            self._traced(line)
            return True
        if self._is_boundary(line.rstrip()):
            self._traced(line)
            self._begin_head()
            return True
        if _PART_FIELD.match(line):
            # Layout A: no boundary before the first part.
            self._begin_head()
            window.start -= len(line)
            return True
        window.start -= len(line)
        return self._lose(events, "no boundary where one is due")

    def _is_boundary(self, line: bytes) -> bool:
        if self._learned:
            return line == self.core
        core = self.core
        # Until one was seen, any such line is believed: the head may lack the boundary or spell it otherwise.
        if _BOUNDARY_LINE.fullmatch(line) or (core is not None and line == core[2:]):
            self.core = line
            self._learned = True
        return self._learned

    def _settle_owed(self, events: list[Event]) -> bool | None:
        """Look for the rest of a boundary whose beginning the body before has swallowed; None: not there."""
        window = self.window
        owed = self._owed
        assert owed is not None
        count = min(len(owed), window.stop - window.start)
        if not owed.startswith(window.view[window.start : window.start + count]):
            self._owed = None
            return None
        if count < len(owed):
            return False
        self._damage(events, "Content-Length too large, by part of a boundary")
        window.consume(count)
        self._begin_head()
        self._learned = True
        return True

    def _begin_head(self) -> None:
        self._owed = None
        self._fields = []
        self._head_bytes = 0
        self._blanks = 0
        self.state = State.HEAD

    # -- the headers of a part --------------------------------------------------------------------------

    def _part_head(self, events: list[Event]) -> bool:
        window = self.window
        if self._blanks and not self._fields:
            # Blank lines behind the boundary: a part without headers, unless headers follow after all.
            first = window.data[window.start]
            if first == 0x2D:
                self.state = State.GAP
                return True
            if first not in b"\r\n" and not (0x41 <= first <= 0x5A or 0x61 <= first <= 0x7A):
                return self._end_head(events)
        try:
            line = window.payload_line(self._limits.max_line)
        except LineTooLongError:
            return self._lose(events, "endless header line")
        if line is None:
            return False
        self._head_bytes += len(line)
        if self._head_bytes > self._limits.max_part_head or len(self._fields) >= self._limits.max_headers:
            window.start -= len(line)
            return self._lose(events, "endless part headers")
        if not line.strip():
            self._traced(line)
            if self._fields:
                return self._end_head(events)
            self._blanks += 1
            return True
        if line[0] in b" \t" and self._fields:
            name, value = self._fields[-1]
            self._fields[-1] = (name, f"{value} {line.strip().decode('latin-1')}")
        else:
            field = split_field(line)
            if field is None:
                window.start -= len(line)
                return self._lose(events, "not a header line")
            self._fields.append(field)
        self._traced(line)
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
        if length is None:
            self.state = State.OPEN
        else:
            self.length = length
            self.state = State.BODY
            self._searching = length > self.trusted
            if length == 0:
                return self._finish_body(events)
        return True

    # -- bodies -----------------------------------------------------------------------------------------

    def _body(self, events: list[Event]) -> bool:
        window = self.window
        if window.stop - window.start >= self.length:
            return self._finish_body(events)
        if self._searching:
            return self._cut_at_boundary(events, window.stop)
        return False

    def _finish_body(self, events: list[Event]) -> bool:
        window = self.window
        start, length = window.start, self.length
        stop = start + length
        if not self._searching and window.data.endswith(EOI, start, stop):
            self.believe(length)
        elif self._cut_at_boundary(events, stop):
            return True
        else:
            if window.data.endswith(EOI, start, stop):
                self.believe(length)
            self._owed = self._swallowed(bytes(window.view[max(start, stop - 256) : stop]))
        events.append(Part(window.view[start:stop], self.head))
        window.consume(length)
        self.state = State.GAP
        return True

    def _cut_at_boundary(self, events: list[Event], stop: int) -> bool:
        """End the body at a boundary inside it, if there is one before `stop`."""
        window = self.window
        found = self._find_boundary(stop)
        if found < 0:
            return False
        events.append(Part(window.view[window.start : self._before_line_end(found)], self.head))
        window.consume(found - window.start)
        self._damage(events, "Content-Length too large: boundary inside the part")
        self.state = State.GAP
        return True

    def _open(self, events: list[Event]) -> bool:
        window = self.window
        found = self._find_boundary(window.stop)
        end = window.stop if found < 0 else self._before_line_end(found)
        limit = self._limits.max_part
        if end - window.start > limit + (0 if found >= 0 else len(self.core or b"") + 2):
            return self._lose(events, "part without a length is over the limit")
        if found < 0:
            return False
        events.append(Part(window.view[window.start : end], self.head))
        window.consume(found - window.start)
        self.state = State.GAP
        return True

    def _swallowed(self, tail: bytes) -> bytes | None:
        """Give what is left of the boundary line when a body's tail is its beginning."""
        if self.core is None:
            return None
        line = b"\r\n" + self.core + b"\r\n"
        at = tail.rfind(line[:4])
        if at >= 0 and line.startswith(tail[at:]):
            return line[len(tail) - at :]
        for count in (3, 2, 1):
            if tail.endswith(line[:count]):
                return line[count:]
        return None

    # -- finding the way back ---------------------------------------------------------------------------

    def _lose(self, events: list[Event], reason: str) -> bool:
        if self.core is None:
            raise NoBoundaryError(reason)
        self._damage(events, reason)
        self.window.payload_seen = 0
        self._owed = None
        self.state = State.LOST
        if self.trace is not None:
            self.trace.clear()
        return True

    def _lost(self) -> bool:
        window = self.window
        found = self._find_boundary(window.stop)
        if found >= 0:
            window.consume(found - window.start)
            self.state = State.GAP
            return True
        # Keep the beginning of a boundary, and the line end before it.
        seen = window.payload_seen
        spare = max(0, seen - 1)
        window.consume(spare)
        window.payload_seen = seen - spare
        return False

    def _find_boundary(self, stop: int) -> int:
        """Find the next boundary line that begins in the payload before `stop`; -1: none yet.

        A boundary counts when it is whole, followed by a line end or ``--``, and long or at the beginning
        of a line. Remembers how far it came.
        """
        window = self.window
        core = self.core
        if core is None:
            return -1
        data = window.data
        at = window.start + window.payload_seen
        while True:
            at = data.find(core, at, stop)
            if at < 0:
                break
            behind = at + len(core)
            if len(core) >= _SURE_LENGTH or at == window.start or data[at - 1] == 0x0A:
                if stop - behind < 2:
                    break
                if _BEHIND_BOUNDARY.match(data, behind, stop):
                    window.payload_seen = 0
                    return at
            at += 1
        window.payload_seen = max(
            window.payload_seen, (at if at >= 0 else stop - len(core) - 1) - window.start
        )
        return -1

    def _before_line_end(self, at: int) -> int:
        """Give where the line end that belongs to the boundary at `at` begins."""
        window = self.window
        if at > window.start and window.data[at - 1] == 0x0A:
            at -= 1
            if at > window.start and window.data[at - 1] == 0x0D:
                at -= 1
        return at

    def _damage(self, events: list[Event], reason: str) -> None:
        window = self.window
        sample = bytes(window.view[window.start : min(window.stop, window.start + 64)])
        events.append(Damage(reason, window.offset, sample))

    def _traced(self, line: bytes) -> None:
        if self.trace is not None:
            self.trace.append((False, line))
