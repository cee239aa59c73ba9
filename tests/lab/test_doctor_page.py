"""docs/doctor.md says what the doctor says."""

from __future__ import annotations

import re

import pytest

from doctor_page import BEGIN, PAGE, rendered
from espressoscope.lab.doctor_words import GROUPS, TEXTS, finding


def test_the_page_is_written_from_the_texts() -> None:
    _, _, written = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    assert written.strip() == rendered().strip(), "run tests/doctor_page.py"


def test_codes_are_unique() -> None:
    assert len(TEXTS) == sum(map(len, GROUPS.values()))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in TEXTS)


@pytest.mark.parametrize("code", TEXTS)
def test_a_text_says_what_it_is_and_what_to_try(code: str) -> None:
    text = TEXTS[code]
    assert text.words.endswith(".")
    assert (text.advice == "") is (text.ok is True)
    assert not text.advice or text.advice.endswith(".")
    facts = dict.fromkeys(re.findall(r"\{(\w+)\}", text.words + text.advice), "x\x1b[31m\u202e")
    made = finding(code, **facts)
    assert (made.words + made.advice).isprintable()
    assert "{" not in made.words + made.advice
