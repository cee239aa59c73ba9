"""The doctor: why there is no camera, or no good picture, in words of a person and with what to try.

It disturbs nobody: no setting is changed, no single picture taken (a board writes its flash for each), every
wait is bounded, and the only stream of a camera is held for a few seconds and given back. Firmwares that take
the stream from one viewer to give it to the next are not watched at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from espressoscope.device.address import parse_address
from espressoscope.device.camera import CameraDevice
from espressoscope.device.resolve import resolve
from espressoscope.discovery.networks import local_links
from espressoscope.discovery.search import search
from espressoscope.errors import ConnectError, DiscoveryError
from espressoscope.lab.doctor_board import read_dump, restarted
from espressoscope.lab.doctor_network import Surroundings
from espressoscope.lab.doctor_picture import Circumstances, judge
from espressoscope.lab.doctor_reach import Reached, reach, tell_held_here
from espressoscope.lab.doctor_stream import SILENCE_S, watch
from espressoscope.lab.doctor_words import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from espressoscope.device.address import Address
    from espressoscope.discovery.places import Places
    from espressoscope.discovery.search import SearchProgress
    from espressoscope.model import CameraInfo

__all__ = ["LONGEST_S", "examine_camera", "examine_network", "why_none"]

LONGEST_S: Final = 20.0
"""Longest examination of one camera, or search for all, in seconds."""
_SEARCH_S: Final = 8.0
_RESOLVE_S: Final = 4.0
_SILENCE_OF_A_TAKEN_STREAM_S: Final = 3.0
_SEEK_S: Final = 4.0
_MAY_HAVE_MOVED: Final = frozenset(
    (
        *("absent", "deaf", "beyond", "silent", "no-way", "refused", "not-at-access-point"),
        *("no-http", "not-a-camera", "other-camera"),
    )
)
"""Findings about an address that say nothing about a camera which has another one by now."""
_AT_ONCE: Final = 8
_MOST_NAMED: Final = 6


async def examine_network(places: Places, tell: Callable[[Finding], None], *, given: bool = False) -> None:
    """Look at this computer's networks, search for cameras, and look at those found.

    Parameters
    ----------
    places : Places
        Where to search.
    tell : callable
        Takes findings as they come, on the loop's thread.
    given : bool
        The networks were chosen for this search, not by rule.
    """
    with _within_time(tell):
        async with asyncio.timeout(LONGEST_S):
            around = Surroundings(local_links())
            for found in around.describe():
                tell(found)
            await _search(places, around, tell, given)


async def why_none(places: Places, tell: Callable[[Finding], None], *, given: bool = False) -> None:
    """Say what may be the reason that a search in these places, just over, found nothing; sends nothing."""
    around = Surroundings(local_links())
    for found in around.oddities():
        tell(found)
    for found in await _in_vain(places, around, given):
        tell(found)


async def examine_camera(
    address: Address,
    tell: Callable[[Finding], None],
    meant: CameraInfo | None = None,
    locate: Callable[[], Awaitable[str | None]] | None = None,
) -> None:
    """Look at one camera, from the network to its pictures.

    Parameters
    ----------
    address : Address
        Where it is; one with a path is looked at as a bare stream. Without a host where nobody knows.
    tell : callable
        Takes findings as they come, on the loop's thread.
    meant : CameraInfo, optional
        What is known of it.
    locate : async callable, optional
        Looks for it when it is not at its address; gives its URL, or None.
    """
    with _within_time(tell):
        async with asyncio.timeout(LONGEST_S):
            around = Surroundings(local_links())
            if not address.host:
                found_at = await _elsewhere(address, locate)
                if found_at is None or meant is None:
                    for found in around.describe():
                        tell(found)
                    tell(finding("nowhere", mac=meant and meant.mac))
                    return
                address = found_at
            host = await _number_of(address, tell)
            if host is None:
                return
            if not around.is_own(host):
                for found in around.describe():
                    tell(found)
            await _camera(address, host, around, tell, meant, locate)


@contextlib.contextmanager
def _within_time(tell: Callable[[Finding], None]) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        tell(finding("cut-short", seconds=f"{LONGEST_S:.0f}"))


# --- without a camera


async def _search(places: Places, around: Surroundings, tell: Callable[[Finding], None], given: bool) -> None:
    infos: list[CameraInfo] = []
    progress: list[SearchProgress] = []
    failed: DiscoveryError | None = None
    over = False
    try:
        async with (
            asyncio.timeout(_SEARCH_S),
            contextlib.aclosing(
                search(places, on_progress=lambda now: progress.__setitem__(slice(None), [now]))
            ) as found,
        ):
            async for info in found:
                infos.append(info)
        over = True
    except TimeoutError:
        pass
    except DiscoveryError as error:
        failed = error
        tell(finding("search-failed", what=error.message))
    if not over and failed is None and progress:
        asked, total = progress[-1].asked, progress[-1].total
        tell(finding("search-cut", seconds=f"{_SEARCH_S:.0f}", asked=asked, total=total))
    if not infos:
        if failed is None:
            tell(finding("no-camera", places=places.describe()))
        for said in await _in_vain(places, around, given):
            tell(said)
        return
    shown = [info.shown for info in infos[:_MOST_NAMED]]
    named = ", ".join(f"{info.name} at {info.url.removeprefix('http://')}" for info in shown)
    if len(infos) > _MOST_NAMED:
        named += " and others"
    count = "One camera" if len(infos) == 1 else f"{len(infos)} cameras"
    tell(finding("cameras", count=count, names=named))
    if len(infos) == 1:
        address = parse_address(infos[0].url)
        await _camera(address, address.host, around, tell, infos[0])
    else:
        await _boards(infos, tell)


async def _in_vain(places: Places, around: Surroundings, given: bool) -> list[Finding]:
    found: list[Finding] = []
    if not given and os.environ.get("ESPRESSOSCOPE_NETWORKS", "").strip():
        found.append(finding("search-limited", networks=places.describe()))
    found += around.unknown(places.networks)
    return found + await around.alive(places.networks)


async def _boards(infos: list[CameraInfo], tell: Callable[[Finding], None]) -> None:
    """Tell which of many cameras have a weak radio; their streams are left alone."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def ask(info: CameraInfo) -> None:
        async with room:
            board = await read_dump(parse_address(info.url), info.firmware)
        for found in () if board is None else board.radio():
            if found.ok is not True:
                host = urlsplit(info.url).netloc
                tell(replace(found, words=f"{info.name} at {host}: {found.words}"))

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SEARCH_S), asyncio.TaskGroup() as asking:
            for info in infos:
                asking.create_task(ask(info))


# --- one camera


async def _camera(
    address: Address,
    host: str,
    around: Surroundings,
    tell: Callable[[Finding], None],
    meant: CameraInfo | None,
    locate: Callable[[], Awaitable[str | None]] | None = None,
) -> None:
    astray = around.astray(host)
    if astray is not None:
        tell(astray)
    if address.path not in ("", "/"):
        await _bare(address, address, tell)
        return
    base = replace(address, path="")
    said: list[Finding] = []
    reached = await reach(base, host, around, tell if locate is None else said.append, meant)
    if any(found.code in _MAY_HAVE_MOVED for found in said):
        now = await _elsewhere(base, locate)
        if now is not None and meant is not None:
            said = [finding("moved", name=meant.name, host=now, old=base)]
            base, host = now, now.host
            reached = await reach(base, host, around, said.append, meant)
    for found in said:
        tell(found)
    if reached is None:
        return
    if reached.bare:
        assert reached.stream is not None
        await _bare(reached.stream, base, tell)
        return
    if reached.board is not None:
        for found in (*reached.board.radio(), *reached.board.age()):
            tell(found)
    await _stream(base, host, reached, tell)


async def _elsewhere(address: Address, locate: Callable[[], Awaitable[str | None]] | None) -> Address | None:
    """Look for a camera that is not at its address; None where it is not found, or is there after all."""
    url = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SEEK_S):
            url = None if locate is None else await locate()
    found_at = None if url is None else replace(parse_address(url), path="", auth=address.auth)
    return None if found_at == address else found_at


async def _number_of(address: Address, tell: Callable[[Finding], None]) -> str | None:
    """Resolve the host; None when that failed, which has been told."""
    try:
        host = (await resolve(address.host, timeout_s=_RESOLVE_S, camera=str(address)))[0]
    except ConnectError:
        tell(finding("unresolved", host=address.host))
        return None
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(address.host.partition("%")[0])
        return host
    tell(finding("name", host=address.host, address=host))
    return host


async def _bare(stream: Address, shown: Address, tell: Callable[[Finding], None]) -> None:
    """Look at what may be a bare stream."""
    signs = await watch(stream, str(shown))
    if signs.connected and signs.received and not signs.multipart:
        what = "no camera, and no stream" if signs.error is None else signs.error.message
        what = what.removeprefix("something answers there, but it is not a camera (").removesuffix(")")
        tell(finding("not-a-camera", host=shown, what=what))
        return
    if signs.multipart:
        tell(finding("bare-stream", host=shown))
    for found in judge(signs, Circumstances(None, stream.port)):
        tell(found)


async def _stream(base: Address, host: str, reached: Reached, tell: Callable[[Finding], None]) -> None:
    if reached.stream is None:
        tell(finding("no-stream"))
        return
    if reached.identity is not None and reached.identity.family.newcomer_steals:
        tell(finding("not-watched"))
        return
    device = None if reached.identity is None else CameraDevice(base, reached.identity)
    viewers = None if reached.board is None else reached.board.viewers
    # What the board and its silence both say needs no longer wait.
    silence_s = _SILENCE_OF_A_TAKEN_STREAM_S if viewers else SILENCE_S
    signs = await watch(reached.stream, str(base), silence_s=silence_s)
    second = None if reached.board is None else await read_dump(base, "unknown")
    values = {}
    alive = reached.board is None or second is not None
    if device is not None:
        if reached.board is None and not signs.received:
            alive = await device.answers()
        index = device.framesize_index
        if index is not None and signs.width:
            device.table.learn(index, signs.width, signs.height)
        values = {name: setting.value for name, setting in device.settings().items()}
    known = Circumstances(
        control_port=base.port,
        stream_port=reached.stream.port,
        firmware="unknown" if device is None else device.family.name,
        sensor="" if device is None else device.table.sensor,
        values=values,
        viewers=viewers,
        alive=alive,
    )
    if restarted(reached.board, second):
        tell(finding("restarted"))
    for found in judge(signs, known):
        tell(found)
        if found.code == "busy":
            tell_held_here(host, reached.stream.port, tell)
