"""What the engine asks of whoever can find a camera that has moved; `api` provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from espressoscope.device.address import Address
    from espressoscope.model import CameraInfo

__all__ = ["Locator"]


class Locator(Protocol):
    """Finds a camera again by its identity after its address has changed."""

    async def locate(self, info: CameraInfo) -> str | None:
        """Look for the camera with this `CameraInfo.mac`.

        Bounds its own time and traffic; may be asked for many cameras at once, and again and again.

        Returns
        -------
        str or None
            The URL of its control base now, which may be the one it had; None when it is not to be found.
        """

    async def mac_at(self, address: Address) -> str | None:
        """Tell the MAC of what has just answered at an address; sends nothing.

        Returns
        -------
        str or None
            Upper-case with colons; None where this computer does not know it for certain.
        """
