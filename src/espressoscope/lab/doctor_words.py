"""Everything the doctor can find, and how a finding is made of its text and its facts.

What leads to which is decided in the other modules whose names begin with ``doctor``. docs/doctor.md is
written from these texts, and a test keeps the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from espressoscope.device.address import clean_text
from espressoscope.lab.doctor_texts_camera import BOARD, STREAM
from espressoscope.lab.doctor_texts_network import COMPUTER, REACH, SEARCH, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GROUPS", "TEXTS", "Finding", "finding"]

_LONGEST_FACT: Final = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the doctor has looked at.

    Attributes
    ----------
    code : str
        What it is, for programs: ``"busy"``; docs/doctor.md lists them all.
    ok : bool or None
        False for a problem; None for something to know, which may or may not be one.
    words : str
        What was found, a sentence.
    advice : str
        What to try; empty where there is nothing to do.
    """

    code: str
    ok: bool | None
    words: str
    advice: str


GROUPS: Final[Mapping[str, Mapping[str, Text]]] = MappingProxyType(
    {
        "This computer and its networks": COMPUTER,
        "Finding cameras": SEARCH,
        "Reaching one camera": REACH,
        "The board": BOARD,
        "Its stream": STREAM,
    }
)
"""All texts, in the order of the page."""

TEXTS: Final[Mapping[str, Text]] = MappingProxyType(
    {code: text for group in GROUPS.values() for code, text in group.items()}
)
"""All texts by code."""


def finding(code: str, **facts: object) -> Finding:
    """Put facts into a text.

    Parameters
    ----------
    code : str
        One of `TEXTS`.
    **facts : object
        What stands in braces; cleaned, for most of it comes from the network.
    """
    text = TEXTS[code]
    shown = {name: clean_text(str(fact), _LONGEST_FACT) for name, fact in facts.items()}
    return Finding(code, text.ok, text.words.format(**shown), text.advice.format(**shown))
