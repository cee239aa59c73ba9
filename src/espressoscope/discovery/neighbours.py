"""The system's table of neighbours: hosts this computer has lately exchanged packets with, and their MACs.

Read without any right: on Linux a file of the kernel's, elsewhere what the program ``arp`` prints. Sends
nothing. A table that cannot be read counts as empty. Whether a MAC is believed is decided in `census`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from espressoscope.discovery.networks import Link

__all__ = ["Neighbours", "output_of", "parse_table", "write_mac"]

_LINUX_TABLE: Final = Path("/proc/net/arp")
_COMPLETE: Final = 0x2  # ATF_COM in linux/if_arp.h: without it the address is being asked for, or was in vain
MOST_NEIGHBOURS: Final = 4096
_MOST_BYTES: Final = 1024 * 1024
_NO_WINDOW: Final = 0x08000000 if sys.platform == "win32" else 0  # CREATE_NO_WINDOW
ARP_TIMEOUT_S: Final = 1.0
"""Longest wait for the program ``arp``, in seconds."""

_FLAGS: Final = re.compile(rb"0x([0-9a-f]{1,8})")
_ADDRESS: Final = re.compile(rb"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_MAC: Final = re.compile(rb"(?<![\w:-])[0-9A-Fa-f]{1,2}(?:[:-][0-9A-Fa-f]{1,2}){5}(?![\w:-])")

_log = logging.getLogger(__name__)


class Neighbours:
    """The table of neighbours, for one search.

    Parameters
    ----------
    links : iterable of Link
        This computer's addresses. What lies in none of their networks is behind a router, and is never looked
        up: the table would have the router's MAC, if any.
    """

    def __init__(self, links: Iterable[Link]) -> None:
        links = tuple(links)
        self._networks = [link.network for link in links if not link.address.is_loopback]
        self._own = {str(link.address) for link in links}
        self._reading = asyncio.Lock()
        self._begun = -1.0
        self._macs: Mapping[str, str] = {}

    def near(self, host: str) -> bool:
        """Tell whether a host is another one, reached without a router."""
        if host in self._own or not self._networks:
            return False
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    async def macs(self) -> Mapping[str, str]:
        """Give the MAC of each neighbour as it is now, by IPv4 address."""
        if not self._networks:
            return {}
        now = time.monotonic()
        async with self._reading:
            # Who waited for a reading that began after the call needs none of his own.
            if self._begun < now:
                self._begun = time.monotonic()
                self._macs = parse_table(await _read())
        return self._macs


async def _read() -> bytes:
    try:
        return _read_kernel() if sys.platform == "linux" else await output_of(_arp())
    except (OSError, NotImplementedError, TimeoutError) as error:
        _log.debug("no table of neighbours (%s)", error)
        return b""


def _read_kernel() -> bytes:
    with _LINUX_TABLE.open("rb") as file:  # made by the kernel as it is read: no disk is waited for
        return file.read(_MOST_BYTES)


def _arp() -> list[str]:
    if sys.platform == "win32":
        return [os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "ARP.EXE"), "-a"]
    else:
        return ["/usr/sbin/arp", "-an"]


async def output_of(command: Sequence[str], timeout_s: float = ARP_TIMEOUT_S) -> bytes:
    """Run a program and give what it prints, a megabyte at most; it has ended when this returns.

    Raises
    ------
    OSError, NotImplementedError
        It cannot be started.
    TimeoutError
        It takes too long.
    """
    program = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        creationflags=_NO_WINDOW,
    )
    try:
        async with asyncio.timeout(timeout_s):
            assert program.stdout is not None
            text = bytearray()
            while len(text) < _MOST_BYTES and (more := await program.stdout.read(65536)):
                text += more
            return bytes(text)
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.wait()


def parse_table(text: bytes) -> dict[str, str]:
    """Read a table of neighbours, as the kernel or ``arp`` of any system writes it.

    Parameters
    ----------
    text : bytes
        ``/proc/net/arp``, or the output of ``arp -an`` or ``arp -a`` in whatever language.

    Returns
    -------
    dict of str to str
        IPv4 address to MAC; without addresses that nobody answered for, without multicast, and without those
        that have different MACs on different interfaces.
    """
    found: dict[str, str] = {}
    twice: set[str] = set()
    for line in text.splitlines():
        address, mac = _ADDRESS.search(line), _MAC.search(line)
        if address is None or mac is None:
            continue
        words = line.split()
        if len(words) == 6 and (flags := _FLAGS.fullmatch(words[2])) and not int(flags[1], 16) & _COMPLETE:
            continue
        host, written = address[0].decode("ascii"), write_mac(mac[0].decode("ascii"))
        if written is None:
            continue
        if found.setdefault(host, written) != written:
            twice.add(host)
        if len(found) >= MOST_NEIGHBOURS:
            _log.warning("more than %d neighbours; the rest is not looked at", MOST_NEIGHBOURS)
            break
    return {host: mac for host, mac in found.items() if host not in twice}


def write_mac(text: str) -> str | None:
    """Write a MAC upper-case with colons; None where it is no single host's.

    Parameters
    ----------
    text : str
        Six pairs of digits with ``:`` or ``-`` between, leading zeros left out as on macOS, or twelve digits.
    """
    parts = re.split("[:-]", text)
    if len(parts) == 1 and len(text) == 12:
        parts = [text[i : i + 2] for i in range(0, 12, 2)]
    numbers = [int(part, 16) for part in parts if re.fullmatch("[0-9A-Fa-f]{1,2}", part)]
    # The lowest bit of the first byte marks a group, ff:ff:ff:ff:ff:ff among them.
    if len(parts) != 6 or len(numbers) != 6 or not any(numbers) or numbers[0] & 1:
        return None
    return ":".join(f"{number:02X}" for number in numbers)
