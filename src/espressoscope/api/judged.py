"""A picture judged by decoding it: what a camera has spoilt within whole markers is seen in no other way."""

from __future__ import annotations

from espressoscope.errors import DecodeError
from espressoscope.model import Frame

__all__ = ["judged"]


def judged(frame: Frame, received_ns: int) -> Frame:
    """Give a frame as it is to be stored: ``corrupt`` where it cannot be decoded whole.

    Parameters
    ----------
    frame : Frame
    received_ns : int
        When it came, by the clock of who stores it.
    """
    status = frame.status
    if status == "ok":
        try:
            frame.image(scale=8, gray=True)
        except DecodeError:
            status = "corrupt"
    return Frame(
        frame.jpeg,
        frame.sequence,
        received_ns,
        frame.device_ns,
        frame.width,
        frame.height,
        frame.camera,
        status,
    )
