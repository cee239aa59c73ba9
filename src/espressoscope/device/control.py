"""Control requests to one camera: one at a time, each on its own connection, with the device's own patience.

The device serves requests strictly one after the other (one task per server), so a second one sent meanwhile
would only fill one of its seven sockets.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from espressoscope.device.http import CONNECT_TIMEOUT_S, REPLY_LIMITS, SMALL_REPLY, Response, fetch
from espressoscope.device.identify import wants_password
from espressoscope.errors import CameraTimeout, RemoteProtocolError

if TYPE_CHECKING:
    from espressoscope.device.address import Address

__all__ = ["AUTOFOCUS_TIMEOUT_S", "CAPTURE_TIMEOUT_S", "REBOOT_TIMEOUT_S", "REPLY_TIMEOUT_S", "ControlPort"]

# Waits of PROTOCOL section 9, in seconds.
REPLY_TIMEOUT_S = 5.0
"""/status and /control: the first answer after idling may take long."""
CAPTURE_TIMEOUT_S = 8.0
"""/capture: 4 s until the driver gives up on a frame, the flash lamp, and the transfer."""
AUTOFOCUS_TIMEOUT_S = 60.0
"""Autofocus answers when it has finished; about 41 motor positions take 10 to 20 s."""
REBOOT_TIMEOUT_S = 30.0
"""From the request until `/status` answers again: 3 s watchdog, 5 to 10 s boot and WiFi."""


class ControlPort:
    """The control server of one camera.

    Parameters
    ----------
    address : Address
        Host, port and password.
    camera : str
        Named in errors.
    """

    def __init__(self, address: Address, camera: str) -> None:
        self.address = address
        self.camera = camera
        self._one_at_a_time = asyncio.Lock()

    async def get(self, path: str, *, timeout_s: float, phase: str, tries: int = 1) -> Response:
        """Ask for a path, when no other request is under way.

        Parameters
        ----------
        path : str
            Raw path and query.
        timeout_s : float
            Longest wait for one answer, in seconds.
        phase : str
            Named in a `CameraTimeout`.
        tries : int
            How often to ask when no answer comes; 1 for requests that must not happen twice.

        Raises
        ------
        ConnectError, CameraTimeout, RemoteProtocolError
            401 and 403 are a ConnectError with reason AUTH; other status codes are the caller's.
        """
        async with self._one_at_a_time:
            while True:
                tries -= 1
                try:
                    reply = await fetch(
                        self.address,
                        path,
                        timeout_s=timeout_s,
                        connect_timeout_s=min(timeout_s, CONNECT_TIMEOUT_S),
                        phase=phase,
                        camera=self.camera,
                        limits=REPLY_LIMITS if phase == "capture" else SMALL_REPLY,
                    )
                except (CameraTimeout, RemoteProtocolError):
                    if tries <= 0:
                        raise
                else:
                    break
        if reply.status in (401, 403):
            raise wants_password(self.address, self.camera)
        return reply
