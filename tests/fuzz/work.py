"""Work that can be counted: calls of Python made, not seconds."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Calls:
    """How many calls were made."""

    def __init__(self) -> None:
        self.count = 0


@contextlib.contextmanager
def counted_calls() -> Iterator[Calls]:
    """Count the calls made inside, of functions written in Python and in C; none under atheris.

    What that puts into the code to follow it would be counted too.
    """
    calls = Calls()
    if "atheris" in sys.modules:
        yield calls
        return

    def count(frame: object, event: str, argument: object) -> None:
        calls.count += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)
