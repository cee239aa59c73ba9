"""Every fault of the simulator, and every consumer of a camera: one run, and a test for each cell.

With `python -m tests.faults` the same run writes docs/reliability.md.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from espressoscope.sim import FAULTS
from faults.cases import CASES
from faults.matrix import CONSUMERS, MATRIX
from faults.page import BEGIN, MEASURED, PAGE, key_of, rendered, times_of
from faults.run import no_window, run_matrix
from faults.seen import Expected, Seen, cell

if TYPE_CHECKING:
    from faults.run import Outcome

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        sys.platform != "linux", reason="only on Linux is a camera that vanishes silent at once"
    ),
]

CELLS = {
    key_of(*place): (place, expected) for place, expected in MATRIX.items() if not isinstance(expected, str)
}
COUNTING = {"stream", "record", "view", "watch", "time-lapse", "napari"}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run_matrix(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("name", CELLS)
def test_cell(outcome: Outcome, name: str) -> None:
    place, expected = CELLS[name]
    if place[1] == "napari" and (why := no_window()):
        pytest.skip(why)
    assert place in outcome.seen
    assert expected.complaints(outcome.seen[place]) == []
    # Counters are compared once all is well again: without them none was seen to have stayed as it was.
    assert place[1] not in COUNTING or outcome.seen[place].rose, "it was never well again"


@pytest.mark.parametrize("case", CASES)
def test_the_fault_strikes(outcome: Outcome, case: str) -> None:
    """What holds under a fault that never struck would hold of itself."""
    hits = {owner: hits for (name, owner), hits in outcome.hits.items() if name == case}
    if case in ("refuse", "silent-second"):  # they strike who is not let in, which nobody counts
        assert CASES[case].breaks
        return
    of_single_pictures = case == "stale-capture"
    owners = {"snap alone", "time-lapse"} if of_single_pictures else {"fleet"}
    if case not in ("stale-capture", "bad-json", "html"):
        owners = set(hits)
    assert {owner for owner in owners if not hits[owner]} == set()


def test_every_fault_and_every_consumer_is_in_the_table() -> None:
    assert {case.fault for case in CASES.values()} == set(FAULTS)
    assert set(MATRIX) == {(case, consumer) for case in CASES for consumer in CONSUMERS}
    assert all(why for why in MATRIX.values() if isinstance(why, str))


def test_the_page_is_written_from_the_table() -> None:
    _, _, written = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    assert written.strip() == rendered().strip(), "run python -m tests.faults, or with --page"
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    assert set(measured) == set(times_of({}))
    assert all(0 <= seconds < 15 for seconds in measured.values())


WELL = Seen(rose={"damaged": 0})
STRUCK = Seen({"slow"}, {"no whole picture for 4 s"}, {"damaged": 2}, 1.0)


@pytest.mark.parametrize(
    ("expected", "seen", "held"),
    [
        (cell(), WELL, True),
        (cell(), STRUCK, False),
        (cell("slow", "no whole picture for N s", "damaged", within=2), STRUCK, True),
        (cell("slow", "no whole picture for N s", "damaged", within=0.5), STRUCK, False),
        (cell("slow", "no whole picture for N s", "damaged", within=2), WELL, False),
        (cell("slow", "another viewer", "damaged", within=2), STRUCK, False),
        (cell("slow", "another viewer | no whole picture for N s", "damaged", within=2), STRUCK, True),
        (cell("slow", "", "damaged"), STRUCK, False),
        (cell("slow, busy", "no whole", "damaged"), STRUCK, False),
        (cell("", "no whole", "damaged", "slow"), STRUCK, True),
        (cell("slow", "no whole"), STRUCK, False),
        (cell("", "broke off", brief=True), WELL, True),
        (cell("slow", "broke off", "damaged", brief=True), STRUCK, False),
        (cell("", "", "", "", 5), WELL, False),
    ],
)
def test_a_cell_complains_of_what_differs(expected: Expected, seen: Seen, held: bool) -> None:
    assert (expected.complaints(seen) == []) is held
