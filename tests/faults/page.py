"""docs/reliability.md: what of it is written from the table, and from the times that a run has measured."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faults.cases import CASES
from faults.matrix import CONSUMERS, MATRIX
from support import REPO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faults.seen import Expected, Seen

__all__ = ["BEGIN", "MEASURED", "PAGE", "key_of", "rendered", "times_of", "write_page"]

PAGE: Final = REPO / "docs" / "reliability.md"
MEASURED: Final = Path(__file__).with_name("measured.json")
BEGIN: Final = "<!-- from here on written by python -m tests.faults -->\n"
_WIDTH: Final = 108


def key_of(case: str, consumer: str) -> str:
    """Name a cell, as its test is named."""
    return f"{case}-{consumer}"


def times_of(seen: Mapping[tuple[str, str], Seen]) -> dict[str, float | None]:
    """Give the times to be written: of those cells that are not well all the time."""
    return {
        key_of(*place): None
        if place not in seen or (back_s := seen[place].back_s) is None
        else round(back_s, 1)
        for place, expected in MATRIX.items()
        if not isinstance(expected, str) and expected.within_s is not None
    }


def write_page(seen: Mapping[tuple[str, str], Seen]) -> None:
    """Keep what has been measured, and write the page anew."""
    MEASURED.write_text(json.dumps(times_of(seen), indent=1) + "\n", encoding="utf-8")
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + "\n" + rendered(), encoding="utf-8")


def rendered() -> str:
    """Write a section for each case, a row for each consumer that does not go on as usual."""
    times = json.loads(MEASURED.read_text(encoding="utf-8"))
    return "\n".join(line for name in CASES for line in _section(name, times))


def _section(name: str, times: Mapping[str, float | None]) -> Iterator[str]:
    case = CASES[name]
    struck = {
        consumer: expected
        for consumer in CONSUMERS
        if not isinstance(expected := MATRIX[name, consumer], str) and _is_struck(expected)
    }
    usual = [c for c in CONSUMERS if c not in struck and not isinstance(MATRIX[name, c], str)]
    absent: dict[str, list[str]] = {}
    for consumer in CONSUMERS:
        if isinstance(why := MATRIX[name, consumer], str):
            absent.setdefault(why, []).append(consumer)
    yield f"## {name}\n"
    yield _wrapped(
        f"{case.title[0].upper()}{case.title[1:]}, for {case.seconds:g} s. "
        f"Tests: `tests/faults/test_matrix.py`, `test_cell[{name}-...]`."
    )
    if struck:
        yield "| who | while it lasts | says | counts up | well again after |"
        yield "|---|---|---|---|---|"
        for consumer, expected in struck.items():
            yield _row(name, consumer, expected, times)
        yield ""
    if usual:
        yield _wrapped(f"As usual: {_listed(usual)}.")
    for why, consumers in absent.items():
        yield _wrapped(f"Not applicable: {_listed(consumers)} ({why}).")


def _is_struck(expected: Expected) -> bool:
    return bool(expected.states or expected.words or expected.rises)


def _row(name: str, consumer: str, expected: Expected, times: Mapping[str, float | None]) -> str:
    who = CONSUMERS[consumer]
    states = [state for state in who.meaning if state in expected.states]
    states += sorted(expected.states - set(states))
    lasts = "; ".join(who.meaning.get(state, state) for state in _in_order(states)) or who.usual
    back = "goes on meanwhile"
    if expected.within_s is not None:
        time_s = times.get(key_of(name, consumer))
        back = "not measured" if time_s is None else f"{time_s:.1f} s"
    says = f"{expected.words.replace(' | ', '; or ')}{' (briefly)' if expected.brief else ''}"
    return f"| {who.title} | {lasts} | {says} | {', '.join(sorted(expected.rises))} | {back} |"


_ORDER: Final = ("slow", "away", "busy", "in use", "tile stale", "tile no signal", "none", "raises")


def _in_order(states: list[str]) -> list[str]:
    return sorted(states, key=lambda state: _ORDER.index(state) if state in _ORDER else -1)


def _listed(consumers: list[str]) -> str:
    return "; ".join(f"{CONSUMERS[consumer].title}" for consumer in consumers)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"
