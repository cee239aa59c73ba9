"""The loop behind the synchronous calls: counted, ended with its last user, useless after a fork."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from typing import Any

import pytest

from espressoscope.api.runtime import acquire_runtime


def loop_threads() -> int:
    return sum(thread.name == "espressoscope-loop" for thread in threading.enumerate())


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_it_starts_with_the_first_and_ends_with_the_last_user() -> None:
    assert loop_threads() == 0
    one = acquire_runtime()
    two = acquire_runtime()
    assert one is two
    assert loop_threads() == 1
    assert one.call(answer(), pending=set()) == 42
    one.release()
    assert loop_threads() == 1
    two.release()
    assert loop_threads() == 0


def test_errors_come_through() -> None:
    async def fail() -> None:
        raise ValueError("as it is")

    runtime = acquire_runtime()
    try:
        with pytest.raises(ValueError, match="as it is"):
            runtime.call(fail(), pending=set())
    finally:
        runtime.release()


def test_a_call_can_be_cancelled_from_another_thread() -> None:
    runtime = acquire_runtime()
    pending: set[concurrent.futures.Future[Any]] = set()
    outcome: list[BaseException] = []

    def call() -> None:
        try:
            runtime.call(asyncio.sleep(60), pending=pending)
        except concurrent.futures.CancelledError as error:
            outcome.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    while not pending:
        caller.join(0.01)
    for future in tuple(pending):
        future.cancel()
    caller.join(5)
    runtime.release()
    assert len(outcome) == 1


def test_ending_cancels_what_is_left() -> None:
    runtime = acquire_runtime()
    ended = threading.Event()

    async def linger() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    runtime.post(linger())
    assert runtime.call(answer(), pending=set()) == 42
    runtime.release()
    assert ended.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_it_says_so() -> None:
    runtime = acquire_runtime()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            runtime.call(answer(), pending=set())
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert "fork" in pipe.read()
    runtime.release()
