"""Wells and plates."""

from __future__ import annotations

import pytest

from espressoscope.lab.plates import PLATES, well_at, well_name, wells


def test_plates_have_their_wells_row_by_row() -> None:
    assert list(PLATES) == [6, 12, 24, 48, 96]
    for plate, (rows, columns) in PLATES.items():
        names = wells(plate)
        assert len(names) == len(set(names)) == plate == rows * columns
        assert [well_at(name, plate) for name in names] == [
            (row, column) for row in range(rows) for column in range(columns)
        ]
    assert wells(24)[0], wells(24)[-1] == ("A1", "D6")
    assert wells(96)[-1] == "H12"


def test_a_well_may_be_written_as_people_do() -> None:
    assert well_at("B3", 24) == well_at(" b3 ", 24) == well_at("B03", 24) == (1, 2)
    assert well_name("h07", 96) == "H7"


@pytest.mark.parametrize(
    "well", ["", "A", "3", "3A", "A0", "A7", "E1", "A1B", "AA1", "A-1", "A1.0", "Ａ1", "A１"]
)
def test_what_is_no_well_is_told(well: str) -> None:
    with pytest.raises(ValueError, match="it has A1 to D6"):
        well_at(well, 24)


@pytest.mark.parametrize("plate", [0, 5, 25, -6, 24.0, True, "24", None])
def test_what_is_no_plate_is_told(plate: int) -> None:
    for ask in (lambda: wells(plate), lambda: well_at("A1", plate), lambda: well_name("A1", plate)):
        with pytest.raises(ValueError, match="there are plates of 6, 12, 24, 48, 96"):
            ask()
