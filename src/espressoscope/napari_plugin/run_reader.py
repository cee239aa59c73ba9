"""napari's reader of recordings: called when somebody drops one onto it; and the time on the canvas."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import napari
import numpy as np

import espressoscope as es
from espressoscope.napari_plugin.layers import READY, WAITING
from espressoscope.napari_plugin.layout import GAP
from espressoscope.napari_plugin.run_layers import ABOUT, ends_of, is_run, layers_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RunClock", "get_reader", "read_run"]

_RUN: Final = "run.json"
_SEGMENT: Final = ".ome.tif"
_CLOCK: Final = "clock"


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[tuple[Any, ...]]] | None:
    """Give the reader of a path: a run's folder, a camera's in it, `run.json`, or a segment; else None."""
    if not isinstance(path, str):
        return None  # a stack of files is none of ours
    place = Path(path)
    try:
        if place.is_file():
            ours = place.name == _RUN or (place.name.endswith(_SEGMENT) and _is_segment(place))
        else:
            ours = (place / _RUN).is_file() or any(
                _is_segment(file) for folder in (".", "*") for file in place.glob(f"{folder}/*{_SEGMENT}")
            )
    except OSError:
        return None
    return read_run if ours else None


def _is_segment(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(24)[16:] == b"\x89ESPSEG\n"


def read_run(path: str | list[str]) -> list[tuple[Any, ...]]:
    """Give the layers of a recording; nothing is decoded before napari shows it.

    Parameters
    ----------
    path : str
        As `get_reader` takes it.

    Raises
    ------
    RecordingError
        It cannot be read.
    ValueError
        There is no picture in it.
    """
    layers = layers_of(es.open_run(path if isinstance(path, str) else path[0]))
    viewer = napari.current_viewer()
    if viewer is not None:
        clock = next((found for layer in viewer.layers if (found := _clock_of(layer))), None)
        clock = clock or RunClock(viewer)
        clock.expect(len(layers), _keep_apart(layers, viewer))
        for _, attributes, _ in layers:
            attributes["metadata"][ABOUT][_CLOCK] = clock  # what is connected is held weakly
    return list(layers)


def _keep_apart(layers: list[tuple[Any, dict[str, Any], str]], viewer: Any) -> bool:
    """Put a recording to the left of live cameras and of others, its name with it; false where none is.

    In the place of cameras, also of those to come, it would look live, and hide that one has no signal.
    """
    if not any(is_run(layer) or _is_live(layer) for layer in viewer.layers):
        return False
    end, _ = ends_of(viewer)
    wide = 0.0
    for data, attributes, _ in layers:
        array = data[0] if isinstance(data, list) else data
        each = attributes["scale"][2]
        wide = max(wide, attributes["translate"][2] + (array.shape[2] - 0.5) * each)
    for _, attributes, _ in layers:
        time, y, x = attributes["translate"]
        attributes["translate"] = (time, y, x + end - (1 + GAP) * wide)
        attributes["name"] = f"{attributes['name']} of {Path(attributes['metadata'][ABOUT]['run']).name}"
    return True


def _is_live(layer: Any) -> bool:
    about = layer.metadata.get("espressoscope")
    return about in (READY, WAITING) or (isinstance(about, dict) and bool(about.get("live")))


def _clock_of(layer: Any) -> RunClock | None:
    clock = layer.metadata[ABOUT].get(_CLOCK) if is_run(layer) else None
    return clock if isinstance(clock, RunClock) else None


class RunClock:
    """Shows on the canvas what time it is in a recording; lives as long as the layers that are one.

    The slider counts instants, and where frames come unevenly they are not evenly apart.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = weakref.ref(viewer)
        self._text = ""
        self._expected = 0
        viewer.dims.events.point.connect(self.show)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self.show)
        viewer.layers.events.reordered.connect(self.show)

    def expect(self, count: int, always: bool = False) -> None:
        """Have the whole view fitted when so many layers have come; `always`, or into an empty viewer."""
        viewer = self._viewer()
        self._expected = count if viewer is not None and (always or not viewer.layers) else 0

    def _inserted(self, event: Any) -> None:
        viewer = self._viewer()
        if is_run(event.value):
            event.value.events.visible.connect(self.show)
        if self._expected and viewer is not None:
            self._expected -= 1
            if not self._expected and len(viewer.layers) > 1:
                viewer.fit_to_view()  # napari fits the first layer only
        self.show()

    def show(self, _: object = None) -> None:
        """Write the time of the instant that the topmost recording shows, and which that is of several."""
        viewer = self._viewer()
        if viewer is None:
            return
        overlay = viewer.canvas.overlays.text
        if overlay.text and overlay.text != self._text:
            return  # somebody else writes there
        runs = [layer for layer in reversed(viewer.layers) if layer.visible and is_run(layer)]
        text, run = next(((told, _run(layer)) for layer in runs if (told := _told(layer, viewer))), ("", ""))
        if len({_run(layer) for layer in runs}) > 1 and text:
            text = f"{Path(run).name}  {text}"
        self._text = text
        overlay.text = text
        overlay.visible = bool(text)


def _run(layer: Any) -> str:
    run: str = layer.metadata[ABOUT]["run"]
    return run


def _told(layer: Any, viewer: Any) -> str:
    times = layer.metadata[ABOUT]["times"]
    place = round(float(layer.world_to_data(viewer.dims.point)[0]))
    if not 0 <= place < len(times):
        return ""
    time = np.datetime_as_string(times[place], "ms").replace("T", "  ")
    after = (times[place] - times[0]) / np.timedelta64(1, "s")
    return f"{time} UTC   +{after:.3f} s"
