"""The latest slot and the in-order subscription: what is dropped is counted, who waits is woken."""

from __future__ import annotations

import threading
import time

import pytest

from espressoscope.engine.slot import LatestSlot, Subscription
from espressoscope.model import Frame, FrameStatus


def frame(sequence: int, status: FrameStatus = "ok") -> Frame:
    return Frame(b"\xff\xd8\xff\xd9", sequence, 0, status=status)


def never() -> bool:
    return False


def test_the_slot_keeps_the_newest_and_counts_the_superseded() -> None:
    slot = LatestSlot()
    for number in range(5):
        slot.put(frame(number))
    assert slot.superseded == 4
    taken = slot.wait(lambda f: True, never, 0)
    assert taken is not None
    assert taken.sequence == 4
    slot.put(frame(5))
    assert slot.superseded == 4, "a frame that was taken is not superseded"


def test_the_slot_waits_for_a_frame_that_fits() -> None:
    slot = LatestSlot()
    slot.put(frame(1))
    assert slot.wait(lambda f: f.sequence > 1, never, 0.05) is None
    found: list[Frame | None] = []
    waiter = threading.Thread(target=lambda: found.append(slot.wait(lambda f: f.sequence > 1, never, 5)))
    waiter.start()
    slot.put(frame(2))
    waiter.join(5)
    assert [f.sequence for f in found if f] == [2]


def test_an_ended_link_wakes_its_waiters() -> None:
    slot, ended = LatestSlot(), threading.Event()
    waiter = threading.Thread(target=lambda: slot.wait(lambda f: True, ended.is_set, 30))
    waiter.start()
    ended.set()
    slot.wake()
    waiter.join(2)
    assert not waiter.is_alive()


def test_a_subscription_is_in_order_and_drops_the_oldest() -> None:
    subscription = Subscription(3)
    dropped = [subscription.put(frame(number)) for number in range(5)]
    assert dropped == [False, False, False, True, True]
    assert subscription.dropped == 2
    taken = [subscription.wait(never, 0) for _ in range(4)]
    assert [f.sequence for f in taken if f] == [2, 3, 4]
    assert taken[3] is None


@pytest.mark.parametrize("status", ["truncated", "corrupt"])
def test_damaged_frames_are_given_only_when_asked_for(status: FrameStatus) -> None:
    plain, all_of_them = Subscription(3), Subscription(3, damaged=True)
    for subscription in (plain, all_of_them):
        subscription.put(frame(0, status))
        subscription.put(frame(1, "duplicate"))
    first = plain.wait(never, 0)
    assert first is not None
    assert first.sequence == 1
    assert [all_of_them.wait(never, 0) is None for _ in range(3)] == [False, False, True]


def test_many_producers_frames_reach_a_consumer_without_loss() -> None:
    subscription = Subscription(100_000)
    total = 20_000
    producer = threading.Thread(target=lambda: [subscription.put(frame(n)) for n in range(total)])
    producer.start()
    deadline = time.monotonic() + 30
    seen = []
    while len(seen) < total and time.monotonic() < deadline:
        taken = subscription.wait(never, 5)
        assert taken is not None
        seen.append(taken.sequence)
    producer.join()
    assert seen == list(range(total))


def test_every_waiter_is_woken_and_none_rung_twice() -> None:
    slot, woken = LatestSlot(), []
    waiters = [
        threading.Thread(target=lambda: woken.append(slot.wait(lambda f: f.sequence >= 60, never, 30)))
        for _ in range(8)
    ]
    for waiter in waiters:
        waiter.start()
    # More than one notifier, while waiters come, look, and leave at the ends of their slices.
    stopping = threading.Event()

    def wake() -> None:
        while not stopping.is_set():
            slot.wake()

    waker = threading.Thread(target=wake)
    waker.start()
    for number in range(61):
        slot.put(frame(number))
        time.sleep(0.001)
    for waiter in waiters:
        waiter.join(10)
    stopping.set()
    waker.join(10)
    assert [f.sequence for f in woken if f] == [60] * 8
    assert not slot._wakeup._waiters
