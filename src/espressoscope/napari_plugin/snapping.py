"""A picture a user asked for: taken on a thread of the session, with all that is known of it. No Qt here."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import espressoscope as es

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from espressoscope.napari_plugin.pictures import Look

__all__ = ["Snapped", "describe", "take", "time_words"]


class Snapped(NamedTuple):
    """A picture that was snapped.

    Attributes
    ----------
    camera : str
        Its name in the table.
    frame : Frame
        The JPEG as sent, and its times.
    info : CameraInfo
        What the camera is.
    settings : Mapping of str to bool, int, float or str
        What it told of its settings just after the picture; those it does not tell are left out.
    look : Look
        How its pictures were shown.
    """

    camera: str
    frame: es.Frame
    info: es.CameraInfo
    settings: Mapping[str, Any]
    look: Look

    @property
    def name(self) -> str:
        """Camera and time: what its layer is called."""
        return f"{self.camera} {time_words(self.frame.received_ns)}"

    def image(self) -> NDArray[np.uint8]:
        """Decode it, turned and mirrored as it was shown: (H, W, 3) uint8.

        Raises
        ------
        DecodeError
        """
        return np.ascontiguousarray(self.look.apply(self.frame.image()))


def take(camera: str, device: es.Camera, framesize: str | None, look: Look) -> Snapped:
    """Take one fresh picture; blocks, for some seconds where the camera is slow.

    Parameters
    ----------
    camera : str
        Name in the table.
    device : Camera
        Whose picture.
    framesize : str or None
        Size of this picture alone; None: as it is.
    look : Look
        How the camera's pictures are shown.

    Raises
    ------
    CameraError
        The camera gave none, or refuses this size.
    """
    frame = device.snap(framesize)
    if frame.status in ("truncated", "corrupt"):
        raise es.DecodeError(f"the picture arrived {frame.status}", camera=camera, hint="Snap again")
    with contextlib.suppress(es.CameraError):  # then as it was last told
        device.status()
    settings = {name: each.value for name, each in device.settings.items() if each.value is not None}
    if framesize is not None:
        settings["framesize"] = framesize  # restored by now
    return Snapped(camera, frame, device.info, settings, look)


def describe(picture: Snapped) -> dict[str, Any]:
    """Give everything known of a picture but its bytes, as plain values that JSON takes."""
    frame, info, look = picture.frame, picture.info, picture.look
    return {
        "camera": picture.camera,
        "name": info.name,
        "mac": info.mac,
        "url": info.shown.url,
        "firmware": info.firmware,
        "time": _iso(frame.received_ns),
        "time_ns": frame.received_ns,
        "device_ns": frame.device_ns,
        "sequence": frame.sequence,
        "width": frame.width,
        "height": frame.height,
        "pixel_um": look.pixel_um,
        "turns": look.turns,
        "mirror_x": look.mirror_x,
        "mirror_y": look.mirror_y,
        "settings": dict(picture.settings),
    }


def _iso(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


def time_words(time_ns: int) -> str:
    """Write a time for people at this computer: its own clock, to the millisecond."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}.{rest_ns // 1_000_000:03d}"
