"""A search: every camera once, twice asked where it pays, ended at once, within the limits of the process."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from fake_hosts import camera, found_at, hosting, until

from espressoscope.discovery.census import Census
from espressoscope.discovery.neighbours import Neighbours
from espressoscope.discovery.places import Places, Target, find_places
from espressoscope.discovery.prober import Prober
from espressoscope.discovery.scan import Pace, connections_at_once
from espressoscope.discovery.search import SearchProgress, search

if TYPE_CHECKING:
    from fake_hosts import Visit

    from espressoscope.model import CameraInfo

MAC = "02:00:00:AB:CD:EF"


async def silent(visit: Visit) -> None:
    await visit.keep_silent()


def test_a_camera_is_recognised_as_the_tutorial_does() -> None:
    async def omniscope(visit: Visit) -> None:
        await visit.answer(b'{"omniscope":"7","cam_name":"other","framesize":9,"quality":12,}')

    async def check() -> list[CameraInfo]:
        async with hosting(omniscope) as host:
            return await found_at([host.port])

    (info,) = asyncio.run(check())
    assert info.name == "7"
    assert info.found_by == "scan"


def test_a_name_from_the_network_is_cleaned() -> None:
    async def check() -> list[CameraInfo]:
        async with hosting(camera("\\u001b[2J../../etc\\u202e" + "x" * 500)) as host:
            return await found_at([host.port])

    (info,) = asyncio.run(check())
    assert info.name.isprintable()
    assert len(info.name) <= 64


def test_one_mac_is_one_camera() -> None:
    async def check() -> list[CameraInfo]:
        serve = camera(mac=MAC)
        async with hosting(serve) as first, hosting(serve, "127.0.0.2") as second:
            return await found_at([first.port, second.port], "127.0.0.0/30")

    assert [info.mac for info in asyncio.run(check())] == [MAC]


@pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF"])
def test_a_mac_that_is_none_joins_nothing(mac: str) -> None:
    async def check() -> list[CameraInfo]:
        async with hosting(camera(mac=mac)) as first, hosting(camera(mac=mac)) as second:
            return await found_at([first.port, second.port])

    assert len(asyncio.run(check())) == 2


def test_a_server_on_all_addresses_of_this_computer_is_one_camera() -> None:
    async def prober_check() -> list[CameraInfo]:
        async with hosting(camera(), "0.0.0.0") as host:
            found: list[CameraInfo] = []

            async def deliver(info: CameraInfo) -> None:
                found.append(info)

            # 127.0.0.2 stands in for a second own address.
            census = Census(Neighbours(()), own=["127.0.0.1", "127.0.0.2"])
            prober = Prober(census, deliver)
            for address in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
                await prober.ask(address, host.port, "scan", 1.0)
            return found

    assert len(asyncio.run(prober_check())) == 1


def test_a_camera_is_asked_once_whichever_source_names_it() -> None:
    async def check() -> None:
        async with hosting(camera()) as host:
            spots = tuple(Target("127.0.0.1", host.port, "remembered") for _ in range(20))
            places = find_places("127.0.0.1", host.port)
            places = Places(places.networks, places.ports, spots, links=places.links)
            found = [info async for info in search(places)]
            assert [info.found_by for info in found] == ["remembered"]
            assert host.paths == ["/status", "/dump"]

    asyncio.run(check())


def test_a_sleeping_camera_is_found_at_the_second_try() -> None:
    awake = camera("sleeper")

    async def sleepy(visit: Visit) -> None:
        await (silent(visit) if visit.number == 1 else awake(visit))

    async def check() -> list[CameraInfo]:
        async with hosting(sleepy) as host:
            return await found_at([host.port], timeout_s=0.2)

    assert [info.name for info in asyncio.run(check())] == ["sleeper"]


def test_a_camera_that_restarts_is_found_at_the_second_try() -> None:
    awake = camera("back")

    async def restarting(visit: Visit) -> None:
        if visit.number > 1:
            await awake(visit)

    async def check() -> list[CameraInfo]:
        async with hosting(restarting) as host:
            return await found_at([host.port], timeout_s=0.5)

    assert [info.name for info in asyncio.run(check())] == ["back"]


def test_the_stream_behind_a_control_port_is_left_alone() -> None:
    async def check() -> None:
        async with contextlib.AsyncExitStack() as stack:
            port, stream = await neighbours(stack, camera(), silent)
            assert len(await found_at([port, port + 1])) == 1
            assert stream.firsts == []

    async def neighbours(stack, serve, other):  # type: ignore[no-untyped-def]
        for port in range(20_100, 20_200, 2):
            with contextlib.suppress(OSError):
                await stack.enter_async_context(hosting(serve, port=port))
                return port, await stack.enter_async_context(hosting(other, port=port + 1))
        raise AssertionError("no two free ports side by side")

    asyncio.run(check())


def test_cameras_come_while_the_search_goes_on() -> None:
    async def check() -> None:
        async with hosting(camera("quick")) as quick, hosting(silent) as slow:
            places = find_places("127.0.0.1", [quick.port, slow.port])
            async with contextlib.aclosing(search(places, timeout_s=30)) as found:
                assert (await anext(found)).name == "quick"
                assert slow.open_now == 1

    asyncio.run(asyncio.wait_for(check(), 20))


def test_ending_a_search_closes_everything_at_once() -> None:
    async def check() -> None:
        async with hosting(silent, "0.0.0.0") as host:
            found = search(find_places("127.9.0.0/24", host.port), timeout_s=60)
            waiting = asyncio.ensure_future(anext(found))
            await until(lambda: host.open_now >= 200)
            waiting.cancel()
            await asyncio.wait([waiting])
            await found.aclose()
            await until(lambda: not host.open_now)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(check())


def test_a_slow_taker_holds_up_the_search_and_loses_nothing() -> None:
    async def check() -> int:
        async with hosting(camera(), "0.0.0.0") as host:
            count = 0
            async for _ in search(find_places("127.9.0.0/26", host.port)):
                count += 1
                await asyncio.sleep(0.002)
            return count

    assert asyncio.run(check()) == 62


def test_progress_is_told() -> None:
    async def check() -> list[SearchProgress]:
        told: list[SearchProgress] = []
        async with hosting(camera()) as host:
            places = find_places("127.0.0.1, 127.9.0.0/28", host.port)
            async for _ in search(places, on_progress=told.append):
                pass
        return told

    told = asyncio.run(check())
    assert told[-1] == SearchProgress(asked=15, total=15, found=1)
    assert [step.asked for step in told] == sorted(step.asked for step in told)


def test_a_mistake_of_the_listener_ends_the_search_with_it() -> None:
    def told(progress: SearchProgress) -> None:
        if progress.asked == progress.total:
            raise LookupError("a mistake")

    async def check() -> None:
        async with asyncio.timeout(20):
            async for _ in search(find_places("127.9.0.1", 9), on_progress=told):
                pass

    with pytest.raises(LookupError, match="a mistake"):
        asyncio.run(check())


def test_pace() -> None:
    async def check() -> float:
        pace = Pace(100)
        begun = time.monotonic()
        for _ in range(41):
            await pace.turn()
        return time.monotonic() - begun

    # The last turns may come together, a twentieth of a second early.
    assert asyncio.run(check()) >= 0.34


# --- few file descriptors

PREPARE = """
import asyncio, os, resource, sys
from espressoscope.discovery import scan as room
from espressoscope.discovery.places import find_places
from espressoscope.discovery.search import search

def allow(more):
    limit = max(map(int, os.listdir("/dev/fd"))) + 1 + more
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

async def run(network, ports, timeout_s):
    async for info in search(find_places(network, ports), timeout_s=timeout_s):
        print(info.name, info.url)
"""


def in_a_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PREPARE + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def with_silent_crowd_and_camera(code: str) -> tuple[int, subprocess.CompletedProcess[str]]:
    async with hosting(silent, "0.0.0.0") as crowd, hosting(camera("found")) as host:
        run = asyncio.to_thread(in_a_process, code, crowd.port, host.port)
        return host.port, await run


needs_limits = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")


@needs_limits
def test_connections_stay_below_the_limit_of_the_process() -> None:
    code = """
allow(80)
print(room.connections_at_once())
asyncio.run(run("127.0.0.1, 127.9.0.0/27", [int(sys.argv[1]), int(sys.argv[2])], 0.2))
"""
    port, done = asyncio.run(with_silent_crowd_and_camera(code))
    assert done.stderr == ""
    first, *found = done.stdout.splitlines()
    assert 4 <= int(first) <= 80 - 60
    assert found == [f"found http://127.0.0.1:{port}"]


@needs_limits
def test_running_out_of_descriptors_only_slows_it_down() -> None:
    code = """
from espressoscope.discovery import search as searching
searching.connections_at_once = lambda: 512
async def main():
    allow(12)
    await run("127.0.0.1, 127.9.0.0/27", [int(sys.argv[1]), int(sys.argv[2])], 0.1)
asyncio.run(main())
"""
    port, done = asyncio.run(with_silent_crowd_and_camera(code))
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"found http://127.0.0.1:{port}"]


@needs_limits
def test_no_descriptors_at_all_is_an_error() -> None:
    code = """
from espressoscope.errors import DiscoveryError
room._STARVED_LIMIT_S = 0.3
async def main():
    await asyncio.sleep(0)
    allow(0)
    try:
        await run("127.9.0.0/28", int(sys.argv[1]), 0.2)
    except DiscoveryError as error:
        print(error)
asyncio.run(main())
"""
    _, done = asyncio.run(with_silent_crowd_and_camera(code))
    assert done.stderr == ""
    assert "may not open more files" in done.stdout


def test_a_usual_process_asks_many_at_once() -> None:
    assert 4 <= connections_at_once() <= 512
