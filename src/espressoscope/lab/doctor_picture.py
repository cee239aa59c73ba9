"""What a stream's counts and times mean, together with what else is known of the camera. Pure: no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from espressoscope.device.address import clean_text
from espressoscope.errors import ConnectError, ConnectReason
from espressoscope.lab.doctor_stream import LITTLE_BYTES, StreamSigns
from espressoscope.lab.doctor_words import Finding, finding
from espressoscope.tables.framesizes import SIZES
from espressoscope.tables.sensors import nominal_fps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from espressoscope.model import SettingValue

__all__ = ["Circumstances", "judge"]

_BOOT_SIZE: Final[Mapping[str, str]] = {"matchboxscope": "SVGA", "easytarget": "SVGA"}
"""Size the driver's buffer is made for when the board starts, whatever is set later (AI-Thinker boards,
main.ino; the XIAO build starts at UXGA, the largest its sensor has)."""

_LARGEST_FAST: Final = 800 * 600
_USUAL_SHARE: Final = {True: 0.4, False: 0.24}
"""The least of the sensor's rate that usually arrives: 10 of 25 pictures a second up to SVGA, 3 of 12.5 above
(over WiFi VGA and SVGA come at 10 to 20, XGA and UXGA at 3 to 8)."""

_RADIO_FULL_BYTES_PER_S: Final = 3e6 / 8
"""What the radio of these boards carries at least, 3 to 8 Mbit/s, with their usual small buffers."""

_GIVES_UP_S: Final = (3.5, 6.5)
"""Silence before the end of a stream whose driver had no picture: ``FB_GET_TIMEOUT`` is 4 s."""

_ENDS_ABOVE_MS: Final = 2000


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a camera beside its stream.

    Attributes
    ----------
    control_port : int or None
        Port of its control; None for a bare stream.
    stream_port : int
    firmware : str
        Family.
    sensor : str
        Empty where it is not known.
    values : Mapping
        Its settings as reported, sizes by name.
    viewers : int or None
        Viewers the board counted before we came.
    alive : bool
        Its control port still answered afterwards.
    """

    control_port: int | None
    stream_port: int
    firmware: str = "unknown"
    sensor: str = ""
    values: Mapping[str, SettingValue | None] = field(default_factory=dict)
    viewers: int | None = None
    alive: bool = True

    def number(self, name: str) -> int:
        """Give a setting's value; 0 where it is not known."""
        value = self.values.get(name)
        return value if isinstance(value, int) else 0

    @property
    def framesize(self) -> str:
        """Name of the picture size; empty where it is not known."""
        value = self.values.get("framesize")
        return value if isinstance(value, str) else ""

    @property
    def sensor_fps(self) -> float | None:
        """Rate at which the sensor makes pictures of this size, where that is known."""
        return nominal_fps(self.sensor, self.framesize, self.number("xclk") or None)


def judge(signs: StreamSigns, known: Circumstances) -> Iterator[Finding]:
    """Say what is wrong with a stream, the cause before what follows from it, and that it is free again."""
    if not signs.connected:
        yield _no_connection(signs, known)
        return
    if not signs.received and not signs.ended:
        yield _silence(signs, known)
    elif not signs.multipart:
        yield _no_stream(signs, known)
    elif not signs.pictures:
        yield _no_picture(signs, known)
    else:
        yield from _pictures(signs, known)
    if signs.received:  # without a byte it was never ours
        yield finding("let-go", seconds=f"{signs.held_s:.1f}")


def _no_connection(signs: StreamSigns, known: Circumstances) -> Finding:
    if known.control_port is None:
        return finding("stream-missing", port=known.stream_port, what="no connection")
    code = "stream-refused" if signs.refused else "stream-blocked"
    return finding(code, control=known.control_port, port=known.stream_port)


def _silence(signs: StreamSigns, known: Circumstances) -> Finding:
    if known.control_port is None or not known.alive:
        return finding("stream-silent", seconds=f"{signs.held_s:.0f}")
    seen = ""
    if known.viewers:
        seen = f"; it counts {known.viewers} viewer" + ("s" if known.viewers > 1 else "")
    return finding("busy", seen=seen)


def _no_stream(signs: StreamSigns, known: Circumstances) -> Finding:
    error = signs.error
    if isinstance(error, ConnectError):
        if error.reason is ConnectReason.AUTH:
            return finding("stream-wants-password")
        if error.reason is ConnectReason.BUSY:
            return finding("busy", seen="")
    what = "it closes the connection" if error is None else clean_text(error.message, 100)
    return finding("stream-missing", port=known.stream_port, what=what)


def _no_picture(signs: StreamSigns, known: Circumstances) -> Finding:
    seconds = f"{signs.held_s:.0f}"
    if signs.received >= LITTLE_BYTES and not signs.ended:
        if signs.stalled:
            return finding("stalls", seconds=f"{signs.quiet_s:.0f}")
        return _trickle(signs, seconds)
    if not signs.ended and not signs.stalled:
        return _trickle(signs, seconds)
    return _outgrown(known) or finding("no-picture", seconds=seconds)


def _outgrown(known: Circumstances) -> Finding | None:
    """Say that pictures outgrow the driver's buffer, where that may be."""
    boot = _BOOT_SIZE.get(known.firmware, "")
    if not boot or _pixels(known.framesize) <= _pixels(boot):
        return None
    quality = known.values.get("quality", "?")
    return finding("framesize-too-big", framesize=known.framesize, quality=quality, boot=boot)


def _trickle(signs: StreamSigns, seconds: str) -> Finding:
    rate = f"{signs.received / max(signs.held_s, 0.1):.0f}"
    return finding("trickles", rate=rate, seconds=seconds)


def _pictures(signs: StreamSigns, known: Circumstances) -> Iterator[Finding]:
    brake_ms = known.number("min_frame_time")
    if brake_ms > _ENDS_ABOVE_MS and known.firmware == "matchboxscope":
        yield finding("stops-by-setting", ms=brake_ms)
    elif signs.ended:
        gave_up = _GIVES_UP_S[0] <= signs.quiet_s <= _GIVES_UP_S[1]
        outgrown = _outgrown(known) if gave_up else None
        yield outgrown or finding("breaks", pictures=_count(signs.pictures))
    elif signs.stalled:
        yield finding("stalls", seconds=f"{signs.quiet_s:.0f}")
    if signs.frozen:
        yield finding("frozen")
    if signs.damaged:
        what = "; ".join(signs.problems)
        yield finding("damaged", damaged=signs.damaged, pictures=_count(signs.pictures), what=what)
    if signs.resynced:
        yield finding("out-of-step", times="once" if signs.resynced == 1 else f"{signs.resynced} times")
    if not (signs.ended or signs.stalled) and signs.pictures > 1:
        yield from _rate(signs, known, brake_ms)
    sensor = "" if known.sensor_fps is None else f"; the sensor makes {known.sensor_fps:.3g} at this size"
    yield finding(
        "pictures",
        pictures=_count(signs.pictures),
        width=signs.width,
        height=signs.height,
        seconds=f"{signs.seconds:.1f}",
        fps=f"{signs.fps:.3g}",
        rate=f"{signs.bytes_per_s / 1000:.0f}",
        sensor=sensor,
    )


def _rate(signs: StreamSigns, known: Circumstances, brake_ms: int) -> Iterator[Finding]:
    """Compare the rate with the sensor's; where it is far below, say which part is the narrow one."""
    sensor_fps = known.sensor_fps
    limit = 1000 / brake_ms if brake_ms > 0 else None
    if limit is not None and (sensor_fps is None or limit < sensor_fps):
        yield finding("slow-by-setting", limit=f"{limit:.3g}", ms=brake_ms)
        sensor_fps = limit
    if sensor_fps is None:
        return
    usual = sensor_fps * _USUAL_SHARE[_pixels(known.framesize) <= _LARGEST_FAST]
    if signs.fps < usual:
        code = "radio-full" if signs.bytes_per_s >= _RADIO_FULL_BYTES_PER_S else "slow"
        yield finding(
            code,
            fps=f"{signs.fps:.2g}",
            usual=f"{usual:.2g}",
            framesize=known.framesize,
            rate=f"{signs.bytes_per_s / 1000:.0f}",
        )


def _pixels(framesize: str) -> int:
    width, height = SIZES.get(framesize, (0, 0))
    return width * height


def _count(pictures: int) -> str:
    return "one picture" if pictures == 1 else f"{pictures} pictures"
