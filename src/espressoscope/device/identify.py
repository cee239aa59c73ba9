"""Tell what answers at an address: which firmware, what it calls itself, where its stream is.

Asks for `/status` first, as every tool for these cameras does, then for Tasmota's command page. Never opens a
stream: the first viewer locks every other one out.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from espressoscope.device.address import Address, clean_text
from espressoscope.device.http import CONNECT_TIMEOUT_S, SMALL_REPLY, Response, fetch
from espressoscope.errors import CameraError, ConnectError, ConnectReason, RemoteProtocolError
from espressoscope.model import CameraInfo
from espressoscope.tables.firmware import Family, family_of, recognise_status
from espressoscope.wire.status import parse_status

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

__all__ = [
    "Identity",
    "identify",
    "identify_or_raise",
    "mac_from_dump",
    "not_a_camera",
    "settings_in",
    "stream_address",
    "wants_password",
]

_MAC = re.compile(
    rb"MAC(?:\s*address)?\s*:?\s*(?:<[^>]{0,40}>\s*)*((?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})", re.I
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A camera recognised, and the `/status` it was recognised by.

    Attributes
    ----------
    info : CameraInfo
        What discovery tells.
    family : Family
        How to speak to it.
    status : Mapping
        Its parsed `/status`; empty for firmwares without.
    stream : Address or None
        Where its stream is.
    """

    info: CameraInfo
    family: Family
    status: Mapping[str, object]
    stream: Address | None


async def identify(
    address: Address,
    *,
    found_by: str,
    timeout_s: float = 5.0,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ask_mac: bool = True,
) -> Identity | None:
    """Recognise a camera, or give None where there is none, whatever the reason.

    Parameters
    ----------
    address : Address
        Control host and port.
    found_by : str
        For `CameraInfo.found_by`.
    timeout_s, connect_timeout_s : float
        Longest wait for one answer and for one connection, in seconds.
    ask_mac : bool
        Also read the MAC from `/dump`, one request more, where the firmware has it.
    """
    try:
        return await identify_or_raise(
            address,
            found_by=found_by,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            ask_mac=ask_mac,
        )
    except CameraError:
        return None


async def identify_or_raise(
    address: Address,
    *,
    found_by: str,
    timeout_s: float = 5.0,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ask_mac: bool = True,
    connected: socket.socket | None = None,
) -> Identity:
    """As `identify`, saying why when there is no camera; `connected` as for `fetch`.

    Raises
    ------
    ConnectError
        NOT_A_CAMERA, AUTH, or why there was no connection.
    CameraTimeout
        Connected, but no whole answer in time.
    RemoteProtocolError
        What answers does not speak HTTP.
    """
    camera = str(replace(address, path=""))
    reply = await fetch(
        address,
        "/status",
        timeout_s=timeout_s,
        connect_timeout_s=connect_timeout_s,
        camera=camera,
        limits=SMALL_REPLY,
        connected=connected,
    )
    if reply.status in (401, 403):
        raise wants_password(address, camera)
    if _is_tasmota(reply):
        return await _identify_tasmota(address, found_by, timeout_s, connect_timeout_s, camera)
    if reply.status == 200:
        status = _camera_status(reply, camera)
        firmware = recognise_status(status)
        if firmware is not None:
            family = family_of(firmware)
            mac = None
            # Unknown may be a relative of these, or one of them whose /status was cut short.
            if ask_mac and firmware in ("matchboxscope", "easytarget", "unknown"):
                mac = await _mac(address, timeout_s, connect_timeout_s)
            return _identity(address, family, status, found_by, mac)
    raise not_a_camera(camera, "it has no /status of a camera")


def wants_password(address: Address, camera: str) -> ConnectError:
    """Build the error for a camera that wants a user name and password, or refused them."""
    given = address.auth is not None
    return ConnectError(
        "it refused this user name and password" if given else "it wants a user name and a password",
        reason=ConnectReason.AUTH,
        camera=camera,
        hint="Give them in the address: http://USER:PASSWORD@HOST",
    )


def not_a_camera(camera: str, what: str) -> ConnectError:
    """Build the error for a host that answers, and not as a camera."""
    return ConnectError(
        f"something answers there, but it is not a camera ({what})",
        reason=ConnectReason.NOT_A_CAMERA,
        camera=camera,
        hint="Check the address; `espressoscope discover` lists the cameras it can see. "
        "For a bare MJPEG stream give its full URL",
    )


def _camera_status(reply: Response, camera: str) -> Mapping[str, object]:
    try:
        return parse_status(reply.body)
    except RemoteProtocolError:
        start = clean_text(reply.body[:40].decode("latin-1"), 40)
        raise not_a_camera(
            camera, f"its /status begins with {start!r}" if start else "its /status is empty"
        ) from None


def _identity(
    address: Address,
    family: Family,
    status: Mapping[str, object],
    found_by: str,
    mac: str | None,
    name: str = "",
) -> Identity:
    base = Address(address.host, address.port, auth=address.auth)
    stream = stream_address(base, family, status)
    # The tutorial's order: `omniscope` names the older firmware's board, `cam_name` all later ones.
    name = clean_text(name or str(status.get("omniscope") or status.get("cam_name") or "")) or family.name
    info = CameraInfo(
        name=name,
        url=base.url,
        stream_url=None if stream is None else stream.url,
        mac=mac,
        firmware=family.name,
        found_by=found_by,
    )
    return Identity(info, family, status, stream)


def settings_in(body: bytes, family: Family) -> Mapping[str, object]:
    """Read what tells a family's settings: its `/status`, or the answer to its `Family.status_command`.

    Raises
    ------
    RemoteProtocolError
        Not an object.
    """
    status = parse_status(body)
    if family.status_root is None:
        return status
    prefix = f"{family.status_root}."
    return {key.removeprefix(prefix): value for key, value in status.items() if key.startswith(prefix)}


def stream_address(base: Address, family: Family, status: Mapping[str, object]) -> Address | None:
    """Work out where the stream is: host as reached, port and path as the camera says where it does.

    A camera names its own host wrongly behind NAT, after a change of network, and when it lies; only port and
    path are believed. Firmwares that say nothing open their stream server on the control server's port plus
    one (``config.server_port += 1`` in app_httpd.cpp).
    """
    port = base.port + family.stream_port - family.control_port
    path = family.stream_path
    claimed = status.get("stream_url")
    if isinstance(claimed, str) and claimed.lower().startswith("http://"):
        try:
            parts = urlsplit(claimed)
            claimed_port = parts.port
        except ValueError:
            pass
        else:
            clean = parts.path or "/"
            if all(" " < c < "\x7f" for c in clean) and len(clean) <= 256:
                path = clean
            port = claimed_port or 80
    if not 0 < port < 65536:
        return None
    return Address(base.host, port, path, base.auth)


async def _mac(address: Address, timeout_s: float, connect_timeout_s: float) -> str | None:
    # /mac prints a pointer (`{"mac":1073421184,}`); only the text of /dump has the real one.
    try:
        reply = await fetch(
            address, "/dump", timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, limits=SMALL_REPLY
        )
    except CameraError:
        return None
    return mac_from_dump(reply.body) if reply.status == 200 else None


def mac_from_dump(body: bytes) -> str | None:
    """Read ``MAC: AA:BB:CC:DD:EE:FF`` from a `/dump` page; upper-case with colons, None where it is none."""
    found = _MAC.search(body[:65536])
    return None if found is None else _written(found[1])


def _written(mac: bytes) -> str | None:
    text = mac.decode("ascii").upper().replace("-", ":")
    # What WiFi.macAddress() gives before the radio has started is every board's: no identity.
    return None if text in ("00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF") else text


def _is_tasmota(reply: Response) -> bool:
    """Tell Tasmota by what it answers for `/status`, which it does not have: only then are commands sent.

    Every page of its web server says so in the Server header (WSHeaderSend in xdrv_01_9_webserver.ino).
    """
    return (reply.headers.get("server") or "").lower().startswith("tasmota")


async def _identify_tasmota(
    address: Address, found_by: str, timeout_s: float, connect_timeout_s: float, camera: str
) -> Identity:
    """Ask a Tasmota device for its camera's settings, then for its names; two requests at most."""
    family = family_of("tasmota")
    assert family.status_command is not None

    async def command(words: str) -> bytes:
        reply = await fetch(
            address,
            f"/cm?cmnd={words}",
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            camera=camera,
            limits=SMALL_REPLY,
        )
        # Builds before 8.2.3 ask for the password with status 200.
        if reply.status in (401, 403) or b'"Need user=' in reply.body[:64]:
            raise wants_password(address, camera)
        return reply.body if reply.status == 200 else b""

    settings: Mapping[str, object] = {}
    with contextlib.suppress(RemoteProtocolError):  # of a device without a camera: no such object
        settings = settings_in(await command(family.status_command), family)
    if not settings:
        raise not_a_camera(camera, "a Tasmota device without a camera")
    try:
        facts = (await command("Status%200")).decode("utf-8", "replace")
    except CameraError:
        facts = ""
    names = (_tasmota_text(facts, key) for key in ("DeviceName", "FriendlyName", "Topic"))
    mac = _MAC.search(f"MAC {_tasmota_text(facts, 'Mac')}".encode("ascii", "replace"))
    name = next((name for name in names if clean_text(name)), "")
    return _identity(address, family, settings, found_by, None if mac is None else _written(mac[1]), name)


def _tasmota_text(facts: str, key: str) -> str:
    # Not read as JSON: builds of early 2025 put a line of their web page into this answer (Tasmota PR#23177).
    found = re.search(rf'"{key}"\s*:\s*\[?\s*("(?:[^"\\]|\\.){{0,256}}")', facts)
    try:
        return str(json.loads(found[1], strict=False)) if found is not None else ""
    except ValueError:
        return ""
