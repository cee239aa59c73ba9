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
from espressoscope.engine.whereabouts import other_camera
from espressoscope.errors import CameraError, ConnectError, ConnectReason

if TYPE_CHECKING:
    from espressoscope.engine.locator import Locator
    from espressoscope.model import CameraInfo

__all__ = ["Found", "find_known"]

Found: TypeAlias = tuple[Address, Identity] | OpenedStream

PATIENCE_S = 1.2
"""Seconds until a camera that does not answer is looked for elsewhere too: after 1 s SYN goes out again."""
SEEK_S = 4.0
"""Longest look elsewhere, in seconds: a /24 takes one, and cameras asleep as long again."""

_log = logging.getLogger(__name__)


async def find_known(address: Address, info: CameraInfo, locator: Locator | None) -> Found:
    """Find out what an address is, as `find_out`, for a camera of which something is known.

    Parameters
    ----------
    address : Address
        Where it was; without a host where nobody knows.
    info : CameraInfo
        If it has a MAC, a camera with another one is not taken for it.
    locator : Locator or None
        Looks for it where it may be by now; None: it is looked for where it was only.

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError
    """
    direct = asyncio.ensure_future(_at(address, info))
    tasks: list[asyncio.Future[Found | None]] = [direct]
    try:
        if locator is not None and info.mac is not None:
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
        await asyncio.gather(*tasks, return_exceptions=True)


def _may_have_moved(error: BaseException | None) -> bool:
    if isinstance(error, ConnectError):
        return error.reason not in (ConnectReason.AUTH, ConnectReason.BUSY)
    return isinstance(error, CameraError)


async def _at(address: Address, info: CameraInfo) -> Found | None:
    if not address.host:
        raise ConnectError(
            f"nobody knows where {info.name} is, and it was not found",
            reason=ConnectReason.UNRESOLVED,
            hint="Is it switched on, and in the same network as this computer?",
        )
    found = await find_out(address, info.found_by)
    if not isinstance(found, OpenedStream):
        _check(info, found[1])
    return found


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
            _check(info, identity)
    except (CameraError, TimeoutError) as error:
        _log.info("%s was not found elsewhere: %s", info.name, error)
        return None
    if url != info.url:
        _log.warning("%s has moved from %s to %s", info.name, info.url or "an unknown address", url)
    return base, identity


def _check(info: CameraInfo, identity: Identity) -> None:
    # A caller's word about the firmware is no identity; the MAC is.
    if info.mac is not None and (difference := other_camera(info, identity)) is not None:
        raise difference
