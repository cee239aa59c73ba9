"""The one live session of a widget: its fleet, and every call that may block, on threads of its own.

Widgets call methods here, which return at once, and are told by signals. All signals are emitted on the
thread the session was made on, which draws; nothing here ever waits on it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from qtpy.QtCore import QObject, Signal

import espressoscope as es
from espressoscope.napari_plugin.mailbox import Mailbox
from espressoscope.napari_plugin.pictures import Look, Pictures
from espressoscope.napari_plugin.plates import PLATES, plate_places
from espressoscope.napari_plugin.search import Search
from espressoscope.napari_plugin.simulator import Simulator
from espressoscope.napari_plugin.work import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from espressoscope.napari_plugin.pictures import Scale

__all__ = ["CameraState", "LiveSession", "words"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

STATES_S: Final = 0.5
"""From one look at the figures of all cameras to the next, in seconds."""
MOST_CAMERAS_AT_ONCE: Final = 32
"""Calls about single cameras at once; further ones wait for the first to be done."""
END_S: Final = 2.0
"""Longest wait, in seconds, for threads when a session is closed; not on the thread that draws."""
FLEET: Final = "fleet"
"""The lane of everything that changes who belongs to the fleet, or whether it streams."""


class CameraState(NamedTuple):
    """A camera's figures, and what is wrong with it in words."""

    stats: es.StreamStats
    message: str


class LiveSession(QObject):
    """Cameras of one widget, live.

    Attributes
    ----------
    pictures : Pictures
        The way of decoded pictures to the screen: functions of the user's, turns and mirrors, taps.
    places : dict of str to (int, int)
        Row and column of cameras that stand on a plate.
    plate_columns : int
        Columns of the widest plate.
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
        super().__init__()
        self.pictures = Pictures()
        self.places: dict[str, tuple[int, int]] = {}
        self.plate_columns = 0
        self.sharpness: dict[str, float] = {}
        self._mailbox = Mailbox()
        self._workers = Workers()
        self._crowd = Workers(MOST_CAMERAS_AT_ONCE)
        self._selected: list[str] = []
        self._names: list[str] = []
        self._fleet: es.Fleet | None = None
        self._view: Any = None
        self._scales: dict[str, Scale] = {}
        self._live = False
        self._calls = 0
        self._search: Search | None = None
        self._simulators: list[Simulator] = []
        self._closed = threading.Event()
        self._ended = threading.Event()
        self._watch: threading.Thread | None = None

    # ---- what there is ------------------------------------------------------------------------------

    @property
    def fleet(self) -> es.Fleet | None:
        """The open fleet; None before the first camera. Its blocking methods belong into `run`."""
        return self._fleet if self._names else None

    @property
    def names(self) -> list[str]:
        """Names of all cameras, in the order they came."""
        return list(self._names)

    def camera(self, name: str) -> es.Camera | None:
        """Give a camera; None when there is none of that name. Its blocking methods belong into `run`."""
        fleet = self._fleet
        return None if fleet is None else fleet.get(name)

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
        if chosen != self._selected:
            self._selected = chosen
            self.selection_changed.emit(chosen)

    def look(self, name: str) -> Look:
        """Tell how a camera's pictures are shown."""
        return self.pictures.look(name)

    def set_look(self, name: str, look: Look) -> None:
        """Show a camera's pictures so from now on."""
        self.pictures.set_look(name, look)
        self.look_changed.emit(name)

    def set_scale(self, name: str, scale: Scale) -> None:
        """Decode a camera's pictures at this fraction of their size from now on."""
        self._scales[name] = scale
        self._apply_scales([name])

    def post(self, function: Callable[[], object]) -> None:
        """Have a function called on the thread that draws, soon; may be called on any thread."""
        self._mailbox.post(function)

    # ---- calls that may block -----------------------------------------------------------------------

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
        deliver, complain = _weak(done), _weak(failed)

        def job() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
                if not isinstance(error, es.CameraError | ValueError | KeyError | OSError):
                    _log.exception("a call of the napari plugin failed")
                self._mailbox.post(lambda error=error: self._over(quiet, complain or self._fail, error))  # type: ignore[misc]
            else:
                self._mailbox.post(lambda: self._over(quiet, deliver, result))

        if self._closed.is_set():
            return False
        workers, lane = (self._workers, lane) if camera is None else (self._crowd, camera)
        if not workers.submit(job, lane):
            self.failed.emit("Too many calls wait for cameras already: try again in a moment")
            return False
        if not quiet:
            self._calls += 1
            if self._calls == 1:
                self.busy.emit(True)
        return True

    def _over(self, quiet: bool, deliver: Callable[[Any], object] | None, result: object) -> None:
        if not quiet:
            self._calls -= 1
            if self._calls == 0:
                self.busy.emit(False)
        if deliver is not None:
            deliver(result)

    def _fail(self, error: Exception) -> None:
        self.failed.emit(words(error))

    # ---- who belongs to it --------------------------------------------------------------------------

    def add(self, cameras: Iterable[str | es.CameraInfo | es.Member]) -> None:
        """Take cameras in, by address, as found, or as they stand in a fleet file."""
        wanted = list(cameras)
        if wanted:
            self.run(lambda: self._add(wanted), lane=FLEET)

    def add_fleet_file(self, path: str) -> None:
        """Take in all cameras of a fleet file, turned and measured as before where names are the same."""

        def work() -> None:
            members = list(es.FleetFile.load(path, must_exist=True).members.values())
            if not members:
                raise ValueError(f"{path} names no camera: espressoscope fleet add ADDRESS adds one")
            self.plate_columns, places = plate_places(members)
            self.places.update(places)
            self._add(members)

        self.run(work, lane=FLEET)

    def simulate(self, count: int) -> None:
        """Start simulated cameras, as a program of their own, and take them in; they end with the session."""
        simulator = Simulator(count)

        def work() -> None:
            self._simulators.append(simulator)
            urls = simulator.start()
            before = set(self._fleet.names) if self._fleet is not None else set()
            self._add(urls)
            new = [name for name in self._fleet.names if name not in before] if self._fleet else []
            if not before and count in PLATES:
                self.plate_columns = PLATES[count]
                self.places = {name: divmod(index, PLATES[count]) for index, name in enumerate(new)}

        self.run(work, lane=FLEET)

    def remove(self, names: Iterable[str]) -> None:
        """Let cameras go."""
        leaving = [name for name in names if name in self._names]

        def work() -> None:
            fleet = self._fleet
            for name in leaving if fleet is not None else ():
                with contextlib.suppress(KeyError):  # removed twice
                    fleet.remove(name)  # type: ignore[union-attr]
                self._mailbox.post(lambda name=name: self._left(name))  # type: ignore[misc]

        if leaving:
            self.run(work, lane=FLEET)

    def _add(self, cameras: Sequence[str | es.CameraInfo | es.Member]) -> None:
        """On a worker: several at once where the fleet is new, which reaches them side by side."""
        fleet = self._fleet
        problems = []
        if fleet is None or not len(fleet):
            good = []
            for camera in cameras:
                try:
                    es.Camera(camera)
                except es.CameraError as error:
                    problems.append(words(error))
                else:
                    good.append(camera)
            if good:
                old, self._fleet = fleet, es.Fleet(good)
                fleet = self._fleet
                self._view = None
                if old is not None:
                    old.close()
                if self._closed.is_set():
                    return
                fleet.open()
                self._start_watching()
                for name in fleet.names:
                    self._mailbox.post(lambda name=name: self._joined(name))  # type: ignore[misc]
                if self._live:
                    self._begin()
        else:
            for camera in cameras:
                known = set(fleet.names)
                try:
                    name = fleet.add(camera)
                except (es.CameraError, ValueError) as error:
                    problems.append(words(error))
                    continue
                if name in known:
                    problems.append(f"{name} is shown already")
                else:
                    self._mailbox.post(lambda name=name: self._joined(name))  # type: ignore[misc]
        if problems:
            raise ValueError("\n".join(problems))

    def _joined(self, name: str) -> None:
        if name not in self._names:
            self._names.append(name)
            self.camera_added.emit(name)
            self._apply_scales([name])

    def _left(self, name: str) -> None:
        if name in self._names:
            self._names.remove(name)
            self._scales.pop(name, None)
            self.pictures.forget(name)
            self.select([each for each in self._selected if each != name])
            self.camera_removed.emit(name)

    # ---- live ---------------------------------------------------------------------------------------

    def set_live(self, live: bool) -> None:
        """Ask for pictures of all cameras, or let their streams go."""
        if live != self._live and not self._closed.is_set():
            self._live = live
            self.run(self._begin if live else self._end, lane=FLEET)
            self.live_changed.emit(live)

    def _begin(self) -> None:
        fleet = self._fleet
        if fleet is None or self._closed.is_set():
            return
        fleet.start()
        if self._view is None:
            self._view = fleet.view(self.pictures.use, scale=2)
        self._mailbox.post(lambda: self._apply_scales(self._names))

    def _end(self) -> None:
        fleet, view = self._fleet, self._view
        self._view = None
        if view is not None:
            view.close()
        if fleet is not None:
            fleet.stop()

    def _apply_scales(self, names: Iterable[str]) -> None:
        view = self._view
        if view is None:
            return
        views = view.views
        for name in names:
            if name in views and name in self._scales:
                views[name].scale = self._scales[name]

    # ---- figures ------------------------------------------------------------------------------------

    def _start_watching(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(
                target=self._look_on, name="espressoscope-napari-states", daemon=True
            )
            self._watch.start()

    def _look_on(self) -> None:
        while not self._closed.wait(STATES_S):
            fleet = self._fleet
            if fleet is None:
                continue
            try:
                stats, messages = fleet.stats(), fleet.messages()
            except Exception:  # noqa: BLE001 (a thread boundary)
                _log.exception("the figures of the cameras could not be read")
                continue
            states = {name: CameraState(stats[name], messages.get(name, "")) for name in stats}
            self._mailbox.post(lambda states=states: self.states.emit(states))  # type: ignore[misc]

    # ---- searching ----------------------------------------------------------------------------------

    @property
    def searching(self) -> bool:
        """Whether a search is under way."""
        return self._search is not None

    def find(self, networks: str | None = None) -> None:
        """Look for cameras; `found`, `search_progress` and `search_ended` tell of it."""
        if self._search is not None or self._closed.is_set():
            return
        search = self._search = Search(networks or None)

        def tell(signal: Any, value: object) -> None:
            self._mailbox.post(lambda: signal.emit(value) if self._search is search else None)

        def done(why_none: list[str]) -> None:
            if self._search is search:
                self._search = None
                self.search_ended.emit(why_none)

        def failed(error: Exception) -> None:
            done([])
            self._fail(error)

        if not self.run(
            lambda: search.run(
                lambda info: tell(self.found, info), lambda progress: tell(self.search_progress, progress)
            ),
            done,
            failed,
            quiet=True,
        ):
            self._search = None

    def cancel_search(self) -> None:
        """End the search; what has been found stays found."""
        search, self._search = self._search, None
        if search is not None:
            search.cancel()
            self.search_ended.emit([])

    # ---- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let everything go, on a thread of its own; returns at once. Twice does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._live = False
        self._mailbox.close()
        self.pictures.clear()
        threading.Thread(target=self._finish, name="espressoscope-napari-end", daemon=True).start()

    def wait_closed(self, timeout_s: float = END_S) -> bool:
        """Wait until nothing is left of it after `close`; false when something still is."""
        return self._ended.wait(timeout_s)

    def _finish(self) -> None:
        end = time.monotonic() + END_S
        try:
            self._workers.close()
            self._crowd.close()
            if self._search is not None:
                self._search.cancel()
            for simulator in self._simulators:  # one that is starting would keep its thread
                simulator.close()
            # A camera that is being added may have made the fleet only now.
            while True:
                fleet = self._fleet
                if fleet is not None:
                    fleet.close()
                done = self._workers.join(0.1) and self._crowd.join(0.1)
                if done or time.monotonic() > end:
                    break
            if self._fleet is not None:
                self._fleet.close()
            for simulator in self._simulators:
                simulator.close()
            if self._watch is not None:
                self._watch.join(max(0.0, end - time.monotonic()))
        except Exception:  # noqa: BLE001 (a thread boundary)
            _log.exception("a live session could not be closed")
        finally:
            self._ended.set()


def words(error: Exception) -> str:
    """Say what happened and what to try, for people."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, es.CameraError | ValueError | OSError):
        return str(error)
    return f"{type(error).__name__}: {error} (a mistake of Espressoscope: please report it with the log)"


def _weak(function: Callable[[Any], object] | None) -> Callable[[Any], object] | None:
    """Hold a bound method without keeping its object alive."""
    if function is None or getattr(function, "__self__", None) is None:
        return function
    try:
        method = weakref.WeakMethod(function)
    except TypeError:  # bound, yet not to an object of Python's
        return function

    def call(value: Any) -> object:
        alive = method()
        return None if alive is None else alive(value)

    return call
