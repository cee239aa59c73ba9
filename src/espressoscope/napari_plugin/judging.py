"""What may be said of each camera's picture: how old it is, whether it is live, and what is written on it.

A picture's age counts from its last byte's arrival, not from when it was decoded, painted or shown.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from espressoscope.display import TileState
from espressoscope.napari_plugin.labels import text_mask
from espressoscope.napari_plugin.layout import STALE_S, label_of, state_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope import Frame
    from espressoscope.napari_plugin.board import Board
    from espressoscope.napari_plugin.freeze import Freeze
    from espressoscope.napari_plugin.layers import LiveLayer
    from espressoscope.napari_plugin.session import CameraState, LiveSession

__all__ = ["Judging"]

LETTER: Final = 0.4
"""Width of a letter, as a share of a label's height."""


class Judging:
    """Judges the pictures of a session's cameras.

    Parameters
    ----------
    session : LiveSession
        Whose cameras.
    freeze : Freeze
        Whether the user lets the picture stand still: then nothing is judged, and the labels say so.

    Attributes
    ----------
    words : dict of (str, str) to str
        What is written on a tile, by layer and camera; "" where nothing is.
    """

    def __init__(self, session: LiveSession, freeze: Freeze) -> None:
        self.words: dict[tuple[str, str], str] = {}
        self._session = session
        self._freeze = freeze
        self._states: dict[str, CameraState] = {}
        self._noted_at = 0.0
        # By camera, on the clock of `perf_counter`, when the last byte arrived of the picture that was
        # decoded, painted, held back or shown last; and the least seen from a frame's own clock to this one.
        self._came: dict[str, float] = {}
        self._painted: dict[str, float] = {}
        self._held: dict[str, float] = {}
        self._shown: dict[str, float] = {}
        self._least: dict[str, float] = {}
        self._asked: dict[str, float] = {}  # since when a first picture has been waited for
        self._graying: set[tuple[Board, str]] = set()

    # ---- on decode threads --------------------------------------------------------------------------

    def came(self, frame: Frame, picture: NDArray[np.uint8] | None = None) -> None:
        """Note that a camera's picture is decoded, before anything is done with it."""
        # A frame's clock is the wall's as it was when streaming began, which may have been set since: so
        # no difference of clocks is taken as an age, but what it exceeds the least one by.
        now, name = time.perf_counter(), frame.camera
        behind = now - frame.received_ns / 1e9
        self._least[name] = min(behind, self._least.get(name, behind))
        self._came[name] = self._arrived(frame, now)

    def paint_as(self, frame: Frame) -> TileState:
        """Say as what a picture may be painted that comes now."""
        name, now = frame.camera, time.perf_counter()
        entry = self._states.get(name)
        state = state_of(now - self._arrived(frame, now), True, None if entry is None else entry.stats)
        return TileState.STALE if state is TileState.NO_SIGNAL else state

    def painted(self, frame: Frame) -> None:
        """Note that a picture is painted."""
        self._painted[frame.camera] = self._arrived(frame, time.perf_counter())
        self._held.pop(frame.camera, None)

    def held(self, frame: Frame) -> None:
        """Note that a picture is not painted, because the user lets the view stand still."""
        self._held[frame.camera] = self._arrived(frame, time.perf_counter())

    def _arrived(self, frame: Frame, now: float) -> float:
        return min(
            now, frame.received_ns / 1e9 + self._least.get(frame.camera, now - frame.received_ns / 1e9)
        )

    # ---- on the thread that draws -------------------------------------------------------------------

    def note(self, states: dict[str, CameraState]) -> None:
        """Note the cameras' figures."""
        self._states = states
        self._noted_at = time.perf_counter()

    def forget(self, name: str) -> None:
        """Drop all that is known of a camera."""
        for times in (self._came, self._painted, self._held, self._shown, self._least, self._asked):
            times.pop(name, None)
        self.words = {key: words for key, words in self.words.items() if key[1] != name}

    def pictures_of(self, live: LiveLayer) -> dict[str, float]:
        """Give a token for `showed`: what is painted in a layer before it is refreshed."""
        return {name: self._painted[name] for name in live.board.names if name in self._painted}

    def showed(self, pictures: dict[str, float], visible: Collection[str] | None) -> None:
        """Note that these are on the screen now, where somebody can see them."""
        for name, arrived in pictures.items():
            if visible is None or name in visible:
                self._shown[name] = arrived

    def age_s(self, name: str) -> float | None:
        """Seconds since the camera's newest picture arrived that was decoded; None before the first."""
        return _age(self._came.get(name))

    def shown_age_s(self, name: str) -> float | None:
        """Seconds since the picture arrived that is on the screen; None before the first."""
        return _age(self._shown.get(name))

    def state(self, name: str) -> TileState:
        """Say what may be said of the picture that is painted now."""
        entry = self._states.get(name)
        age_s = _age(self._painted.get(name))
        state = state_of(age_s, self._session.live, None if entry is None else entry.stats)
        if (
            state is TileState.NO_SIGNAL
            and age_s is not None
            and (self._is_held(name) or self._is_slow(name))
        ):
            return TileState.STALE  # its camera is well
        return state

    def _is_held(self, name: str) -> bool:
        """Tell whether newer pictures came and were not painted: the user had frozen the view."""
        age_s = _age(self._held.get(name))
        return age_s is not None and age_s < STALE_S

    def _is_slow(self, name: str) -> bool:
        """Tell whether a picture is old because the user's function takes so long."""
        entry = self._states.get(name)
        if entry is None or entry.stats.age_s is None or not self._session.pictures.has_hook(name):
            return False
        # What comes during one call of the function is never decoded: its camera alone knows of it.
        fresh = entry.stats.age_s + time.perf_counter() - self._noted_at < STALE_S
        return fresh and not self._is_held(name)

    def judge(self, live: LiveLayer) -> None:
        """Have nothing in a layer look live that is not."""
        if not self._freeze.at:
            for name in live.board.names:
                self._judge(live.board, name, self.state(name))

    def write(self, key: str, live: LiveLayer, name: str, height: int, of_live: str = "") -> None:
        """Judge a camera's picture, and write what there is to be said.

        Parameters
        ----------
        key : str
            The layer's, for `words`.
        live : LiveLayer
            Where.
        name : str
            The camera.
        height : int
            Of the label, in pixels of the tile.
        of_live : str
            What is said of a live picture: nothing, its "name", or its "figures" too.
        """
        shown = live.board.states.get(name, TileState.NO_SIGNAL)
        if self._freeze.at:
            text = self._freeze.label(name, shown)
        else:
            state, entry = self.state(name), self._states.get(name)
            self._judge(live.board, name, state)
            told = live.board.states.get(name, state) if state is TileState.LIVE else state
            most = round(live.board.tile[1] / height / LETTER)
            text = name if of_live == "name" else ""
            if of_live == "figures" or told is not TileState.LIVE:
                text = label_of(
                    name,
                    told,
                    _age(self._painted.get(name)),
                    entry.stats.fps if entry else 0.0,
                    self._session.live,
                    most,
                    slow=self._is_slow(name),
                    waiting_s=self._waiting_s(name),
                )
        live.board.label(name, text_mask(text, height) if text else None)
        self.words[key, name] = text

    def _waiting_s(self, name: str) -> float:
        if name in self._painted or not self._session.live:
            self._asked.pop(name, None)
            return 0.0
        now = time.perf_counter()
        return now - self._asked.setdefault(name, now)

    def _judge(self, board: Board, name: str, state: TileState) -> None:
        """Gray a tile that is not live; a large one on another thread."""
        if not board.is_large or not board.would_change(name, state):
            board.judge(name, state)
            return
        work = board, name
        if work not in self._graying:
            self._graying.add(work)

            def gray() -> None:
                try:
                    if not self._freeze.at:
                        board.judge(name, self.state(name))
                finally:
                    self._graying.discard(work)

            if not self._session.run(gray, quiet=True):
                gray()


def _age(arrived: float | None) -> float | None:
    return None if arrived is None else max(0.0, time.perf_counter() - arrived)
