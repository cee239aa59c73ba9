"""Settings: what is checked before sending, what goes on the wire, what is read back."""

from __future__ import annotations

import sys
import threading

import pytest

from espressoscope.device.settings import SettingTable
from espressoscope.errors import SettingError
from espressoscope.tables.firmware import UNKNOWN, family_of

STATUS = {
    "framesize": 8,
    "quality": 12,
    "lamp": 0,
    "awb": 1,
    "special_effect": 2,
    "wb_mode": 0,
    "brightness": -1,
    "rotate": 0,
    "cam_name": "Matchboxscope",
    "isTimelapseGeneral": 0,
}


def table(firmware: str = "matchboxscope", status: dict[str, object] | None = None) -> SettingTable:
    made = SettingTable(family_of(firmware), "OV2640", "cam")
    made.update(STATUS if status is None else status)
    return made


def test_values_are_typed_and_named() -> None:
    settings = table().settings()
    assert settings["framesize"].value == "VGA"
    assert settings["awb"].value is True
    assert settings["special_effect"].value == "grayscale"
    assert settings["quality"].value == 12
    assert settings["pwm"].value is None
    assert table().typed(STATUS)["cam_name"] == "Matchboxscope"
    assert table().typed(STATUS)["framesize"] == "VGA"


@pytest.mark.parametrize(
    ("name", "given", "wire"),
    [
        ("framesize", "vga", "8"),
        ("framesize", "UXGA", "13"),
        ("framesize", 8, "8"),
        ("quality", "10", "10"),
        ("quality", 10.0, "10"),
        ("awb", "off", "0"),
        ("awb", False, "0"),
        ("awb", 1, "1"),
        ("brightness", -2, "-2"),
        ("special_effect", "Sepia", "6"),
        ("special_effect", 2, "2"),
        ("timelapse", True, "1"),
        ("rotate", "-90", "-90"),
    ],
)
def test_a_value_becomes_what_the_firmware_takes(name: str, given: object, wire: str) -> None:
    made = table()
    spec = made.spec(name)
    assert made.to_wire(spec, made.check(spec, given)) == wire  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("quality", 64),
        ("quality", -1),
        ("quality", 1.5),
        ("quality", "ten"),
        ("quality", "1" * 40),
        ("framesize", "QXGA"),
        ("framesize", "HUGE"),
        ("framesize", 99),
        ("awb", 2),
        ("awb", "maybe"),
        ("brightness", 3),
        ("special_effect", 7),
        ("special_effect", "-1"),
        ("rotate", 45),
        ("quality", "\u0661\u0662"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(name: str, given: object) -> None:
    made = table()
    with pytest.raises(SettingError) as caught:
        made.check(made.spec(name), given)  # type: ignore[arg-type]
    assert caught.value.results == {}
    assert name in str(caught.value)
    assert "must be" in str(caught.value)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(SettingError, match="Did you mean 'quality'"):
        table().spec("qualty")
    with pytest.raises(SettingError, match="It has: "):
        table().spec("zzzzzz")


def test_native_names_are_aliases() -> None:
    assert table().spec("focusSlider").name == "focus_speed"
    assert table("camerawebserver").spec("led_intensity").name == "lamp"


def test_an_unknown_firmware_offers_what_its_status_names() -> None:
    made = SettingTable(UNKNOWN, "OV2640", "cam")
    made.update({"quality": 10})
    assert set(made.settings()) == {"quality"}


def test_a_board_without_lamp_has_no_lamp_setting() -> None:
    assert "lamp" not in table(status={**STATUS, "lamp": -1}).settings()


@pytest.mark.parametrize(
    ("index", "size", "numbering"),
    [(10, (640, 480), "N6"), (6, (640, 480), "N1"), (8, (640, 480), "N5"), (15, (1600, 1200), "N6")],
)
def test_the_numbering_is_learned_from_a_frame(index: int, size: tuple[int, int], numbering: str) -> None:
    made = table()
    made.learn(index, *size)
    assert made.numbering == numbering
    spec = made.spec("framesize")
    assert spec.choices
    assert made.to_wire(spec, "VGA") == {"N1": "6", "N5": "8", "N6": "10"}[numbering]


def test_a_pair_that_fits_nothing_teaches_nothing() -> None:
    made = table()
    made.learn(8, 123, 45)
    made.learn(8, 1600, 1200)
    assert made.numbering == "N5"


def test_settings_are_whole_whenever_another_thread_reads_them() -> None:
    made = table()
    count = len(made.settings())
    over = threading.Event()

    def update() -> None:
        for _ in range(1500):
            made.update(STATUS)
        over.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        updating = threading.Thread(target=update)
        updating.start()
        while not over.is_set():
            assert len(made.settings()) == count
    finally:
        sys.setswitchinterval(before)
        updating.join()
