"""Recordings that the garbage collector closes, in the child of a fork, without threads, or amid Ctrl-C."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import espressoscope as es
from espressoscope.errors import RecordingError
from espressoscope.recording import hands
from espressoscope.recording import writer as writer_module
from espressoscope.recording.files import GrowingFile
from espressoscope.recording.writer import RunWriter
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from espressoscope.api.recorder import Recorder


@pytest.fixture(scope="module")
def sim() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(framesize="QVGA", fps=25, side_delays=False, port=0) as running:
        yield running


class Round:
    """A camera and its recording in a circle of references, which only the collector finds."""

    def __init__(self, url: str, path: Path) -> None:
        self.circle = self
        self.camera = es.Camera(url).open()
        self.recorder: Recorder = self.camera.record(path)
        wait_until(lambda: self.recorder.frames_written >= 3, 20)


@pytest.fixture
def dropped(
    sim: SimulatedCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RunWriter]]:
    """Give what makes a recording that nobody holds, and its writer; nothing is collected but when asked."""
    monkeypatch.setattr(writer_module, "END_S", 3.0)

    def make() -> RunWriter:
        return Round(sim.url, tmp_path / "run").recorder._writer

    gc.collect()
    gc.disable()
    yield make
    gc.enable()
    gc.collect()


def state_of(path: Path) -> object:
    return json.loads((path / "run.json").read_text())["state"]


@pytest.mark.filterwarnings("ignore:.*never closed:ResourceWarning")
@pytest.mark.parametrize(("thread", "step"), [("writer", "_pass"), ("keeper", "_look")])
def test_the_collector_on_a_recordings_own_thread_holds_nothing_up(
    dropped: Callable[[], RunWriter], monkeypatch: pytest.MonkeyPatch, thread: str, step: str
) -> None:
    go, collected = threading.Event(), []
    original = getattr(RunWriter, step)

    def collect(writer: RunWriter) -> object:
        if go.is_set():
            go.clear()
            gc.collect()
            collected.append(threading.current_thread().name)
        return original(writer)

    monkeypatch.setattr(RunWriter, step, collect)
    writer = dropped()
    go.set()
    wait_until(lambda: writer.over, 60, what="the recording to end")
    assert collected == [f"espressoscope-{thread}"]
    assert writer.trouble is None
    assert state_of(writer.path) == "closed"


@pytest.mark.filterwarnings("ignore:.*never closed:ResourceWarning")
def test_the_collector_on_the_loops_thread_waits_for_no_disk(
    dropped: Callable[[], RunWriter], sim: SimulatedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    sync = GrowingFile.sync

    def slow(file: GrowingFile) -> None:
        assert answers.wait(60)
        sync(file)

    with es.Camera(sim.url) as other:
        runtime, _ = other._opened()
        writer = dropped()
        monkeypatch.setattr(GrowingFile, "sync", slow)

        async def collect() -> bool:
            gc.collect()
            return writer._stop.is_set() and not writer.over

        try:
            assert runtime.call(collect(), pending=set())
        finally:
            answers.set()
        wait_until(lambda: writer.over, 60, what="the recording to end")
    assert writer.trouble is None
    assert state_of(writer.path) == "closed"


@pytest.mark.filterwarnings("ignore:.*never closed:ResourceWarning")
def test_the_collector_within_a_stop_finds_nothing_to_wait_for(
    sim: SimulatedCamera, tmp_path: Path, dropped: object
) -> None:
    recorder = Round(sim.url, tmp_path / "run").recorder
    stopping = threading.Thread(target=recorder.stop, daemon=True)

    class Collecting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if threading.current_thread() is stopping:
                gc.collect()
            return super().wait(timeout)

    recorder._writer._ended = Collecting()
    stopping.start()
    stopping.join(20)
    assert not stopping.is_alive()
    assert recorder._writer.trouble is None


DROPS_AND_ENDS = """
import gc, sys, time
import espressoscope as es
from espressoscope.recording.files import GrowingFile
gc.disable()
sync = GrowingFile.sync
GrowingFile.sync = lambda self: (time.sleep(0.5), sync(self))
class Round: pass
round = Round()
round.circle = round
round.camera = es.Camera(sys.argv[1]).open()
round.recorder = round.camera.record(sys.argv[2])
while round.recorder.frames_written < 5:
    time.sleep(0.01)
async def collect():
    gc.collect()
with es.Camera(sys.argv[1]) as other:
    runtime, _ = other._opened()
    del round
    runtime.call(collect(), pending=set())
"""


def test_what_the_collector_closes_at_last_is_whole_when_the_program_ends(
    sim: SimulatedCamera, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", DROPS_AND_ENDS, sim.url, str(tmp_path / "run")]
    subprocess.run(command, timeout=60, check=True)
    assert state_of(tmp_path / "run") == "closed"
    assert not (tmp_path / "run" / "lock").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_waits_for_none_of_its_parents_recordings(
    sim: SimulatedCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "END_S", 3.0)
    with es.Camera(sim.url) as camera:
        recorder = camera.record(tmp_path / "run", frames=100_000)
        wait_until(lambda: recorder.frames_written >= 5, 20)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                with recorder:
                    pass
                told = recorder.over, recorder.wait(), recorder._writer.trouble, state_of(recorder.path)
                os.write(writing, repr(told).encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert pipe.read() == repr((True, False, None, "recording"))
        so_far = recorder.frames_written
        wait_until(lambda: recorder.frames_written > so_far + 5, 20)
        recorder.stop()
    assert state_of(tmp_path / "run") == "closed"


@pytest.mark.parametrize("thread", ["writer", "keeper", "undisturbed"])
def test_without_threads_nothing_is_left_and_it_can_be_tried_again(
    sim: SimulatedCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thread: str
) -> None:
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name == f"espressoscope-{thread}":
            raise RuntimeError("can't start new thread")
        start(self)

    with es.Camera(sim.url) as camera:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RecordingError, match="threads could not be started"):
                camera.record(tmp_path / "run")
        assert list((tmp_path / "run").iterdir()) == []
        with camera.record(tmp_path / "run", frames=3) as recorder:
            pass
        assert recorder.frames_written == 3


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_while_it_is_begun_ends_it_in_order(
    sim: SimulatedCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, begun: bool
) -> None:
    later: list[Callable[[], None]] = []

    def interrupted(work: Callable[[], None]) -> None:
        later.append(work)
        if begun:
            work()
        raise KeyboardInterrupt

    with es.Camera(sim.url) as camera:
        monkeypatch.setattr(hands, "undisturbed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            camera.record(tmp_path / "run")
        if not begun:
            later[0]()
        assert camera._followers == set()
        assert state_of(tmp_path / "run") == "closed"
        assert {path.name for path in (tmp_path / "run").iterdir()} == {"run.json"}
        names = [thread.name for thread in threading.enumerate()]
        assert not {"espressoscope-writer", "espressoscope-keeper"}.intersection(names)


def test_one_that_never_began_is_closed_by_two_threads_at_once(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for = threading.Event()
    write = writer._json.write

    class Ended(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited_for.set()
            return super().wait(timeout)

    def slow(*given: Any, **keys: Any) -> None:
        assert waited_for.wait(20)
        write(*given, **keys)

    writer._ended = Ended()
    monkeypatch.setattr(writer._json, "write", slow)
    first = threading.Thread(target=writer.close, daemon=True)
    first.start()
    wait_until(lambda: writer._hands._forgone, 20)
    writer.close()
    first.join(20)
    assert not first.is_alive()
    assert waited_for.is_set()
    assert state_of(writer.path) == "closed"
