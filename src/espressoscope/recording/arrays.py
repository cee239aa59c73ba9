"""The frames of a recording as arrays, decoded when somebody looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from espressoscope.decode.jpeg import MAX_PIXELS
from espressoscope.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from espressoscope.recording.recorded import Part, Recording

__all__ = ["LazyFrames", "dask_array", "data_array", "data_tree"]


class LazyFrames:
    """What behaves as an array (T, Y, X, 3) uint8 and decodes what is taken out of it.

    Attributes
    ----------
    shape, dtype, ndim
        As of an array.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, recording: Recording, part: Part) -> None:
        _, height, width, _ = part.shape
        if height * width > MAX_PIXELS:
            raise ValueError(
                f"the pictures of {recording.name} claim {width} x {height} pixels: none is decoded that has "
                f"more than {MAX_PIXELS}"
            )
        self.shape = part.shape
        self._recording = recording
        self._part = part
        self._frames = recording.snapshot()

    def __reduce__(self) -> tuple[type[LazyFrames], tuple[Recording, Part]]:
        return LazyFrames, (self._recording, self._part)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            place = key.index(Ellipsis)
            key = (*key[:place], *[slice(None)] * (5 - len(key)), *key[place + 1 :])
        first, rest = key[0] if key else slice(None), key[1:]
        wanted = range(self.shape[0])[first] if isinstance(first, (slice, int)) else None
        if isinstance(wanted, int):
            one: NDArray[np.uint8] = self._picture(wanted)[rest]
            return one
        places = np.arange(self.shape[0])[first].tolist() if wanted is None else wanted
        pictures = np.empty((len(places), *self.shape[1:]), np.uint8)
        for number, place in enumerate(places):
            self._picture(place, pictures[number])
        found: NDArray[np.uint8] = pictures[(slice(None), *rest)]
        return found

    def _picture(self, place: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        picture = np.empty(self.shape[1:], np.uint8) if out is None else out
        try:
            self._frames[self._part.start + place].image(out=picture, partial=True)
        except (DecodeError, ValueError):
            picture[...] = 0  # one broken frame must not end a computation over thousands
        return picture


def dask_array(recording: Recording, part: Part) -> Any:
    """Give the frames of a part as a dask array with one picture a chunk."""
    import dask.array

    lazy = LazyFrames(recording, part)
    chunks = (1, *part.shape[1:]) if part.shape[0] else part.shape
    from_array: Any = dask.array.from_array
    # Inlined, a task stands for the whole array and is made when it is needed; otherwise there is one for
    # every picture, and dask goes through all of them before it gives a single one.
    return from_array(
        lazy,
        chunks=chunks,
        name=False,
        lock=False,
        asarray=False,
        inline_array=True,
        meta=np.empty((0, 0, 0, 0), np.uint8),
    )


def data_array(recording: Recording, part: Part) -> Any:
    """Give the frames of a part as an xarray DataArray (t, y, x, c) with its times."""
    import xarray

    _, height, width, _ = part.shape
    these = slice(part.start, part.stop)
    coordinates: dict[str, Any] = {
        "t": recording.times[these],
        "sequence": ("t", recording.sequences[these]),
        "c": list("RGB"),
    }
    pixel_um = recording.pixel_um
    if pixel_um is not None:
        for name, size in (("y", height), ("x", width)):
            coordinates[name] = (name, np.arange(size) * pixel_um, {"units": "um"})
    # What a netCDF file takes, too.
    told = {key: value for key, value in recording.info.items() if isinstance(value, str | int | float)}
    return xarray.DataArray(
        dask_array(recording, part),
        coordinates,
        ("t", "y", "x", "c"),
        name="frames",
        attrs={**told, "camera": recording.name},
    )


def data_tree(recordings: Mapping[str, Recording]) -> Any:
    """Give an xarray DataTree with the frames of every camera; below it one for each picture size."""
    import xarray

    found = {}
    for name, recording in recordings.items():
        node = name.replace("/", "_")
        parts = recording.parts
        for number, part in enumerate(parts):
            place = node if len(parts) == 1 else f"{node}/part-{number}"
            found[place] = data_array(recording, part).to_dataset()
    return xarray.DataTree.from_dict(found)
