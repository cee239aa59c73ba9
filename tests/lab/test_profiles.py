"""Which settings make a profile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from espressoscope.device.settings import SettingTable
from espressoscope.lab.profiles import LEFT_OUT, take
from espressoscope.tables.firmware import FAMILIES, family_of
from espressoscope.tables.settings import specs_for

STATUS = {"lamp": 20, "framesize": 8, "quality": 12, "aec": 0, "aec_value": 204, "rotate": "0", "pwm": 3}


def test_a_profile_is_what_a_picture_depends_on() -> None:
    table = SettingTable(family_of("matchboxscope"), "OV2640", "")
    table.update({**STATUS, "isTimelapseGeneral": 1, "isStack": 0, "timelapseInterval": -1, "xclk": 8})
    assert take(table.settings()) == {
        "framesize": "VGA",
        "quality": 12,
        "aec": False,
        "aec_value": 204,
        "lamp": 20,
        "xclk": 8,
    }


def test_values_that_could_not_be_set_are_left_out() -> None:
    table = SettingTable(family_of("matchboxscope"), "OV2640", "")
    table.update({"framesize": 77, "quality": 99, "special_effect": 2, "brightness": 1, "lamp": -1})
    settings = table.settings()
    assert take(settings) == {"special_effect": "grayscale", "brightness": 1}
    assert take({"x": replace(settings["brightness"], kind="action")}) == {}


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    known = {spec.name for family in FAMILIES for spec in specs_for(family, "OV2640", "N5")}
    assert set(LEFT_OUT) <= {*known, "fps_limit"}
    with pytest.raises(TypeError):
        LEFT_OUT["quality"] = ""  # type: ignore[index]
