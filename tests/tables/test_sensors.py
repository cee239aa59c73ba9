"""How fast sensors make frames: PROTOCOL §7's figures for the OV2640, nothing invented for the others."""

from __future__ import annotations

import pytest

from espressoscope.tables.framesizes import SIZES
from espressoscope.tables.sensors import nominal_fps

AT_20_MHZ = {
    **dict.fromkeys(("QQVGA", "HQVGA", "240X240", "QVGA", "CIF"), 50),
    **dict.fromkeys(("HVGA", "VGA", "SVGA"), 25),
    **dict.fromkeys(("XGA", "HD", "SXGA", "UXGA"), 12.5),
}


@pytest.mark.parametrize(("size", "fps"), AT_20_MHZ.items())
def test_the_native_rates_of_the_ov2640(size: str, fps: float) -> None:
    assert nominal_fps("OV2640", size) == nominal_fps("OV2640", size, 20) == fps


def test_the_rate_goes_with_the_clock() -> None:
    assert nominal_fps("OV2640", "VGA", 8) == pytest.approx(10)
    assert nominal_fps("OV2640", "UXGA", 8) == pytest.approx(5)
    assert nominal_fps("OV2640", "CIF", 10) == pytest.approx(25)


def test_smaller_pictures_never_come_more_slowly() -> None:
    rates = {size[0] * size[1]: nominal_fps("OV2640", name) for name, size in SIZES.items()}
    ordered = [rate for pixels in sorted(rates) if (rate := rates[pixels]) is not None]
    assert ordered == sorted(ordered, reverse=True)
    assert len(ordered) > 12


@pytest.mark.parametrize(
    ("sensor", "size"), [("OV3660", "VGA"), ("OV5640", "QSXGA"), ("OV2640", "none"), ("OV2640", "FHD")]
)
def test_what_no_source_tells_is_not_told(sensor: str, size: str) -> None:
    assert nominal_fps(sensor, size, 20) is None
