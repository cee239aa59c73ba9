"""What the tests of README and docs have in common: the pages, and what stands in them. No tests here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from support import REPO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCES = REPO / "src" / "espressoscope"
PAGES = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md")])


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes
    ----------
    page : Path
    line : int
        Of its first line of content.
    language : str
        What the fence says, ``"python"`` or ``"console"``; may be empty.
    text : str
    not_run : str
        Why it is not run, from a comment ``<!-- not run: why -->`` just above; empty when it is.
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str

    @property
    def name(self) -> str:
        """How a test names it."""
        return f"{self.page.name}:{self.line}"


def blocks(language: str) -> Iterator[Block]:
    """Give every fenced block of this language in all pages."""
    for page in PAGES:
        lines = page.read_text(encoding="utf-8").splitlines()
        opened: int | None = None
        for number, line in enumerate(lines):
            if not line.startswith("```"):
                continue
            if opened is None:
                opened = number
            else:
                found = re.fullmatch(r"<!-- not run: (.+) -->", lines[opened - 1] if opened else "")
                if lines[opened][3:].strip() == language:
                    text = "\n".join(lines[opened + 1 : number]) + "\n"
                    yield Block(page, opened + 2, language, text, found[1] if found else "")
                opened = None
        assert opened is None, f"{page.name}: a fence opened in line {(opened or 0) + 1} is never closed"


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Give the lines of a page that are not in a fenced block, with their numbers."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def rows(page: Path, heading: str) -> list[list[str]]:
    """Give the rows of the first table under a heading, cells stripped, without head and rule."""
    found: list[list[str]] = []
    inside = False
    for _, line in prose(page):
        if line.startswith("#"):
            if found:
                break
            inside = line.lstrip("#").strip() == heading
        elif inside and line.startswith("|"):
            found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif found:
            break
    return found[2:]
