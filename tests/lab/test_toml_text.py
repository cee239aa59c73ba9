"""Texts that people and programs write in turn: what is not changed stays, to the byte."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressoscope.lab.toml_text import TomlText

if TYPE_CHECKING:
    from collections.abc import Callable

LAB = """\
# Our laboratory.

title = "incubator"  # on the door

# The left one.
[cameras.A1] # first
  mac = "02:E5:00:00:00:01"   # from the sticker
  url = 'http://10.0.0.1'
# spare lens in the drawer

# --- plates ---

[plates.p1]
wells = 24

[cameras."B 2"]
url = "http://10.0.0.2"
# The third has notes.
[cameras.A3]
url = "http://10.0.0.3"
[cameras.A3.notes]
who = [
    "me",   # and
    "you",
]
"""


def changed(text: str, change: Callable[[TomlText], None]) -> str:
    document = TomlText(text)
    change(document)
    result = document.text()
    assert tomllib.loads(result) == document.data
    return result


def test_a_value_is_replaced_where_it_is() -> None:
    text = changed(LAB, lambda lab: lab.set(("cameras", "A1", "mac"), "02:E5:00:00:00:09"))
    assert text == LAB.replace("00:01", "00:09")


def test_setting_what_is_there_changes_nothing() -> None:
    assert changed(LAB, lambda lab: lab.set(("plates", "p1", "wells"), 24)) == LAB
    text = changed(LAB, lambda lab: lab.set(("plates", "p1", "wells"), 24.0))
    assert text == LAB.replace("wells = 24", "wells = 24.0")


def test_a_new_key_follows_the_last_one_of_its_table() -> None:
    text = changed(LAB, lambda lab: lab.set(("cameras", "A1", "well"), "A1"))
    assert text == LAB.replace("10.0.0.1'\n", '10.0.0.1\'\n  well = "A1"\n')


def test_a_new_table_stands_with_its_sisters() -> None:
    text = changed(LAB, lambda lab: lab.set(("cameras", "Küche", "url"), "http://10.0.0.4"))
    assert text == LAB + '\n[cameras."Küche"]\nurl = "http://10.0.0.4"\n'
    text = changed(LAB, lambda lab: lab.set(("plates", "p2", "wells"), 6))
    assert text == LAB.replace("wells = 24\n", "wells = 24\n\n[plates.p2]\nwells = 6\n")
    text = changed(LAB, lambda lab: lab.set(("profiles", "leaf", "quality"), 6))
    assert text == LAB + "\n[profiles.leaf]\nquality = 6\n"


def test_a_table_goes_with_what_is_said_of_it_and_nothing_else() -> None:
    text = changed(LAB, lambda lab: lab.remove(("cameras", "A1")))
    assert text == LAB[: LAB.index("# The left")] + LAB[LAB.index("# --- plates") :]
    text = changed(LAB, lambda lab: lab.remove(("cameras", "B 2")))
    assert text == LAB.replace('[cameras."B 2"]\nurl = "http://10.0.0.2"\n', "")
    text = changed(LAB, lambda lab: lab.remove(("cameras", "A3")))
    assert text == LAB[: LAB.index("# The third")]


def test_the_comment_at_the_top_stays() -> None:
    text = "# Our laboratory\n[cameras.A1]\nurl = 'http://10.0.0.1'\n"
    assert changed(text, lambda lab: lab.remove(("cameras", "A1"))) == "# Our laboratory\n"


def test_a_key_goes_with_its_line() -> None:
    text = changed(LAB, lambda lab: lab.remove(("cameras", "A1", "mac")))
    assert text == "".join(line for line in LAB.splitlines(keepends=True) if "mac" not in line)
    assert changed(LAB, lambda lab: lab.remove(("cameras", "A1", "well"))) == LAB
    assert changed(LAB, lambda lab: lab.remove(("cameras", "A9", "well"))) == LAB


def test_a_table_is_renamed_with_its_sub_tables() -> None:
    text = changed(LAB, lambda lab: lab.rename(("cameras", "A3"), "C 3"))
    assert text == LAB.replace("cameras.A3", 'cameras."C 3"')
    text = changed(text, lambda lab: lab.rename(("cameras", "C 3"), "A3"))
    assert text == LAB
    with pytest.raises(KeyError):
        TomlText(LAB).rename(("cameras", "A9"), "B9")


def test_lines_are_told() -> None:
    lab = TomlText(LAB)
    lines = LAB.splitlines()
    for path, line in (
        (("cameras", "A1"), "[cameras.A1] # first"),
        (("cameras", "A1", "url"), "  url = 'http://10.0.0.1'"),
        (("cameras", "A1", "well"), "[cameras.A1] # first"),
        (("cameras", "B 2", "url"), 'url = "http://10.0.0.2"'),
        (("cameras", "A3", "notes", "who"), "who = ["),
        (("plates", "p1", "wells"), "wells = 24"),
        (("title",), 'title = "incubator"  # on the door'),
    ):
        assert lines[lab.line_of(path) - 1] == line
    assert TomlText("a = 1").line_of(("b",)) == 1


OTHER_MANNERS = [
    "[cameras]\nA1.url = 'x' # c1\nA1.mac = 'y'\nA2 = {url = 'z'} # c2\n",
    "cameras.A1.url = 'x' # c1\ncameras.A1.mac = 'y'\ncameras.A2.url = 'z' # c2\n[[log]]\ncameras.A1.mac = 1",
    "cameras = {A1 = {url = 'x', mac = 'y'}, A2 = {url = 'z'}} # c1 c2",
    "[cameras.'A1'] # c1\nurl = 'x'\nmac = 'y'\n[log.A1]\n[cameras.A2.more]\n[cameras.A2] # c2\nurl = 'z'",
    "[cameras.A1.more] # c1\n[cameras.A1] \nurl = '''x'''\nmac = 'y'\n[cameras]\nA2.url = 'z' # c2\n",
]


@pytest.mark.parametrize("text", OTHER_MANNERS)
def test_other_manners_of_writing_tables_can_be_changed_too(text: str) -> None:
    def say(result: str) -> Any:
        cameras = tomllib.loads(result)["cameras"]
        return {
            name: {k: v for k, v in each.items() if k in ("url", "mac", "well")}
            for name, each in cameras.items()
        }

    def change(*path: str) -> dict[str, dict[str, str]]:
        return say(changed(text, lambda lab: lab.set(("cameras", *path), "new")))

    first, second = {"url": "x", "mac": "y"}, {"url": "z"}
    assert say(text) == {"A1": first, "A2": second}
    assert change("A1", "url") == {"A1": {**first, "url": "new"}, "A2": second}
    assert change("A1", "well") == {"A1": {**first, "well": "new"}, "A2": second}
    assert change("A2", "mac") == {"A1": first, "A2": {**second, "mac": "new"}}
    assert change("A9", "url") == {"A1": first, "A2": second, "A9": {"url": "new"}}
    for path in (("A1",), ("A2",), ("A1", "mac"), ("A2", "url")):
        result = changed(text, lambda lab: lab.remove(("cameras", *path)))  # noqa: B023
        assert set(say(result)) >= {"A1", "A2"} - {path[0]}
        assert "c2" in result if path[0] == "A1" else "c1" in result
    result = changed(text, lambda lab: lab.rename(("cameras", "A1"), "ü 1"))
    assert say(result) == {"ü 1": first, "A2": second}
    assert "c1" in result
    assert "c2" in result


# ---- any text, any changes

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
ALL_NAMES = ["A1", "B 2", "Küche", "x.y", "a'b", "0", "#"]
NAMES = st.sampled_from(ALL_NAMES)
VALUES = st.one_of(WORDS, st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False))
KEYS = st.sampled_from(["url", "mac", "well", "note", "é"])
UNKNOWN = [
    "[1, # in\n 2]",
    '"""\n# no comment\n[cameras.A1]\n"""',
    "1979-05-27T07:32:00Z",
    "nan",
    "{a = [{b = 1}]}",
]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Write a file as people do: tables in any order and manner, comments everywhere, things unknown."""
    count = iter(range(10_000))
    dotted: list[str] = []
    blocks: list[str] = []
    quote = {name: name if name in ("A1", "0") else f'"{name}"' for name in ALL_NAMES}

    def pairs(keys: list[str]) -> list[str]:
        lines = []
        for key in keys:
            value = draw(st.sampled_from(['"x"', "'y'", "7", "true", *UNKNOWN]))
            key = '"é"' if key == "é" else key
            lines.append(f"{key} = {value} # kept {next(count)}\n")
            if draw(st.booleans()):
                lines.append(f"# kept inside {next(count)}\n")
        return lines

    keys = st.lists(KEYS, unique=True, max_size=3)
    for name in draw(st.lists(NAMES, unique=True, max_size=4)):
        manner = draw(st.sampled_from(["header", "header", "dotted", "inline", "notes"]))
        if manner == "dotted":
            dotted += [f"{quote[name]}.{line}" if line[0] != "#" else line for line in pairs(draw(keys))]
        elif manner == "inline":
            dotted.append(f"{quote[name]} = {{url = 'x', well = 7}} # kept {next(count)}\n")
        else:
            tail = ".notes" if manner == "notes" else ""
            blocks.append(
                f"[cameras.{quote[name]}{tail}] # kept {next(count)}\n" + "".join(pairs(draw(keys)))
            )
    for number in range(draw(st.integers(0, 2))):
        blocks.append(f"[other.t{number}]\n" + "".join(pairs(draw(keys))))
        blocks.append(f"[[list]]\n[list.cameras.A1]\nurl = 'x' # kept {next(count)}\n")
    if dotted:
        blocks.append("[cameras]\n" + "".join(dotted))
    text = f"# kept {next(count)}\n" + "".join(pairs(draw(keys)))
    for block in draw(st.permutations(blocks)):
        text += draw(
            st.sampled_from(["", "\n", f"\n# kept apart {next(count)}\n\n", f"# above {next(count)}\n"])
        )
        text += block
    return text + draw(st.sampled_from(["", f"\n# kept apart {next(count)}"]))


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), NAMES, KEYS, VALUES),
        st.tuples(st.just("drop"), NAMES, KEYS),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("rename"), NAMES, NAMES),
    ),
    max_size=6,
)


@given(documents(), CHANGES)
def test_random_changes_say_what_was_wanted_and_keep_the_rest(
    text: str, changes: list[tuple[Any, ...]]
) -> None:
    document = TomlText(text)
    assert document.text() == text
    expected = tomllib.loads(text)
    cameras = expected.setdefault("cameras", {})
    removed = False
    for verb, name, *rest in changes:
        if verb == "set":
            document.set(("cameras", name, rest[0]), rest[1])
            cameras.setdefault(name, {})[rest[0]] = rest[1]
        elif verb == "drop":
            document.remove(("cameras", name, rest[0]))
            cameras.get(name, {}).pop(rest[0], None)
            removed = True
        elif verb == "remove":
            document.remove(("cameras", name))
            cameras.pop(name, None)
            removed = True
        elif name in cameras and rest[0] not in cameras:
            document.rename(("cameras", name), rest[0])
            cameras[rest[0]] = cameras.pop(name)
    result = document.text()
    assert without_empty(tomllib.loads(result)) == without_empty(expected)
    for line in text.splitlines():
        _, mark, number = line.partition("# kept ")
        if mark and (line.startswith("# kept apart") or not removed):
            assert f"# kept {number}" in result
    assert result.count("# ") <= text.count("# ") + 6 * 12


def without_empty(data: dict[str, Any]) -> str:
    """Give data for comparison: tables of nothing may go, and nan is nan."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in sorted(value.items()) if plain(each) != {}}
        return repr(value)

    return repr(plain(data))
