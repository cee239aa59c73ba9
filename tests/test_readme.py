"""The README's table of firmwares is that of the code, and its commands are there."""

from __future__ import annotations

import re
import tomllib

from documents import blocks, rows
from espressoscope.sim import FAULTS
from espressoscope.tables.firmware import FAMILIES, Family
from support import REPO

README = REPO / "README.md"


def row_of(family: Family) -> list[str]:
    """Give the row of a family as the README has it."""
    return [
        family.title,
        f"`{family.name}`",
        "stream" if family.snapshot_path is None else "stream and single",
        "no" if family.control == "none" else "yes",
        family.evidence,
    ]


def test_the_table_of_firmwares_is_that_of_the_code() -> None:
    wanted = [row_of(family) for family in FAMILIES.values()]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in wanted)
    assert rows(README, "Supported firmware") == wanted, f"the rows should be:\n{lines}"


def test_it_begins_with_what_the_package_is() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert README.read_text(encoding="utf-8").splitlines()[2] == project["description"]


def test_its_commands_for_a_fresh_clone_are_those_of_dev_py() -> None:
    told = [
        found[1]
        for block in blocks("console")
        for found in re.finditer(r"\$ python3 dev\.py (\w+)", block.text)
    ]
    usage = (REPO / "dev.py").read_text(encoding="utf-8").split('"""')[1]
    assert {"demo", "test"} <= set(told)
    assert [command for command in told if f"python3 dev.py {command}" not in usage] == []


def test_its_example_is_five_lines() -> None:
    example = next(block for block in blocks("python") if block.page == README)
    assert not example.not_run
    assert len([line for line in example.text.splitlines() if line.strip()]) <= 5


def test_its_picture_is_there_and_small() -> None:
    picture = REPO / "docs" / "images" / "contact-sheet.png"
    assert picture.relative_to(REPO).as_posix() in README.read_text(encoding="utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 400_000


def test_it_counts_the_faults() -> None:
    assert len(FAULTS) == 17
    assert "Seventeen faults" in README.read_text(encoding="utf-8")
