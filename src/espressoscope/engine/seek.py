"""Reaching a camera that may have moved: where it was, and after a moment wherever it may be by now as well.

Only a camera whose MAC is known can be looked for. What answers in its place is not taken for it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from espressoscope.device.address import Address, parse_address
from espressoscope.device.identify import Identity, identify_or_raise
from espressoscope.engine.approach import RECONNECT_TIMEOUT_S, OpenedStream, find_out
from espressoscope.engine.whereabouts import Whereabouts, other_camera
from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.model import shown_url

if TYPE_CHECKING:
    from espressoscope.engine.locator import Locator
    from espressoscope.model import CameraInfo

__all__ = ["Found", "find_known", "recognise_again", "with_mac"]

Found: TypeAlias = tuple[Address, Identity] | OpenedStream

PATIENCE_S = 1.2
"""Seconds until a camera that does not answer is looked for elsewhere too: after 1 s SYN goes out again."""
SEEK_S = 4.0
"""Longest look elsewhere, in seconds: a /24 takes one, and cameras asleep as long again."""

_TELL_THEIR_MAC = frozenset({"matchboxscope", "easytarget", "tasmota"})
"""Families that do, unless something went wrong on the way: the next time they tell it themselves."""

_log = logging.getLogger(__name__)


async def find_known(
    address: Address, info: CameraInfo, locator: Locator | None, *, seek: bool = True
) -> Found:
    """Find out what an address is, as `find_out`, for a camera of which something is known.

    Parameters
    ----------
    address : Address
        Where it was; without a host where nobody knows.
    info : CameraInfo
        If it has a MAC, a camera with another one is not taken for it.
    locator : Locator or None
        Looks for it where it may be by now, and knows MACs of cameras that do not tell theirs.
    seek : bool
        False: it is looked for where it was only.

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError
    """
    direct = asyncio.ensure_future(_at(address, info, locator))
    tasks: list[asyncio.Future[Found | None]] = [direct]
    found: Found | None = None
    try:
        if seek and locator is not None and info.mac is not None:
            await asyncio.wait([direct], timeout=PATIENCE_S)
            if not direct.done() or _may_have_moved(direct.exception()):
                tasks.append(asyncio.ensure_future(_elsewhere(address, info, locator)))
        pending = set(tasks)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if direct in done and not _may_have_moved(direct.exception()):
                break
            for task in done - {direct}:
                if (found := task.result()) is not None:
                    return found
        found = direct.result()
        assert found is not None
        return found
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, OpenedStream) and result is not found:
                result.connection.abort()  # nobody takes it any more, and it may be the camera's only one


def _may_have_moved(error: BaseException | None) -> bool:
    if isinstance(error, ConnectError):
        return error.reason not in (ConnectReason.AUTH, ConnectReason.BUSY)
    return isinstance(error, CameraError)


async def _at(address: Address, info: CameraInfo, locator: Locator | None) -> Found | None:
    if not address.host:
        raise ConnectError(
            f"nobody knows where {info.name} is, and it was not found",
            reason=ConnectReason.UNRESOLVED,
            hint="Is it switched on, and in the same network as this computer?",
        )
    found = await find_out(address, info.found_by)
    if isinstance(found, OpenedStream):
        return found
    base, identity = found
    identity = await with_mac(identity, base, locator)
    _check(info, identity)
    return base, identity


async def _elsewhere(address: Address, info: CameraInfo, locator: Locator) -> Found | None:
    try:
        async with asyncio.timeout(SEEK_S):
            url = await locator.locate(info)
            if url is None:
                return None
            base = replace(parse_address(url), path="", auth=address.auth)
            identity = await identify_or_raise(
                base, found_by=info.found_by, connect_timeout_s=RECONNECT_TIMEOUT_S
            )
            identity = await with_mac(identity, base, locator)
            _check(info, identity)
    except (CameraError, TimeoutError) as error:
        _log.info("%s was not found elsewhere: %s", info.name, error)
        return None
    if url != info.url:
        before = shown_url(info.url) or "an unknown address"
        _log.warning("%s has moved from %s to %s", info.name, before, shown_url(url))
    return base, identity


async def with_mac(identity: Identity, address: Address, locator: Locator | None) -> Identity:
    """Add the MAC that this computer knows, for a camera that has just answered and tells none.

    CameraWebServer has none in anything it says; without one it can neither be told from others of its kind
    nor looked for.
    """
    if locator is None or identity.info.mac is not None or identity.info.firmware in _TELL_THEIR_MAC:
        return identity
    mac = await locator.mac_at(address)
    return identity if mac is None else replace(identity, info=replace(identity.info, mac=mac))


async def recognise_again(
    address: Address, info: CameraInfo, locator: Locator | None, whereabouts: Whereabouts
) -> Identity | None:
    """Make sure, after a break, that what answers is still this camera.

    One that cannot tell is believed: the control server of some firmwares dies before the stream does
    (easytarget#217). But it is asked twice where the stream was broken, as it is when another board has got
    the address; and where another one has answered of late, nothing but its own word will do.

    Returns
    -------
    Identity or None
        None: it is believed.

    Raises
    ------
    ConnectError
        It is another one.
    ConnectError, CameraTimeout, RemoteProtocolError
        It does not tell who it is, and is not believed.
    """
    suspect = whereabouts.suspect
    identity: Identity | None = None
    failure: CameraError | None = None
    for _ in range(2 if whereabouts.broken or suspect else 1):
        try:
            identity = await identify_or_raise(
                address,
                found_by=info.found_by,
                timeout_s=RECONNECT_TIMEOUT_S,
                connect_timeout_s=RECONNECT_TIMEOUT_S,
            )
        except CameraError as error:
            failure = error
            continue
        identity = await with_mac(identity, address, locator)
        difference = other_camera(info, identity)
        if difference is not None:
            whereabouts.other_answered()
            raise difference
        if info.mac is None or identity.info.mac is not None:
            break
        failure = ConnectError(
            "it does not tell its MAC, and another camera has answered there of late",
            reason=ConnectReason.NOT_A_CAMERA,
            camera=info.name,
            hint="Two of them may have one address: switch one off, or change it",
        )
    else:
        if suspect and failure is not None:
            raise failure
    if identity is None:
        whereabouts.believed()
    else:
        whereabouts.verified()
    return identity


def _check(info: CameraInfo, identity: Identity) -> None:
    # A caller's word about the firmware is no identity; the MAC is.
    if info.mac is not None and (difference := other_camera(info, identity)) is not None:
        raise difference
