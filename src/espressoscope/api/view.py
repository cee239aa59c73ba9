"""Decoded pictures of one camera or many, pushed to a function on the decode threads.

The one decode pool of this process is made here. It has no thread while there is no view.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from espressoscope.api.follower import leave_frames, take_frames

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.api.follower import Follower
    from espressoscope.api.runtime import Runtime
    from espressoscope.decode import DecodePool, View
    from espressoscope.engine.session import CameraSession
    from espressoscope.model import Frame, Order, Scale

__all__ = ["PictureView", "close_followers", "closing_here"]

_CLOSE_S = 0.6
"""Longest wait, in seconds, for functions that are being called when their views are closed."""
_COUNTS = ("decoded", "superseded", "failed", "errors")

_Place: TypeAlias = "tuple[Runtime, CameraSession, View]"

_guard = threading.Lock()
_pool: tuple[int, DecodePool] | None = None


def _shared_pool() -> DecodePool:
    global _pool
    from espressoscope.decode import DecodePool  # loads numpy, which a command like `status` need not

    with _guard:
        if _pool is None or _pool[0] != os.getpid():
            _pool = (os.getpid(), DecodePool())  # the pool of before a fork has no threads here
        return _pool[1]


class PictureView:
    """What `Camera.view` and `Fleet.view` give: pictures go to your function until it is closed.

    Your function is called with a frame and its picture, on one of a few decode threads: for pictures of
    different cameras side by side, for those of one camera one after the other. The array is used again: it
    is valid until your function returns; copy what you keep. Of each camera the newest frame counts: one that
    comes while an older one waits takes its place. What your function raises is logged and counted, and ends
    nothing. Also a context manager; closed with its camera or fleet at the latest.
    """

    def __init__(
        self,
        use: Callable[[Frame, NDArray[np.uint8]], object],
        scale: Scale,
        gray: bool,
        order: Order,
        partial: bool,
        followers: set[Follower],
    ) -> None:
        self._use = use
        self._scale: Scale = scale
        self._gray = gray
        self._order: Order = order
        self._partial = partial
        self._on_demand = False
        self._lock = threading.RLock()
        self._places: dict[str, _Place] = {}
        self._gone: Counter[str] = Counter()
        self._closed = False
        self._followers = followers
        followers.add(self)

    # ---- for Camera and Fleet -----------------------------------------------------------------------

    def join(
        self,
        name: str,
        runtime: Runtime,
        session: CameraSession,
        pending: set[concurrent.futures.Future[Any]],
    ) -> None:
        """Take a camera's frames from now on; `Camera` and `Fleet` call this."""
        with self._lock:
            if self._closed or name in self._places:
                return
            view = _shared_pool().view(
                self._use, scale=self._scale, gray=self._gray, order=self._order, partial=self._partial
            )
            view.on_demand = self._on_demand
            place = self._places[name] = (runtime, session, view)
        try:
            take_frames(runtime, session, view, pending)
        except BaseException:
            self.part(name)
            raise
        if self._places.get(name) is not place:  # closed meanwhile, maybe before its frames were taken
            leave_frames([place])

    def part(self, name: str) -> None:
        """Take a camera's frames no more; `Camera` and `Fleet` call this."""
        with self._lock:
            place = self._places.pop(name, None)
        if place is not None:
            _end_places([(self, [place])], self)

    # ---- for users ----------------------------------------------------------------------------------

    @property
    def scale(self) -> Scale:
        """Size divisor, 1, 2, 4 or 8; a new one holds from the next pictures on."""
        return self._scale

    @scale.setter
    def scale(self, scale: Scale) -> None:
        from espressoscope.decode.view import check

        check(scale, self._order)
        with self._lock:
            for _, _, view in self._places.values():
                view.scale = scale
            self._scale = scale

    @property
    def gray(self) -> bool:
        """Whether only brightness is decoded; a change holds from the next pictures on."""
        return self._gray

    @gray.setter
    def gray(self, gray: bool) -> None:
        with self._lock:
            for _, _, view in self._places.values():
                view.gray = gray
            self._gray = bool(gray)

    @property
    def on_demand(self) -> bool:
        """Whether pictures are decoded only after `ask`, the first ones excepted."""
        return self._on_demand

    @on_demand.setter
    def on_demand(self, on_demand: bool) -> None:
        with self._lock:
            for _, _, view in self._places.values():
                view.on_demand = on_demand
            self._on_demand = bool(on_demand)

    def ask(self) -> None:
        """Have one more picture of each camera decoded, as soon as there is a new one; never blocks.

        For who draws at a pace of its own: what would never be seen is not decoded. Asking twice before a
        camera's picture has come is asking once.
        """
        for view in self.views.values():
            view.ask()

    @property
    def views(self) -> Mapping[str, View]:
        """What is decoded of each camera, by name, with counts, a `scale` and a `last_error` of its own."""
        with self._lock:
            return {name: view for name, (_, _, view) in self._places.items()}

    @property
    def decoded(self) -> int:
        """Pictures given to your function, of all cameras in the view."""
        return self._sum("decoded")

    @property
    def superseded(self) -> int:
        """Frames that a newer one replaced before their turn came, of all cameras in the view."""
        return self._sum("superseded")

    @property
    def failed(self) -> int:
        """Frames that could not be decoded, of all cameras in the view."""
        return self._sum("failed")

    @property
    def errors(self) -> int:
        """How often your function raised an error, for all cameras in the view."""
        return self._sum("errors")

    def _sum(self, count: str) -> int:
        with self._lock:
            views = [view for _, _, view in self._places.values()]
            counts: list[int] = [getattr(view, count) for view in views]
            return sum(counts, self._gone[count])

    def close(self) -> None:
        """Call the function no more; when this returns it is not running either.

        Twice does nothing. From inside the function it ends the view when the function returns. A function
        that hangs is left to itself after 0.6 s, with a line in the log.
        """
        with closing_here(self):
            close_followers([self], self)

    def _take_places(self) -> list[_Place]:
        with self._lock:
            self._closed = True
            places = list(self._places.values())
            self._places.clear()
        self._followers.discard(self)
        return places

    def __enter__(self) -> PictureView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def closing_here(whose: object) -> contextlib.AbstractContextManager[None]:
    """Tell that a camera or fleet is being closed here, which may be inside a view's function."""
    if _pool is None:  # there has been no view
        return contextlib.nullcontext()
    from espressoscope.decode import ending_here

    return ending_here(whose)


def close_followers(followers: Iterable[Follower], whose: object) -> None:
    """Close several at once: functions that hang are waited for together, not one after the other.

    Parameters
    ----------
    whose : object
        The camera or fleet that is closed: a function that is about to close it too is not waited for.
    """
    followers = tuple(followers)
    taken = [(each, each._take_places()) for each in followers if isinstance(each, PictureView)]
    try:
        for each in followers:
            if not isinstance(each, PictureView):
                each.close()
    finally:
        _end_places(taken, whose)


def _end_places(taken: list[tuple[PictureView, list[_Place]]], whose: object) -> None:
    """Take frames no more, see to it that no function is called any more, and keep the counts."""
    places = [place for _, those in taken for place in those]
    if not places:
        return
    from espressoscope.decode import close_all

    try:
        leave_frames(places)
    finally:
        close_all([view for _, _, view in places], _CLOSE_S, whose)
        for picture_view, those in taken:
            with picture_view._lock:
                for _, _, view in those:
                    picture_view._gone.update({count: getattr(view, count) for count in _COUNTS})
