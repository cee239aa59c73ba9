"""The plain data everything else passes around: frames, cameras found, settings, statistics.

No IO, no threads, and nothing of ours imported at module level. Two lazy exceptions: `Frame.image`
imports `decode`, and `Frame.jpeg_end` imports the JPEG walk of `wire`, when somebody asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

__all__ = [
    "CameraInfo",
    "Frame",
    "FrameSet",
    "FrameStatus",
    "LinkState",
    "Order",
    "Scale",
    "SetResult",
    "Setting",
    "SettingKind",
    "SettingValue",
    "StreamStats",
    "shown_url",
]

FrameStatus = Literal["ok", "truncated", "corrupt", "duplicate"]
Order = Literal["RGB", "BGR"]
Scale = Literal[1, 2, 4, 8]
SettingKind = Literal["bool", "int", "float", "choice", "text", "action"]
SettingValue = bool | int | float | str


class Frame:
    """One JPEG as the camera sent it, and when it came.

    Not a dataclass: thousands are built a second, and a frozen dataclass costs three times as much.
    Treat it as read-only all the same: consumers share it.

    Attributes
    ----------
    jpeg : bytes
        The picture's bytes exactly as sent, stale bytes after the end of the picture included.
    sequence : int
        Counts every frame of this camera from 0, over reconnects; a gap means frames were dropped.
    received_ns : int
        Unix time in nanoseconds at which the last byte arrived.
    device_ns : int or None
        The camera's own time stamp in nanoseconds, where its firmware sends one.
    width, height : int
        Pixels, from the JPEG's start-of-frame marker; 0 when there is none.
    camera : str
        The camera's name.
    status : {"ok", "truncated", "corrupt", "duplicate"}
        ``"truncated"``: no end-of-image marker; ``"corrupt"``: not a JPEG that can be walked;
        ``"duplicate"``: byte for byte the frame before.
    """

    __slots__ = (
        "_jpeg_end",
        "camera",
        "device_ns",
        "height",
        "jpeg",
        "received_ns",
        "sequence",
        "status",
        "width",
    )

    def __init__(
        self,
        jpeg: bytes,
        sequence: int,
        received_ns: int,
        device_ns: int | None = None,
        width: int = 0,
        height: int = 0,
        camera: str = "",
        status: FrameStatus = "ok",
    ) -> None:
        self.jpeg = jpeg
        self.sequence = sequence
        self.received_ns = received_ns
        self.device_ns = device_ns
        self.width = width
        self.height = height
        self.camera = camera
        self.status: FrameStatus = status
        self._jpeg_end = -1

    @property
    def jpeg_end(self) -> int:
        """Length of the picture proper: the offset just behind its first end-of-image marker.

        Found by walking the markers when first asked for. Equal to ``len(jpeg)`` when there are no
        stale bytes, and also when the end is missing.
        """
        if self._jpeg_end < 0:
            from espressoscope.wire.jpeg import find_end

            end = find_end(self.jpeg)
            self._jpeg_end = len(self.jpeg) if end is None else end
        return self._jpeg_end

    def image(
        self,
        scale: Scale = 1,
        gray: bool = False,
        order: Order = "RGB",
        out: NDArray[np.uint8] | None = None,
        *,
        partial: bool = False,
    ) -> NDArray[np.uint8]:
        """Decode the picture; nothing is kept, each call decodes anew.

        Parameters
        ----------
        scale : {1, 2, 4, 8}
            Size divisor, done inside the JPEG decoder: the result is ``ceil((H, W) / scale)``.
        gray : bool
            Brightness only, (H, W) uint8.
        order : {"RGB", "BGR"}
            Channel order of a colour result; BGR is OpenCV's.
        out : (H, W, 3) or (H, W) uint8 array, optional
            Decode into this array, which must be C-contiguous and of exactly the result's shape.
        partial : bool
            Give what can be decoded of a damaged picture instead of raising.

        Returns
        -------
        (H, W, 3) uint8, or (H, W) uint8 with `gray`
            `out` where it was given.

        Raises
        ------
        DecodeError
            The bytes are no whole JPEG, and `partial` is false; or not even a part can be decoded.
        ValueError
            `scale`, `order` or `out` do not fit.
        """
        from espressoscope.decode import decode

        return decode(self, scale=scale, gray=gray, order=order, out=out, partial=partial)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a Frame holds a JPEG: an array of it is always a new one")
        image = self.image()
        return image if dtype is None else image.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return (
            f"<Frame {self.sequence} of {self.camera or '?'}: {self.width}x{self.height}, "
            f"{len(self.jpeg)} bytes, {self.status}>"
        )


def shown_url(url: str) -> str:
    """Write a URL for people, files and logs: no user info, and ``***`` for each value in its query.

    Examples
    --------
    >>> shown_url("http://10.0.0.9/?user=admin&pwd=secret")
    'http://10.0.0.9/?user=***&pwd=***'
    """
    head, mark, query = url.partition("?")
    scheme, separator, rest = head.partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        head = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    if not mark:
        return head
    return f"{head}?{re.sub(r'[^&;]+', _hidden, query)}"


def _hidden(part: re.Match[str]) -> str:
    name, equals, _ = part[0].partition("=")
    return f"{name}=***" if equals else "***"


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera as discovery or `Camera.open` found it.

    Attributes
    ----------
    name : str
        What the camera calls itself, cleaned of control characters, at most 64 characters.
    url : str
        Base of its control requests, for example ``http://192.168.4.1``.
    stream_url : str or None
        Where its MJPEG stream is; None when the firmware has none. The host is always the one that
        was reached, never one the camera claims.
    mac : str or None
        Upper-case with colons, where known.
    firmware : str
        A family of `espressoscope.tables.firmware`, or ``"unknown"``.
    found_by : str
        ``"mdns"``, ``"scan"``, ``"access-point"``, ``"remembered"`` or ``"given"``.
    """

    name: str
    url: str
    stream_url: str | None
    mac: str | None
    firmware: str
    found_by: str

    @property
    def label(self) -> str:
        """The name, and the last six digits of the MAC behind it, or the address where no MAC is known.

        For people, who get many boards of the same name: it is each board's own, and stays the same when its
        address changes.
        """
        if self.mac is not None:
            return f"{self.name}-{self.mac.replace(':', '')[-6:]}"
        return f"{self.name}-{shown_url(self.url).removeprefix('http://')}"

    @property
    def shown(self) -> CameraInfo:
        """The same for people, files and logs: with ``***`` for the values in queries, often passwords.

        Not to connect by.
        """
        stream_url = None if self.stream_url is None else shown_url(self.stream_url)
        return replace(self, url=shown_url(self.url), stream_url=stream_url)


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing a camera lets you set: what it is, what it may be, what it is now.

    Attributes
    ----------
    name : str
        Canonical name, Matchboxscope's.
    value : bool, int, float, str or None
        Present value as the camera reported it; None for write-only settings.
    kind : {"bool", "int", "float", "choice", "text", "action"}
        ``"choice"`` values are one of `choices`; ``"action"`` settings do something and have no value.
    minimum, maximum, step : int, float or None
        Range of an ``"int"`` or a ``"float"``.
    choices : tuple of str
        Names a ``"choice"`` may take; empty otherwise.
    unit : str
        For example ``"ms"``; empty when there is none.
    group : {"picture", "exposure", "light", "focus", "system"}
        Where a form should show it.
    doc : str
        One line in a microscopist's words.
    """

    name: str
    value: SettingValue | None
    kind: SettingKind
    minimum: int | float | None
    maximum: int | float | None
    step: int | float | None
    choices: tuple[str, ...]
    unit: str
    group: str
    doc: str


@dataclass(frozen=True, slots=True)
class SetResult:
    """What became of one setting.

    Attributes
    ----------
    asked : bool, int, float or str
        The value asked for, as given.
    actual : bool, int, float, str or None
        The value the camera reports afterwards; None when it does not report this setting.
    ok : bool
        The camera accepted it and, where it reports it, has it.
    message : str
        What went wrong; empty when nothing did.
    """

    asked: SettingValue
    actual: SettingValue | None
    ok: bool
    message: str = ""


class LinkState(StrEnum):
    """What the link to a camera is doing."""

    CONNECTING = "connecting"
    LIVE = "live"
    SLOW = "slow"
    STALLED = "stalled"
    BUSY = "busy"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StreamStats:
    """Figures of one camera's stream since it was opened.

    Attributes
    ----------
    state : LinkState
        What the link is doing now; a `str` as well.
    frames : int
        Frames received, damaged ones included.
    bytes : int
        JPEG bytes received.
    fps, kb_per_s : float
        Rate over the last few seconds; 1 KB is 1000 bytes.
    age_s : float or None
        Seconds since the newest frame arrived; None before the first.
    interval_p50_ms, interval_p99_ms : float or None
        Median and 99th percentile of the time between recent frames.
    reconnects : int
        Streams opened after the first.
    damaged : int
        Frames without an end or that cannot be walked, and places where the stream had to be
        resynchronised.
    dropped : int
        Frames a bounded subscription let go because its consumer was too slow.
    superseded : int
        Frames in the latest slot replaced before anybody took them.
    width, height : int
        Size of the newest frame.
    frozen : bool
        The camera keeps sending the same picture, byte for byte.
    sensor_fps : float or None
        Rate at which the sensor makes frames of the present size, as far as known; where `fps` stays well
        below, the radio or the camera's processor is the bottleneck. Of stamped frames measured, else
        nominal from size and clock; a limit set by the user counts as the sensor's.
    clock_offset_s : float or None
        For cameras that stamp their frames: Unix time at which the camera's clock read zero, in seconds, as
        the frames with the least delay on the way tell. `device_ns` / 1e9 plus this is Unix time.
    """

    state: LinkState
    frames: int
    bytes: int
    fps: float
    kb_per_s: float
    age_s: float | None
    interval_p50_ms: float | None
    interval_p99_ms: float | None
    reconnects: int
    damaged: int
    dropped: int
    superseded: int
    width: int
    height: int
    frozen: bool
    sensor_fps: float | None = None
    clock_offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class FrameSet:
    """Frames of several cameras that belong to one instant.

    Attributes
    ----------
    time_ns : int
        The instant, Unix time in nanoseconds.
    frames : Mapping of str to Frame or None
        By camera name, every camera of the fleet: its frame nearest to the instant within the tolerance, by
        `Frame.received_ns`; None for a camera that has none. No frame is in two sets.
    """

    time_ns: int
    frames: Mapping[str, Frame | None]

    @property
    def complete(self) -> bool:
        """Whether every camera has a frame."""
        return all(frame is not None for frame in self.frames.values())

    @property
    def spread_ms(self) -> float:
        """Milliseconds between the first and the last frame of the set; 0 with fewer than two."""
        times = [frame.received_ns for frame in self.frames.values() if frame is not None]
        return (max(times) - min(times)) / 1e6 if times else 0.0
