"""README and docs hold what they say: their examples run, and what they name is there."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import espressoscope as es
from documents import PAGES, SOURCES, Block, blocks, prose, rows
from espressoscope.sim import FAULTS, simulate
from espressoscope.tables.firmware import FAMILIES
from espressoscope.tables.framesizes import SIZES
from recording_support import no_threads_kept
from support import REPO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from espressoscope.sim import SimulatedCamera

DOCS = REPO / "docs"

# --- examples in Python

# Addresses and MACs that stand in the pages for a reader's own cameras.
ADDRESSES = ("192.168.4.1", "10.0.0.20", "10.0.0.21", "10.0.0.22", "10.0.0.23")
MACS = ("24:0A:C4:12:34:01", *(f"24:0A:C4:12:34:{number}" for number in (20, 21, 22, 23)))


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[SimulatedCamera]]:
    with simulate(len(ADDRESSES), port=0, fps=20, framesize="VGA") as running:
        yield running


def as_run_here(text: str, cameras: list[SimulatedCamera]) -> str:
    """Put simulated cameras where a page names a reader's own."""
    ports = [urlsplit(camera.url).port for camera in cameras]
    text = text.replace("es.discover()", f"es.discover(networks='127.0.0.1/32', ports={ports})")
    for address, mac, camera in zip(ADDRESSES, MACS, cameras, strict=True):
        text = text.replace(mac, camera.mac)
        for written, here in (
            (f'"http://{address}:81/"', camera.stream_url),
            (f'"http://{address}"', camera.url),
            (f'"{address}"', camera.url),
        ):
            text = text.replace(written, repr(here))
        assert address not in re.sub(r"#.*", "", text)
    return text


@pytest.fixture(scope="module")
def recorded(cameras: list[SimulatedCamera], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that pages call run-01: of the cameras A1 and B2."""
    folder = tmp_path_factory.mktemp("recorded") / "run-01"
    with es.Fleet([]) as fleet:
        for camera, name in zip(cameras, ("A1", "B2"), strict=False):
            fleet.add(camera.url, name)
        with fleet.record(folder, frames=12):
            pass
    return folder


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for block in blocks("python") if not block.not_run]
)
def test_python_examples_run(
    block: Block,
    cameras: list[SimulatedCamera],
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "run-01/" in block.text or '"run-01"' in block.text:
        shutil.copytree(recorded, tmp_path / "run-01")
    for shown in blocks("toml"):
        if shown.page == block.page:  # the file that the page's examples use
            (tmp_path / "lab.toml").write_text(as_run_here(shown.text, cameras), encoding="utf-8")
    code = compile("\n" * (block.line - 1) + as_run_here(block.text, cameras), block.page.name, "exec")
    with no_threads_kept(), warnings.catch_warnings():
        if block.page.name == "open-recordings.md":
            warnings.simplefilter("default")  # what other programs' libraries warn of is theirs
        exec(code, {"__name__": "__main__"})


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for block in blocks("python") if block.not_run]
)
def test_python_examples_that_are_not_run_compile(block: Block) -> None:
    compile(block.text, block.name, "exec")


# --- what the pages name

_CODE = re.compile(r"`([^`]+)`")
_FILE = re.compile(r"[\w./-]+\.(?:py|md|toml|yml|txt|png)")
_CALL = re.compile(r"((?:[A-Za-z_]\w*\.)*)([A-Za-z_]\w*)\(\)")
_NAME = re.compile(r"_?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|STALL_S")


def file_named(page: Path, name: str) -> Path | None:
    """Find a file as pages write it: from the package's folder, the repository's, or the page's own."""
    for folder in (SOURCES, REPO, page.parent):
        if (folder / name).is_file():
            return folder / name
    return None


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Give the functions, methods, properties and classes a file defines, and names it assigns."""
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"^\s*(?:async )?(?:def|class) (\w+)", text, re.MULTILINE)
    return frozenset(names + re.findall(r"^\s*(\w+)(?::[^=\n]+)? = ", text, re.MULTILINE))


@cache
def defined_anywhere() -> frozenset[str]:
    return frozenset().union(*(defined_in(path) for path in SOURCES.rglob("*.py")))


def paragraphs(page: Path) -> Iterator[tuple[str, str]]:
    """Give paragraphs, list items and table rows as one line each, with where they begin."""
    begun, words = 0, ""
    for number, line in [*prose(page), (0, "")]:
        if not line.strip() or re.match(r"\s*(?:[-*|#]|\d+\.)\s*", line):
            if words:
                yield f"{page.name}:{begun}", words
            begun, words = number, line.strip()
        else:
            words += " " + line.strip()


def mentions() -> Iterator[tuple[str, str]]:
    """Give what pages name as code: where, and what."""
    for page in PAGES:
        for where, text in paragraphs(page):
            for word in _CODE.findall(text):
                yield where, word


def missing_from(call: str, names: frozenset[str]) -> bool:
    """Say whether a call as pages write it, ``name()`` or ``Class.name()``, is not among these names."""
    found = _CALL.fullmatch(call)
    if found is None or found[2] in FOREIGN_CALLS:
        return False
    return not {part for part in found[1].split(".") if part[:1].isupper()} | {found[2]} <= names


NOT_OURS = {"lab.toml", "grid.png", "first_picture.jpg", "contact-sheet.png"}
FOREIGN_CALLS = {"imshow", "waitKey", "VideoCapture", "imdecode", "find"}


def test_files_named_in_the_pages_exist() -> None:
    missing = [
        f"{where}: {word}"
        for where, word in mentions()
        if _FILE.fullmatch(word) and file_named(DOCS / "x", word) is None and word not in NOT_OURS
    ]
    assert missing == []


def test_functions_named_in_the_pages_exist() -> None:
    assert [f"{where}: {word}" for where, word in mentions() if missing_from(word, defined_anywhere())] == []


def test_functions_are_in_the_files_the_pages_name() -> None:
    checked = 0
    missing = []
    for page in PAGES:
        for where, text in paragraphs(page):
            for calls, name in re.findall(
                r"((?:`[\w.]+\(\)`(?:,| and)? )+)(?:in|of|from) `([\w/]+\.py)`", text
            ):
                file = file_named(page, name)
                for call in _CODE.findall(calls):
                    checked += 1
                    if file is None or missing_from(call, defined_in(file)):
                        missing.append(f"{where}: {call} in {name}")
    assert missing == []
    assert checked > 20


def test_constants_named_in_the_pages_exist() -> None:
    missing = [
        f"{where}: {word}"
        for where, word in mentions()
        if _NAME.fullmatch(word)
        and not word.startswith(("ESPRESSOSCOPE_", "SO_"))
        and word not in defined_anywhere()
    ]
    assert missing == []


_UNITS = {
    **{"s": 1, "ms": 1e-3, "min": 60, "": 1, "bytes": 1, "KiB": 1024, "MiB": 2**20, "MB": 1e6, "KB": 1e3},
    **dict.fromkeys(
        ("frames", "cameras", "hosts", "addresses", "connections", "pixels", "scans", "threads"), 1
    ),
    **dict.fromkeys(("entries", "pictures", "lines", "characters", "captures", "per second", "requests"), 1),
}


@pytest.mark.parametrize("heading", ["Every buffer and its ceiling", "Every wait and its end"])
def test_figures_of_the_architecture_page_are_those_of_the_code(heading: str) -> None:
    """A row names a constant or an attribute with a default: file, name and value must agree."""
    found = rows(DOCS / "architecture.md", heading)
    assert len(found) > 8
    wrong, checked = [], 0
    for row in found:
        value, names = row[1], _CODE.findall(row[2])
        if len(names) < 2:
            continue
        module = importlib.import_module("espressoscope." + names[0].removesuffix(".py").replace("/", "."))
        actual: object = module
        for part in names[1].split("."):
            actual = getattr(actual, part)
        checked += 1
        number, _, unit = value.partition(" ")
        if float(number.replace(",", "")) * _UNITS[unit] != actual:
            wrong.append(f"{names[0]} {names[1]} is {actual!r}, the page says {value}")
    assert wrong == []
    assert checked > len(found) - 8  # few rows have words in place of a name


# --- promises


def test_every_promise_names_tests_that_are_there() -> None:
    """A promise without a test, or with one that has gone, fails here."""
    page = DOCS / "promises.md"
    found = [
        (number, line.strip().strip("|").split("|"))
        for number, line in prose(page)
        if line.startswith("|") and not line.startswith(("| promise |", "|---"))
    ]
    wrong = []
    for number, cells in found:
        named = [word for word in _CODE.findall(cells[-1]) if "::" in word]
        if len(cells) != 2 or not named:
            wrong.append(f"{page.name}:{number}: no test")
        for word in named:
            file, _, test = word.partition("::")
            path = REPO / file
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            if re.search(rf"^(?:async )?def {test}\(", text, re.MULTILINE) is None:
                wrong.append(f"{page.name}:{number}: {word}")
    assert wrong == []
    assert len(found) > 35
    assert "(docs/promises.md)" in (REPO / "README.md").read_text(encoding="utf-8")


# --- links and lines


def anchors(path: Path) -> set[str]:
    """Give the anchors a page's headings make, as GitHub makes them."""
    heads = (line.lstrip("#").strip().lower() for _, line in prose(path) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    dead = []
    for number, line in prose(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve() if name else page
            if not path.exists() or (anchor and anchor not in anchors(path)):
                dead.append(f"{page.name}:{number}: {target}")
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_are_wrapped(page: Path) -> None:
    lines = ((number, line) for number, line in prose(page) if not line.startswith("|") and "](" not in line)
    assert [number for number, line in lines if len(line) > 110] == []


# --- the command line


def commands() -> list[tuple[str, str]]:
    """Give every command line of ours in the pages: where it stands, and its words."""
    found = []
    for block in blocks("console"):
        for number, line in enumerate(block.text.splitlines(), block.line):
            if line.startswith("$ espressoscope "):
                found.append((f"{block.page.name}:{number}", line[2:].partition("#")[0].strip()))
    for page in PAGES:
        for where, text in paragraphs(page):
            found += [(where, word) for word in _CODE.findall(text) if word.startswith("espressoscope ")]
    return found


@cache
def options() -> dict[str, set[str]]:
    """Give the options of every command."""
    import typer

    from espressoscope.cli.app import app

    def found(group: Any, before: str = "") -> Iterator[tuple[str, set[str]]]:
        context = typer.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if hasattr(command, "list_commands"):
                yield from found(command, f"{before}{name} ")
            else:
                own = {opt for parameter in command.params for opt in parameter.opts}
                own |= {opt for parameter in command.params for opt in parameter.secondary_opts}
                yield before + name, own | {"--help", "-h"}

    return dict(found(typer.main.get_command(app)))


def command_of(line: str) -> tuple[str, list[str]]:
    """Take a command line of ours apart: the command, perhaps of several words, and what follows."""
    words = line.split()
    for count in (3, 2, 1):
        if " ".join(words[:count]) in options():
            return " ".join(words[:count]), words[count:]
    return words[0], words[1:]


def test_command_lines_in_the_pages_have_commands_and_options_that_exist() -> None:
    known = options()
    wrong = []
    lines = commands()
    for where, line in lines:
        name, words = command_of(line.partition(" ")[2])
        if name in ("COMMAND", "--help", "--version", "fleet"):
            continue
        there = known.get(name, set())
        bad = [word for word in words if word.startswith("-") and word not in there]
        if bad or not there:
            wrong.append(f"{where}: {line} ({' '.join(bad) or name})")
    assert wrong == []
    assert len(lines) > 20


def test_every_command_and_option_is_told() -> None:
    page = DOCS / "command-line.md"
    table = {command_of(row[0].strip("`"))[0] for row in rows(page, "The command line")}
    assert table == set(options())
    for name, known in options().items():
        pages = (page, DOCS / "simulator.md", DOCS / "fleet-file.md")
        text = "\n".join(p.read_text(encoding="utf-8") for p in pages)
        told = {word for word in known if len(word) > 2 and word not in text}
        # Left to --help.
        assert told <= {"--help", "--count", "--output", "--quality", "--name", "--no-window"}, name


KEYS = {
    row[0].strip("`"): _CODE.findall(row[2])
    for row in rows(DOCS / "command-line.md", "For programs: `--json`")
}


@pytest.mark.parametrize("command", sorted(set(KEYS) - {"wifi"}))  # that one is for cameras far from here
def test_json_keys_are_those_the_page_tells(
    command: str, cameras: list[SimulatedCamera], tmp_path: Path
) -> None:
    camera = cameras[0].url
    file = es.FleetFile.load(tmp_path / "lab.toml")
    file.add(cameras[0].info, "A1")
    differs = command == "fleet diff"
    file.put_profile("leaf", {"quality": 14 if differs else 13})
    if differs:
        file.set_profile("A1", "leaf")
    file.save()
    if command in ("info", "repair", "export"):
        with es.Camera(camera) as cam, cam.record(tmp_path / "run-01", frames=1):
            pass
    if command == "timelapse --status RUN":
        es.TimeLapse(camera, every="5s", count=1, path=tmp_path / "RUN").run()
    words = {
        "discover": ["--network", "127.0.0.1/32", "--port", str(urlsplit(camera).port)],
        "status": [camera],
        "set": [camera, "quality=12"],
        "snap": [camera],
        "stream": [camera, "--frames", "1"],
        "watch": [camera, "--seconds", "0.5"],
        "record": [camera, "--frames", "1", "-o", "run-02"],
        "timelapse": [camera, "--every", "5s", "--count", "1", "-o", "leaf"],
        "timelapse --status RUN": [],
        "info": ["run-01"],
        "repair": ["run-01"],
        "export": ["run-01", "--to", "jpeg", "-o", "jpegs"],
        "identify": [camera, "--times", "1"],
        "fleet add": [camera],
        "fleet list": [],
        "fleet list --check": [],
        "fleet rename": ["A1", "A2"],
        "fleet assign": ["A1", "A1", "--plate", "plate", "--wells", "24"],
        "fleet forget": ["A1"],
        "fleet apply": ["leaf"],
        "fleet diff": [],
        "fleet profile save": ["root", "--from", "A1"],
        "fleet profile list": [],
        "fleet profile forget": ["leaf"],
        "doctor": [camera],
        "simulate": ["--port", "0", "--seconds", "0"],
        "demo": ["--cameras", "1", "--seconds", "0.5", "--no-window"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-m", "espressoscope", *command.split(), "--json", *words],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == differs, done.stderr
    found = json.loads(done.stdout.splitlines()[0])
    if command == "status":
        assert found["camera"]
        assert found["framesize"] in SIZES
    else:
        assert sorted(found) == sorted(KEYS[command])


# --- tables of the simulator page


def test_the_fault_table_is_complete() -> None:
    told = {
        row[0].strip("`"): dict(re.findall(r"`(\w+)`=(\S*)", row[2]))
        for row in rows(DOCS / "simulator.md", "Faults")
    }
    there = {
        name: {option: str(default) for option, default in options.items()}
        for name, options in FAULTS.items()
    }
    assert told == there


def test_the_family_table_is_that_of_the_code() -> None:
    told = {row[0].strip("`"): row for row in rows(DOCS / "simulator.md", "Families")}
    assert set(told) == set(FAMILIES)
    for name, row in told.items():
        assert f"`{FAMILIES[name].stream_path}`" in row[3]
        assert row[4] == (f"`{FAMILIES[name].snapshot_path}`" if FAMILIES[name].snapshot_path else "none")
