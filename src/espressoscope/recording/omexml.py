"""OME-XML of a closed segment: what Fiji, Bio-Formats and others read sizes and plane times from."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from espressoscope.recording.layout import Shape

__all__ = ["ome_xml"]

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_SCHEMA = f"{_NAMESPACE} {_NAMESPACE}/ome.xsd"

_PLANE = '<Plane TheZ="0" TheT="%d" TheC="0" DeltaT="%.6f" DeltaTUnit="s"/>\n'


def ome_xml(camera: str, shape: Shape, times_ns: Sequence[int], creator: str) -> bytes:
    """Write the OME-XML of one segment, with the zero that ends a TIFF text.

    Parameters
    ----------
    camera : str
        Its name.
    shape : Shape
        Of all pages.
    times_ns : sequence of int
        Unix time of each page in nanoseconds; DeltaT counts from the first, AcquisitionDate is its time.
    creator : str
        The software.
    """
    colours = shape.components
    first_ns = times_ns[0]
    try:
        began = datetime.fromtimestamp(first_ns // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):  # out of a damaged file
        began = datetime(1, 1, 1, tzinfo=UTC)
    name = quoteattr(_clean(camera))
    identity = uuid.uuid4()
    # One text filled in at once: a segment has 10,000 planes.
    values = [
        value for place, time_ns in enumerate(times_ns) for value in (place, (time_ns - first_ns) / 1e9)
    ]
    planes = (_PLANE * len(times_ns)) % tuple(values)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<OME xmlns="{_NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{_SCHEMA}" UUID="urn:uuid:{identity}" Creator={quoteattr(_clean(creator))}>\n'
        f'<Image ID="Image:0" Name={name}>\n'
        f"<AcquisitionDate>{began:%Y-%m-%dT%H:%M:%S}.{first_ns % 1_000_000_000 // 1000:06d}"
        "</AcquisitionDate>\n"
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SignificantBits="8" Interleaved="true" '
        f'SizeX="{shape.width}" SizeY="{shape.height}" SizeC="{colours}" SizeZ="1" SizeT="{len(times_ns)}">\n'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="{colours}"/>\n'
        f'<TiffData IFD="0" PlaneCount="{len(times_ns)}"/>\n'
        f"{planes}"
        "</Pixels>\n</Image>\n</OME>\n"
    )
    return text.encode("utf-8", "replace") + b"\0"


def _clean(text: str) -> str:
    """Leave out what XML does not allow."""
    return "".join(char for char in text if char.isprintable())
