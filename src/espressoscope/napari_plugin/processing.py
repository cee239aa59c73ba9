"""A user's function at work on live pictures: beside the decode threads, which wait for it for so long only.

A decode thread hands a picture over and waits: the function may take its time, up to `HUNG_S`. Python cannot
end a thread. So a function that has not returned by then is left alone with its thread, no further picture is
given to it, and pictures are shown without it; another function is started only when it has returned. No Qt
here.
"""

from __future__ import annotations

import inspect
import logging
import math
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from espressoscope.napari_plugin.hook_source import where

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from espressoscope import Frame

__all__ = ["HUNG_S", "FunctionError", "HookRunner", "HungError", "Range", "hung_functions", "shown_as"]

_log = logging.getLogger(__name__)

HUNG_S: Final = 2.0
"""A function that takes longer for one picture is given up."""
MOST_PIXELS: Final = 16_000_000
"""Largest picture a function may give."""
_LOG_EVERY_S: Final = 10.0
_FOLLOW: Final = 0.1
"""Share by which the range of values follows, with each picture, when values grow less far apart."""

Range = tuple[float, float]
_left: dict[threading.Thread, float] = {}
"""Threads nobody waits for any more, and when each was given its picture."""
_lock = threading.Lock()


def hung_functions() -> int:
    """Count threads of this process in which a function of a user's has not returned."""
    now = time.perf_counter()
    with _lock:
        return sum(now - began >= HUNG_S for began in _left.values())


class FunctionError(Exception):
    """The function raised, or gave what cannot be shown; in words, with file and line."""


class HungError(Exception):
    """The function does not return; it has been given up."""


class _Job:
    def __init__(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        self.frame = frame
        self.picture = picture
        self.done = threading.Event()
        self.given_up = False
        self.result: NDArray[Any] | None = None
        self.error: BaseException | None = None


class _Thread(threading.Thread):
    """Calls the function, one picture after the other, until told to end or given up."""

    def __init__(self, call: Callable[[Frame, NDArray[np.uint8]], Any]) -> None:
        super().__init__(name="espressoscope-hook", daemon=True)
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._call = call

    def run(self) -> None:
        while (job := self.jobs.get()) is not None:
            try:
                job.result = _checked(self._call(job.frame, job.picture))
            except BaseException as error:  # noqa: BLE001 (a thread boundary; sys.exit() of a script too)
                job.error = error
            with _lock:
                given_up = job.given_up
                job.done.set()
                _left.pop(self, None)
            del job
            if given_up:
                return


class HookRunner:
    """Makes of pictures what a function makes of them; called on decode threads, side by side.

    Parameters
    ----------
    function : callable
        ``function(frame)`` or ``function(frame, picture)``: a `Frame`, and its picture as decoded for the
        screen, (H, W, 3) uint8, which is the function's own to change. Gives an array of numbers or bools,
        (H, W) or (H, W, 3).
    place : str
        Its file or module, for words.
    fixed : (float, float), optional
        Values shown black and white; else the range of the values, which follows them.

    Attributes
    ----------
    calls, errors : int
        Pictures that were given to the function, and how many of them it failed on.
    failing : dict of str to str
        By camera: what went wrong with its last picture, with file and line. Never changed, but replaced.
    given_up : str
        Why no picture is given to it any more; "" while it works.
    ranges : dict of str to (float, float)
        By camera: the values shown black and white, where they are not shown as they are. Never changed,
        but replaced.
    mean_ms : float
        Time a picture takes, on average of the last ones.

    Raises
    ------
    TypeError
        It takes neither one argument nor two.
    """

    def __init__(self, function: Callable[..., Any], place: str, fixed: Range | None = None) -> None:
        self.calls = 0
        self.errors = 0
        self.failing: dict[str, str] = {}
        self.given_up = ""
        self.ranges: dict[str, Range] = {}
        self.mean_ms = 0.0
        self.name = getattr(function, "__name__", type(function).__name__)
        self._call = _with_both(function)
        self._place = place
        self._fixed = fixed
        self._lock = threading.Lock()
        self._idle: list[_Thread] = []
        self._at_work: set[_Job] = set()
        self._closed = False
        self._may_log_at = 0.0

    def __call__(self, frame: Frame, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give what the function makes of a picture, as it is shown: uint8.

        Raises
        ------
        HungError
            It was given up, now or before.
        FunctionError
            What it raised, or what is wrong with its result.
        """
        with self._lock:
            if self._closed:
                return picture
            if self.given_up:
                raise HungError(self.given_up)
            thread = self._idle.pop() if self._idle else None
            job = _Job(frame, picture.copy())  # the array is used again when this returns, whatever happens
            self._at_work.add(job)
            self.calls += 1
        if thread is None:
            thread = _Thread(self._call)
            thread.start()
        began = time.perf_counter()
        thread.jobs.put(job)
        job.done.wait(HUNG_S)
        with _lock:
            back = job.result is not None or job.error is not None
            if not back:
                job.given_up = True
                # One that is stopped in the middle of a picture may yet return in time.
                _left[thread] = began if self.closed else -math.inf
        with self._lock:
            self._at_work.discard(job)
            ended = self.closed
            if ended:
                thread.jobs.put(None)
            elif not back:
                self._give_up(frame.camera)
            else:
                self._idle.append(thread)
        if ended:
            return picture
        if not back:
            raise HungError(self.given_up)
        took_ms = 1000 * (time.perf_counter() - began)
        self.mean_ms += 0.1 * (took_ms - self.mean_ms) if self.mean_ms else took_ms
        if job.error is not None:
            raise FunctionError(self._fail(frame.camera, job.error))
        assert job.result is not None
        shown, values = shown_as(job.result, self._fixed, self.ranges.get(frame.camera))
        self._done(frame.camera, values)
        return shown

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def _give_up(self, camera: str) -> None:
        if not self.given_up:
            self.given_up = (
                f"{self.name} has not returned for {HUNG_S:g} s, with a picture of {camera}: "
                "pictures are shown without it"
            )
            _log.warning("%s", self.given_up)
            for thread in self._idle:
                thread.jobs.put(None)
            self._idle = []

    def _done(self, camera: str, values: Range | None) -> None:
        with self._lock:
            if values is not None:
                self.ranges = {**self.ranges, camera: values}
            if camera in self.failing:
                self.failing = {name: text for name, text in self.failing.items() if name != camera}

    def _fail(self, camera: str, error: BaseException) -> str:
        text = where(error, self._place)
        with self._lock:
            self.errors += 1
            if self.failing.get(camera) != text:
                self.failing = {**self.failing, camera: text}
            now = time.monotonic()
            if now < self._may_log_at:
                return text
            self._may_log_at = now + _LOG_EVERY_S
        _log.warning("%s failed; further errors are counted", self.name, exc_info=error)
        return text

    def close(self) -> None:
        """Call the function no more, and let go who waits for it; never blocks. Twice does nothing."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for job in self._at_work:
                job.done.set()
        for thread in idle:
            thread.jobs.put(None)


def _with_both(function: Callable[..., Any]) -> Callable[[Frame, NDArray[np.uint8]], Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built in, and does not tell
        return lambda frame, picture: function(frame)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = [each for each in parameters if each.kind in positional]
    needed = [each for each in takes if each.default is inspect.Parameter.empty]
    if len(needed) == 2:
        return function
    if len(needed) < 2 and takes:
        return lambda frame, picture: function(frame)
    many = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
    count = "as many arguments as come" if many else f"{len(needed)} arguments"
    raise TypeError(f"it takes {count}: name one, the frame, or two, the frame and its picture")


def _checked(result: object) -> NDArray[Any]:
    made = np.asarray(result)
    if not (made.dtype.kind in "buif" and (made.ndim == 2 or (made.ndim == 3 and made.shape[2] == 3))):
        what = "None" if result is None else f"{type(result).__name__} of {made.dtype}, shape {made.shape}"
        raise TypeError(f"it gave {what}: an array of numbers, (H, W) or (H, W, 3), is shown")
    if not made.size:
        raise ValueError(f"it gave a picture without a pixel, shape {made.shape}")
    if made.shape[0] * made.shape[1] > MOST_PIXELS:
        raise ValueError(f"it gave a picture of shape {made.shape}: {MOST_PIXELS} pixels are the most")
    return made


def shown_as(
    made: NDArray[Any], fixed: Range | None = None, before: Range | None = None
) -> tuple[NDArray[np.uint8], Range | None]:
    """Make values a picture.

    Parameters
    ----------
    made : array of numbers or bools
        uint8 stays as it is, of bools False is black, True white; others are scaled.
    fixed : (float, float), optional
        Values shown black and white.
    before : (float, float), optional
        The range the last picture had: it grows at once and shrinks slowly, so that nothing flickers.

    Returns
    -------
    (uint8 array, (float, float) or None)
        The picture, and the values that are black and white; None where it was not scaled. What is not
        finite is black; so is everything where all values are the same.
    """
    if made.dtype == np.uint8:
        return made, None
    if made.dtype == bool:
        return made.astype(np.uint8) * np.uint8(255), None
    values: NDArray[np.float64] = made.astype(np.float64)
    finite = np.isfinite(values)
    if fixed is not None:
        low, high = fixed
    elif finite.any():
        low = float(values.min(where=finite, initial=math.inf))
        high = float(values.max(where=finite, initial=-math.inf))
        if before is not None:
            low = min(low, before[0] + _FOLLOW * (low - before[0]))
            high = max(high, before[1] + _FOLLOW * (high - before[1]))
    else:
        low, high = before or (0.0, 1.0)
    values[~finite] = low
    if high <= low:
        return np.zeros(made.shape, np.uint8), (low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.clip((values - low) * (255.0 / (high - low)), 0.0, 255.0)
    return np.nan_to_num(scaled).astype(np.uint8), (low, high)
