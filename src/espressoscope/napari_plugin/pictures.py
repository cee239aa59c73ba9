"""What is done with every decoded picture before it is shown, on the decode threads. No Qt here.

A picture goes through the user's function of its camera, where there is one, then it is turned and mirrored,
then it is handed to the sink that shows it. Taps see it as the camera sent it, before all that.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import numpy as np

from espressoscope.napari_plugin.processing import FunctionError, HookRunner, HungError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from espressoscope import Frame

__all__ = ["Hook", "Look", "Pictures", "Scale", "Sink", "Tap"]

_T = TypeVar("_T")

Tap: TypeAlias = "Callable[[Frame, NDArray[np.uint8]], object]"
Sink: TypeAlias = "Callable[[Frame, NDArray[np.uint8]], object]"
Scale: TypeAlias = Literal[1, 2, 4, 8]
Hook: TypeAlias = "Callable[[Frame, NDArray[np.uint8]], NDArray[np.uint8]]"


@dataclass(frozen=True, slots=True)
class Look:
    """How a camera's pictures are shown.

    Attributes
    ----------
    turns : int
        Quarter turns counter-clockwise, 0 to 3.
    mirror_x, mirror_y : bool
        Left and right, up and down exchanged, before the picture is turned.
    pixel_um : float or None
        Size of one pixel of the full picture in um; None where it is not known.
    """

    turns: int = 0
    mirror_x: bool = False
    mirror_y: bool = False
    pixel_um: float | None = None

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the picture mirrored and turned: a view, nothing is copied."""
        if self.mirror_x:
            picture = picture[:, ::-1]
        if self.mirror_y:
            picture = picture[::-1]
        return np.rot90(picture, self.turns) if self.turns else picture


class Pictures:
    """The way of a decoded picture to the screen; `use` is called on decode threads.

    Attributes
    ----------
    sink : callable or None
        Takes the finished picture, valid until it returns.
    failures : dict of str to str
        What the user's function last raised, by camera; gone when it works again.
    failed : dict of str to int
        How often it raised.
    """

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.failures: dict[str, str] = {}
        self.failed: dict[str, int] = {}
        self._lock = threading.Lock()
        self._hooks: dict[str, Hook] = {}
        self._looks: dict[str, Look] = {}
        self._taps: tuple[Tap, ...] = ()

    def add_tap(self, tap: Tap) -> None:
        """Have every decoded picture told to a function, at the scale shown; it must be quick and copy."""
        with self._lock:
            self._taps = (*self._taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        """End that; does nothing when it is none."""
        with self._lock:
            self._taps = tuple(each for each in self._taps if each != tap)

    def set_hook(self, camera: str, hook: Hook | None) -> None:
        """Show what a function makes of a camera's pictures; None: the pictures themselves.

        Parameters
        ----------
        camera : str
            Name in the fleet.
        hook : callable or None
            Called with a `Frame` and its picture, (H, W, 3) uint8 RGB, on a decode thread. Gives an array of
            uint8, (H, W) or (H, W, 3). What it raises is told in `failures`, and the picture itself shown.
        """
        with self._lock:
            self._hooks = {**self._hooks, camera: hook} if hook else _without(self._hooks, camera)
            self.failures.pop(camera, None)

    def has_hook(self, camera: str) -> bool:
        """Tell whether a function is at work on a camera's pictures."""
        return camera in self._hooks

    def look(self, camera: str) -> Look:
        """Tell how a camera's pictures are shown."""
        return self._looks.get(camera, Look())

    def set_look(self, camera: str, look: Look) -> None:
        """Show a camera's pictures so from now on."""
        with self._lock:
            self._looks = {**self._looks, camera: look}

    def forget(self, camera: str) -> None:
        """Drop all that is kept of a camera."""
        with self._lock:
            self._hooks = _without(self._hooks, camera)
            self._looks = _without(self._looks, camera)
            self.failures.pop(camera, None)
            self.failed.pop(camera, None)

    def clear(self) -> None:
        """Drop everything: nobody is called any more."""
        with self._lock:
            self.sink = None
            self._taps = ()
            hooks, self._hooks = self._hooks, {}
        for hook in {id(hook): hook for hook in hooks.values()}.values():
            if isinstance(hook, HookRunner):
                hook.close()  # a decode thread may be waiting for it

    def use(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Take one picture its way."""
        for tap in self._taps:
            tap(frame, picture)
        hook = self._hooks.get(frame.camera)
        if hook is not None:
            picture = self._processed(hook, frame, picture)
        sink = self.sink
        if sink is not None:
            sink(frame, self.look(frame.camera).apply(picture))

    def _processed(self, hook: Hook, frame: Frame, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        try:
            made = np.asarray(hook(frame, picture))
            if made.dtype != np.uint8 or not (made.ndim == 2 or (made.ndim == 3 and made.shape[2] == 3)):
                raise TypeError(
                    f"it gave {made.dtype} of shape {made.shape}: uint8 of (H, W) or (H, W, 3) is shown"
                )
            if not made.size:
                raise ValueError("it gave a picture without a pixel")
        except HungError as error:
            with self._lock:
                self.failures[frame.camera] = str(error)
            return picture
        except Exception as error:  # noqa: BLE001 (a user's function; told, and the stream goes on)
            with self._lock:
                self.failures[frame.camera] = (
                    str(error) if isinstance(error, FunctionError) else f"{type(error).__name__}: {error}"
                )
                self.failed[frame.camera] = self.failed.get(frame.camera, 0) + 1
            return picture
        if frame.camera in self.failures:
            with self._lock:
                self.failures.pop(frame.camera, None)
        return made


def _without(mapping: dict[str, _T], name: str) -> dict[str, _T]:
    return {key: value for key, value in mapping.items() if key != name}
