"""The decode pool: its threads, whose turn it is, a `use` that hangs, and what a system may refuse."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from decode_support import Taker, decode_threads, frame, handled, in_parallel, number_of, put_and_wait

from espressoscope.decode import DecodePool, close_all
from espressoscope.decode.crew import Worker
from espressoscope.errors import CameraError
from support import wait_until

if TYPE_CHECKING:
    import numpy as np

    from espressoscope.decode import View
    from espressoscope.model import Frame


def test_threads_live_from_the_first_view_to_the_last() -> None:
    pool = DecodePool(3)
    assert decode_threads() == set()
    first = pool.view(Taker())
    assert decode_threads() == {f"espressoscope-decode-{number}" for number in (1, 2, 3)}
    second = pool.view(Taker())
    first.close()
    assert len(decode_threads()) == 3
    second.close()
    assert decode_threads() == set()
    with pool.view(Taker()) as third:
        put_and_wait(third, frame(1))
        assert third.decoded == 1
    assert decode_threads() == set()


def test_views_that_were_in_line_at_the_end_are_let_go() -> None:
    pool = DecodePool(1)
    taker = Taker()
    views: list[View] = []

    def close_both(frame: Frame, image: np.ndarray) -> None:
        taker(frame, image)
        close_all(views)

    views += [pool.view(close_both), pool.view(taker)]
    taker.hold()
    views[0].put(frame(1))
    taker.wait_inside()
    views[1].put(frame(2))  # in line behind the first
    taker.let_go()
    wait_until(lambda: decode_threads() == set())
    gone = weakref.ref(views[1])
    views.clear()
    gc.collect()
    assert gone() is None


def test_a_view_put_back_in_line_after_the_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    about_to, go_on = threading.Event(), threading.Event()
    dismissed = Worker.dismissed
    pool = DecodePool(1)
    taker = Taker()
    view = pool.view(taker)

    def dismissed_too_late(worker: Worker) -> bool:
        result = dismissed(worker)
        if taker.sequences and not about_to.is_set():
            about_to.set()
            assert go_on.wait(20)
        return result

    taker.hold()
    view.put(frame(1))
    taker.wait_inside()
    monkeypatch.setattr(Worker, "dismissed", dismissed_too_late)
    view.put(frame(2))
    taker.let_go()
    assert about_to.wait(5)
    view.close()
    go_on.set()
    wait_until(lambda: decode_threads() == set())
    gone = weakref.ref(view)
    del view
    gc.collect()
    assert gone() is None


def test_as_many_threads_as_processors_and_not_many() -> None:
    assert 1 <= DecodePool().workers <= 4
    assert DecodePool(7).workers == 7
    for workers in (0, -1):
        with pytest.raises(ValueError, match="at least one worker"):
            DecodePool(workers)


# --- overload


def test_the_newest_frame_wins_while_a_picture_is_used() -> None:
    taker = Taker()
    with DecodePool(2).view(taker) as view:
        taker.hold()
        view.put(frame(0))
        taker.wait_inside()
        assert [view.put(frame(number)) for number in range(1, 11)] == [False] * 10
        assert view.superseded == 9
        taker.let_go()
        wait_until(lambda: view.decoded == 2)
    assert taker.sequences == [0, 10]
    assert len(set(taker.addresses)) == 1


def test_everybodys_turn_comes_also_beside_one_that_always_has_a_frame() -> None:
    pool, turns, gate = DecodePool(1), [], threading.Event()

    def greedy_use(picture: Frame, _: np.ndarray) -> None:
        assert gate.wait(5)
        turns.append("greedy")
        greedy.put(frame((picture.sequence + 1) % 100))

    def use(picture: Frame, _: np.ndarray) -> None:
        turns.append(picture.camera)

    greedy = pool.view(greedy_use)
    views = [pool.view(use, scale=8) for _ in range(100)]
    greedy.put(frame(0))
    for number, view in enumerate(views):
        view.put(frame(1, camera=number))
    gate.set()
    wait_until(lambda: len(turns) >= 110)
    for view in (greedy, *views):
        view.close()
    first = turns[:102]
    assert first == ["greedy", *(f"A{number}" for number in range(100)), "greedy"]


def test_no_two_threads_are_in_one_view_and_its_frames_keep_their_order() -> None:
    pool, cameras, each = DecodePool(4), 6, 200
    inside: dict[int, int] = defaultdict(int)
    worst: set[int] = set()
    seen: dict[int, list[int]] = defaultdict(list)

    def use(picture: Frame, image: np.ndarray) -> None:
        camera, number = number_of(image)
        inside[camera] += 1
        worst.add(inside[camera])
        assert number == picture.sequence
        seen[camera].append(number)
        inside[camera] -= 1

    views = [pool.view(use) for _ in range(cameras)]
    in_parallel(
        *(
            lambda camera=camera, view=view: [
                view.put(frame(number, camera, 160, 120)) for number in range(each)
            ]
            for camera, view in enumerate(views)
        )
    )
    wait_until(lambda: all(handled(view) == each for view in views))
    for view in views:
        view.close()
        assert (view.errors, view.failed) == (0, 0)
    assert worst == {1}
    for numbers in seen.values():
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == each - 1


def test_many_threads_may_put_into_one_view() -> None:
    taker, threads, each = Taker(), 8, 100
    with DecodePool(2).view(taker, scale=4) as view:
        in_parallel(*[lambda: [view.put(frame(number)) for number in range(each)]] * threads)
        wait_until(lambda: handled(view) == threads * each)
    assert (view.errors, view.failed, view.decoded) == (0, 0, len(taker.sequences))
    assert [number for _, number in taker.numbers] == taker.sequences


def test_a_use_may_put() -> None:
    numbers = []

    def use(picture: Frame, _: np.ndarray) -> None:
        numbers.append(picture.sequence)
        if picture.sequence < 30:
            view.put(frame(picture.sequence + 1))

    with DecodePool(2).view(use) as view:
        view.put(frame(0))
        wait_until(lambda: len(numbers) == 31)
    assert numbers == list(range(31))


# --- a use that hangs


def test_a_use_that_hangs_does_not_hang_close_nor_the_others(caplog: pytest.LogCaptureFixture) -> None:
    pool = DecodePool(1)
    hanging, taker = Taker(), Taker()
    view, other = pool.view(hanging), pool.view(taker)
    hanging.hold()
    view.put(frame(0))
    hanging.wait_inside()
    other.put(frame(1))
    view.close(0.1)  # gives the thread up
    wait_until(lambda: other.decoded == 1)
    assert "A1: Taker() did not return within 0.1 s" in caplog.text
    view.close(0)
    other.close()
    assert len(decode_threads()) == 1
    hanging.let_go()
    wait_until(lambda: not decode_threads(), what="the end of the threads")


def test_the_last_view_may_hang_while_it_is_closed() -> None:
    taker = Taker()
    pool = DecodePool(2)
    view = pool.view(taker)
    taker.hold()
    view.put(frame(0))
    taker.wait_inside()
    view.close()
    assert len(decode_threads()) == 1
    with pool.view(Taker()) as next_one:  # with threads of its own
        put_and_wait(next_one, frame(0))
        assert next_one.decoded == 1
    taker.let_go()
    wait_until(lambda: not decode_threads(), what="the end of the threads")


def test_a_use_that_hangs_unclosed_costs_only_itself(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from espressoscope.decode import crew

    monkeypatch.setattr(crew, "HUNG_S", 0.05)
    monkeypatch.setattr(crew, "_LOOK_EVERY_S", 0.01)
    pool = DecodePool(1)
    hanging, taker = Taker(), Taker()
    view, other = pool.view(hanging), pool.view(taker)
    hanging.hold()
    view.put(frame(0))
    hanging.wait_inside()

    def goes_on() -> bool:
        other.put(frame(len(taker.sequences)))
        return other.decoded >= 5

    wait_until(goes_on, what="the other view")
    assert view.given_up
    assert caplog.text.count("held up a decode thread") == 1
    assert len(decode_threads()) == 2
    # When it returns, the view goes on, and the thread that is one too many ends.
    view.put(frame(1))
    hanging.let_go()
    wait_until(lambda: view.decoded == 2)
    wait_until(lambda: len(decode_threads()) == 1)
    view.close()
    other.close()


def test_views_closed_together_wait_once(caplog: pytest.LogCaptureFixture) -> None:
    pool = DecodePool(4)
    hanging, takers = [Taker(), Taker()], [Taker() for _ in range(20)]
    views = [pool.view(taker) for taker in (*hanging, *takers)]
    for taker in hanging:
        taker.hold()
    for view in views:
        view.put(frame(0))
    for taker in hanging:
        taker.wait_inside()
    wait_until(lambda: all(view.decoded for view in views))
    for view in views[2:]:
        view.put(frame(1))
    close_all(views, 0.1)
    assert caplog.text.count("did not return within") == 2
    counts = [taker.sequences[:] for taker in takers]
    wait_until(lambda: len(decode_threads()) == 2)
    for taker in hanging:
        taker.let_go()
    wait_until(lambda: not decode_threads(), what="the end of the threads")
    assert [taker.sequences for taker in takers] == counts


# --- what the system does not give


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = threading.Thread.start, [0]

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("espressoscope-decode") and not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    pool = DecodePool(3)
    with pytest.raises(CameraError, match="can't start new thread"):
        pool.view(Taker())
    left[0] = 1
    with pool.view(Taker()) as view:  # one will do
        put_and_wait(view, frame(0))
        assert view.decoded == 1


FORKED = """
import os, sys
sys.path[:0] = {path!r}
from decode_support import Taker, frame, put_and_wait
from espressoscope.decode import DecodePool
unused, pool = DecodePool(1), DecodePool(1)
view = pool.view(Taker())
put_and_wait(view, frame(0))
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    put_and_wait(view, frame(1))
    view.close()
    sys.exit()
for call in (lambda: view.put(frame(1)), lambda: pool.view(Taker())):
    try:
        call()
    except RuntimeError as error:
        assert "before a fork" in str(error), error
    else:
        raise AssertionError("no RuntimeError")
view.close()
own = unused.view(Taker())
put_and_wait(own, frame(2))
own.close()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(sys, "getdlopenflags"), reason="fork is POSIX's")
def test_after_a_fork_the_child_is_told() -> None:
    run_python("-W", "ignore", "-c", FORKED.format(path=sys.path))


def test_a_program_may_end_with_a_view_open() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from decode_support import frame\n"
        "from espressoscope.decode import DecodePool\n"
        "views = [DecodePool(2).view(lambda f, i: view.put(frame(1))) for _ in range(3)]\n"
        "for view in views: view.put(frame(0))\n"
        "print('end')"
    )
    assert run_python("-c", code) == "end\n"


def run_python(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
