"""Matroska: the JPEGs as packets of a Motion-JPEG stream, each at its own time. Nothing is encoded."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from espressoscope.errors import ExportError
from espressoscope.recording.moments import iso_utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from espressoscope.export.chosen import Chosen, Stretch
    from espressoscope.model import Frame

__all__ = ["FIRST_FRAME_NS", "packet_times_ms", "require_av", "write_mkv"]

FIRST_FRAME_NS: Final = "FIRST_FRAME_NS"
"""Tag that tells the time of the first frame, in Unix nanoseconds."""
_INSTALL: Final = 'pip install "espressoscope[export]"'
_MS: Final = Fraction(1, 1000)
_SLOWEST: Final = Fraction(1, 10)
"""Frames a second below which no rate is told: players take it for the time a picture stands."""


def require_av() -> Any:
    """Import PyAV.

    Raises
    ------
    ExportError
        It is not installed, or too old.
    """
    try:
        import av
    except ImportError as error:
        raise ExportError(f"MKV needs PyAV, which cannot be loaded ({error})", hint=_INSTALL) from error
    if not hasattr(av.container.OutputContainer, "add_mux_stream"):
        raise ExportError(f"MKV needs PyAV 17, and {av.__version__} is installed", hint=_INSTALL)
    return av


def packet_times_ms(times_ns: list[int]) -> list[int]:
    """Give the times of packets in milliseconds from the first; Matroska's never go back."""
    found: list[int] = []
    for time_ns in times_ns:
        time_ms = (time_ns - times_ns[0] + 500_000) // 1_000_000
        found.append(max(time_ms, found[-1]) if found else 0)
    return found


def write_mkv(
    path: Path, chosen: Chosen, stretch: Stretch, software: str, on_frame: Callable[[Frame], None]
) -> None:
    """Write pictures of one size to a new file.

    Parameters
    ----------
    path : Path
    chosen : Chosen
        The camera.
    stretch : Stretch
        Which of its pictures.
    software : str
        Name and version.
    on_frame : callable
        Called after each.

    Raises
    ------
    ExportError
        PyAV is not installed.
    OSError
    """
    av = require_av()
    times_ns = chosen.times_ns(stretch.places).tolist()
    first_ns, last_ns = times_ns[0], times_ns[-1]
    rate = Fraction((len(times_ns) - 1) * 10**9, last_ns - first_ns) if last_ns > first_ns else None
    with path.open("xb", buffering=1 << 20) as file:
        # Given a path it could not write, PyAV would open nothing and say nothing.
        container = av.open(file, "w", format="matroska")
        try:
            container.metadata.update(_tags(chosen.name, first_ns, software))
            stream = container.add_mux_stream(
                "mjpeg",
                rate=rate.limit_denominator(10**6) if rate is not None and rate >= _SLOWEST else None,
                width=stretch.width,
                height=stretch.height,
            )
            stream.time_base = _MS
            frames = chosen.frames(stretch.places)
            for frame, time_ms in zip(frames, packet_times_ms(times_ns), strict=True):
                if frame.jpeg:
                    packet = av.Packet(frame.jpeg)
                    packet.stream = stream
                    packet.time_base = _MS
                    packet.pts = packet.dts = time_ms
                    packet.is_keyframe = True
                    container.mux(packet)
                on_frame(frame)
        finally:
            container.close()


def _tags(camera: str, first_ns: int, software: str) -> dict[str, str]:
    return {
        "title": "".join(char for char in camera if char.isprintable()),
        "creation_time": iso_utc(first_ns),
        FIRST_FRAME_NS: str(first_ns),
        "WRITING_SOFTWARE": software,
    }
