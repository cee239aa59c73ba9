"""OME-Zarr 0.5 of a recording: one image, a plate, or several images side by side.

An image is a group with the pictures, ``0``, and for each of them its time, number and status in ``t``,
``sequence`` and ``status``. The pictures are the camera's JPEGs; `shards` puts them there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from espressoscope.export import metadata
from espressoscope.export.owned import MARK
from espressoscope.export.shards import OWN_SLOTS, link_shards, linkable, write_shards
from espressoscope.export.staging import write_json
from espressoscope.recording.layout import NO_TIME, SLOTS, STATUSES
from espressoscope.recording.moments import iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from espressoscope.export.chosen import Chosen, Stretch
    from espressoscope.export.report import Meter

__all__ = ["Image", "Place", "arrange", "places_of", "write_ome_zarr"]

_WELL: Final = re.compile(r"([A-P])0?([1-9]|1\d|2[0-4])")
"""Of plates up to 384 wells."""
_TIME: Final = {"units": "nanoseconds since 1970-01-01T00:00:00", "calendar": "proleptic_gregorian"}


@dataclass(frozen=True)
class Image:
    """One image: a stretch of a camera's pictures.

    Attributes
    ----------
    chosen : Chosen
    stretch : Stretch
    name : str
    """

    chosen: Chosen
    stretch: Stretch
    name: str

    @property
    def first_ns(self) -> int:
        """When it begins."""
        return int(self.chosen.times_ns(self.stretch.places[:1])[0])

    @property
    def linkable(self) -> bool:
        """Whether the recording's own files may serve."""
        return linkable(self.chosen, self.stretch) is not None

    @property
    def interval_s(self) -> float:
        """Mean time between its pictures; 1 for a single one."""
        times = self.chosen.times_ns(self.stretch.places[[0, -1]])
        steps = len(self.stretch.places) - 1
        return float(times[1] - times[0]) / 1e9 / steps if steps and times[1] > times[0] else 1.0


@dataclass(frozen=True)
class Place:
    """Where a camera stands: the plate's name, and the well as row and column, ``("B", "3")``."""

    plate: str
    row: str
    column: str


def places_of(cameras: Iterable[Chosen], wells: Mapping[str, str]) -> dict[str, Place]:
    """Find out where cameras stand: as told now, else as `run.json` has it; those of which it is known.

    Raises
    ------
    ValueError
        What is told now is no well.
    """
    found = {}
    for chosen in cameras:
        info = chosen.recording.info
        place = _place(info.get("plate"), info.get("well"))
        if chosen.name in wells:
            told = _place(info.get("plate"), wells[chosen.name])
            if told is None:
                raise ValueError(f"{wells[chosen.name]!r} is no well: they are A1 to P24")
            place = told
        if place is not None:
            found[chosen.name] = place
    # A well that is told now is on the plate the others are on.
    plates = {place.plate for place in found.values() if place.plate}
    only = plates.pop() if len(plates) == 1 else "plate"
    return {name: place if place.plate else replace(place, plate=only) for name, place in found.items()}


def _place(plate: object, well: object) -> Place | None:
    found = _WELL.fullmatch(well.strip().upper()) if isinstance(well, str) else None
    return None if found is None else Place(plate if isinstance(plate, str) else "", found[1], found[2])


def arrange(images: list[Image], places: Mapping[str, Place]) -> str:
    """Say why these images make no plate; empty when they do.

    The readers there are lay a plate's images side by side, so they must be of one size.
    """
    names = [image.chosen.name for image in images]
    if not places:
        return "no camera has a well"
    if missing := [name for name in names if name not in places]:
        return f"{missing[0]} has no well"
    if len({place.plate for place in places.values()}) > 1:
        return "the cameras are on several plates"
    if len(set(names)) < len(names):
        return f"{next(name for name in names if names.count(name) > 1)} changed its picture size"
    if len({(image.stretch.width, image.stretch.height) for image in images}) > 1:
        return "the cameras have pictures of different sizes"
    wells = [(place.row, place.column) for place in places.values()]
    if len(set(wells)) < len(wells):
        return "two cameras have one well"
    return ""


def write_ome_zarr(
    folder: Path,
    images: list[Image],
    places: Mapping[str, Place] | None,
    meters: Mapping[str, Meter],
    about: dict[str, Any],
) -> int:
    """Write it into a folder that is there and empty; give the images that needed no copying.

    Parameters
    ----------
    images : list of Image
    places : mapping of camera name to Place, optional
        Where they stand, for a plate.
    meters : mapping of camera name to Meter
    about : dict
        What the export tells of itself.

    Raises
    ------
    OSError
    """
    if places is None and len(images) == 1:
        return _write_image(folder, images[0], images[0].first_ns, None, meters, about)
    linked = 0
    if places is not None:
        wells = {name: (place.row, place.column) for name, place in places.items()}
        plate_name = next(iter(places.values())).plate
        root = {"ome": metadata.plate(plate_name, wells.values()), MARK: about}
        frames = max(len(image.stretch.places) for image in images)
        for row in sorted({row for row, _ in wells.values()}):
            (folder / row).mkdir()
            write_json(folder / row / "zarr.json", metadata.group({}))
        for image in images:
            row, column = wells[image.chosen.name]
            path = folder / row / column
            (path / "0").mkdir(parents=True)
            write_json(path / "zarr.json", metadata.group({"ome": metadata.well()}))
            linked += _write_image(path / "0", image, image.first_ns, frames, meters, about)
    else:
        root = {"ome": metadata.collection(), MARK: about}
        first_ns = min(image.first_ns for image in images)
        for number, image in enumerate(images):
            path = folder / str(number)
            path.mkdir()
            linked += _write_image(path, image, first_ns, None, meters, about)
        ome = folder / "OME"
        ome.mkdir()
        write_json(ome / "zarr.json", metadata.group({"ome": metadata.series(len(images))}))
        facts = [
            (i.name, len(i.stretch.places), i.stretch.width, i.stretch.height, i.interval_s) for i in images
        ]
        text = metadata.ome_xml(facts, str(about.get("software", "espressoscope")))
        (ome / "METADATA.ome.xml").write_text(text, encoding="utf-8")
    write_json(folder / "zarr.json", metadata.group(root))
    return linked


def _write_image(
    folder: Path,
    image: Image,
    zero_ns: int,
    frames: int | None,
    meters: Mapping[str, Meter],
    about: dict[str, Any],
) -> int:
    """Write one image; with `frames`, more than it has, its end is black. 1 when nothing was copied."""
    chosen, stretch = image.chosen, image.stretch
    meter = meters[chosen.name]
    rows = chosen.log[stretch.places]
    pictures = folder / "0"
    pictures.mkdir()
    segments = linkable(chosen, stretch)
    linked = segments is not None and link_shards(pictures, segments)
    if linked:
        meter.at_once(len(rows), chosen.bytes_of(stretch.places))
    else:
        statuses = iter(rows["status"].tolist())
        write_shards(pictures, chosen, stretch, lambda frame: meter.frame(frame, next(statuses)))
    total = max(frames or 0, len(rows))
    slots = SLOTS if linked else OWN_SLOTS
    write_json(pictures / "zarr.json", metadata.array(total, stretch.width, stretch.height, slots))
    times = rows["time"].astype(np.int64)
    _write_table(folder / "t", _filled(times, total, NO_TIME), "int64", _TIME)
    _write_table(folder / "sequence", _filled(rows["sequence"], total, -1), "int64", {})
    codes = np.array([STATUSES.index(status) for status in rows["status"].tolist()], np.uint8)
    meanings = {"flag_values": list(range(len(STATUSES))), "flag_meanings": " ".join(STATUSES)}
    _write_table(folder / "status", _filled(codes, total, 0), "uint8", meanings)
    own = {
        **about,
        "camera": chosen.name,
        "mac": chosen.recording.info.get("mac"),
        "first_frame": iso_utc(int(times[0])),
        "last_frame": iso_utc(int(times[-1])),
        "frames": len(rows),
        "gaps": int(np.count_nonzero(rows["gap"])),
        "linked": linked,
    }
    attributes = {
        "ome": metadata.image(
            image.name, image.interval_s, (image.first_ns - zero_ns) / 1e9, chosen.recording.pixel_um
        ),
        MARK: own,
    }
    write_json(folder / "zarr.json", metadata.group(attributes))
    return int(linked)


def _filled(values: NDArray[Any], total: int, fill: int) -> NDArray[Any]:
    found = np.full(total, fill, values.dtype.newbyteorder("<"))
    found[: len(values)] = values
    return found


def _write_table(folder: Path, values: NDArray[Any], data_type: str, attributes: dict[str, Any]) -> None:
    (folder / "c").mkdir(parents=True)
    with (folder / "c" / "0").open("xb") as file:
        file.write(values.tobytes())
    write_json(folder / "zarr.json", metadata.table(len(values), data_type, attributes))
