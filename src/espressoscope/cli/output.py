"""What commands say: JSON lines for programs on stdout, text for people, errors in red on stderr.

Everything from the network or the command line is cleaned here before a terminal sees it. Markup is off
throughout: styles come from `rich.text.Text`, never from brackets in a camera's name.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Output", "OutputTrouble", "ReaderGone", "clean", "fitting_table", "iso_utc", "plain_table"]

# What a terminal obeys or a reader cannot see: C0, C1, bidirectional, zero-width characters, lone surrogates.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_PIPE_WIDTH = 200
"""Columns where nobody watches: wide enough that no table cuts an address."""


class ReaderGone(Exception):
    """Whoever read stdout has closed it, as ``| head`` does."""


class OutputTrouble(Exception):
    """Standard output cannot be written: the disk behind it is full.

    Attributes
    ----------
    error : OSError
        What the system said.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise ReaderGone


def clean(value: object, limit: int = 2000) -> str:
    """Give a text that is safe on any terminal: no escape sequences, control or invisible characters."""
    text = _UNSAFE.sub("", _SEQUENCE.sub("", str(value)))
    return text if len(text) <= limit else text[: limit - 3] + "..."


def iso_utc(received_ns: int) -> str:
    """Write Unix nanoseconds as ISO 8601 in UTC, to the microsecond."""
    seconds, rest_ns = divmod(received_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


class Output:
    """Where one command's words go.

    Parameters
    ----------
    as_json : bool
        Objects go to stdout, text to stderr; otherwise text goes to stdout and objects nowhere.
    verbose : bool
        Log lines go to stderr too, so nothing may be redrawn there.

    Attributes
    ----------
    console : Console
        For people.
    errors : Console
        For people, on stderr in either case.
    """

    def __init__(self, as_json: bool, verbose: bool = False) -> None:
        self.as_json = as_json
        self.console = _console(sys.stderr if as_json else sys.stdout)
        self.errors = _console(sys.stderr)
        # A moving picture over JSON lines on the same terminal would be unreadable.
        both = as_json and sys.stdout.isatty()
        self.live = (
            self.console.is_terminal and not self.console.is_dumb_terminal and not both and not verbose
        )

    @property
    def room(self) -> int:
        """Lines a table that is redrawn may have: more than the screen would leave traces above it."""
        return max(3, self.console.height - 4)

    def json(self, **keys: Any) -> None:
        """Write one object as one line to stdout, at once; nothing without ``--json``.

        Raises
        ------
        ReaderGone
            Nobody reads stdout any more.
        OutputTrouble
            It cannot be written.
        """
        if not self.as_json:
            return
        try:
            # ASCII only: valid whatever the encoding, and no control character reaches a terminal.
            sys.stdout.write(json.dumps(keys) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            if sys.platform == "win32" and error.errno == 22:  # what a closed pipe gives there
                raise ReaderGone from None
            raise OutputTrouble(error) from None

    def say(self, text: str | Text = "", style: str = "") -> None:
        """Tell the person one thing; the text must be ours or cleaned."""
        self._print(self.console, Text(text, style) if isinstance(text, str) else text)

    def table(self, table: Table) -> None:
        """Show a table."""
        self._print(self.console, table)

    def error(self, message: str, hint: str | None = None) -> None:
        """Say in red on stderr what happened, and below it what to try."""
        text = Text()
        text.append("Error: ", "bold red")
        text.append(clean(message).rstrip(". ") + ".", "red")
        if hint:
            text.append(
                "\n" + clean(hint).rstrip(". ") + ("" if hint.rstrip().endswith("?") else "."), "default"
            )
        self._print(self.errors, text)

    def tips(self, tips: Iterable[str]) -> None:
        """Say on stderr several things to try."""
        table = Table.grid(padding=(0, 1, 0, 0))
        for tip in tips:
            table.add_row("-", clean(tip))
        self._print(self.errors, table)

    def warn(self, message: str) -> None:
        """Say in yellow on stderr what a person should know."""
        self._print(self.errors, Text(clean(message), "yellow"))

    def _print(self, console: Console, thing: Text | Table) -> None:
        try:
            # Where nobody watches, a sentence is one line; a terminal gets it wrapped at words.
            console.print(thing, soft_wrap=isinstance(thing, Text) and not console.is_terminal)
            console.file.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            if console.file is not sys.stdout:
                raise
            raise OutputTrouble(error) from None


def _console(file: TextIO) -> Console:
    # COLUMNS is obeyed by rich itself.
    width = None if file.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _Console(file=file, markup=False, highlight=False, emoji=False, width=width)


def plain_table(*columns: str | tuple[str, str], title: str | None = None) -> Table:
    """Start a table without lines down its sides; a column is a name, or name and ``"right"``."""
    table = Table(
        box=None, title=title, title_justify="left", pad_edge=False, header_style="bold", padding=(0, 2, 0, 0)
    )
    for column in columns:
        name, justify = column if isinstance(column, tuple) else (column, "left")
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    return table


def fitting_table(columns: Mapping[str, Sequence[Text]], width: int, dispensable: Iterable[str]) -> Table:
    """Make a table of whole columns: rather fewer of them than names and addresses broken over lines.

    Parameters
    ----------
    columns : mapping of str to sequence of Text
        Cells by heading.
    width : int
        Characters there are.
    dispensable : iterable of str
        Headings of what may be left out, first those that say nothing, then in this order.
    """
    shown = dict(columns)
    order = list(dispensable)
    empty = [name for name in order if all(cell.plain == "-" for cell in columns[name])]
    for name in dict.fromkeys([*empty, *order]):
        widest = (max(cell_len(name), *(cell.cell_len for cell in cells)) for name, cells in shown.items())
        if sum(widest) + 2 * (len(shown) - 1) <= width:
            break
        del shown[name]
    table = plain_table(*shown)
    for row in zip(*shown.values(), strict=True):
        table.add_row(*row)
    return table
