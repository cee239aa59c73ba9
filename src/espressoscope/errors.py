"""Every error a user of Espressoscope can meet.

::

    CameraError
    ├── DiscoveryError        a search that could not be made (bad network, no socket)
    ├── ConnectError          no usable camera at that address; `reason` says why
    ├── CameraTimeout         a wait ended; `phase` and `timeout_s` say which and when
    ├── RemoteProtocolError   the other side broke its own protocol; `offset`, `sample`
    ├── SettingError          a setting refused, unknown or not taken; also a ValueError; `results`
    ├── UnsupportedError      this camera or firmware cannot do that
    ├── DecodeError           these bytes are not a whole JPEG; `sequence`, `nbytes`, `width`, `height`
    ├── RecordingError        a recording ended early; `frames_written`, `frames_dropped`
    ├── ExportError           a recording could not be exported; `path`
    └── FleetFileError        a fleet file that cannot be read; `path`, `line`, `reason`

Each names the camera, says what happened and what to try, and carries its data as attributes. Anything
else that escapes from a public call is a bug. This module imports nothing of ours.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CameraError",
    "CameraTimeout",
    "ConnectError",
    "ConnectReason",
    "DecodeError",
    "DiscoveryError",
    "ExportError",
    "FleetFileError",
    "RecordingError",
    "RemoteProtocolError",
    "SettingError",
    "UnsupportedError",
]


class CameraError(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    message : str
        What happened, one sentence without a final full stop.
    camera : str, optional
        The camera's name or address, never with a password in it.
    hint : str, optional
        What to try.
    """

    def __init__(self, message: str, *, camera: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.camera = camera
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.camera}: {self.message}" if self.camera else self.message
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only data would be lost by the default, which calls cls(*args).
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(cls: type[CameraError], args: tuple[object, ...], data: dict[str, object]) -> CameraError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(data)
    return error


class DiscoveryError(CameraError):
    """A search for cameras that could not be made at all."""


class ConnectReason(StrEnum):
    """Why no usable camera was reached."""

    UNRESOLVED = "UNRESOLVED"  # the name has no address
    REFUSED = "REFUSED"  # the host is there, nothing listens on the port
    UNREACHABLE = "UNREACHABLE"  # no route, or no answer to the connection attempt
    NOT_A_CAMERA = "NOT_A_CAMERA"  # something answers, and it is no camera
    BUSY = "BUSY"  # another viewer holds the only stream
    AUTH = "AUTH"  # user name and password wanted, or wrong


class ConnectError(CameraError):
    """No usable camera at that address.

    Parameters
    ----------
    reason : ConnectReason
        Why; also reachable as ``ConnectError.Reason``.
    """

    Reason = ConnectReason

    def __init__(
        self, message: str, *, reason: ConnectReason, camera: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, camera=camera, hint=hint)
        self.reason = reason


class CameraTimeout(CameraError):
    """A wait on a camera ended without what was waited for.

    Parameters
    ----------
    phase : str
        What was waited for: ``"connect"``, ``"status"``, ``"control"``, ``"capture"``, ``"stream"``,
        ``"reboot"``, ``"autofocus"``, ``"identify"`` (who it is, when a fleet is opened).
    timeout_s : float
        How long, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: str,
        timeout_s: float,
        camera: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, camera=camera, hint=hint)
        self.phase = phase
        self.timeout_s = timeout_s


class RemoteProtocolError(CameraError):
    """The other side broke its own protocol beyond repair.

    Parameters
    ----------
    offset : int
        Bytes into the answer at which it was noticed.
    sample : bytes
        At most 64 bytes from there.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int = 0,
        sample: bytes = b"",
        camera: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, camera=camera, hint=hint)
        self.offset = offset
        self.sample = sample[:64]


class SettingError(CameraError, ValueError):
    """A setting is unknown, out of range, was refused by the camera or did not take.

    Parameters
    ----------
    results : Mapping[str, SetResult]
        What became of each setting asked for; empty when nothing was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        results: Mapping[str, Any] | None = None,
        camera: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, camera=camera, hint=hint)
        self.results: dict[str, Any] = dict(results or {})


class UnsupportedError(CameraError):
    """Asked of a camera or firmware that cannot do it."""


class DecodeError(CameraError):
    """Bytes that cannot be decoded to a whole picture.

    Parameters
    ----------
    sequence : int or None
        Number of the frame; None for bytes that came without one.
    nbytes : int
        How many bytes there were.
    width, height : int
        What their header promises; 0 where it could not be read.
    """

    def __init__(
        self,
        message: str,
        *,
        sequence: int | None = None,
        nbytes: int = 0,
        width: int = 0,
        height: int = 0,
        camera: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, camera=camera, hint=hint)
        self.sequence = sequence
        self.nbytes = nbytes
        self.width = width
        self.height = height


class RecordingError(CameraError):
    """A recording ended before it was asked to.

    Parameters
    ----------
    frames_written, frames_dropped : int
        Frames safely on disk, and frames that did not reach it.
    """

    def __init__(
        self,
        message: str,
        *,
        frames_written: int,
        frames_dropped: int,
        camera: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, camera=camera, hint=hint)
        self.frames_written = frames_written
        self.frames_dropped = frames_dropped


class ExportError(CameraError):
    """A recording could not be exported; nothing is left under the name it should have got.

    Parameters
    ----------
    path : str or None
        The file or folder it is about.
    """

    def __init__(
        self, message: str, *, path: str | None = None, camera: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, camera=camera, hint=hint)
        self.path = path


class FleetFileError(CameraError):
    """A fleet file that cannot be read; it is never overwritten.

    Parameters
    ----------
    path : str
        The file.
    line : int or None
        The line, counted from 1, where known.
    reason : str
        What is wrong there.
    """

    def __init__(self, *, path: str, line: int | None, reason: str) -> None:
        where = f"{path}, line {line}" if line is not None else path
        super().__init__(f"{where}: {reason}", hint="Mend the file by hand; it has not been changed")
        self.path = path
        self.line = line
        self.reason = reason
