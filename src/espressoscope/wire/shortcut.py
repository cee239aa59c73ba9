"""The short cut of the parser: what a stream that goes its usual way takes instead of the general machine.

A body of known length that lies in one piece on the wire is not unframed at all: its bytes are waited for
where they arrive. And the bytes between two such bodies are recognised as a whole once their `shape` is
learned. A picture then costs one comparison and one `Part`.

Between two calls the window, the framing and the multipart machine are always in a state from which the
general machine can go on, with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.wire.events import EOI, Part
from espressoscope.wire.multipart import State
from espressoscope.wire.shape import Shape

if TYPE_CHECKING:
    from espressoscope.wire.events import Event
    from espressoscope.wire.framing import Chunked, Identity
    from espressoscope.wire.multipart import Multipart
    from espressoscope.wire.window import Window

__all__ = ["ShortCut"]

_MOST_SHAPES = 4


class ShortCut:
    """The short cut through one multipart body.

    Parameters
    ----------
    window : Window
    framing : Identity or Chunked
    parts : Multipart

    Attributes
    ----------
    due : int
        Length of the body that is waited for where it arrives; 0 when none is.
    in_gap : bool
        What waits is the beginning of the gap that is expected.
    shapes : list of Shape
        What stood between bodies before, the one used last first.
    """

    __slots__ = ("_after", "_framing", "_parts", "_shape", "_window", "due", "in_gap", "shapes")

    def __init__(self, window: Window, framing: Identity | Chunked, parts: Multipart) -> None:
        self._window = window
        self._framing = framing
        self._parts = parts
        self.due = 0
        self.shapes: list[Shape] = []
        self._after = 0  # bytes of the chunk behind the body at hand
        self._shape: Shape | None = None  # what is expected behind it
        self.in_gap = False

    def writable(self) -> memoryview:
        """Give the free tail of the buffer while a body is due, after making room for the rest of it."""
        window = self._window
        missing = self.due - (window.end - window.raw)
        if len(window.data) - window.end < missing:
            window.make_room(missing)
        return window.view[window.end :]

    def enter(self) -> bool:
        """Begin with the body that the multipart machine has come to; False when it is not in one piece."""
        parts = self._parts
        if parts.searching:
            return False
        after = self._framing.hold(parts.length)
        if after is None:
            return False
        if self._shape is not None and self._shape.after != after:
            self._shape = None
        self._after = after
        return True

    def bodies(self, events: list[Event]) -> bool:
        """Give out the body at hand and all that follow in a known shape, as far as they are there.

        Returns
        -------
        bool
            True: the general machine goes on. False: more bytes are needed.
        """
        window = self._window
        parts = self._parts
        after = self._after
        self.due = 0
        parts.state = State.BODY
        shape = self._shape if window.trace is None else self._learned()
        while True:
            if shape is not None and window.end - window.raw >= parts.length + shape.size:
                shape.follow(window, parts, events)
            start, length = window.raw, parts.length
            stop = start + length
            self._framing.resume(length + after)
            if stop > window.end:
                self.due = length
                return False
            if not window.data.endswith(EOI, start, stop):
                parts.searching = True  # the general machine must look closer
                return True
            events.append(Part(window.view[start:stop], parts.head, True, parts.announced, parts.stamp))
            if length > parts.largest:
                parts.believe(length)
            window.jump(stop)
            window.trace = []
            parts.state = State.GAP
            self._framing.resume(after)
            if self._at_beginning_of_gap():
                self.in_gap = True
                return False
            if not self._step_over_gap():
                return True
            shape = self._shape

    def _learned(self) -> Shape | None:
        """Give the shape of what was read before the body at hand, and expect the same behind it."""
        window = self._window
        if window.trace is not None:
            shape = Shape.learn(window.trace, self._parts.head, self._parts.length, self._after)
            window.trace = None
            if shape is not None:
                others = [known for known in self.shapes if not known.same_as(shape)]
                self.shapes[:] = [shape, *others][:_MOST_SHAPES]
                self._shape = shape
        return self._shape

    def _step_over_gap(self) -> bool:
        """Go to the body behind a gap of any known shape: the length may have won or lost a digit."""
        window = self._window
        parts = self._parts
        for number, shape in enumerate(self.shapes):
            if shape.after != self._after:
                continue
            length, stamp = shape.match(window.data, window.raw, window.end)
            if 0 < length <= parts.trusted:
                if number:
                    self.shapes.insert(0, self.shapes.pop(number))
                self._shape = shape
                window.jump(window.raw + shape.size)
                window.trace = None
                self._framing.resume(length + shape.after)
                parts.state = State.BODY
                parts.searching = False
                parts.length, parts.head, parts.announced, parts.stamp = length, shape.head, length, stamp
                return True
        return False

    def go_on_in_gap(self, events: list[Event]) -> bool:
        """Take more bytes of a gap, and what follows behind it; gives what `bodies` does."""
        if self._at_beginning_of_gap():
            return False
        self.in_gap = False
        # Stepped over, the window and the framing are where `enter` would bring them.
        return not self._step_over_gap() or self.bodies(events)

    def _at_beginning_of_gap(self) -> bool:
        """Whether what is there is the mere beginning of the usual gap: nothing can be lost by waiting."""
        window = self._window
        shape = self._shape
        return (
            shape is not None
            and window.end - window.raw <= len(shape.prefix)
            and shape.prefix.startswith(window.view[window.raw : window.end])
        )
