"""`join_wifi`: a camera from its own access point into a network, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.api.locator import locating
from espressoscope.api.reports import Reports
from espressoscope.api.roll import whereabouts_of
from espressoscope.discovery.networks import check_timeout, parse_networks
from espressoscope.lab.wifi import WifiStep
from espressoscope.lab.wifi import join_wifi as _join_wifi

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network, IPv6Network

    from espressoscope.lab.entries import Member
    from espressoscope.model import CameraInfo

__all__ = ["WifiStep", "join_wifi"]


def join_wifi(
    camera: str | CameraInfo | Member,
    ssid: str,
    password: str,
    *,
    timeout: float = 180.0,
    networks: str | IPv4Network | IPv6Network | Iterable[str | IPv4Network | IPv6Network] | None = None,
) -> Reports[WifiStep]:
    """Tell a camera which WiFi to join, restart it, and find it there by its MAC.

    Name and password travel to the camera raw and unencrypted: whoever listens to the network it is in now
    can read them. The password is never part of a message, a log line or a `repr`.

    A camera that is its own access point leaves this computer without a network: join the WiFi meanwhile, the
    search goes on. A camera that cannot join becomes its own access point again.

    Parameters
    ----------
    camera : str, CameraInfo or Member
        As for `Camera`; a new board is ``"192.168.4.1"``. One whose MAC is known is looked for when it is not
        where it was, and no other one is told.
    ssid, password : str
        At most 31 ASCII characters each, without space, ``&``, ``#`` and ``%``. An empty password stands for
        an open network.
    timeout : float
        Longest search after the restart, in seconds.
    networks : str, network or iterable of them, optional
        Look for it there, as for `discover`.

    Returns
    -------
    iterator of WifiStep
        As it goes; also a context manager. The last one says how it ended: all is well when its ``code`` is
        ``"found"``, and its ``camera`` tells the new address.

    Raises
    ------
    ConnectError, UnsupportedError, FleetFileError, DiscoveryError
        `camera` is no address and no name of the fleet file, or `timeout` or `networks` cannot be used: at
        once.
    CameraError
        While iterating: the camera could not be told. A SettingError when its firmware cannot take a
        character, an UnsupportedError when it cannot be told at all; nothing has been sent then.

    Examples
    --------
    >>> import espressoscope as es
    >>> from getpass import getpass
    >>> for step in es.join_wifi("192.168.4.1", "lab", getpass()):  # doctest: +SKIP
    ...     print(step.words, step.advice)
    """
    address, known = whereabouts_of(camera)
    timeout_s = check_timeout(timeout)
    where = None if networks is None else parse_networks(networks)
    return Reports(
        lambda tell: _join_wifi(
            address,
            ssid,
            password,
            tell,
            timeout_s=timeout_s,
            networks=where,
            meant=known,
            locate=locating(known),
        )
    )
