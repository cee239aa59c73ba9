"""What napari shows of a recording: layers of one axis of time, in their places.

A layer for each camera, beside each other; cameras that stand in wells of a plate are one layer, the plate.
Nothing is decoded here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from espressoscope.display import MAX_PIXELS, choose_grid
from espressoscope.napari_plugin.geometry import USUAL
from espressoscope.napari_plugin.plates import plate_places, plate_size
from espressoscope.napari_plugin.run_arrays import RunArray, Track, levels

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    import espressoscope as es

    # What `espressoscope.open_run` gives, and what is in it.
    Run: TypeAlias = Any
    Recording: TypeAlias = Any
    Timeline: TypeAlias = Any

__all__ = ["ABOUT", "MOST_LAYERS", "ends_of", "is_run", "layers_of"]

ABOUT: Final = "espressoscope run"
"""Metadata of a layer: what it shows."""
MOST_LAYERS: Final = 12
"""Most cameras with a layer each: napari takes a quarter of a second to add one."""
_GAP: Final = 1.02  # of layers beside each other
# Steps of the slider are multiples of this, which floating-point numbers hold exactly: napari divides by
# them, cuts the fraction off, and would lose the last instant.
_EXACT: Final = 2.0**-30


class _Placed(NamedTuple):
    """A camera in a well, as `plate_places` wants it."""

    name: str
    plate: str | None
    well: str | None


def layers_of(run: Run) -> list[tuple[Any, dict[str, Any], str]]:
    """Give the layers of a run as napari takes them: data, attributes, kind.

    Raises
    ------
    ValueError
        There is no picture in it.
    """
    cameras = {name: recording for name, recording in run.items() if len(recording)}
    if not cameras:
        raise ValueError(f"there is no picture in {run.path} yet")
    line = run.timeline(cameras)
    step_s = line.step_s if line.even else 0.0
    known = {recording.pixel_um for recording in cameras.values()}
    um = next(iter(known)) if len(known) == 1 else None
    build = _Builder(run, line, max(_EXACT, round(step_s / _EXACT) * _EXACT) if step_s else 1.0, um)
    alone = dict(cameras)
    for name, wells in _plates(cameras).items():
        build.mosaic(name or "plate", {each: alone.pop(each) for each in wells}, wells, plate=True)
    if len(alone) > MOST_LAYERS:
        columns = choose_grid(len(alone)).columns
        places = {name: divmod(number, columns) for number, name in enumerate(alone)}
        build.mosaic(f"{len(alone)} cameras", alone, places, plate=False)
    else:
        columns = choose_grid(max(1, len(alone))).columns
        for number, (name, recording) in enumerate(alone.items()):
            build.single(name, recording, number % columns == 0)
    return build.layers


def is_run(layer: Any) -> bool:
    """Tell whether a layer is one of a recording."""
    return isinstance(layer.metadata.get(ABOUT), dict)


def ends_of(viewer: Any) -> tuple[float, float]:
    """Give where in the world recordings begin and end, from left to right; zeros where there is none."""
    runs = [layer for layer in viewer.layers if is_run(layer)]
    lefts = [float(layer.extent.world[0][-1] - layer.scale[-1] / 2) for layer in runs]
    rights = [float(layer.extent.world[1][-1] + layer.scale[-1] / 2) for layer in runs]
    return min([0.0, *lefts]), max([0.0, *rights])


def _plates(cameras: dict[str, Recording]) -> dict[str, dict[str, tuple[int, int]]]:
    """Give row and column of each camera in a well, by plate."""
    placed = []
    for name, recording in cameras.items():
        well, plate = recording.info.get("well"), recording.info.get("plate")
        if isinstance(well, str) and isinstance(plate, str | None):
            placed.append(_Placed(name, plate, well))
    found = {}
    for plate in dict.fromkeys(each.plate or "" for each in placed):
        those = [each for each in placed if (each.plate or "") == plate]
        places = plate_places(cast("Iterable[es.Member]", those)).places
        # A picture of a plate needs more than one camera, each in a well of its own.
        if len(places) > 1 and len(set(places.values())) == len(places):
            found[plate] = places
    return found


class _Builder:
    """Makes layers, each where there is room: from left to right, then below."""

    def __init__(self, run: Run, line: Timeline, step: float, um: float | None) -> None:
        self.layers: list[tuple[Any, dict[str, Any], str]] = []
        self._run = run
        self._line = line
        self._step = step
        self._um = um
        self._x = self._y = self._below = 0.0

    def single(self, name: str, recording: Recording, new_row: bool) -> None:
        """Add a camera as a layer of its own."""
        size = _usual_size([recording])
        array = RunArray([Track(recording.snapshot(), self._line.frames[name])], size)
        if new_row:
            self._x, self._y = 0.0, self._below
        self._add(array, name, {name: recording}, size)

    def mosaic(
        self,
        title: str,
        cameras: dict[str, Recording],
        places: dict[str, tuple[int, int]],
        *,
        plate: bool,
    ) -> None:
        """Add cameras as one layer, each at its row and column."""
        size = _usual_size(list(cameras.values()))
        rows = 1 + max(row for row, _ in places.values())
        columns = 1 + max(column for _, column in places.values())
        if plate:
            told = next((recording.info.get("wells") for recording in cameras.values()), None)
            rows, columns = plate_size(told if isinstance(told, int) else None, rows, columns)
        tracks = [
            Track(recording.snapshot(), self._line.frames[name], *places[name])
            for name, recording in cameras.items()
        ]
        self._x, self._y = 0.0, self._below
        self._add(
            levels(tracks, size, rows, columns), title, cameras, (rows * size[0], columns * size[1]), places
        )

    def _add(
        self,
        data: RunArray | list[RunArray],
        title: str,
        cameras: dict[str, Recording],
        size: tuple[int, int],
        places: dict[str, tuple[int, int]] | None = None,
    ) -> None:
        each = self._um or 1.0
        line = self._line
        unit = "um" if self._um else "pixel"
        about = {
            "run": str(self._run.path),
            "cameras": tuple(cameras),
            "times": line.times,
            "frames": {name: line.frames[name] for name in cameras},
            "frame_times": {name: recording.times for name, recording in cameras.items()},
            "even": line.even,
            "places": places,
        }
        attributes: dict[str, Any] = {
            "name": "".join(char for char in title if char.isprintable()) or "camera",
            "rgb": True,
            "multiscale": isinstance(data, list),
            "contrast_limits": (0, 255),
            "cache": False,
            "scale": (self._step, each, each),
            # The middle of the first pixel, not its corner, is where a layer begins.
            "translate": (0.0, self._y + each / 2, self._x + each / 2),
            "units": ("s" if line.even and len(line.times) > 1 else "pixel", unit, unit),
            "axis_labels": ("time", "y", "x"),
            "metadata": {ABOUT: about},
        }
        self.layers.append((data, attributes, "image"))
        self._below = max(self._below, self._y + size[0] * each * _GAP)
        self._x += size[1] * each * _GAP


def _usual_size(recordings: list[Recording]) -> tuple[int, int]:
    """Give height and width of most pictures."""
    count: Counter[tuple[int, int]] = Counter()
    for recording in recordings:
        for part in recording.parts:
            if part.shape[1] * part.shape[2] <= MAX_PIXELS:  # others claim what no decoder gives
                count[part.shape[1:3]] += part.shape[0]
    return count.most_common(1)[0][0] if count else USUAL
