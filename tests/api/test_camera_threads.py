"""One camera used from several threads, left in the middle of things, and closed in the middle of others."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def simulated() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(fps=20, framesize="QVGA", side_delays=False, boot_s=0.5) as camera:
        yield camera


class Elsewhere:
    """A call in a thread of its own, and what became of it."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.outcome: object = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._call()
        except Exception as error:  # noqa: BLE001 - told to the test
            self.outcome = error

    def join(self, timeout_s: float = 5.0) -> object:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the call hangs"
        return self.outcome


def session_of(cam: es.Camera) -> object:
    assert cam._session is not None
    return cam._session


def test_a_stream_just_left_can_be_followed_by_another_source(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        for _ in range(5):
            for frame in cam.stream():
                assert frame.jpeg
                break
            for frame in cam.stream(source="snapshots", interval=0.01):
                assert frame.jpeg
                break


def test_a_stream_just_left_and_begun_again_is_not_called_stopped(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        for _ in range(10):
            for _frame in cam.stream():
                break
            with cam.stream():
                assert cam.stats.state != "stopped"


def test_closing_a_stream_elsewhere_ends_the_wait_for_its_next_frame(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, simulated.fault("stall"), cam.stream(timeout=60) as stream:
        consumer = Elsewhere(lambda: sum(1 for _ in stream))
        wait_until(lambda: stream._subscription._wakeup._waiters, what="the consumer to wait")
        stream.close()
        assert isinstance(consumer.join(), int)


def test_a_snap_keeps_the_stream_it_waits_for(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, simulated.fault("stall") as stalled:
        stream = cam.stream(timeout=60)
        snap = Elsewhere(cam.snap)
        wait_until(lambda: session_of(cam).demand.users == 2, what="the snap to wait")
        stream.close()
        stalled.__exit__(None, None, None)
        frame = snap.join(20)
        assert isinstance(frame, es.Frame), frame
        wait_until(lambda: cam.stats.state == "stopped", what="the stream to end with the snap")


def test_each_raise_is_its_own_error(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        with simulated.fault("refuse"):
            caught = []
            for _ in range(2):
                with pytest.raises(es.ConnectError) as error:
                    cam.latest(timeout=0.5)
                caught.append(error.value)
        assert caught[0] is not caught[1]
        assert caught[0].__traceback__ is not caught[1].__traceback__
        assert caught[1].reason is caught[0].reason


def test_waiting_for_frames_on_the_loops_own_thread_is_refused(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam, cam.stream() as stream:
        cam.latest()
        runtime = cam._runtime
        assert runtime is not None

        async def call() -> list[str]:
            said = []
            for wait in (lambda: cam.latest(after=10**9), lambda: [next(stream) for _ in range(1000)]):
                try:
                    wait()
                except RuntimeError as error:
                    said.append(str(error))
            return said

        said = runtime.call(call(), pending=set())
        assert len(said) == 2
        assert all("own thread" in text for text in said)


def test_a_camera_collected_on_the_loops_thread_ends_its_stream(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as keeps_the_loop, SimulatedCamera(fps=20, framesize="QVGA") as other:
        cam = es.Camera(other.url).open()
        cam.latest()
        runtime = keeps_the_loop._runtime
        assert runtime is not None

        async def collect() -> None:
            cam.close()

        runtime.call(collect(), pending=set())
        wait_until(lambda: cam.stats.state == "stopped", what="the stream to end")
        frames = other.sent.total
        assert keeps_the_loop.status()
        wait_until(lambda: other.sent.total <= frames + 2, what="no more frames")


def test_a_closed_session_starts_nothing(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as keeps_the_loop:
        runtime = keeps_the_loop._runtime
        assert runtime is not None
        cam = es.Camera(simulated.url).open()
        session = cam._session
        assert session is not None
        cam.close()
        for call in (
            lambda: session.begin_streaming("auto", None),
            session.keep_streaming,
            lambda: session.stills.snap(None),
            lambda: session.stills.snap("VGA"),
        ):
            with pytest.raises(es.CameraError, match="closed"):
                runtime.call(call(), pending=set())  # type: ignore[operator]
        assert session.link.stopped


def test_closing_in_the_middle_of_a_large_still_restores_the_size(simulated: SimulatedCamera) -> None:
    with es.Camera(simulated.url) as cam:
        large = Elsewhere(lambda: cam.snap(framesize="SVGA"))
        wait_until(lambda: any("framesize&val=9" in line for line in simulated.requests), what="the change")
        started = time.monotonic()
        cam.close()
        assert time.monotonic() - started < 1.0
        large.join()
    with es.Camera(simulated.url) as cam:
        assert cam.status()["framesize"] == "QVGA"


def test_closing_while_others_call_leaves_no_call_hanging(simulated: SimulatedCamera) -> None:
    for number in range(15):
        cam = es.Camera(simulated.url)

        def use(cam: es.Camera = cam) -> None:
            for _ in range(3):
                cam.open()
                cam.status()
                next(cam.stream(timeout=2), None)
                cam.snap()
                cam.latest(timeout=2)

        users = [Elsewhere(use) for _ in range(3)]
        enough = len(simulated.requests) + number % 8
        wait_until(lambda enough=enough: len(simulated.requests) >= enough, what="some calls")
        started = time.monotonic()
        cam.close()
        assert time.monotonic() - started < 1.0
        for user in users:
            outcome = user.join()
            # Whoever calls open() after the close has a camera again.
            assert outcome is None or isinstance(outcome, es.CameraError), outcome
        cam.close()
