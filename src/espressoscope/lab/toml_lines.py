"""TOML text taken apart into statements: headers, keys with their values, comments, blank lines.

Where a value ends is found by trying, with the standard library's reader, so that no second opinion on TOML
is needed here. `toml_text` changes what this takes apart.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Path",
    "Statement",
    "begin_of_unfinished",
    "end_line",
    "rewrite_key",
    "split",
    "written_key",
    "written_value",
]

Path: TypeAlias = tuple[str, ...]

_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOTTED: Final = rf"((?:{_PART.pattern})(?:[ \t]*\.[ \t]*(?:{_PART.pattern}))*)"
_KEY: Final = re.compile(rf"[ \t]*{_DOTTED}[ \t]*=")
_HEADER: Final = re.compile(rf"[ \t]*\[\[?[ \t]*{_DOTTED}[ \t]*\]")
_CLOSING: Final = re.compile(r"[\]}\"']")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Statement:
    """One header, one key with its value, or one line of comment or nothing.

    Attributes
    ----------
    kind : {"table", "array", "pair", "blank", "comment"}
        ``"array"`` is the header of one table in an array of tables.
    text : str
        As written, with its line ends.
    path : tuple of str or None
        Full path of its key; None where it stands in an array of tables.
    inner : int
        How many parts of the path are those of the table it stands in.
    """

    __slots__ = ("_document", "inner", "kind", "path", "text")

    def __init__(
        self,
        kind: Literal["table", "array", "pair", "blank", "comment"],
        text: str,
        path: Path | None = None,
        inner: int = 0,
    ) -> None:
        self.kind = kind
        self.text = text
        self.path = path
        self.inner = inner
        self._document: Any = None

    @property
    def is_header(self) -> bool:
        """Whether a table begins here."""
        return self.kind in ("table", "array")

    @property
    def parts(self) -> list[str]:
        """Its own key as written, part by part."""
        return [match[0] for match in _PART.finditer(*_key_span(self))]

    def document(self) -> Any:
        """Give it as a document of tomlkit's, to be changed; `write` takes the changes over."""
        import tomlkit

        self._document = tomlkit.parse(self.text)
        return self._document

    def write(self) -> None:
        """Take over what was changed in `document`."""
        self.text = self._document.as_string()
        self._document = None


def split(text: str) -> Iterator[Statement]:
    """Take a text that is known to be TOML apart."""
    context: Path | None = ()
    arrays: set[Path] = set()
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    index = 0
    while index < len(lines):
        line, index = lines[index], index + 1
        bare = line.strip()
        if not bare:
            yield Statement("blank", line)
        elif bare.startswith("#"):
            yield Statement("comment", line)
        elif bare.startswith("["):
            path = _names(_HEADER, line)
            if bare.startswith("[["):
                arrays.add(path)
            inside = any(path[:depth] in arrays for depth in range(1, len(path) + 1))
            context = None if inside else path
            yield Statement("array" if bare.startswith("[[") else "table", line, context)
        else:
            index, line = _whole(lines, index - 1)
            path = _names(_KEY, line)
            if context is None:
                yield Statement("pair", line)
            else:
                yield Statement("pair", line, (*context, *path), len(context))


def begin_of_unfinished(text: str) -> int:
    """Give the line, from 1, of the key whose value never ends, in a text that is no TOML for this reason."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    index = 0
    while index < len(lines):
        begin = index
        if lines[index].strip()[:1] in ("", "#", "["):
            index += 1
            continue
        index, statement = _whole(lines, index)
        if not _is_toml(statement):
            return begin + 1
    return len(lines)


def _whole(lines: list[str], begin: int) -> tuple[int, str]:
    """Find the end of a key and its value; give the index behind it, and the text."""
    index, statement = begin, ""
    while index < len(lines):
        statement, index = statement + lines[index], index + 1
        # Only at the end of something that spans lines is trying again worth the time.
        if (index == begin + 1 or _CLOSING.search(lines[index - 1])) and _is_toml(statement):
            break
    return index, statement


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _names(pattern: re.Pattern[str], line: str) -> Path:
    found = pattern.match(line)
    assert found is not None
    return tuple(next(iter(tomllib.loads(f"{part[0]} = 0"))) for part in _PART.finditer(found[1]))


def _key_span(statement: Statement) -> tuple[str, int, int]:
    found = (_HEADER if statement.is_header else _KEY).match(statement.text)
    assert found is not None
    return statement.text, found.start(1), found.end(1)


def rewrite_key(statement: Statement, place: int, name: str) -> None:
    """Write another name for one part of a statement's key."""
    part = list(_PART.finditer(*_key_span(statement)))[place]
    statement.text = statement.text[: part.start()] + written_key(name) + statement.text[part.end() :]


def written_key(name: str) -> str:
    """Write a key: bare where it may be, else in quotes."""
    return name if _BARE.fullmatch(name) else written_value(name)


def written_value(value: str | bool | int | float) -> str:
    """Write a value."""
    import tomlkit

    return tomlkit.item(value).as_string()


def end_line(statement: Statement) -> None:
    """Give a statement the line end that the last one of a file may lack."""
    if not statement.text.endswith("\n"):
        statement.text += "\n"
