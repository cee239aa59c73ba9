"""Who belongs to a session: its fleet, and simulated cameras it started. Every method may block. No Qt."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import espressoscope as es
from espressoscope.napari_plugin.calls import words
from espressoscope.napari_plugin.plates import PLATES, plate_places
from espressoscope.napari_plugin.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from espressoscope.napari_plugin.pictures import Pictures, Scale

__all__ = ["Roster"]


class Roster:
    """The cameras of a session, and whether they stream; its methods are called on one thread at a time.

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
    plate_columns : int
        Columns of the widest plate.
    """

    def __init__(
        self, pictures: Pictures, joined: Callable[[str], object], left: Callable[[str], object]
    ) -> None:
        self.fleet: es.Fleet | None = None
        self.places: dict[str, tuple[int, int]] = {}
        self.plate_columns = 0
        self._pictures = pictures
        self._joined = joined
        self._left = left
        self._scales: dict[str, Scale] = {}
        self._view: Any = None
        self._live = False
        self._simulators: list[Simulator] = []
        self._closed = False

    # ---- who comes and goes -------------------------------------------------------------------------

    def add(self, cameras: Sequence[str | es.CameraInfo | es.Member]) -> None:
        """Take cameras in; of a new fleet they are reached side by side.

        Raises
        ------
        ValueError
            Some could not be taken in: which, and why, a line each. The others are.
        """
        fleet = self.fleet
        known = set(fleet.names) if fleet is not None else set()
        problems = self._begin(cameras) if not known else self._join(cameras)
        if problems:
            raise ValueError("\n".join(problems))

    def _begin(self, cameras: Iterable[str | es.CameraInfo | es.Member]) -> list[str]:
        problems, good = [], []
        for camera in cameras:
            try:
                es.Camera(camera)
            except es.CameraError as error:
                problems.append(words(error))
            else:
                good.append(camera)
        if good:
            old, self.fleet = self.fleet, es.Fleet(good)
            self._view = None
            if old is not None:
                old.close()
            if self._closed:
                return []
            self.fleet.open()
            for name in self.fleet.names:
                self._joined(name)
            if self._live:
                self.set_live(True)
        return problems

    def _join(self, cameras: Iterable[str | es.CameraInfo | es.Member]) -> list[str]:
        problems = []
        for camera in cameras:
            fleet = self.fleet
            if fleet is None or self._closed:
                break
            known = set(fleet.names)
            try:
                name = fleet.add(camera)
            except (es.CameraError, ValueError) as error:
                problems.append(words(error))
                continue
            if name in known:
                problems.append(f"{name} is shown already")
            else:
                self._joined(name)
        return problems

    def add_fleet_file(self, path: str) -> None:
        """Take in all cameras of a fleet file, and their places on plates."""
        members = list(es.FleetFile.load(path, must_exist=True).members.values())
        if not members:
            raise ValueError(f"{path} names no camera: espressoscope fleet add ADDRESS adds one")
        self.plate_columns, places = plate_places(members)
        self.places.update(places)
        self.add(members)

    def simulate(self, count: int) -> None:
        """Start simulated cameras, as a program of their own, and take them in."""
        simulator = Simulator(count)
        self._simulators.append(simulator)
        urls = simulator.start()
        before = set(self.fleet.names) if self.fleet is not None else set()
        self.add(urls)
        new = [name for name in self.fleet.names if name not in before] if self.fleet is not None else []
        if not before and count in PLATES:
            self.plate_columns = PLATES[count]
            self.places = {name: divmod(index, PLATES[count]) for index, name in enumerate(new)}

    def remove(self, names: Iterable[str]) -> None:
        """Let cameras go."""
        for name in names:
            if self.fleet is not None:
                with contextlib.suppress(KeyError):  # removed twice
                    self.fleet.remove(name)
            self._scales.pop(name, None)
            self._left(name)

    # ---- pictures -----------------------------------------------------------------------------------

    def set_live(self, live: bool) -> None:
        """Stream from all cameras, and decode, or let that be."""
        self._live = live
        fleet, view = self.fleet, self._view
        if not live:
            self._view = None
            if view is not None:
                view.close()
            if fleet is not None:
                fleet.stop()
        elif fleet is not None and not self._closed:
            fleet.start()
            if view is None:
                self._view = fleet.view(self._pictures.use, scale=2)
            self.apply_scales(fleet.names)

    def set_scale(self, name: str, scale: Scale) -> None:
        """Decode a camera's pictures at this fraction from now on; never blocks."""
        if self._scales.get(name) != scale:
            self._scales[name] = scale
            self.apply_scales([name])

    def apply_scales(self, names: Iterable[str]) -> None:
        """Tell the view of these cameras at which fraction to decode; never blocks."""
        if self._view is not None:
            views = self._view.views
            for name in names:
                if name in views and name in self._scales:
                    views[name].scale = self._scales[name]

    # ---- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let all cameras go, also one that is just being added; on any thread, and as often as needed."""
        self._closed = True
        for simulator in tuple(self._simulators):  # one that is starting would keep its thread
            simulator.close()
        if self.fleet is not None:
            self.fleet.close()
