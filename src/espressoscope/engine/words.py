"""What a link says about its camera's trouble: errors for callers, and a line for people to read.

No state of its own: everything is said from what it is given.
"""

from __future__ import annotations

from espressoscope.errors import CameraTimeout, ConnectError, ConnectReason

__all__ = [
    "broken",
    "busy",
    "ended",
    "frozen",
    "lacking",
    "no_opening",
    "restarted",
    "silent",
    "slow",
    "stolen",
    "trying_again",
]


def busy(camera: str) -> ConnectError:
    """Say that it is connected, in silence, and its control port answers."""
    return ConnectError(
        "another viewer holds its only stream",
        reason=ConnectReason.BUSY,
        camera=camera,
        hint="Close the other viewer, browser tabs too; the stream then comes by itself",
    )


def stolen(camera: str, pause_s: float) -> ConnectError:
    """Say that a Tasmota has given the stream to whoever asked last."""
    return ConnectError(
        "another viewer took its stream",
        reason=ConnectReason.BUSY,
        camera=camera,
        hint=f"It serves the newest viewer only: close the other one; it is asked again after {pause_s:g} s",
    )


def silent(camera: str, silent_s: float) -> CameraTimeout:
    """Say that it is connected, but not a byte came, or none any more."""
    return CameraTimeout(
        f"not a byte came for {silent_s:.0f} s",
        phase="stream",
        timeout_s=round(silent_s, 1),
        camera=camera,
        hint="Check its power and its radio; it reconnects by itself when the camera is back",
    )


def ended(camera: str) -> ConnectError:
    """Say that the camera closed the connection between two pictures."""
    return ConnectError(
        "it ended the stream",
        reason=ConnectReason.UNREACHABLE,
        camera=camera,
        hint="It reconnects by itself; if this goes on, its power supply or its radio may be weak",
    )


def broken(camera: str) -> ConnectError:
    """Say that the connection ended within a picture, or before the first."""
    return ConnectError(
        "its stream broke off",
        reason=ConnectReason.UNREACHABLE,
        camera=camera,
        hint="It reconnects by itself; if this goes on, its power supply or its radio may be weak",
    )


def restarted(camera: str) -> ConnectError:
    """Say that it no longer knew the connection."""
    return ConnectError(
        "it has restarted, or was away",
        reason=ConnectReason.UNREACHABLE,
        camera=camera,
        hint="It reconnects by itself; if this goes on, its power supply or its radio may be weak",
    )


def no_opening(camera: str, waited_s: float) -> CameraTimeout:
    """Say that the attempt to connect came to no end."""
    return CameraTimeout(
        f"the stream did not open within {waited_s:g} s",
        phase="connect",
        timeout_s=waited_s,
        camera=camera,
        hint="Is it switched on, and in the same network as this computer?",
    )


def lacking(camera: str, lacking_s: float) -> CameraTimeout:
    """Say that bytes come, but hardly a picture."""
    return CameraTimeout(
        f"no whole picture came for {lacking_s:.0f} s",
        phase="stream",
        timeout_s=round(lacking_s, 1),
        camera=camera,
        hint="Its radio may be weak or crowded: a smaller framesize or a higher quality number helps",
    )


def slow(lacking_s: float, bytes_per_s: float, damaged: int) -> str:
    """Say the same with figures."""
    text = f"no whole picture for {lacking_s:.0f} s: "
    if damaged:
        return text + f"{damaged} damaged ones came"
    if bytes_per_s >= 10_000:
        return text + f"only {bytes_per_s / 1000:.0f} KB/s come"
    return text + (f"only {bytes_per_s:.0f} bytes/s come" if bytes_per_s >= 1 else "not a byte comes")


def frozen(since_s: float) -> str:
    """Say that the camera sends, but sees nothing new."""
    return f"the same picture for {since_s:.0f} s: switch the camera off and on"


def trying_again(what: str, left_s: float) -> str:
    """Say what is wrong and when it is tried again."""
    return f"{what}; trying again " + (f"in {left_s:.0f} s" if left_s >= 1 else "now")
