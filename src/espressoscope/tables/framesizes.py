"""Picture sizes of the esp32-camera driver and the numbers it has given them over the years.

`/status` and `/control` speak in bare indexes, and the driver renumbered its enum five times
(``driver/include/sensor.h`` in espressif/esp32-camera), so an index means nothing without knowing the
numbering. Names never changed; this project speaks names.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NUMBERINGS", "SENSOR_LARGEST", "SIZES", "index_of", "name_of", "names_of_size", "numberings_with"]

SIZES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "96X96": (96, 96),
        "QQVGA": (160, 120),
        "QQVGA2": (128, 160),
        "128X128": (128, 128),
        "QCIF": (176, 144),
        "HQVGA": (240, 176),
        "240X240": (240, 240),
        "QVGA": (320, 240),
        "320X320": (320, 320),
        "CIF": (400, 296),
        "HVGA": (480, 320),
        "VGA": (640, 480),
        "SVGA": (800, 600),
        "XGA": (1024, 768),
        "HD": (1280, 720),
        "SXGA": (1280, 1024),
        "UXGA": (1600, 1200),
        "FHD": (1920, 1080),
        "P_HD": (720, 1280),
        "P_3MP": (864, 1536),
        "QXGA": (2048, 1536),
        "QHD": (2560, 1440),
        "WQXGA": (2560, 1600),
        "P_FHD": (1080, 1920),
        "QSXGA": (2560, 1920),
        "5MP": (2592, 1944),
    }
)
"""Width and height in pixels of every named size."""

# The driver's enum says 1080x1920, its table of resolutions 1088x1920, which is what frames have (sensor.c).
_AS_DELIVERED: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({"P_FHD": (1088, 1920)})

_N5_TAIL = ("FHD", "P_HD", "P_3MP", "QXGA", "QHD", "WQXGA", "P_FHD", "QSXGA")

NUMBERINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "N1": ("QQVGA", "QQVGA2", "QCIF", "HQVGA", "QVGA", "CIF", "VGA", "SVGA", "XGA", "SXGA", "UXGA"),
        "N2": (
            *("QQVGA", "QQVGA2", "QCIF", "HQVGA", "QVGA", "CIF", "VGA", "SVGA", "XGA", "SXGA", "UXGA"),
            "QXGA",
        ),
        "N3": (
            *("96X96", "QQVGA", "QQVGA2", "QCIF", "HQVGA", "QVGA", "CIF", "VGA", "SVGA", "XGA", "SXGA"),
            *("UXGA", "QXGA"),
        ),
        "N4": (
            *("96X96", "QQVGA", "QQVGA2", "QCIF", "HQVGA", "240X240", "QVGA", "CIF", "VGA", "SVGA", "XGA"),
            *("SXGA", "UXGA", "QXGA"),
        ),
        "N5": (
            *("96X96", "QQVGA", "QCIF", "HQVGA", "240X240", "QVGA", "CIF", "HVGA", "VGA", "SVGA", "XGA"),
            *("HD", "SXGA", "UXGA"),
            *_N5_TAIL,
        ),
        "N6": (
            *("96X96", "QQVGA", "128X128", "QCIF", "HQVGA", "240X240", "QVGA", "320X320", "CIF", "HVGA"),
            *("VGA", "SVGA", "XGA", "HD", "SXGA", "UXGA"),
            *_N5_TAIL,
            "5MP",
        ),
    }
)
"""Names in the order of their index: N1 2018-11, N2 2019-04, N3 2019-12-03, N4 2019-12-11,
N5 2020-03-12 (Arduino cores 1.0.5 to 3.0), N6 2024-11-15 (Arduino cores from 3.1)."""

SENSOR_LARGEST: Final[Mapping[str, str]] = MappingProxyType(
    {"OV2640": "UXGA", "OV3660": "QXGA", "OV5640": "5MP"}
)
"""Largest size each sensor's driver accepts; numberings before N6 end at QSXGA."""


def name_of(numbering: str, index: int) -> str | None:
    """Name of an index, or None when the numbering has no such index."""
    names = NUMBERINGS[numbering]
    return names[index] if 0 <= index < len(names) else None


def index_of(numbering: str, name: str) -> int | None:
    """Index of a name, or None when the numbering does not know the size."""
    names = NUMBERINGS[numbering]
    return names.index(name) if name in names else None


def names_of_size(width: int, height: int) -> tuple[str, ...]:
    """Every name of that many pixels; empty for a size no driver has."""
    return tuple(name for name in SIZES if _is_size(name, width, height))


def numberings_with(index: int, width: int, height: int) -> frozenset[str]:
    """Numberings in which this index is a size of that many pixels.

    One pair of (`framesize` from `/status`, size of a frame at hand) is usually enough to tell the
    numberings in the wild (N1/N2, N5, N6) apart, except for HQVGA and smaller.
    """
    return frozenset(
        numbering
        for numbering in NUMBERINGS
        if (name := name_of(numbering, index)) is not None and _is_size(name, width, height)
    )


def _is_size(name: str, width: int, height: int) -> bool:
    return (width, height) in (SIZES[name], _AS_DELIVERED.get(name))
