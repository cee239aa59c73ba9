"""One view of a decode pool: its pictures, what goes wrong with them, and how it ends."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any

import pytest
from decode_support import Taker, broken, decode_threads, frame, jpeg, put_and_wait
from PIL import Image

from espressoscope.decode import DecodePool, View
from espressoscope.errors import DecodeError
from espressoscope.model import Frame
from support import wait_until

# --- pictures


def test_pictures_are_right_and_come_in_one_array_off_the_callers_thread() -> None:
    taker = Taker()
    with DecodePool(2).view(taker) as view:
        put_and_wait(view, *(frame(number, camera=9) for number in range(20)))
    assert taker.sequences == list(range(20))
    assert taker.numbers == [(9, number) for number in range(20)]
    assert set(taker.shapes) == {(240, 320, 3)}
    assert len(set(taker.addresses)) == 1
    assert all(name.startswith("espressoscope-decode-") for name in taker.threads)
    assert (view.decoded, view.superseded, view.failed, view.errors) == (20, 0, 0, 0)


def test_scale_and_gray_change_with_the_next_picture() -> None:
    taker = Taker()
    with DecodePool(1).view(taker, scale=2) as view:
        put_and_wait(view, frame(0))
        view.scale = 4
        put_and_wait(view, frame(1), frame(2))
        view.gray = True
        put_and_wait(view, frame(3))
        view.scale = 1
        put_and_wait(view, frame(4))
        assert (view.scale, view.gray) == (1, True)
    assert taker.shapes == [(120, 160, 3), (60, 80, 3), (60, 80, 3), (60, 80), (240, 320)]
    assert [number for _, number in taker.numbers] == [0, 1, 2, 3, 4]
    assert taker.addresses[1] == taker.addresses[2]


def test_on_demand_a_picture_is_decoded_only_when_asked_for_and_it_is_the_newest() -> None:
    taker = Taker()
    with DecodePool(2).view(taker) as view:
        view.on_demand = True
        put_and_wait(view, frame(0))  # the first one needs no asking
        for number in (1, 2, 3):
            view.put(frame(number))
        assert (view.decoded, view.superseded) == (1, 2)
        view.ask()
        wait_until(lambda: view.decoded == 2)
        view.ask()  # before there is a frame, and twice: one picture
        view.ask()
        put_and_wait(view, frame(4))
        view.put(frame(5))
        assert taker.sequences == [0, 3, 4]
        view.on_demand = False  # what waits is decoded, and all that comes
        wait_until(lambda: view.decoded == 4)
        put_and_wait(view, frame(6), frame(7))
    view.ask()
    assert taker.sequences == [0, 3, 4, 5, 6, 7]


def test_asked_for_while_a_picture_is_used_the_next_one_follows() -> None:
    taker = Taker()
    with DecodePool(1).view(taker) as view:
        view.on_demand = True
        taker.hold()
        view.put(frame(0))
        taker.wait_inside()
        view.put(frame(1))
        view.ask()
        view.put(frame(2))
        taker.let_go()
        wait_until(lambda: view.decoded == 2)
        view.put(frame(3))
        assert taker.sequences == [0, 2]
        assert not view._queued


def test_the_array_follows_the_cameras_size() -> None:
    taker = Taker()
    sizes = [(320, 240), (320, 240), (640, 480), (640, 480), (160, 120)]
    with DecodePool(1).view(taker) as view:
        put_and_wait(view, *(frame(n, width=w, height=h) for n, (w, h) in enumerate(sizes)))
    assert taker.shapes == [(height, width, 3) for width, height in sizes]
    assert taker.addresses[0] == taker.addresses[1]
    assert taker.addresses[2] == taker.addresses[3]


def test_channels_come_in_the_order_asked_for() -> None:
    pixels: list[list[int]] = []
    file = BytesIO()
    Image.new("RGB", (32, 32), (250, 120, 10)).save(file, "JPEG", quality=95)
    pool = DecodePool(1)
    for order in ("RGB", "BGR"):
        with pool.view(lambda _, image: pixels.append(image[5, 5].tolist()), order=order) as view:  # type: ignore[arg-type]
            put_and_wait(view, Frame(file.getvalue(), 0, 0))
    assert pixels[0] == pixels[1][::-1]
    assert pixels[0][0] > 240


@pytest.mark.parametrize("options", [{"scale": 3}, {"scale": 0}, {"order": "rgb"}])
def test_what_there_is_not_is_refused_and_starts_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        DecodePool(1).view(Taker(), **options)
    assert decode_threads() == set()


def test_a_scale_there_is_not_is_refused_later_too() -> None:
    with DecodePool(1).view(Taker(), scale=2) as view:
        with pytest.raises(ValueError, match="1, 2, 4 or 8, not 5"):
            view.scale = 5  # type: ignore[assignment]
        assert view.scale == 2


def test_a_view_says_what_it_is() -> None:
    with DecodePool(1).view(Taker(), scale=2, gray=True) as view:
        put_and_wait(view, frame(0))
        assert repr(view) == "<View of A1 for Taker(): 1/2 gray, 1 decoded>"
    assert isinstance(view, View)
    assert "closed" in repr(view)


# --- damage and errors


def test_damaged_frames_are_counted_and_not_decoded() -> None:
    taker = Taker()
    with DecodePool(1).view(taker) as view:
        view.put(frame(1, status="truncated"))
        view.put(frame(2, status="corrupt"))
        assert view.failed == 2
        put_and_wait(view, broken(3))
        assert isinstance(view.last_error, DecodeError)
        assert view.last_error.sequence == 3
        put_and_wait(view, Frame(b"", 4, 0), frame(5), frame(6, status="duplicate"))
    assert (view.decoded, view.failed, view.superseded, view.errors) == (2, 4, 0, 0)
    assert taker.sequences == [5, 6]


def test_with_partial_damaged_frames_are_shown_as_far_as_they_go() -> None:
    shapes = []
    with DecodePool(1).view(lambda _, image: shapes.append(image.shape), partial=True) as view:
        data = jpeg(1)
        put_and_wait(view, Frame(data[: len(data) // 2], 0, 0, status="truncated"), broken(1))
        put_and_wait(view, Frame(b"junk", 1, 0, status="corrupt"))
    assert shapes == [(240, 320, 3)] * 2
    assert (view.decoded, view.failed) == (2, 1)


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), SystemExit(3)])
def test_an_error_in_use_ends_nothing_and_is_told_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    taker = Taker()
    with DecodePool(1).view(taker) as view:

        def fail() -> None:
            raise error

        taker.doing = fail
        put_and_wait(view, *(frame(number) for number in range(5)))
        assert (view.errors, view.decoded) == (5, 5)
        assert view.last_error is error
        taker.doing = lambda: None
        put_and_wait(view, frame(5))
        taker.doing = fail  # a second row of errors, right behind the first
        put_and_wait(view, frame(6))
        assert view.errors == 6
    (record,) = caplog.records
    assert "A1: Taker() raised an error at frame 0" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


# --- closing


def test_closing_waits_for_the_picture_at_hand_and_no_other_comes() -> None:
    taker = Taker()
    view = DecodePool(2).view(taker)
    taker.hold()
    view.put(frame(0))
    taker.wait_inside()
    view.put(frame(1))
    closers = [threading.Thread(target=view.close) for _ in range(3)]
    for closer in closers:
        closer.start()
    wait_until(lambda: view.closed)
    assert all(closer.is_alive() for closer in closers)
    assert view.superseded == 1
    taker.let_go()
    for closer in closers:
        closer.join(5)
    assert decode_threads() == set()
    assert view.put(frame(2)) is False
    view.close()
    view.wake()
    assert taker.sequences == [0]


def test_closing_from_inside_use() -> None:
    taker = Taker()
    pool = DecodePool(1)
    view, other = pool.view(taker), pool.view(Taker())
    taker.doing = view.close
    view.put(frame(0))
    wait_until(lambda: view.closed)
    put_and_wait(other, frame(1))
    assert other.decoded == 1
    other.close()
    assert taker.sequences == [0]


def test_the_last_view_may_be_closed_from_inside_use() -> None:
    taker = Taker()
    view = DecodePool(3).view(taker)
    taker.doing = view.close
    view.put(frame(0))
    wait_until(lambda: not decode_threads(), what="the end of the threads")
    view.close()


def test_views_may_close_each_other_from_inside_use() -> None:
    pool = DecodePool(2)
    takers = [Taker(), Taker()]
    views = [pool.view(taker) for taker in takers]
    both = threading.Barrier(2)
    for taker, other in zip(takers, reversed(views), strict=True):
        taker.doing = lambda other=other: (both.wait(5), other.close())  # type: ignore[misc]
    for view in views:
        view.put(frame(0))
    wait_until(lambda: not decode_threads(), what="the end of the threads")
    assert all(view.closed and view.errors == 0 for view in views)
