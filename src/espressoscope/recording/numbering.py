"""One row of sequence numbers for a camera that leaves a recording and comes back, counting anew."""

from __future__ import annotations

from espressoscope.model import Frame

__all__ = ["Numbering"]


class Numbering:
    """Gives frames the numbers they have in a recording: their own, until the camera has been away.

    Attributes
    ----------
    last : int
        The newest number; -1 before the first frame.
    """

    def __init__(self) -> None:
        self.last = -1
        self._ahead = 0
        self._back = False

    def go_on(self) -> None:
        """Go on, with what comes from now on, behind what came before."""
        self._back = self.last >= 0

    def of(self, frame: Frame) -> Frame:
        """Give the frame with its number here."""
        if self._back:
            self._back = False
            self._ahead = self.last + 1 - frame.sequence
        if self._ahead:
            frame = Frame(
                frame.jpeg,
                frame.sequence + self._ahead,
                frame.received_ns,
                frame.device_ns,
                frame.width,
                frame.height,
                frame.camera,
                frame.status,
            )
        self.last = frame.sequence
        return frame
