"""The one live session of a widget: its cameras, and every call that may block, on threads of its own.

Widgets call methods here, which return at once, and are told by signals. All signals are emitted on the
thread the session was made on, which draws; nothing here ever waits on it. What may block is in `roster`
(cameras come, go and stream), `hunt` (the search) and `figures`; `calls` has the threads.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from qtpy.QtCore import QObject, Signal

from espressoscope.napari_plugin.calls import Calls
from espressoscope.napari_plugin.figures import CameraState, Figures
from espressoscope.napari_plugin.hunt import Hunt
from espressoscope.napari_plugin.mailbox import Mailbox, application, delete_soon
from espressoscope.napari_plugin.pictures import Look, Pictures
from espressoscope.napari_plugin.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import espressoscope as es
    from espressoscope.napari_plugin.pictures import Scale
    from espressoscope.napari_plugin.plates import Plate

__all__ = ["CameraState", "LiveSession"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

END_S: Final = 2.0
"""Longest wait, in seconds, for threads when a session is closed; not on the thread that draws."""
FLEET: Final = "fleet"
"""The lane of cameras that come: dead ones hold it up for some seconds."""
LIVE: Final = "live"
"""The lane of streams that start and stop."""
LEAVE: Final = "leave"
"""The lane of cameras that go."""


class LiveSession(QObject):
    """Cameras of one widget, live.

    Attributes
    ----------
    pictures : Pictures
        The way of decoded pictures to the screen: functions of the user's, turns and mirrors, taps.
    sharpness : dict of str to float
        The newest figure of each camera, written by whoever measures it.
    """

    camera_added = Signal(str)
    """A camera belongs to the session from now on."""
    camera_removed = Signal(str)
    """It does no more."""
    states = Signal(object)
    """dict of str to CameraState, all cameras, about twice a second."""
    live_changed = Signal(bool)
    """Pictures were asked for, or no more."""
    selection_changed = Signal(object)
    """list of str: the cameras the user has chosen."""
    look_changed = Signal(str)
    """A camera's pictures are turned, mirrored or measured differently."""
    busy = Signal(bool)
    """Calls are under way, or none any more."""
    failed = Signal(str)
    """Something went wrong: what, and what to try, in words."""
    said = Signal(str)
    """Something worth telling that is not wrong."""
    found = Signal(object)
    """CameraInfo: a search has found this one."""
    search_progress = Signal(object)
    """SearchProgress."""
    search_ended = Signal(object)
    """list of str: why nothing was found; empty when something was, or when it was cancelled."""

    def __init__(self) -> None:
        super().__init__(application())
        self.pictures = Pictures()
        self.sharpness: dict[str, float] = {}
        self._selected: list[str] = []
        self._names: list[str] = []
        self._live = False
        self._closed = threading.Event()
        self._ended = threading.Event()
        self._mailbox = mailbox = Mailbox()
        self._calls = Calls(mailbox, self.busy.emit, self.failed.emit)
        self._roster = Roster(
            self.pictures,
            lambda name: mailbox.post(lambda: self._joined(name)),
            lambda name: mailbox.post(lambda: self._left(name)),
        )
        self._figures = Figures(
            lambda: self._roster.fleet, lambda states: mailbox.post(lambda: self.states.emit(states))
        )
        self._hunt = Hunt(
            self._calls, mailbox, self.found.emit, self.search_progress.emit, self.search_ended.emit
        )

    # ---- what there is ------------------------------------------------------------------------------

    @property
    def fleet(self) -> es.Fleet | None:
        """The open fleet; None before the first camera. Its blocking methods belong into `run`."""
        return self._roster.fleet if self._names else None

    @property
    def names(self) -> list[str]:
        """Names of all cameras, in the order they came."""
        return list(self._names)

    def camera(self, name: str) -> es.Camera | None:
        """Give a camera; None when there is none of that name. Its blocking methods belong into `run`."""
        fleet = self._roster.fleet
        return None if fleet is None else fleet.get(name)

    @property
    def places(self) -> dict[str, tuple[int, int]]:
        """Row and column of cameras that stand on a plate."""
        return self._roster.places

    @property
    def plates(self) -> tuple[Plate, ...]:
        """The plates on which cameras stand, below each other."""
        return self._roster.plates

    @property
    def live(self) -> bool:
        """Whether pictures are asked for."""
        return self._live

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed.is_set()

    @property
    def selected(self) -> list[str]:
        """The cameras the user has chosen in the table; empty when none is."""
        return list(self._selected)

    def select(self, names: Sequence[str]) -> None:
        """Choose cameras."""
        chosen = [name for name in names if name in self._names]
        if chosen != self._selected and not self._closed.is_set():
            self._selected = chosen
            self.selection_changed.emit(chosen)

    def look(self, name: str) -> Look:
        """Tell how a camera's pictures are shown."""
        return self.pictures.look(name)

    def set_look(self, name: str, look: Look) -> None:
        """Show a camera's pictures so from now on."""
        self.pictures.set_look(name, look)
        self._measure(name, look)
        if not self._closed.is_set():
            self.look_changed.emit(name)

    def _measure(self, name: str, look: Look) -> None:
        camera = self.camera(name)
        if camera is not None:  # recordings note it
            camera.pixel_um = look.pixel_um

    def set_scale(self, name: str, scale: Scale) -> None:
        """Decode a camera's pictures at this fraction of their size from now on."""
        self._roster.set_scale(name, scale)

    def set_on_demand(self, on_demand: bool) -> None:
        """Have only those pictures decoded that `ask` asks for: who shows them knows how many can be seen."""
        self._roster.set_on_demand(on_demand)

    def ask(self) -> None:
        """Have one more picture of each camera decoded, as soon as there is a new one."""
        self._roster.ask()

    # ---- calls that may block -----------------------------------------------------------------------

    def post(self, function: Callable[[], object]) -> None:
        """Have a function called on the thread that draws, soon; may be called on any thread."""
        self._mailbox.post(function)

    def run(
        self,
        work: Callable[[], _T],
        done: Callable[[_T], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
        *,
        lane: str | None = None,
        camera: str | None = None,
        quiet: bool = False,
    ) -> bool:
        """Do something that may block on a thread of the session, and deliver what it gives on this one.

        Parameters
        ----------
        work : callable
            Everything it calls has to end by itself, as all of `espressoscope` does.
        done : callable, optional
            Called with the result. Bound methods are held weakly: after the death of their object, or after
            `close`, nothing is called.
        failed : callable, optional
            Called with the error instead; without it the error's words go out by the signal `failed`.
        lane : str, optional
            Work of the same lane is done one after the other, in order.
        camera : str, optional
            In place of a lane: it is about this camera alone. Work of one camera is done in order, that of
            different ones side by side, and dead ones hold up neither the others nor anything else.
        quiet : bool
            Do not show the session as busy meanwhile.

        Returns
        -------
        bool
            False when too much waits already, which `failed` tells, or after `close`.
        """
        return self._calls.run(work, done, failed, lane=lane, camera=camera, quiet=quiet)

    # ---- who belongs to it --------------------------------------------------------------------------

    def add(self, cameras: Iterable[str | es.CameraInfo | es.Member]) -> None:
        """Take cameras in, by address, as found, or as they stand in a fleet file."""
        wanted = list(cameras)
        if wanted and self.run(lambda: self._roster.add(wanted), self._reached, lane=FLEET):
            whom = str(wanted[0]) if isinstance(wanted[0], str) else wanted[0].name
            self.said.emit(f"Reaching {whom if len(wanted) == 1 else f'{len(wanted)} cameras'} …")

    def _reached(self, _: None) -> None:
        self.said.emit("")

    def connected(self, info: es.CameraInfo) -> str:
        """Give the name here of a camera that was found; "" when it is not among those taken in."""
        for name in self._names:
            camera = self.camera(name)
            own = None if camera is None else camera.info
            if own is not None and (own.url == info.url or (own.mac is not None and own.mac == info.mac)):
                return name
        return ""

    def add_fleet_file(self, path: str) -> None:
        """Take in all cameras of a fleet file, turned and measured as before where names are the same."""
        self.run(lambda: self._roster.add_fleet_file(path), lane=FLEET)

    def simulate(self, count: int) -> None:
        """Start simulated cameras in place of those started before; they end with the session."""
        self.run(lambda: self._roster.simulate(count), lane=FLEET)

    def remove(self, names: Iterable[str]) -> None:
        """Let cameras go."""
        leaving = [name for name in names if name in self._names]
        if leaving:
            self.run(lambda: self._roster.remove(leaving), lane=LEAVE)

    def _joined(self, name: str) -> None:
        if name not in self._names:
            self._names.append(name)
            if self.look(name).pixel_um is not None:  # measured before, under this name
                self._measure(name, self.look(name))
            self._figures.start()
            self.camera_added.emit(name)
        else:  # it has been told where it stands
            self.look_changed.emit(name)

    def _left(self, name: str) -> None:
        if name in self._names:
            self._names.remove(name)
            self.pictures.forget(name)
            self.select([each for each in self._selected if each != name])
            self.camera_removed.emit(name)

    # ---- live ---------------------------------------------------------------------------------------

    def set_live(self, live: bool) -> None:
        """Ask for pictures of all cameras, or let their streams go."""
        if live != self._live and not self._closed.is_set():
            if self.run(lambda: self._roster.set_live(live), lane=LIVE):
                self._live = live
            self.live_changed.emit(self._live)  # as before where too much waits: a button shows it again

    # ---- searching ----------------------------------------------------------------------------------

    @property
    def searching(self) -> bool:
        """Whether a search is under way."""
        return self._hunt.under_way

    def find(self, networks: str | None = None) -> None:
        """Look for cameras; `found`, `search_progress` and `search_ended` tell of it."""
        if not self._closed.is_set():
            self._hunt.begin(networks)

    def cancel_search(self) -> None:
        """End the search; what has been found stays found."""
        if not self._closed.is_set():
            self._hunt.cancel()

    # ---- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let everything go, on a thread of its own; returns at once. Twice does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._live = False
        self._mailbox.close()
        self.pictures.clear()
        self._calls.close()
        self._figures.close()
        # The thread must not hold this object: its end is the business of the thread that draws.
        parts = self._hunt, self._roster, self._calls, self._figures, self._ended
        threading.Thread(target=_finish, args=parts, name="espressoscope-napari-end", daemon=True).start()
        delete_soon(self)

    def wait_closed(self, timeout_s: float = END_S) -> bool:
        """Wait until nothing is left of it after `close`; false when something still is."""
        return self._ended.wait(timeout_s)


def _finish(hunt: Hunt, roster: Roster, calls: Calls, figures: Figures, ended: threading.Event) -> None:
    end = time.monotonic() + END_S
    try:
        hunt.close()
        # Again: a camera that is being added may have made the fleet only now.
        while True:
            roster.close()
            if calls.join(0.2) or time.monotonic() > end:
                break
        roster.close()
        figures.join(max(0.0, end - time.monotonic()))
    except Exception:  # noqa: BLE001 (a thread boundary)
        _log.exception("a live session could not be closed")
    finally:
        ended.set()
