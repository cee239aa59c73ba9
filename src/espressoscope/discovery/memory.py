"""Hosts at which cameras were found before, in a small file of the user's; nothing of the network is here.

Written atomically, never trusted: what cannot be read counts as absent, and a search never fails for it.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from espressoscope.device.address import clean_text
from espressoscope.disk import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from espressoscope.model import CameraInfo

__all__ = ["Remembered", "recall", "remember", "state_file"]

MOST_HOSTS = 256
_MOST_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class Remembered(NamedTuple):
    """A host at which a camera was found.

    Attributes
    ----------
    host : str
        Its address.
    port : int
        Port of its control requests.
    mac, name : str
        As the camera told; for people who read the file.
    seen : int
        Unix seconds at which it was last found.
    """

    host: str
    port: int
    mac: str | None
    name: str
    seen: int


def state_file() -> Path:
    """Give the file's path: in ``$ESPRESSOSCOPE_STATE``, else in the system's folder for such data."""
    folder = os.environ.get("ESPRESSOSCOPE_STATE")
    if folder:
        return Path(folder) / "hosts.json"
    import platformdirs

    return Path(platformdirs.user_state_dir("espressoscope", appauthor=False)) / "hosts.json"


def recall() -> tuple[Remembered, ...]:
    """Read the hosts, the one seen last first; empty when there is no file, or no good one."""
    path = state_file()
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        entries = json.loads(data)["hosts"] if len(data) <= _MOST_BYTES else ()
        found = [entry for entry in map(_entry, entries) if entry is not None]
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        _log.info("no remembered hosts: %s cannot be read (%s)", path, error)
        return ()
    found.sort(key=lambda entry: -entry.seen)
    return tuple({(entry.host, entry.port): entry for entry in reversed(found)}.values())[::-1][:MOST_HOSTS]


def _entry(item: object) -> Remembered | None:
    if not isinstance(item, dict):
        return None
    host, port, seen = item.get("host"), item.get("port"), item.get("seen")
    if not isinstance(host, str) or not isinstance(port, int) or not isinstance(seen, int):
        return None
    mac = item.get("mac")
    if not 0 < port < 65536 or not _rememberable(host):
        return None
    mac = clean_text(mac, 17) if isinstance(mac, str) else None
    return Remembered(host, port, mac, clean_text(str(item.get("name") or "")), seen)


def _rememberable(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Simulated cameras come and go, and loopback is looked at anyway. A zone (%eth0) is local.
    return "%" not in host and not (address.is_loopback or address.is_multicast or address.is_unspecified)


def remember(cameras: Iterable[CameraInfo]) -> None:
    """Add cameras just found to the file; the 256 seen last are kept. A failure is logged, never raised."""
    now = int(time.time())
    fresh: dict[tuple[str, int], Remembered] = {}
    for camera in cameras:
        parts = urlsplit(camera.url)
        host, port = parts.hostname or "", parts.port or 80
        if _rememberable(host):
            fresh[host, port] = Remembered(host, port, camera.mac, camera.name, now)
    if not fresh:
        return
    path = state_file()
    # A camera that moved leaves its old address behind.
    macs = {entry.mac for entry in fresh.values() if entry.mac is not None}
    old = (entry for entry in recall() if (entry.host, entry.port) not in fresh and entry.mac not in macs)
    entries = [*fresh.values(), *old]
    text = json.dumps({"version": 1, "hosts": [entry._asdict() for entry in entries[:MOST_HOSTS]]}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{text}\n".encode(), private=True, sync=False)
    except OSError as error:
        _log.info("hosts are not remembered: %s cannot be written (%s)", path, error)
