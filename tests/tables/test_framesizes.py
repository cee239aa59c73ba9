"""tables.framesizes against the history of the driver's enum, written down here a second time."""

from __future__ import annotations

import pytest

from espressoscope.tables.framesizes import (
    NUMBERINGS,
    SENSOR_LARGEST,
    SIZES,
    index_of,
    name_of,
    names_of_size,
    numberings_with,
)

# driver/include/sensor.h of espressif/esp32-camera, one column for each time its framesize_t changed:
# 2018-11, 2019-04, 2019-12-03, 2019-12-11, 2020-03-12, 2024-11-15.
HISTORY = """
96X96      96x96       -   -   0   0   0   0
QQVGA     160x120      0   0   1   1   1   1
QQVGA2    128x160      1   1   2   2   -   -
128X128   128x128      -   -   -   -   -   2
QCIF      176x144      2   2   3   3   2   3
HQVGA     240x176      3   3   4   4   3   4
240X240   240x240      -   -   -   5   4   5
QVGA      320x240      4   4   5   6   5   6
320X320   320x320      -   -   -   -   -   7
CIF       400x296      5   5   6   7   6   8
HVGA      480x320      -   -   -   -   7   9
VGA       640x480      6   6   7   8   8  10
SVGA      800x600      7   7   8   9   9  11
XGA      1024x768      8   8   9  10  10  12
HD       1280x720      -   -   -   -  11  13
SXGA     1280x1024     9   9  10  11  12  14
UXGA     1600x1200    10  10  11  12  13  15
FHD      1920x1080     -   -   -   -  14  16
P_HD      720x1280     -   -   -   -  15  17
P_3MP     864x1536     -   -   -   -  16  18
QXGA     2048x1536     -  11  12  13  17  19
QHD      2560x1440     -   -   -   -  18  20
WQXGA    2560x1600     -   -   -   -  19  21
P_FHD    1080x1920     -   -   -   -  20  22
QSXGA    2560x1920     -   -   -   -  21  23
5MP      2592x1944     -   -   -   -   -  24
"""
COLUMNS = ("N1", "N2", "N3", "N4", "N5", "N6")


def _row(line: str) -> tuple[str, tuple[int, int], dict[str, int | None]]:
    name, size, *indexes = line.split()
    width, height = size.split("x")
    values = (None if index == "-" else int(index) for index in indexes)
    return name, (int(width), int(height)), dict(zip(COLUMNS, values, strict=True))


ROWS = [_row(line) for line in HISTORY.strip().splitlines()]

# What is met in the wild.
WILD = ("N1", "N5", "N6")


@pytest.mark.parametrize(("name", "size", "indexes"), ROWS, ids=[row[0] for row in ROWS])
def test_every_size_has_its_index_in_every_numbering(name, size, indexes):
    assert SIZES[name] == size
    for numbering, index in indexes.items():
        assert index_of(numbering, name) == index
        if index is not None:
            assert name_of(numbering, index) == name


def test_there_are_no_other_sizes_numberings_or_indexes():
    assert set(SIZES) == {row[0] for row in ROWS}
    assert tuple(NUMBERINGS) == COLUMNS
    for numbering in COLUMNS:
        known = [row[2][numbering] for row in ROWS if row[2][numbering] is not None]
        assert len(NUMBERINGS[numbering]) == len(known) == len(set(known))
        assert set(known) == set(range(len(known)))


@pytest.mark.parametrize("numbering", COLUMNS)
def test_what_is_not_there_is_none(numbering):
    assert name_of(numbering, -1) is None
    assert name_of(numbering, len(NUMBERINGS[numbering])) is None
    assert name_of(numbering, 4_294_967_295) is None
    assert index_of(numbering, "vga") is None
    assert index_of(numbering, "") is None


@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("QVGA", (4, 5, 6)),
        ("CIF", (5, 6, 8)),
        ("VGA", (6, 8, 10)),
        ("SVGA", (7, 9, 11)),
        ("XGA", (8, 10, 12)),
        ("SXGA", (9, 12, 14)),
        ("UXGA", (10, 13, 15)),
    ],
)
def test_one_frame_tells_the_numberings_in_the_wild_apart(name, indexes):
    for numbering, index in zip(WILD, indexes, strict=True):
        assert index_of(numbering, name) == index
        assert {other for other in WILD if other in numberings_with(index, *SIZES[name])} == {numbering}


def test_small_frames_do_not():
    assert {"N1", "N2", "N5"} <= numberings_with(3, *SIZES["HQVGA"])


def test_a_pair_that_no_numbering_has_says_nothing():
    assert numberings_with(8, 123, 45) == frozenset()
    assert numberings_with(-1, 640, 480) == frozenset()
    assert numberings_with(99, 640, 480) == frozenset()


def test_names_of_a_size():
    assert names_of_size(640, 480) == ("VGA",)
    assert names_of_size(480, 640) == ()
    assert names_of_size(0, 0) == ()


def test_the_tall_full_hd_comes_eight_pixels_wider_than_its_name():
    # resolution[] in driver/sensor.c says 1088x1920.
    assert names_of_size(1088, 1920) == names_of_size(1080, 1920) == ("P_FHD",)
    assert numberings_with(22, 1088, 1920) == {"N6"}


def test_sensors_deliver_known_sizes():
    assert dict(SENSOR_LARGEST) == {"OV2640": "UXGA", "OV3660": "QXGA", "OV5640": "5MP"}


def test_tables_cannot_be_changed():
    for table in (SIZES, NUMBERINGS, SENSOR_LARGEST):
        with pytest.raises(TypeError):
            table["VGA"] = None  # type: ignore[index]
