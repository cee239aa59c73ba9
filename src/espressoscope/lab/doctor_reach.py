"""Whether a camera answers on its control port, and why not.

The requests are those of a search, one at a time: `/status`, `/dump`. Nothing is set, no picture is taken.
A stream is asked only whether it answers at all, and only where the control port does not.
"""

from __future__ import annotations

import asyncio
import errno
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from espressoscope.device.address import clean_text
from espressoscope.device.http import CONNECT_TIMEOUT_S, Response, fetch
from espressoscope.device.identify import Identity, identify_or_raise
from espressoscope.discovery.census import mac_at
from espressoscope.errors import CameraError, CameraTimeout, ConnectError, ConnectReason, RemoteProtocolError
from espressoscope.lab.doctor_board import Board, read_dump
from espressoscope.lab.doctor_network import held_here
from espressoscope.lab.doctor_stream import watch
from espressoscope.lab.doctor_words import finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.device.address import Address
    from espressoscope.lab.doctor_network import Surroundings
    from espressoscope.lab.doctor_words import Finding
    from espressoscope.model import CameraInfo

__all__ = ["Reached", "reach", "tell_held_here"]

_PATIENCE_S: Final = (5.0, 3.0)
"""Waits for the first answer: a camera that was busy answers the second time."""
_NEXT_ANSWERS_S: Final = 3.0
_STREAM_SIGN_S: Final = 2.5
_TELL_NO_MAC: Final = frozenset({"camerawebserver", "unknown"})
_LATE_S: Final = 1.5
_SILENCE: Final = {errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT}


@dataclass(frozen=True, slots=True)
class Reached:
    """A camera that answers, or a stream that may be one.

    Attributes
    ----------
    identity : Identity or None
        None where its `/status` tells nothing.
    stream : Address or None
        Where its stream should be.
    board : Board or None
        What its `/dump` told, where it has one.
    bare : bool
        It is no camera as far as can be told; perhaps a bare stream.
    """

    identity: Identity | None
    stream: Address | None
    board: Board | None
    bare: bool = False


async def reach(
    address: Address,
    host: str,
    around: Surroundings,
    tell: Callable[[Finding], None],
    meant: CameraInfo | None = None,
) -> Reached | None:
    """Ask a control port who is there.

    Parameters
    ----------
    address : Address
        Without a path.
    host : str
        The same host as a number.
    around : Surroundings
        Of this computer.
    tell : callable
        Takes what is found.
    meant : CameraInfo, optional
        What is known of the camera that should be there.

    Returns
    -------
    Reached or None
        None where nothing more can be asked; why has been told.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    reply = await _first_answer(address, host, around, tell)
    if reply is None:
        return None
    seconds = loop.time() - started
    if seconds > _LATE_S:
        tell(finding("answers-late", seconds=f"{seconds:.1f}"))
    if reply.status in (401, 403):
        tell(finding("wants-password", host=address))
        return None
    try:
        identity = await identify_or_raise(
            address, found_by="given", timeout_s=_NEXT_ANSWERS_S, ask_mac=False
        )
    except ConnectError as error:
        if error.reason is ConnectReason.AUTH:
            tell(finding("wants-password", host=address))
            return None
        return await _no_camera(address, reply, tell)
    except CameraError:
        tell(finding("breaks-off", host=address))
        return None
    board = await read_dump(address, identity.family.name)
    mac = identity.info.mac or (None if board is None else board.mac)
    if mac is None and identity.family.name in _TELL_NO_MAC:
        mac = await mac_at(host, address.port)
    another = meant is not None and meant.mac is not None and mac is not None and mac != meant.mac
    tell(
        finding(
            "camera",
            name=identity.info.name if meant is None or another else meant.name,
            host=address,
            firmware=identity.family.title,
            mac=f", MAC {mac}" if mac else "",
        )
    )
    if meant is not None and another:
        tell(finding("other-camera", mac=mac, wanted=meant.mac))
        return None
    if identity.family.status_path is not None and not _is_json(reply.body):
        tell(finding("status-sloppy"))
    return Reached(identity, identity.stream, board)


async def _first_answer(
    address: Address, host: str, around: Surroundings, tell: Callable[[Finding], None]
) -> Response | None:
    """Get any whole answer for `/status`; tell why there is none."""
    waited_s = 0.0
    for patience_s in _PATIENCE_S:
        try:
            return await fetch(
                address,
                "/status",
                timeout_s=patience_s,
                connect_timeout_s=CONNECT_TIMEOUT_S,
                camera=str(address),
            )
        except CameraTimeout as error:
            if error.phase == "connect":
                for found in await around.unanswered(host, address.port, CONNECT_TIMEOUT_S):
                    tell(found)
                return None
            waited_s += patience_s
        except ConnectError as error:
            await _no_connection(error, address, host, around, tell)
            return None
        except RemoteProtocolError as error:
            tell(finding("no-http" if error.sample else "breaks-off", host=address))
            return None
    await _explain_silence(address, host, waited_s, tell)
    return None


async def _no_connection(
    error: ConnectError, address: Address, host: str, around: Surroundings, tell: Callable[[Finding], None]
) -> None:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else None
    if error.reason is ConnectReason.REFUSED:
        tell(finding("refused", host=address.host, port=address.port))
    elif cause is not None and cause.errno in _SILENCE and around.near(host):
        for found in await around.unanswered(host, address.port, CONNECT_TIMEOUT_S):
            tell(found)
    else:
        tell(around.no_way(host, cause))


async def _explain_silence(
    address: Address, host: str, waited_s: float, tell: Callable[[Finding], None]
) -> None:
    """Tell a control server that is starved from a board that hangs, by its stream port."""
    seconds = f"{waited_s:.0f}"
    stream = replace(address, port=address.port + 1, path="/")
    sign = None
    if stream.port <= 65535:
        sign = await watch(stream, str(stream), silence_s=_STREAM_SIGN_S, glance=True)
    if sign is None or sign.refused or not sign.connected:
        tell(finding("mute", host=address, port=address.port, seconds=seconds))
    elif sign.received:
        tell(
            finding(
                "sockets-used-up", host=address, port=address.port, stream_port=stream.port, seconds=seconds
            )
        )
    else:
        tell(finding("hangs", port=address.port, stream_port=stream.port))
    tell_held_here(host, address.port, tell)


def tell_held_here(host: str, port: int, tell: Callable[[Finding], None]) -> None:
    """Say so when programs on this computer hold connections to a port."""
    count = held_here(host, port)
    if count:
        connections = "one connection" if count == 1 else f"{count} connections"
        tell(finding("held-here", connections=connections, port=port))


async def _no_camera(address: Address, reply: Response, tell: Callable[[Finding], None]) -> Reached | None:
    """Look closer at what answers `/status`, but not as a camera: `/dump` tells a camera all the same."""
    board = await read_dump(address, "unknown") if reply.status in (200, 404) else None
    if board is not None and board.mac is not None:
        stream = replace(address, port=board.stream_port or min(address.port + 1, 65535), path="/")
        if reply.status == 404 or reply.body.strip() == b"{}":
            tell(finding("no-sensor"))
            return None
        start = repr(clean_text(reply.body[:40].decode("latin-1"), 24)) if reply.body else "nothing"
        tell(finding("status-unreadable", start=start, stream=stream.url))
        return Reached(None, stream, board)
    what = f"HTTP {reply.status} for /status" if reply.status != 200 else "its /status is another one's"
    # ESPHome and other bare streams have no /status; only a page that is there and no camera's ends it here.
    if reply.status == 200:
        tell(finding("not-a-camera", host=address, what=what))
        return None
    return Reached(None, replace(address, path="/"), None, bare=True)


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
