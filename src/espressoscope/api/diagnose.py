"""`diagnose`: why there is no camera, or no good picture, as findings in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.api.locator import locating
from espressoscope.api.reports import Reports
from espressoscope.api.roll import whereabouts_of
from espressoscope.discovery.places import find_places
from espressoscope.lab.doctor import examine_camera, examine_network, why_none
from espressoscope.lab.doctor_words import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network, IPv6Network

    from espressoscope.lab.entries import Member
    from espressoscope.model import CameraInfo

__all__ = ["Finding", "diagnose"]


def diagnose(
    camera: str | CameraInfo | Member | None = None,
    networks: str | IPv4Network | IPv6Network | Iterable[str | IPv4Network | IPv6Network] | None = None,
    *,
    search: bool = True,
) -> Reports[Finding]:
    """Find out what is wrong, with a camera or with finding one; tell what was found and what to try.

    It begins with the call, takes 20 s at most, and disturbs nobody: nothing is set, no single picture is
    taken, and the camera's stream is held for a few seconds and given back. While somebody else holds it,
    it is only waited for.

    Parameters
    ----------
    camera : str, CameraInfo or Member, optional
        As for `Camera`; one whose MAC is known is looked for when it is not where it was. Without: this
        computer's networks are looked at and cameras searched for; the only one found is looked at like one
        that was given.
    networks : str, network or iterable of them, optional
        Search there, as for `discover`; not with `camera`.
    search : bool
        False: a search has just found nothing. Say what this computer knows about that; nothing is sent.

    Returns
    -------
    iterator of Finding
        As they come; also a context manager. All is well when none has ``ok`` False.

    Raises
    ------
    ConnectError, UnsupportedError, FleetFileError
        `camera` is no address, and no name of the fleet file: at once, nothing has been sent.
    DiscoveryError
        `networks` cannot be searched: at once.

    Examples
    --------
    >>> import espressoscope as es
    >>> for finding in es.diagnose("192.168.4.1"):  # doctest: +SKIP
    ...     if finding.ok is False:
    ...         print(finding.words, finding.advice)
    """
    if camera is not None:
        address, known = whereabouts_of(camera)
        return Reports(lambda tell: examine_camera(address, tell, known, locating(known)))
    places = find_places(networks)
    examine = examine_network if search else why_none
    return Reports(lambda tell: examine(places, tell, given=networks is not None))
