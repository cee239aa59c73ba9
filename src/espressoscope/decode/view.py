"""One consumer of decoded pictures: keeps the newest frame until a decode thread has time for it.

The threads are `crew`'s. What is here runs on two sides: `View.put` on the thread that reads sockets, where
nothing may wait; `View.turn` on a decode thread. The lock between them is held for a few assignments, never
while a picture is decoded or used.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from espressoscope.decode.jpeg import Decoder
from espressoscope.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.decode.crew import Crew, Worker
    from espressoscope.model import Frame, Order, Scale

__all__ = ["View", "check", "close_all"]

_log = logging.getLogger(__name__)

CLOSE_S: Final = 1.0
"""Seconds `View.close` waits for a picture that is being used."""
_SLICE_S: Final = 0.05
"""Longest uninterrupted wait: on Windows a lock that is waited for does not see Ctrl-C."""
_LOG_EVERY_S: Final = 10.0
"""A view logs at most one error in so many seconds; all are counted."""


def check(scale: object, order: object) -> None:
    """Raise ValueError for a scale or an order that there is not."""
    if scale not in (1, 2, 4, 8):
        raise ValueError(f"scale must be 1, 2, 4 or 8, not {scale!r}")
    if order not in ("RGB", "BGR"):
        raise ValueError(f"order must be 'RGB' or 'BGR', not {order!r}")


class View:
    """A consumer of frames that decodes the newest one whenever a thread is free; from `DecodePool.view`.

    One frame waits; a newer one replaces it. Pictures are used one after the other, in the order their frames
    came. Nothing that goes wrong with a picture, or in `use`, ends a view. Also a context manager.

    Attributes
    ----------
    decoded : int
        Pictures decoded, and given to `use` unless the view was closed meanwhile.
    superseded : int
        Frames that were replaced by a newer one, or by closing, before their turn came.
    errors : int
        Calls of `use` that raised.
    last_error : BaseException or None
        What was raised last, by decoding or by `use`.
    given_up : bool
        `use` once took so long that its thread was replaced, for the sake of the other views.
    """

    def __init__(
        self,
        crew: Crew,
        use: Callable[[Frame, NDArray[np.uint8]], object],
        scale: Scale,
        gray: bool,
        order: Order,
        partial: bool,
    ) -> None:
        self.decoded = 0
        self.superseded = 0
        self.errors = 0
        self.last_error: BaseException | None = None
        self.given_up = False
        self._crew = crew
        self._use = use
        self._scale: Scale = scale
        self._gray = gray
        self._order: Order = order
        self._partial = partial
        self._decoder = Decoder(order, partial)
        self._pid = os.getpid()
        # Reentrant: the garbage collector may close a view from wherever it happens to run.
        self._lock = threading.RLock()
        self._pending: Frame | None = None
        self._queued = False  # waits for a decode thread, or has one
        self._on_demand = False
        self._asked = True
        self._closed = False
        self._worker: Worker | None = None
        self._done: threading.Event | None = None  # of those who wait for `_worker` to come out
        self._damaged = 0
        self._undecodable = 0
        self._failing = False
        self._may_log_at = 0.0
        self._camera = ""  # of the frame at hand, or the last one

    @property
    def scale(self) -> Scale:
        """Size divisor, 1, 2, 4 or 8; a new one holds from the next picture on."""
        return self._scale

    @scale.setter
    def scale(self, scale: Scale) -> None:
        check(scale, self._order)
        self._scale = scale

    @property
    def gray(self) -> bool:
        """Whether only brightness is decoded; a change holds from the next picture on."""
        return self._gray

    @gray.setter
    def gray(self, gray: bool) -> None:
        self._gray = bool(gray)

    @property
    def on_demand(self) -> bool:
        """Whether a picture is decoded only after `ask`, the first one excepted."""
        return self._on_demand

    @on_demand.setter
    def on_demand(self, on_demand: bool) -> None:
        self._on_demand = bool(on_demand)
        if not on_demand:
            self.ask()

    def ask(self) -> None:
        """Have one more picture decoded, of the newest frame, as soon as there is one; never blocks.

        For who draws at a pace of its own: what would never be seen is not decoded. Asking twice before a
        picture has come is asking once. Without `on_demand` it does nothing.
        """
        with self._lock:
            self._asked = True
            if self._queued or self._pending is None or self._closed:
                return
            self._queued = True
        self._crew.offer(self)

    @property
    def failed(self) -> int:
        """Frames that came damaged, where `partial` was not asked for, or could not be decoded."""
        return self._damaged + self._undecodable

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    # ---- from the thread that reads sockets -----------------------------------------------------

    def put(self, frame: Frame) -> bool:
        """Take a frame in place of the one that waits; never blocks, and never after `close`.

        Returns
        -------
        bool
            False: a view promises the newest picture, not every one, so nothing is lost that a link would
            have to count as dropped. See `superseded`.

        Raises
        ------
        RuntimeError
            In a process made by fork, which has no decode threads.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("this view was made before a fork: make views in the process that uses them")
        with self._lock:
            if self._closed:
                return False
            if not self._partial and (frame.status == "truncated" or frame.status == "corrupt"):
                self._damaged += 1
                return False
            if self._pending is not None:
                self.superseded += 1
            self._pending = frame
            if self._on_demand and not self._asked:
                return False
            waiting, self._queued = self._queued, True
        if waiting:
            self._crew.look()
        else:
            self._crew.offer(self)
        return False

    def wake(self) -> None:
        """Do nothing: nobody waits in a view when a link ends."""

    # ---- on a decode thread ---------------------------------------------------------------------

    def turn(self, worker: Worker) -> bool:
        """Decode and use the frame that waits; true when there is another one by now."""
        frame = self._begin(worker)
        if frame is None:
            return False
        try:
            self._show(frame)
        finally:
            again = self._finish()
        return again

    def _begin(self, worker: Worker) -> Frame | None:
        with self._lock:
            frame, self._pending = self._pending, None
            if frame is None or self._closed:
                self._queued = False
                return None
            self._worker = worker
            self._camera = frame.camera
            self._asked = False
            return frame

    def _finish(self) -> bool:
        with self._lock:
            self._worker = None
            wanted = self._asked or not self._on_demand
            self._queued = self._pending is not None and wanted and not self._closed
            if self._done is not None:
                self._done.set()
            return self._queued

    def _show(self, frame: Frame) -> None:
        try:
            image = self._decoder.decode(frame, self._scale, self._gray)
        except DecodeError as error:
            self._undecodable += 1
            self.last_error = error
            return
        except Exception as error:  # noqa: BLE001 - a thread boundary: no memory, for example
            self._undecodable += 1
            self._report(error, "its picture could not be decoded", frame)
            return
        self.decoded += 1
        if self._closed:
            return
        try:
            self._use(frame, image)
        except BaseException as error:  # noqa: BLE001 - a thread boundary; sys.exit() ends no view either
            self.errors += 1
            self._report(error, f"{_name(self._use)} raised an error", frame)
        else:
            self._failing = False

    def _report(self, error: BaseException, what: str, frame: Frame) -> None:
        """Keep an error; log it when the one before went well, and not too often."""
        self.last_error = error
        began, self._failing = not self._failing, True
        now = time.monotonic()
        if began and now >= self._may_log_at:
            self._may_log_at = now + _LOG_EVERY_S
            _log.error(
                "%s: %s at frame %d; its view goes on, and counts further ones",
                frame.camera or "camera",
                what,
                frame.sequence,
                exc_info=error,
            )

    # ---- the end --------------------------------------------------------------------------------

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """End the view; from any thread, also from inside `use`, and as often as you like.

        When it returns, `use` is not running and will not be called again. Two exceptions: called from inside
        `use`, this call of it goes on; and a `use` that does not return is waited for no longer than
        `timeout_s`, and the log says so. The last view closed ends the threads.
        """
        close_all([self], timeout_s)

    def _begin_to_close(self) -> bool:
        """Have no further frame used; true when this was the first to say so."""
        with self._lock:
            first, self._closed = not self._closed, True
            if self._pending is not None:
                self._pending = None
                self.superseded += 1
            if self._worker is not None and self._done is None:
                self._done = threading.Event()
            return first

    def _wait_until_out(self, deadline: float, timeout_s: float, whose: object) -> None:
        """Wait for the picture at hand, and give up its thread when it takes longer."""
        worker, done = self._worker, self._done
        if worker is None or done is None or worker.is_current:
            return
        if _wait(lambda: done.is_set() or worker.waits_for(whose), done, deadline):
            return
        _log.warning(
            "%s: %s did not return within %.1f s of closing its view; its thread is left to it",
            self._camera or "camera",
            _name(self._use),
            timeout_s,
        )
        self._crew.write_off(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"1/{self._scale}{' gray' if self._gray else ''}"
        return f"<View of {self._camera or '?'} for {_name(self._use)}: {state}, {self.decoded} decoded>"


def close_all(views: Sequence[View], timeout_s: float = CLOSE_S, whose: object = None) -> None:
    """Close several views at once: as `View.close`, with one wait for all of them.

    None is called any more once the first wait begins: one that hangs does not take the time of the others.

    Parameters
    ----------
    whose : object, optional
        What ends with them: a `use` that itself waits for that to end (`ending_here`) is not waited for.
    """
    views = [view for view in views if view._pid == os.getpid()]
    deadline = time.monotonic() + timeout_s
    mine: list[View] = []
    try:
        mine.extend(view for view in views if view._begin_to_close())
        for view in views:
            view._wait_until_out(deadline, timeout_s, whose)
    finally:
        for view in mine:
            view._crew.leave(deadline, whose)


def _wait(out: Callable[[], bool], done: threading.Event, deadline: float) -> bool:
    while not out():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        done.wait(min(left, _SLICE_S))
    return True


def _name(use: Callable[..., object]) -> str:
    return f"{getattr(use, '__qualname__', type(use).__qualname__)}()"
