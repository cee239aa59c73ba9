"""The part of docs/doctor.md that is written from the doctor's own texts.

Run as a program it writes the page anew.
"""

from __future__ import annotations

import re
import textwrap

from espressoscope.lab.doctor_words import GROUPS
from support import REPO

PAGE = REPO / "docs" / "doctor.md"
BEGIN = "<!-- from here on written by tests/doctor_page.py -->\n"
_WIDTH = 108


def rendered() -> str:
    """Give every finding with advice under its code, in the table's order, and the good ones below."""
    parts = []
    good = []
    for group, texts in GROUPS.items():
        parts.append(f"## {group}\n")
        for code, text in texts.items():
            words = _marked(text.words)
            if text.ok is True:
                good.append(f"- `{code}`: {words}")
                continue
            kind = "to know" if text.ok is None else "a problem"
            quoted = textwrap.fill(f"*{words}*", _WIDTH, initial_indent="> ", subsequent_indent="> ")
            parts.append(f"### {code}\n\n{quoted}\n\n{_wrapped(f'({kind}) {_marked(text.advice)}')}\n")
    parts.append("## When all is well\n")
    parts.append("\n".join(_wrapped(line, "  ") for line in good) + "\n")
    return "\n".join(parts)


def _wrapped(text: str, indent: str = "") -> str:
    # Not within what is code: a command stays on one line.
    held = re.sub(r"`[^`]+`", lambda found: found[0].replace(" ", "\0"), text)
    lines = textwrap.fill(
        held, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace("\0", " ")


def _marked(text: str) -> str:
    """Write what is filled in as words in capitals, and bare addresses as links."""
    text = re.sub(r"(?<=[\w)}])\{\w+\}", "", text)  # what is added to a sentence now and then
    text = re.sub(r"\{(\w+)\}", lambda found: found[1].upper().replace("_", " "), text)
    return re.sub(r"(?<![<`(])https://[\w./-]*\w", lambda found: f"<{found[0]}>", text)


if __name__ == "__main__":
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + "\n" + rendered(), encoding="utf-8")
