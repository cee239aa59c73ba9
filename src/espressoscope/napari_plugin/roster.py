"""Who belongs to a session: its fleet, and simulated cameras it started. Every method may block. No Qt."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import espressoscope as es
from espressoscope.napari_plugin.calls import note, words
from espressoscope.napari_plugin.plates import PLATES, Plate, plate_places, rows_of
from espressoscope.napari_plugin.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from espressoscope.napari_plugin.pictures import Pictures, Scale

__all__ = ["MOST_REACHED", "Roster"]

MOST_REACHED: Final = 16
"""Newcomers that are reached at once; one that does not answer takes 6 s."""
ORDER_S: Final = 1.0
"""Longest wait of newcomers that have answered for those that were named before them."""
_SLICE_S: Final = 0.1


class _Reached(NamedTuple):
    """What came of one newcomer; `name` in the fleet, or `problem`."""

    place: int
    camera: str | es.CameraInfo | es.Member
    name: str
    was_there: bool
    problem: str


class Roster:
    """The cameras of a session, and whether they stream.

    One thread at a time adds cameras; others may remove some and change `set_live` meanwhile.

    Parameters
    ----------
    pictures : Pictures
        Gets the decoded pictures.
    joined, left : callable
        Told the name of each camera that comes and goes, on the thread of the call.

    Attributes
    ----------
    fleet : Fleet or None
        The open fleet; None before the first camera.
    places : dict of str to (int, int)
        Row and column of cameras that stand on a plate.
    plates : tuple of Plate
        Below each other.
    """

    def __init__(
        self, pictures: Pictures, joined: Callable[[str], object], left: Callable[[str], object]
    ) -> None:
        self.fleet: es.Fleet | None = None
        self.places: dict[str, tuple[int, int]] = {}
        self.plates: tuple[Plate, ...] = ()
        self._pictures = pictures
        self._joined = joined
        self._left = left
        self._scales: dict[str, Scale] = {}
        self._view: Any = None
        self._on_demand = False
        self._live = False
        self._open = False
        self._streams = threading.Lock()
        self._simulators: list[Simulator] = []
        self._simulated: dict[str, Simulator] = {}
        self._closed = False

    # ---- who comes and goes -------------------------------------------------------------------------

    def add(
        self,
        cameras: Sequence[str | es.CameraInfo | es.Member],
        wells: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        """Take cameras in; they are reached side by side, and told of in this order.

        Cameras of a fleet file have names, and wait for nobody. The first ones without get theirs when all of
        them have answered or cannot be reached: it is not to depend on who was quickest.

        Parameters
        ----------
        cameras : sequence
            Addresses, cameras found, members of a fleet file.
        wells : Mapping of str to (int, int), optional
            Row and column of members, by the names they have in their file.

        Raises
        ------
        ValueError
            Some could not be taken in: which, and why, a line each. The others are.
        """
        is_first = self.fleet is None or not self.fleet.names
        if is_first and not all(isinstance(camera, es.Member) for camera in cameras):
            problems = self._begin(cameras)
        else:
            if self.fleet is None:
                self._use(es.Fleet([]))
            problems = self._join(cameras, wells or {})
        if problems and not self._closed:
            raise ValueError("\n".join(problems))

    def _begin(self, cameras: Iterable[str | es.CameraInfo | es.Member]) -> list[str]:
        problems: list[str] = []
        good: list[str | es.CameraInfo | es.Member] = []
        for camera in cameras:
            try:
                es.Camera(camera)
            except es.CameraError as error:
                problems.append(words(error))
            else:
                if camera in good:
                    problems.append(f"{camera} is given twice")
                else:
                    good.append(camera)
        if good:
            fresh = es.Fleet(good)
            self._use(fresh)
            if self._open:
                for name in fresh.names:
                    self._joined(name)
        return problems

    def _use(self, fresh: es.Fleet) -> None:
        """Take a fleet in place of the one there is, open it, and have it do what is wanted by now."""
        with self._streams:
            self._open = False
            old, self.fleet, self._view = self.fleet, fresh, None
        if old is not None:
            old.close()
        if not self._closed:
            fresh.open()
            self._open = True
            self._keep_up()

    def _join(
        self, cameras: Sequence[str | es.CameraInfo | es.Member], wells: Mapping[str, tuple[int, int]]
    ) -> list[str]:
        """Take cameras into a fleet that is open; a dead one holds up nothing else."""
        waiting = deque(enumerate(cameras))
        reached: queue.SimpleQueue[_Reached] = queue.SimpleQueue()
        threads = [
            threading.Thread(
                target=self._reach, args=(waiting, reached), name=f"espressoscope-napari-add-{n}", daemon=True
            )
            for n in range(min(len(waiting), MOST_REACHED))
        ]
        for thread in threads:
            thread.start()
        problems: list[str] = []
        for one in self._in_turn(reached, len(cameras)):
            well = wells.get(one.camera.name) if isinstance(one.camera, es.Member) else None
            if one.problem:
                problems.append(one.problem)
            elif one.was_there and not isinstance(one.camera, es.Member):
                problems.append(f"{one.name} is shown already")
            else:  # one of a fleet file stands where the file says, in a well or in none
                places = {name: place for name, place in self.places.items() if name != one.name}
                self.places = places if well is None else {**places, one.name: well}
                self._joined(one.name)
        for thread in threads:
            thread.join()  # ends: each camera has its timeout, and `close` breaks that off
        self._keep_up()
        return problems

    def _in_turn(self, reached: queue.SimpleQueue[_Reached], count: int) -> Iterator[_Reached]:
        """Give what is reached in the order asked for; after a while nobody waits for another any more."""
        patience = time.monotonic() + ORDER_S
        early: dict[int, _Reached] = {}
        turn = came = 0
        while came < count and not self._closed:
            with contextlib.suppress(queue.Empty):  # a slice: `close` may have come
                one = reached.get(timeout=_SLICE_S)
                early[one.place] = one
                came += 1
            while early and (turn in early or came == count or time.monotonic() > patience):
                turn = min(early)
                yield early.pop(turn)
                turn += 1

    def _reach(
        self,
        waiting: deque[tuple[int, str | es.CameraInfo | es.Member]],
        reached: queue.SimpleQueue[_Reached],
    ) -> None:
        while not self._closed and (fleet := self.fleet) is not None:
            try:
                place, camera = waiting.popleft()
            except IndexError:
                return
            known = set(fleet.names)
            try:
                name = fleet.add(camera)
            except Exception as error:  # noqa: BLE001 (a thread boundary: told in words)
                note(error)
                reached.put(_Reached(place, camera, "", False, words(error)))
            else:
                reached.put(_Reached(place, camera, name, name in known, ""))

    def _keep_up(self) -> None:
        """Have those that came stream, or not, as is wanted by now."""
        with self._streams:
            self._stream(self._live)

    def add_fleet_file(self, path: str) -> None:
        """Take in all cameras of a fleet file, and their places on plates."""
        file = es.FleetFile.load(path, must_exist=True)
        members = file.members
        if not members:
            raise ValueError(
                f"{path} names no camera: each is a table [cameras.NAME] with its url; "
                "espressoscope fleet add ADDRESS adds one"
            )
        others = {
            name: place
            for name, place in self.places.items()
            if not any(self._shows(name, member) for member in members.values())
        }
        source = os.path.realpath(path)
        theirs = [
            plate
            for plate in self.plates
            if plate.source != source and not plate.wells.isdisjoint(others.values())
        ]
        taken = {well for plate in theirs for well in plate.wells}
        before = min((plate.top for plate in self.plates if plate.source == source), default=0)
        for top in (before, rows_of(theirs) + 1):  # where they were, else below those of others
            plates, wells = plate_places(members.values(), file.plates, top, source)
            if all(taken.isdisjoint(plate.wells) for plate in plates):
                break
        # Who was on a plate of this file, and is not any more, is in no well.
        self.places = {
            name: place for name, place in self.places.items() if others.get(name) in {None, *taken}
        }
        self.plates = (*theirs, *plates)
        self.add(list(members.values()), wells)

    def _shows(self, name: str, member: es.Member) -> bool:
        """Tell whether the camera of that name is this one: another file may have the same names."""
        if self.fleet is None or name not in self.fleet.names:
            return False
        info = self.fleet[name].info
        return info.mac == member.mac if info.mac and member.mac else info.url == member.url

    def simulate(self, count: int) -> None:
        """Start simulated cameras, as a program of their own, in place of those started before."""
        simulator = Simulator(count)
        self._simulators.append(simulator)
        urls = simulator.start()
        self.remove(self._simulated)
        before = set(self.fleet.names) if self.fleet is not None else set()
        self.add(urls)
        new = [name for name in self.fleet.names if name not in before] if self.fleet is not None else []
        self._simulated.update(dict.fromkeys(new, simulator))
        if not before and count in PLATES:
            self.plates = (Plate(0, count // PLATES[count], PLATES[count]),)
            self.places = {name: divmod(index, PLATES[count]) for index, name in enumerate(new)}

    def remove(self, names: Iterable[str]) -> None:
        """Let cameras go; simulated ones end when all of theirs are gone."""
        for name in tuple(names):
            if self.fleet is not None:
                with contextlib.suppress(KeyError):  # removed twice
                    self.fleet.remove(name)
            self._scales.pop(name, None)
            self.places = {each: place for each, place in self.places.items() if each != name}
            self._left(name)
            simulator = self._simulated.pop(name, None)
            if simulator is not None and simulator not in self._simulated.values():
                simulator.close()
                with contextlib.suppress(ValueError):  # another thread has just removed another one of its
                    self._simulators.remove(simulator)

    # ---- pictures -----------------------------------------------------------------------------------

    def set_live(self, live: bool) -> None:
        """Stream from all cameras, and decode, or let that be."""
        self._live = live
        with self._streams:
            self._stream(live)

    def _stream(self, live: bool) -> None:
        fleet, view = self.fleet, self._view
        if fleet is None or not self._open or self._closed:
            return
        if not live:
            self._view = None
            if view is not None:
                view.close()
            fleet.stop()
            return
        fleet.start()
        if view is None:
            self._view = view = fleet.view(self._pictures.use, scale=2)
            view.on_demand = self._on_demand
        self.apply_scales(fleet.names)

    def set_scale(self, name: str, scale: Scale) -> None:
        """Decode a camera's pictures at this fraction from now on; never blocks."""
        if self._scales.get(name) != scale:
            self._scales[name] = scale
            self.apply_scales([name])

    def apply_scales(self, names: Iterable[str]) -> None:
        """Tell the view of these cameras at which fraction to decode; never blocks."""
        view = self._view  # another thread may let it go meanwhile
        if view is not None:
            views = view.views
            for name in names:
                if name in views and name in self._scales:
                    views[name].scale = self._scales[name]

    def set_on_demand(self, on_demand: bool) -> None:
        """Decode only what `ask` asks for, or everything; never blocks."""
        self._on_demand = on_demand
        view = self._view
        if view is not None:
            view.on_demand = on_demand

    def ask(self) -> None:
        """Have one more picture of each camera decoded; never blocks."""
        view = self._view
        if view is not None:
            view.ask()

    # ---- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let all cameras go, also one that is just being added; on any thread, and as often as needed."""
        self._closed = True
        for simulator in tuple(self._simulators):  # one that is starting would keep its thread
            simulator.close()
        if self.fleet is not None:
            self.fleet.close()
