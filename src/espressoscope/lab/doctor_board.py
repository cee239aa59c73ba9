"""What a board tells of itself beside its settings: radio, uptime, viewers (`/dump`, Tasmota's status)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from espressoscope.device.http import Response, fetch
from espressoscope.device.identify import mac_from_dump
from espressoscope.errors import CameraError
from espressoscope.lab.doctor_words import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from espressoscope.device.address import Address

__all__ = ["GOOD_RSSI_DBM", "WEAK_RSSI_DBM", "Board", "parse_dump", "read_dump", "restarted"]

GOOD_RSSI_DBM: Final = -67
"""The least that networks for voice and video are laid out for (MetaGeek, "WiFi signal strength basics")."""
WEAK_RSSI_DBM: Final = -75
"""Below, throughput falls off; Espressif's own mesh looks for another parent from -78 to -85 dBm on
(`esp_mesh_set_rssi_threshold` in esp_mesh_internal.h)."""

_JUST_STARTED_S: Final = 60
_CLOCKS_DIFFER_S: Final = 3.0
"""Uptimes are whole seconds, and an answer may take two."""
_TIMEOUT_S: Final = 3.0
_MOST_BYTES: Final = 64 * 1024

_RSSI: Final = re.compile(rb"\bRssi:\s*(-?\d{1,3})\b", re.I)
_UP: Final = re.compile(rb"\bUp:\s*(\d{1,5}):(\d{1,2}):(\d{1,2}):(\d{1,2})\b")
_VIEWERS: Final = re.compile(rb"\bActive streams:\s*(\d{1,3})\b", re.I)
_STREAM_PORT: Final = re.compile(rb"\bStream port:\s*(\d{1,5})\b", re.I)
_MODE: Final = re.compile(rb"\bMode:\s*(Access\s*Point|Client)", re.I)
_SSID: Final = re.compile(rb"\bSSID:\s*([^<\r\n]{1,64})", re.I)
_SIGNAL: Final = re.compile(rb'"Signal":\s*(-?\d{1,3})\b')
_UP_SECONDS: Final = re.compile(rb'"UptimeSec":\s*(\d{1,9})\b')


@dataclass(frozen=True, slots=True)
class Board:
    """What a board told.

    Attributes
    ----------
    mac : str or None
    rssi_dbm : int or None
        How well its radio hears the access point.
    uptime_s : int or None
        Seconds since it started.
    read_at_s : float
        `time.monotonic` when it told that.
    viewers : int or None
        Streams it counts at the moment.
    stream_port : int or None
    own_network : bool
        It is its own access point.
    ssid : str
        Name of the network it is in, or makes; empty where it does not tell.
    """

    mac: str | None
    rssi_dbm: int | None
    uptime_s: int | None
    read_at_s: float
    viewers: int | None = None
    stream_port: int | None = None
    own_network: bool = False
    ssid: str = ""

    def radio(self) -> Iterator[Finding]:
        """Say how good its radio connection is, as far as it tells."""
        if self.own_network:
            yield finding("own-network")
        elif self.rssi_dbm is not None:
            rssi, weak, good = self.rssi_dbm, WEAK_RSSI_DBM, GOOD_RSSI_DBM
            code = "radio" if rssi >= good else "radio-fair" if rssi >= weak else "radio-weak"
            yield finding(code, rssi=rssi, good=good, weak=weak)

    def age(self) -> Iterator[Finding]:
        """Say how long it has been running, as far as it tells."""
        if self.uptime_s is None:
            return
        if self.uptime_s < _JUST_STARTED_S:
            yield finding("just-started", seconds=self.uptime_s)
        else:
            yield finding("running", time=_duration(self.uptime_s))


def restarted(first: Board | None, second: Board | None) -> bool:
    """Tell whether a board started anew between two readings."""
    if first is None or second is None or first.uptime_s is None or second.uptime_s is None:
        return False
    started_first = first.read_at_s - first.uptime_s
    return second.read_at_s - second.uptime_s - started_first > _CLOCKS_DIFFER_S


async def read_dump(address: Address, family: str) -> Board | None:
    """Ask a board; None where its firmware has nothing of the kind, or does not answer within 3 s."""
    path = "/cm?cmnd=Status%2011" if family == "tasmota" else "/dump"
    if family in ("camerawebserver", "esphome"):
        return None
    try:
        reply = await fetch(address, path, timeout_s=_TIMEOUT_S, connect_timeout_s=_TIMEOUT_S)
    except CameraError:
        return None
    return parse_dump(reply) if reply.status == 200 else None


def parse_dump(reply: Response) -> Board:
    """Read the answer: a page for people (``dump_handler`` in app_httpd.cpp), or Tasmota's JSON."""
    body = reply.body[:_MOST_BYTES]
    rssi = _number(_RSSI.search(body) or _SIGNAL.search(body))
    up = _UP.search(body)
    uptime_s = _number(_UP_SECONDS.search(body))
    if up is not None:
        days, hours, minutes, seconds = map(int, up.groups())
        uptime_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    port = _number(_STREAM_PORT.search(body))
    mode, ssid = _MODE.search(body), _SSID.search(body)
    return Board(
        mac=mac_from_dump(body),
        # 0 is what WiFi.RSSI() gives without a connection; nothing hears better than -10 dBm.
        rssi_dbm=rssi if rssi is not None and -120 <= rssi < 0 else None,
        uptime_s=uptime_s,
        read_at_s=time.monotonic(),
        viewers=_number(_VIEWERS.search(body)),
        stream_port=port if port is not None and 0 < port < 65536 else None,
        own_network=mode is not None and mode[1][:1] in b"aA",
        ssid="" if ssid is None else ssid[1].decode("utf-8", "replace").strip(),
    )


def _number(found: re.Match[bytes] | None) -> int | None:
    return None if found is None else int(found[1])


def _duration(seconds: int) -> str:
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
