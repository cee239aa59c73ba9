"""Writes docs/performance.md: `page.md` with the tables in place, plots, and remarks on what is missed."""

from __future__ import annotations

import re
import textwrap
import tomllib
from typing import TYPE_CHECKING

from benchmarks import plots, tables
from benchmarks.harness import REPO
from benchmarks.targets import verdicts

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.results import Results
    from benchmarks.targets import Verdict

PAGE = REPO / "docs" / "performance.md"
TEMPLATE = REPO / "benchmarks" / "page.md"
REMARKS = REPO / "benchmarks" / "remarks.toml"
_WIDTH = 108


def write_page(results: Results, page: Path = PAGE) -> None:
    """Write the page and its pictures."""
    images = page.parent / "images"
    images.mkdir(exist_ok=True)
    try:
        drawn = plots.draw(results.runs, images)
    except ModuleNotFoundError as missing:
        print(f"{missing}: the plots are left as they are")
        drawn = [name for name in plots.PLOTS if (images / f"performance-{name}.png").exists()]
    found = verdicts(results.runs)
    parts = {
        "machine": _wrapped(_machine(results)),
        "dates": _dates(results),
        "targets": tables.of_targets(found).markdown(titled=False),
        "missed": "\n\n".join(_remark(verdict) for verdict in found if verdict.held is False),
        "load": tables.of_load(results.runs).markdown(titled=False),
    }
    for module, there in tables.all_of(results.runs).items():
        blocks = [table.markdown() for table in there]
        if module in drawn:
            blocks.insert(0, f"![{_ALT[module]}](images/performance-{module}.png)")
        parts[module] = "\n\n".join(blocks)
    text = TEMPLATE.read_text(encoding="utf-8")
    filled = re.sub(r"\{\{(\w+)\}\}", lambda place: parts.get(place[1]) or "Not measured yet.", text)
    page.write_text(filled, encoding="utf-8")


_ALT = {
    "ingest": "CPU time per frame received, ours beside floor and peers",
    "endtoend": "CPU time per frame received and decoded, ours beside floor and peers",
    "many": "CPU time per frame over the number of cameras",
    "scale": "Share of frames decoded",
    "age": "Age of the picture a slow consumer sees, over time",
    "memory": "Resident memory over time",
}


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _machine(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['system']}, {machine['kernel']}, "
        f"Python {machine['python']}. {versions}."
    )


def _dates(results: Results) -> str:
    rows = [["figures", "date", "run", "took", "others used, % of a core", "bare VGA decode then, us"]]
    for module, note in results.notes.items():
        took, others = note.get("seconds"), note.get("others_percent")
        cells = [note["date"], note["kind"], f"{took:.0f} s" if took else "-"]
        decode = note.get("decode_us")
        rows.append(
            [module, *cells, "-" if others is None else f"{others:.0f}", f"{decode:.0f}" if decode else "-"]
        )
    return tables.Table("", rows).markdown(titled=False)


def _remark(verdict: Verdict) -> str:
    remarks = tomllib.loads(REMARKS.read_text(encoding="utf-8"))
    why = remarks.get(verdict.target.key, "").strip() or "Not explained yet."
    figure = verdict.figure
    over = ""
    if figure is not None and verdict.target.limit:
        over = f" Missed by {100 * (figure.median / verdict.target.limit - 1):.0f} %."
    return _wrapped(f"**{verdict.target.words}.**{over} {why}")
