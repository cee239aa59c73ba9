"""The doors between the rooms of the house (docs/architecture.md), read from the sources."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support import REPO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = "espressoscope"
SOURCES = REPO / "src" / PACKAGE

PLAIN = {"errors", "model", "tables"}
CORE = PLAIN | {
    "disk",
    "undisturbed",
    "decode",
    "wire",
    "device",
    "discovery",
    "engine",
    "recording",
    "timelapse",
    "export",
    "lab",
    "display",
}
# Room -> rooms it may import from. "public" is the package root: the names users have.
DOORS: dict[str, set[str]] = {
    "errors": set(),
    "model": set(),
    "tables": set(),
    "disk": set(),
    "undisturbed": set(),
    "decode": PLAIN,
    "wire": PLAIN,
    "device": PLAIN | {"wire"},
    "discovery": PLAIN | {"device", "disk"},
    "engine": PLAIN | {"device"},
    "recording": PLAIN | {"engine", "wire", "decode", "disk", "undisturbed"},
    "export": PLAIN | {"recording", "decode", "disk"},
    "timelapse": PLAIN | {"recording", "disk"},
    "lab": PLAIN | {"device", "discovery", "disk"},
    "display": {"errors", "model", "decode"},
    "api": CORE,
    "sim": {"model", "tables", "undisturbed"},
    "cli": {"public", "display", "sim"},
    "napari_plugin": {"public", "display", "sim"},
    "__main__": {"cli"},
    "__init__": {"api", "errors", "lab", "model", "timelapse"},
}
# Named doors for one module each, inside a function only where the last field says so.
NAMED_DOORS = {
    ("model", "decode", "lazy"),  # Frame.image
    ("model", "wire.jpeg", "lazy"),  # Frame.jpeg_end
    # The link turns what a stream connection hands it, parts of the wire, into frames.
    ("engine", "wire.events", ""),
    ("engine", "wire.pictures", ""),
    # Whatever a public call raises on purpose is a CameraError; there is no wire knowledge in the tree.
    ("sim", "errors", ""),
}

THIRD_PARTIES: dict[str, set[str]] = {
    "model": {"numpy"},  # names of types only: see test_model_needs_no_numpy
    "decode": {"numpy", "simplejpeg"},
    "discovery": {"zeroconf", "ifaddr", "platformdirs"},
    "recording": {"numpy", "PIL", "tifffile", "zarr", "dask", "xarray", "isal"},
    "export": {"numpy", "PIL", "av", "zarr"},
    "timelapse": {"numpy"},
    "lab": {"tomlkit", "platformdirs"},
    "display": {"numpy"},
    "api": {"numpy"},  # names of types only
    "sim": {"numpy", "PIL"},
    "cli": {"typer", "rich"},
    "cli.contact_sheet": {"PIL"},
    "napari_plugin": {"numpy", "napari", "qtpy", "superqt"},
    "napari_plugin.picture_files": {"PIL"},
}

# The plain rooms and wire hold no socket, thread or clock.
PURE = {*PLAIN, "wire"}
IMPURE = {
    "asyncio",
    "concurrent",
    "datetime",
    "multiprocessing",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
}


@dataclass(frozen=True)
class Import:
    where: str  # "engine/link.py:12"
    room: str  # room it stands in
    module: str  # "engine.link"
    target: str  # dotted, without the package's own name: "wire.parser", "public", "numpy"
    ours: bool
    lazy: bool  # inside a function
    typing_only: bool


def imports_of(path: Path, root: Path = SOURCES) -> Iterator[Import]:
    """Find every import of a file, those for type checkers included."""
    parts = path.relative_to(root).with_suffix("").parts
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = [PACKAGE, *parts[:-1]]
    for node, lazy, typing_only in _walk(tree, False, False):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif node.level:
            base = package[: len(package) - node.level + 1]
            targets = [".".join([*base, *([node.module] if node.module else []), a.name]) for a in node.names]
        else:
            targets = [f"{node.module}.{alias.name}" for alias in node.names]
        for target in targets:
            first, _, rest = target.partition(".")
            ours = first == PACKAGE
            name = (rest if rest.split(".")[0] in DOORS else "public") if ours else first
            where = f"{'/'.join(parts)}.py:{node.lineno}"
            yield Import(where, parts[0], ".".join(parts), name, ours, lazy, typing_only)


def _walk(
    node: ast.AST, lazy: bool, typing_only: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, lazy, typing_only
            continue
        inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typed = typing_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from _walk(child, inside, typed)


def forbidden(found: Import) -> str:
    """Say why an import goes through no door; empty when it may."""
    if not found.ours:
        return ""
    target = found.target.split(".")[0]
    if target == found.room or target in DOORS.get(found.room, set()):
        return ""
    for room, module, manner in NAMED_DOORS:
        if room == found.room and f"{found.target}.".startswith(f"{module}.") and (found.lazy or not manner):
            return ""
    doors = ", ".join(sorted(DOORS.get(found.room, set()))) or "nothing of ours"
    return f"{found.where} imports {found.target}; {found.room} may import {doors}"


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return [found for path in sorted(SOURCES.rglob("*.py")) for found in imports_of(path)]


def test_every_room_has_its_doors(imports: list[Import]) -> None:
    rooms = {path.relative_to(SOURCES).with_suffix("").parts[0] for path in SOURCES.rglob("*.py")}
    assert rooms <= set(DOORS)
    assert len(imports) > 100


def test_rooms_import_through_their_doors(imports: list[Import]) -> None:
    assert [reason for found in imports if (reason := forbidden(found))] == []


def test_third_parties_stay_in_their_rooms(imports: list[Import]) -> None:
    import sys

    strangers = [
        f"{found.where} imports {found.target}"
        for found in imports
        if not found.ours
        and found.target not in sys.stdlib_module_names
        and found.target not in THIRD_PARTIES.get(found.room, set()) | THIRD_PARTIES.get(found.module, set())
    ]
    assert strangers == []


def test_model_needs_no_numpy(imports: list[Import]) -> None:
    assert all(found.typing_only for found in imports if found.room == "model" and found.target == "numpy")


def test_plain_rooms_and_wire_do_no_io(imports: list[Import]) -> None:
    assert [f.where for f in imports if f.room in PURE and not f.ours and f.target in IMPURE] == []


def test_nothing_is_imported_by_a_computed_name() -> None:
    """Only the lazy public names of a package root may be, and only from that package itself."""
    calls = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in sorted(SOURCES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__", "exec", "eval"}
        and not ast.unparse(node.args[0]).startswith("f'{__name__}.")
    ]
    assert calls == []


@pytest.mark.parametrize(
    ("room", "source", "says"),
    [
        ("sim", "from espressoscope.wire.jpeg import inspect", "sim may import model, tables"),
        ("sim", "if TYPE_CHECKING:\n    from espressoscope.wire import jpeg", "imports wire.jpeg"),
        ("sim", "from ..wire import jpeg", "imports wire.jpeg"),
        ("sim", "def f():\n    import espressoscope.api.camera", "imports api.camera"),
        ("cli", "from espressoscope.errors import CameraError", "cli may import display, public, sim"),
        ("cli", "from espressoscope import CameraError", ""),
        ("cli", "import espressoscope as es", ""),
        ("model", "def f():\n    from espressoscope.wire.jpeg import find_end", ""),
        ("model", "from espressoscope.wire.jpeg import find_end", "imports wire.jpeg"),
        ("model", "def f():\n    from espressoscope.wire.parser import Part", "imports wire.parser"),
        ("errors", "from . import model", "errors may import nothing of ours"),
        ("device", "from .http import fetch\nfrom ..wire.parser import Part", ""),
    ],
)
def test_a_forbidden_import_is_noticed(tmp_path: Path, room: str, source: str, says: str) -> None:
    file = tmp_path / f"{room}.py" if room in PLAIN else tmp_path / room / "module.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(source, encoding="utf-8")
    reasons = [forbidden(found) for found in imports_of(file, tmp_path)]
    assert says in reasons[0] if says else not any(reasons)
