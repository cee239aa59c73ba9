"""Connections opened side by side, as the loop can watch them and as tasks, the way of Windows."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from typing import TYPE_CHECKING

import pytest
from fake_hosts import hosting, until

from espressoscope.discovery.knock import Knocks
from espressoscope.discovery.places import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fake_hosts import Visit

both_ways = pytest.mark.parametrize("by_task", [False, True], ids=["watched", "by task"])


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that does not answer to connections: as many wait as fit."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class Record:
    """What came of targets."""

    def __init__(self) -> None:
        self.answered: list[tuple[Target, socket.socket]] = []
        self.failed: list[tuple[Target, OSError | None]] = []

    def knocks(self, timeout_s: float, by_task: bool) -> Knocks:
        return Knocks(
            timeout_s,
            lambda target, sock: self.answered.append((target, sock)),
            lambda target, error: self.failed.append((target, error)),
            by_task=by_task,
        )

    def __len__(self) -> int:
        return len(self.answered) + len(self.failed)


async def keep(visit: Visit) -> None:
    await visit.keep_silent()


def target(port: int, host: str = "127.0.0.1") -> Target:
    return Target(host, port, "scan")


@both_ways
def test_who_accepts_who_refuses_and_who_is_silent(by_task: bool) -> None:
    async def check() -> None:
        record = Record()
        async with hosting(keep) as host, record.knocks(0.3, by_task) as knocks:
            begun = time.monotonic()
            with silent_port() as silent:
                for port in (silent, host.port, 9):
                    knocks.begin(target(port))
                await until(lambda: len(record) == 3)
            assert time.monotonic() - begun >= 0.3
            ((there, sock),) = record.answered
            assert (there.port, sock.getblocking()) == (host.port, False)
            sock.close()
            (refusing, error), (timed_out, nothing) = record.failed
            assert isinstance(error, ConnectionRefusedError)
            assert error.errno == errno.ECONNREFUSED
            assert nothing is None
            assert (refusing.port, timed_out.port) == (9, silent)

    asyncio.run(check())


@both_ways
def test_leaving_closes_what_is_open(by_task: bool) -> None:
    async def check() -> None:
        record = Record()
        with silent_port() as silent:
            async with record.knocks(60, by_task) as knocks:
                for _ in range(50):
                    knocks.begin(target(silent))
                await asyncio.sleep(0)
            async with record.knocks(60, by_task) as knocks:
                knocks.begin(target(silent))  # and its task has not begun
        assert len(record) == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(check())  # sockets left open are warnings, and those errors


@both_ways
def test_an_address_to_which_there_is_no_way(by_task: bool) -> None:
    async def check() -> None:
        record = Record()
        async with record.knocks(1, by_task) as knocks:
            knocks.begin(target(80, "255.255.255.255"))
            await until(lambda: len(record) == 1)
        assert isinstance(record.failed[0][1], OSError)

    asyncio.run(check())


@both_ways
def test_ipv6(by_task: bool) -> None:
    async def check() -> None:
        record = Record()
        async with record.knocks(1, by_task) as knocks:
            knocks.begin(target(9, "::1"))
            await until(lambda: len(record) == 1)
        assert isinstance(record.failed[0][1], OSError)

    asyncio.run(check())


def test_many_cost_one_timer() -> None:
    async def check() -> None:
        record = Record()
        loop = asyncio.get_running_loop()
        with silent_port() as silent:
            async with record.knocks(0.2, False) as knocks:
                before = len(asyncio.all_tasks()) + len(loop._scheduled)  # type: ignore[attr-defined]
                for _ in range(100):
                    knocks.begin(target(silent))
                after = len(asyncio.all_tasks()) + len(loop._scheduled)  # type: ignore[attr-defined]
                assert after == before + 1
                await until(lambda: len(record) == 100)
        assert {error for _, error in record.failed} == {None}

    asyncio.run(check())
