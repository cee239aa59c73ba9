"""A TOML text that people and programs take turns to write: changed line by line, all else stays as it is.

Comments, order, blank lines, spelling of values and unknown keys survive a change elsewhere. Reading is the
standard library's; tomlkit changes single statements and writes values. What comes out is read again and must
say what was wanted, or it is refused: a text that this module gets wrong is never given to anybody.

A table that is removed takes with it its lines, the comment directly above its header (but not one at the
very top of the text), and the comment directly below its last line. One set apart by a blank line stays.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from espressoscope.lab.toml_lines import Statement, end_line, rewrite_key, split, written_key, written_value

if TYPE_CHECKING:
    from espressoscope.lab.toml_lines import Path

__all__ = ["TomlText", "UneditableError"]


class UneditableError(ValueError):
    """The text is written in a way in which this change cannot be made safely."""


class TomlText:
    """A TOML document as text and as data, changed together.

    Parameters
    ----------
    text : str
        A whole document.

    Attributes
    ----------
    data : dict
        What it says.

    Raises
    ------
    tomllib.TOMLDecodeError, RecursionError
        It is not TOML, or nested too deeply.
    """

    def __init__(self, text: str) -> None:
        self.data: dict[str, Any] = tomllib.loads(text)
        self._text = text
        self._statements: list[Statement] | None = None

    def text(self) -> str:
        """Give the document as it is now.

        Raises
        ------
        UneditableError
            A change went wrong; nothing of it must be kept.
        """
        if self._statements is None:
            return self._text
        text = "".join(statement.text for statement in self._statements)
        try:
            good = _identical(tomllib.loads(text), self.data)
        except tomllib.TOMLDecodeError:
            good = False
        if not good:
            raise UneditableError("it is written in a way that a program cannot change safely")
        return text

    @property
    def _lines(self) -> list[Statement]:
        if self._statements is None:
            self._statements = list(split(self._text))
        return self._statements

    # ---- changes ------------------------------------------------------------------------------------

    def set(self, path: Path, value: str | bool | int | float) -> None:
        """Give a key this value, in its place if it is there, else at the end of its table."""
        table = self._table(path[:-1], make=True)
        if path[-1] in table and _identical(table[path[-1]], value):
            return
        table[path[-1]] = value
        holder = self._holder(path)
        if holder is None:
            self._insert(path, value)
        else:
            _table_in(holder, path)[path[-1]] = value
            holder.write()

    def remove(self, path: Path) -> None:
        """Take a key, or a table with all that is in it, away; nothing happens when it is not there."""
        table = self._table(path[:-1])
        if path[-1] not in table:
            return
        del table[path[-1]]
        holder = self._holder(path)
        if holder is None or holder.path == path:
            self._remove_lines(path)
        else:
            del _table_in(holder, path)[path[-1]]
            holder.write()
        self._forget_empty(path[:-1])

    def rename(self, path: Path, name: str) -> None:
        """Give a key or table another name, in its place.

        Raises
        ------
        KeyError
            It is not there.
        """
        table = self._table(path[:-1])
        if path[-1] not in table:
            raise KeyError(path[-1])
        _rename_key(table, path[-1], name)
        holder = self._holder(path)
        if holder is not None and holder.path != path:
            _rename_key(_table_in(holder, path), path[-1], name)
            holder.write()
            return
        depth = len(path)
        for statement in self._lines:
            if statement.path is not None and statement.path[:depth] == path:
                if depth > statement.inner:
                    rewrite_key(statement, depth - 1 - statement.inner, name)
                statement.path = (*path[:-1], name, *statement.path[depth:])

    def line_of(self, path: Path) -> int:
        """Give the line, from 1, at which a key or table, or else the table it would be in, begins."""
        wanted = self._holder(path)
        for length in range(len(path), 0, -1):
            line = 1
            for statement in self._lines:
                known = statement.path
                if statement is wanted or (wanted is None and known and known[:length] == path[:length]):
                    return line
                line += statement.text.count("\n")
        return 1

    # ---- looking ------------------------------------------------------------------------------------

    def _table(self, path: Path, *, make: bool = False) -> dict[str, Any]:
        table = self.data
        for part in path:
            if make:
                table.setdefault(part, {})
            table = table.get(part, {})
        return table

    def _holder(self, path: Path) -> Statement | None:
        """Find the statement that gives this key its value, perhaps inside an inline table."""
        for statement in self._lines:
            known = statement.path
            if statement.kind == "pair" and known is not None and path[: len(known)] == known:
                return statement
        return None

    def _block_end(self, start: int) -> int:
        """Give the index just behind the last key of the table whose header is at `start`."""
        end = start + 1
        for index in range(start + 1, len(self._lines)):
            if self._lines[index].is_header:
                break
            if self._lines[index].kind == "pair":
                end = index + 1
        return end

    def _tail_end(self, end: int) -> int:
        """Give the index behind the comment directly below a table's last key, unless the next one has it."""
        index = end
        while index < len(self._lines) and self._lines[index].kind == "comment":
            index += 1
        return end if index < len(self._lines) and self._lines[index].is_header else index

    def _comment_begin(self, header: int) -> int:
        """Give the index of the comment directly above a header, unless it is the file's."""
        begin = header
        while begin > 0 and self._lines[begin - 1].kind == "comment":
            begin -= 1
        return begin or header

    # ---- doing --------------------------------------------------------------------------------------

    def _insert(self, path: Path, value: str | bool | int | float) -> None:
        """Write a key that is not there yet."""
        lines, table = self._lines, path[:-1]
        key = written_key(path[-1])
        for index, statement in enumerate(lines):
            if statement.kind == "table" and statement.path == table:
                at = self._block_end(index)
                indent = re.match(r"[ \t]*", lines[at - 1].text)
                text = f"{indent[0] if indent else ''}{key} = {written_value(value)}\n"
                end_line(lines[at - 1])
                lines.insert(at, Statement("pair", text, path, len(table)))
                return
        dotted = [
            index
            for index, each in enumerate(lines)
            if each.kind == "pair" and each.path is not None and each.path[: len(table)] == table
        ]
        if dotted and lines[dotted[-1]].inner < len(table):
            last = lines[dotted[-1]]
            keys = [*last.parts[: len(table) - last.inner], key]
            end_line(last)
            text = f"{'.'.join(keys)} = {written_value(value)}\n"
            lines.insert(dotted[-1] + 1, Statement("pair", text, path, last.inner))
            return
        self._add_header(table)
        self._insert(path, value)

    def _add_header(self, path: Path) -> None:
        """Write the header of a table that has none: before its sub-tables, else behind its sisters."""
        lines = self._lines

        def headers(path: Path) -> list[int]:
            known = enumerate(lines)
            return [i for i, each in known if each.is_header and (each.path or ())[: len(path)] == path]

        if children := headers(path):
            at = self._comment_begin(children[0])
        elif sisters := headers(path[:1]):
            at = self._tail_end(self._block_end(sisters[-1]))
        else:
            at = len(lines)
        if at < len(lines) and lines[at].kind != "blank":
            lines.insert(at, Statement("blank", "\n"))
        text = f"[{'.'.join(map(written_key, path))}]\n"
        lines.insert(at, Statement("table", text, path))
        if at > 0 and lines[at - 1].kind != "blank":
            end_line(lines[at - 1])
            lines.insert(at, Statement("blank", "\n"))

    def _remove_lines(self, path: Path) -> None:
        lines, index = self._lines, 0
        while index < len(lines):
            statement = lines[index]
            if (statement.path or ())[: len(path)] != path:
                index += 1
            elif statement.kind == "pair":
                del lines[index]
            else:
                end = self._tail_end(self._block_end(index))
                index = self._comment_begin(index)
                above = index == 0 or lines[index - 1].kind == "blank"
                if above and end < len(lines) and lines[end].kind == "blank":
                    end += 1
                elif above and index > 1 and end == len(lines):
                    index -= 1
                del lines[index:end]

    def _forget_empty(self, path: Path) -> None:
        """Take tables out of the data that nothing in the text speaks of any more."""
        for depth in range(len(path), 0, -1):
            known = path[:depth]
            mentioned = any((each.path or ())[:depth] == known for each in self._lines)
            if self._table(known) or mentioned or self._holder(known) is not None:
                return
            del self._table(known[:-1])[known[-1]]


def _table_in(holder: Statement, path: Path) -> Any:
    """Give the table of a key inside a statement; one that is missing is made."""
    import tomlkit

    table: Any = holder.document()
    for part in path[holder.inner : -1]:
        if part not in table:
            table[part] = tomlkit.inline_table()
        table = table[part]
    return table


def _rename_key(table: Any, key: str, name: str) -> None:
    members = [(name if each == key else each, table[each]) for each in table]
    for each in list(table):
        del table[each]
    for each, value in members:
        table[each] = value


def _identical(one: Any, other: Any) -> bool:
    """Compare as equal means in TOML: by type too, and a number that is none is equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_identical(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_identical, one, other))
    return bool(one == other or (one != one and other != other))
