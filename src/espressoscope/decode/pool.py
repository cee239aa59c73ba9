"""The door to decoding on threads: a pool starts them with its first view and ends them with its last.

How work is shared out is in `crew`, what is done with one camera's frames in `view`.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Final

from espressoscope.decode.crew import Crew
from espressoscope.decode.view import View, check

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.model import Frame, Order, Scale

__all__ = ["DecodePool"]

MOST_WORKERS: Final = 4
"""Most threads unless told otherwise; there are never more than processors."""


class DecodePool:
    """Decodes pictures for views on a few threads of its own.

    Nothing runs until the first `view`, and nothing after the last one is closed.

    Parameters
    ----------
    workers : int, optional
        Number of threads; as many as this process may use processors, at most 4. libjpeg runs without
        Python's lock, so they do decode side by side.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"a decode pool needs at least one worker, not {workers}")
        self.workers = min(MOST_WORKERS, _processors()) if workers is None else workers
        # Reentrant: the garbage collector may close a view from wherever it happens to run.
        self._guard = threading.RLock()
        self._crew: Crew | None = None

    def view(
        self,
        use: Callable[[Frame, NDArray[np.uint8]], object],
        *,
        scale: Scale = 1,
        gray: bool = False,
        order: Order = "RGB",
        partial: bool = False,
    ) -> View:
        """Make a view: frames go in by `View.put`, pictures come out by `use`.

        Parameters
        ----------
        use : callable
            Called on a decode thread with a frame and its picture, (H, W, 3) or with `gray` (H, W) uint8. The
            array is the view's own and used again: it is valid until `use` returns.
        scale : {1, 2, 4, 8}
            Size divisor, done inside the JPEG decoder; `View.scale` changes it.
        gray : bool
            Brightness only; `View.gray` changes it.
        order : {"RGB", "BGR"}
            Channel order of colour pictures.
        partial : bool
            Also show what can be decoded of damaged frames.

        Raises
        ------
        RuntimeError
            The pool runs in the process this one was forked from.
        CameraError
            The system gives no more threads.
        """
        check(scale, order)
        crew = self._crew
        if crew is not None and crew.pid != os.getpid():
            raise RuntimeError("this decode pool ran before a fork: make one in the process that uses it")
        with self._guard:
            crew = self._crew
            if crew is None or crew.over:
                crew = Crew(self.workers, self._guard)
                crew.start()
                self._crew = crew
            view = View(crew, use, scale, gray, order, partial)
            crew.views += 1
            return view


def _processors() -> int:
    """Give how many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    else:
        return os.cpu_count() or 1
