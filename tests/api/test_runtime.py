"""The loop behind the synchronous calls: counted, ended with its last user, useless after a fork."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from espressoscope.api.runtime import acquire_runtime

if TYPE_CHECKING:
    from types import FrameType


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


def test_a_call_that_comes_too_late_is_cancelled() -> None:
    runtime = acquire_runtime()
    runtime.release()
    with pytest.raises(concurrent.futures.CancelledError):
        runtime.call(answer(), pending=set())
    runtime.post(linger_not())


async def linger_not() -> None:
    await asyncio.sleep(0)


def test_a_call_that_the_ending_loop_does_not_take_any_more_is_cancelled() -> None:
    runtime = acquire_runtime()
    running, go_on = threading.Event(), threading.Event()

    async def hold_the_loop() -> None:
        running.set()
        go_on.wait(5)

    runtime.post(hold_the_loop())
    assert running.wait(5)
    ending = threading.Thread(target=runtime.release)
    ending.start()
    ending.join(1.5)  # the stop is queued, the loop still held
    pending: set[concurrent.futures.Future[Any]] = set()
    outcome: list[object] = []

    def call() -> None:
        try:
            outcome.append(runtime.call(answer(), pending=pending))
        except concurrent.futures.CancelledError as error:
            outcome.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    while not pending:
        caller.join(0.01)
    go_on.set()
    caller.join(5)
    assert not caller.is_alive()
    assert len(outcome) == 1


def test_the_error_of_a_cancelled_call_is_not_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    runtime = acquire_runtime()
    begun, ended = threading.Event(), threading.Event()

    async def fail_when_cancelled() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
            raise ValueError("on the way out")

    pending: set[concurrent.futures.Future[Any]] = set()

    def cancel() -> None:
        begun.wait(5)
        for future in tuple(pending):
            future.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(concurrent.futures.CancelledError):
        runtime.call(fail_when_cancelled(), pending=pending)
    canceller.join(5)
    assert ended.wait(5)
    runtime.release()
    gc.collect()
    assert caplog.records == []


class _CtrlC:
    """KeyboardInterrupt in the thread that uses it, at the moment of that number since then.

    A moment is one at which CPython looks for signals: a function has been entered, a call into C is over.
    """

    def __init__(self, moment: int) -> None:
        self._left = moment

    def __enter__(self) -> None:
        sys.setprofile(self._look)

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_return"):
            self._left -= 1
            if self._left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt


def test_ctrl_c_at_every_moment_of_its_start_leaves_no_half_of_a_loop_and_one_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: complaints.append(what.exc_value))
    interrupted, runtime = 0, None
    while runtime is None and interrupted < 1000:
        try:
            with _CtrlC(interrupted + 1):
                runtime = acquire_runtime()
        except KeyboardInterrupt:
            interrupted += 1
        after = acquire_runtime()
        assert after.call(answer(), pending=set()) == 42
        while after.usable:  # who was interrupted may have been counted already
            after.release()
    gc.collect()
    assert 10 < interrupted < 1000
    assert [each for each in complaints if not isinstance(each, KeyboardInterrupt)] == []
    assert loop_threads() == 0


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
