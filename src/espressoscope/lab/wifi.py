"""Taking a new board from its own access point into a network, and finding it again there by its MAC."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from espressoscope.device.address import clean_text, parse_address
from espressoscope.device.camera import CameraDevice
from espressoscope.device.identify import identify_or_raise
from espressoscope.discovery.memory import remember
from espressoscope.discovery.networks import local_links
from espressoscope.discovery.places import ACCESS_POINT, find_places
from espressoscope.discovery.search import search
from espressoscope.errors import (
    CameraError,
    ConnectError,
    ConnectReason,
    DiscoveryError,
    SettingError,
    UnsupportedError,
)
from espressoscope.lab.doctor_board import read_dump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from espressoscope.device.address import Address
    from espressoscope.device.identify import Identity
    from espressoscope.discovery.networks import Network
    from espressoscope.model import CameraInfo

__all__ = ["WifiStep", "join_wifi"]

_FIRST_LOOK_S: Final = 6.0
"""3 s until the watchdog bites, 3 s at least until a network has been joined (main.ino)."""
_PAUSE_S: Final = 3.0
_ROUND_S: Final = 20.0
_CLOCKS_DIFFER_S: Final = 3
_RESTARTS_WITHIN_S: Final = 30.0
_SEEK_S: Final = 4.0
"""Longest look for a camera that is not at its address, before it is told anything."""
_SHORTEST_PASSWORD: Final = 8
"""Of WPA (IEEE 802.11, passphrase of 8 to 63 characters); an empty one stands for an open network."""

_FAMILIES: Final = frozenset({"matchboxscope"})
"""Those whose control takes ``ssid`` and ``password`` (app_httpd.cpp, cmd_handler)."""

_TEXTS: Final[Mapping[str, tuple[bool | None, str, str]]] = MappingProxyType(
    {
        "reached": (True, "{name} answers at {host}{mac}.", ""),
        "told": (True, "It has been told to join {ssid}, and restarts now: that takes ten seconds.", ""),
        "switch": (
            None,
            "This computer is in the camera's own network, which goes away now.",
            "Join the WiFi {ssid} with this computer; the camera is looked for meanwhile.",
        ),
        "looking": (None, "Looking for it in {places}.", ""),
        "found": (True, "{name} is back, at {host}.", ""),
        "alone": (
            False,
            "It is back as its own access point: it could not join {ssid}.",
            "Check name and password, capitals count. ESP32 boards join 2.4 GHz networks only, and none that "
            "asks for a login. Bring it closer to the access point, then try again.",
        ),
        "elsewhere": (
            False,
            "It is back, but in the network {other} and not in {ssid}.",
            "Try again. A board that does not keep what it is told needs a current firmware: "
            "https://matchboxscope.github.io.",
        ),
        "not-restarted": (
            False,
            "It has not restarted.",
            "Switch it off and on: it then joins {ssid}. `espressoscope discover` finds it there.",
        ),
        "no-mac": (
            None,
            "It does not tell its MAC, so it cannot be told from others of its kind.",
            "Join the WiFi {ssid} with this computer; `espressoscope discover` lists the cameras there.",
        ),
        "not-found": (
            False,
            "It was not found within {seconds} s.",
            "Is this computer in the network {ssid}? `espressoscope discover` looks again. A camera that "
            "could not join makes its own network again: look for the WiFi {own}.",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class WifiStep:
    """A step on a camera's way into a network.

    Attributes
    ----------
    code : str
        ``"reached"``, ``"told"``, ``"switch"``, ``"looking"``; and in the end ``"found"``, ``"alone"`` (it is
        its own access point again), ``"elsewhere"``, ``"not-restarted"``, ``"no-mac"`` or ``"not-found"``.
    ok : bool or None
        False where it went wrong; None for something to know or to do.
    words : str
        What happened.
    advice : str
        What to do; empty where there is nothing to do.
    camera : CameraInfo or None
        The camera, where it is known to be.
    """

    code: str
    ok: bool | None
    words: str
    advice: str
    camera: CameraInfo | None = None


def _step(code: str, camera: CameraInfo | None = None, **facts: object) -> WifiStep:
    ok, words, advice = _TEXTS[code]
    shown = {name: clean_text(str(fact), 120) for name, fact in facts.items()}
    return WifiStep(code, ok, words.format(**shown), advice.format(**shown), camera)


async def join_wifi(
    address: Address,
    ssid: str,
    password: str,
    tell: Callable[[WifiStep], None],
    *,
    timeout_s: float,
    networks: str | Network | Iterable[str | Network] | None = None,
    meant: CameraInfo | None = None,
    locate: Callable[[], Awaitable[str | None]] | None = None,
) -> None:
    """Tell a camera which network to join, restart it, and find it there.

    Parameters
    ----------
    address : Address
        Where it is now.
    ssid, password : str
        Sent raw and unencrypted; the password is never part of a message.
    tell : callable
        Takes the steps, on the loop's thread; the last one says how it ended.
    timeout_s : float
        Longest search, in seconds.
    networks : str, network or iterable of them, optional
        Where to look; as for a search.
    meant : CameraInfo, optional
        What is known of it. With a MAC, no other camera is told anything.
    locate : async callable, optional
        Looks for it when it is not at its address; gives its URL, or None.

    Raises
    ------
    ConnectError, CameraTimeout, RemoteProtocolError
        It could not be told, or it is another one that answers.
    SettingError
        Its firmware cannot take this name or password; nothing has been sent.
    UnsupportedError
        Its firmware cannot be told over the network.
    """
    _check(ssid, password)
    wanted = None if meant is None else meant.mac
    address, identity = await _reach(address, wanted, locate)
    device = CameraDevice(address, identity)
    if identity.family.name not in _FAMILIES:
        raise UnsupportedError(
            f"{identity.family.title} cannot be told a network this way",
            camera=device.camera,
            hint="Its network is set when its firmware is built, or on its own set-up page",
        )
    mac = identity.info.mac
    if mac != (wanted or mac):
        raise _other_camera(device.camera, identity, wanted)
    name = identity.info.name if meant is None else meant.name
    tell(
        _step(
            "reached",
            identity.info,
            name=name,
            host=device.camera,
            mac=f", MAC {mac}" if mac else "",
        )
    )
    await device.set_wifi(ssid, password)
    restarted_at = asyncio.get_running_loop().time()
    await device.reboot(wait=False)
    tell(_step("told", ssid=ssid))
    if _only_with_the_camera(address.host):
        tell(_step("switch", ssid=ssid))
    if mac is None:
        tell(_step("no-mac", ssid=ssid))
        return
    port = None if address.port == 80 else address.port
    hunt = _Hunt(mac, name, ssid, restarted_at, tell, networks, port)
    try:
        async with asyncio.timeout(timeout_s):
            tell(await hunt.run())
    except TimeoutError:
        own = f"Matchboxscope-{mac.replace(':', '')}"
        code = "not-restarted" if hunt.not_restarted else "not-found"
        tell(_step(code, seconds=f"{timeout_s:.0f}", ssid=ssid, own=own))


async def _reach(
    address: Address, wanted: str | None, locate: Callable[[], Awaitable[str | None]] | None
) -> tuple[Address, Identity]:
    """Recognise the camera at its address, or where it is by now if that is another one or none."""
    problem: CameraError | None = None
    if address.host:
        try:
            identity = await identify_or_raise(address, found_by="given")
        except CameraError as error:
            problem = error
        else:
            if wanted is None or identity.info.mac in (None, wanted):
                return address, identity
            problem = _other_camera(str(address), identity, wanted)
    url = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SEEK_S):
            url = None if locate is None else await locate()
    if url is None:
        raise problem or _nowhere(wanted)
    address = replace(parse_address(url), path="", auth=address.auth)
    return address, await identify_or_raise(address, found_by="given")


def _other_camera(camera: str, identity: Identity, wanted: str | None) -> ConnectError:
    return ConnectError(
        f"the camera that answers there is {identity.info.mac or 'one that does not tell its MAC'}, "
        f"and not {wanted}: it is told nothing",
        reason=ConnectReason.NOT_A_CAMERA,
        camera=camera,
        hint="Its address has been given to another one: search for it with `espressoscope discover`",
    )


def _nowhere(wanted: str | None) -> ConnectError:
    return ConnectError(
        f"nobody knows where the camera {wanted} is, and it was not found",
        reason=ConnectReason.UNRESOLVED,
        hint="Is it switched on, and in the same network as this computer? Or give its address",
    )


def _check(ssid: str, password: str) -> None:
    """Refuse what no network can have; what this firmware cannot take is refused by the device."""
    if not ssid:
        raise SettingError("a network has a name", hint="Give its name, the SSID")
    if password and len(password) < _SHORTEST_PASSWORD:
        raise SettingError(
            f"a WiFi password has at least {_SHORTEST_PASSWORD} characters, this one {len(password)}",
            hint="Leave it empty for an open network",
        )


def _only_with_the_camera(host: str) -> bool:
    """Tell whether this computer reaches a camera through the camera's own access point."""
    return host == ACCESS_POINT and not any(str(link.address) == host for link in local_links())


class _Hunt:
    """The search for one camera that may be in any network by now, and this computer too."""

    def __init__(
        self,
        mac: str,
        name: str,
        ssid: str,
        restarted_at: float,
        tell: Callable[[WifiStep], None],
        networks: str | Network | Iterable[str | Network] | None,
        port: int | None,
    ) -> None:
        self.not_restarted = False
        self._mac = mac
        self._name = name
        self._ssid = ssid
        self._restarted_at = restarted_at
        self._tell = tell
        self._networks = networks
        self._port = port
        self._looked = ""

    async def run(self) -> WifiStep:
        """Search, pause, search again, until it is found; give the last step."""
        await asyncio.sleep(_FIRST_LOOK_S)
        while True:
            verdict = await self._round()
            if verdict is not None:
                return verdict
            await asyncio.sleep(_PAUSE_S)

    async def _round(self) -> WifiStep | None:
        with contextlib.suppress(TimeoutError, DiscoveryError):
            # Anew each time: this computer may have changed its network.
            places = find_places(self._networks, self._port)
            where = places.describe()
            if where != self._looked:
                self._looked = where
                self._tell(_step("looking", places=where))
            async with asyncio.timeout(_ROUND_S), contextlib.aclosing(search(places)) as found:
                async for info in found:
                    if info.mac == self._mac:
                        verdict = await self._judge(info)
                        if verdict is not None and verdict.ok and places.remembers:
                            remember([info])
                        return verdict
        return None

    async def _judge(self, info: CameraInfo) -> WifiStep | None:
        """Say what it means that it answers here; None where it has not restarted yet."""
        board = await read_dump(parse_address(info.url), info.firmware)
        since_s = asyncio.get_running_loop().time() - self._restarted_at
        if board is not None and board.uptime_s is not None:
            if board.uptime_s > since_s + _CLOCKS_DIFFER_S:
                self.not_restarted = True
                if since_s > _RESTARTS_WITHIN_S:
                    return _step("not-restarted", info, ssid=self._ssid)
                return None
            self.not_restarted = False
        if board is not None and board.own_network:
            return _step("alone", info, ssid=self._ssid)
        if board is not None and board.ssid and board.ssid != self._ssid:
            return _step("elsewhere", info, ssid=self._ssid, other=board.ssid)
        return _step("found", info, name=self._name, host=info.shown.url.removeprefix("http://"))
