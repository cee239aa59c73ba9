"""What stands in the `zarr.json` files of an OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5): plain data.

No library is needed to write it; that Zarr, ome-zarr-py, ome-zarr-models and napari-ome-zarr read it is
tested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["array", "collection", "group", "image", "ome_xml", "plate", "series", "table", "well"]

CODEC: Final = "espressoscope.jpeg"
"""Name of what decodes the chunks; `pyproject.toml` has it too."""
_VERSION: Final = "0.5"
_LITTLE: Final = {"name": "bytes", "configuration": {"endian": "little"}}
_CHANNELS: Final = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
_OME: Final = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def array(frames: int, width: int, height: int, slots: int) -> dict[str, Any]:
    """Describe the pictures: (t, c, y, x) uint8, a JPEG for each t, `slots` of them in a shard."""
    inner = [{"name": "transpose", "configuration": {"order": [0, 2, 3, 1]}}, {"name": CODEC}]
    sharding = {
        "chunk_shape": [1, 3, height, width],
        "codecs": inner,
        "index_codecs": [_LITTLE, {"name": "crc32c"}],
        "index_location": "end",
    }
    return _array(
        [frames, 3, height, width],
        [slots, 3, height, width],
        "uint8",
        [{"name": "sharding_indexed", "configuration": sharding}],
        ["t", "c", "y", "x"],
        {},
    )


def table(rows: int, data_type: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Describe a column of numbers along t, in one chunk."""
    return _array([rows], [max(rows, 1)], data_type, [_LITTLE], ["t"], attributes)


def _array(
    shape: list[int],
    chunk: list[int],
    data_type: str,
    codecs: list[dict[str, Any]],
    names: list[str],
    attributes: dict[str, Any],
) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": codecs,
        "dimension_names": names,
        "attributes": attributes,
    }


def group(attributes: dict[str, Any]) -> dict[str, Any]:
    """Describe a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def image(
    name: str, interval_s: float, start_s: float = 0.0, pixel_um: float | None = None
) -> dict[str, Any]:
    """Describe an image: one level, its time axis in seconds, its colours as red, green and blue.

    Parameters
    ----------
    name : str
    interval_s : float
        Mean time from one picture to the next; the true ones are a table beside it.
    start_s : float
        When it begins, on a time axis several images share.
    pixel_um : float, optional
        Size of a pixel, where it is known.
    """
    space = {"type": "space"} if pixel_um is None else {"type": "space", "unit": "micrometer"}
    axes = [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "c", "type": "channel"},
        {"name": "y", **space},
        {"name": "x", **space},
    ]
    size = pixel_um or 1.0
    scale: list[dict[str, Any]] = [{"type": "scale", "scale": [interval_s, 1.0, size, size]}]
    if start_s:
        scale.append({"type": "translation", "translation": [start_s, 0.0, 0.0, 0.0]})
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    channels = [
        {"label": label, "color": colour, "active": True, "window": window} for label, colour in _CHANNELS
    ]
    return {
        "version": _VERSION,
        "multiscales": [
            {"name": name, "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        ],
        "omero": {"name": name, "channels": channels, "rdefs": {"model": "color"}},
    }


def well() -> dict[str, Any]:
    """Describe a well with one field of view."""
    return {"version": _VERSION, "well": {"version": _VERSION, "images": [{"path": "0"}]}}


def plate(name: str, places: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Describe a plate: the rows and columns in which there are cameras, as ``("B", "3")``.

    Readers show a black picture, and ask memory for a whole series of them, for each place that is empty: so
    rows and columns without any camera are left out.
    """
    wells = sorted(set(places))
    rows = sorted({row for row, _ in wells})
    columns = sorted({column for _, column in wells}, key=int)
    return {
        "version": _VERSION,
        "plate": {
            "version": _VERSION,
            "name": name,
            "rows": [{"name": row} for row in rows],
            "columns": [{"name": column} for column in columns],
            "wells": [
                {
                    "path": f"{row}/{column}",
                    "rowIndex": rows.index(row),
                    "columnIndex": columns.index(column),
                }
                for row, column in wells
            ],
            "field_count": 1,
        },
    }


def collection() -> dict[str, Any]:
    """Describe several images side by side, in groups named 0, 1 and so on."""
    return {"version": _VERSION, "bioformats2raw.layout": 3}


def series(images: int) -> dict[str, Any]:
    """Describe in which order the images of a collection come: as they are named."""
    return {"version": _VERSION, "series": [str(number) for number in range(images)]}


def ome_xml(images: Sequence[tuple[str, int, int, int, float]], creator: str) -> str:
    """Write what readers of a collection look at: name, frames, width, height, interval of each image."""
    parts = [
        f'<Image ID="Image:{number}" Name={quoteattr(_printable(name))}>'
        f'<Pixels ID="Pixels:{number}" DimensionOrder="XYCZT" Type="uint8" SizeX="{width}" SizeY="{height}" '
        f'SizeC="3" SizeZ="1" SizeT="{frames}" TimeIncrement="{interval_s:.9f}" TimeIncrementUnit="s">'
        f'<Channel ID="Channel:{number}:0" SamplesPerPixel="3"/><MetadataOnly/></Pixels></Image>'
        for number, (name, frames, width, height, interval_s) in enumerate(images)
    ]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<OME xmlns="{_OME}" Creator={quoteattr(creator)}>\n'
        + "\n".join(parts)
        + "\n</OME>\n"
    )


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable())
