"""What `benchmarks.napari_live` found, as a table and as docs/performance-napari.md."""

from __future__ import annotations

import importlib.metadata
import statistics
import textwrap
from datetime import UTC, datetime
from typing import Any

from benchmarks.harness import REPO
from benchmarks.results import machine

PAGE = REPO / "docs" / "performance-napari.md"
GAP_MS = 50.0
BUSY_PERCENT = 30.0
FPS = {"1 x VGA": 24.0, "24 x 320x240": 24.0, "24 x VGA": 20.0}
BEFORE = {
    ("24 x 320x240", "live"): "7.7 fps",
    ("24 x VGA", "live"): "2.2 fps, gap 472 ms",
    ("24 x VGA", "discovery"): "frozen 5.1 s",
    ("24 x VGA", "live on"): "frozen 1 s",
    ("24 x VGA", "snap"): "frozen 2.5-13 s",
    ("24 x VGA", "settings of all cameras"): "none can be set",
    ("24 x VGA", "a camera stalls"): "hangs > 15 s",
}
"""omniscope-viewer, after repairs that let it open, on a machine like this one."""
TOOK_S = {"dead cameras: live off": 0.5, "the widget closes": 0.5, "add": 1.0}
HEAD = ("situation", "worst gap, ms", "of it computed", "CPU, %", "shown fps", "age p50 / p99, ms", "took, s")


def table(runs: list[list[dict[str, Any]]]) -> str:
    """Give the figures of all runs as a table of Markdown, medians of the runs."""
    by_key: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for rows in runs:
        for row in rows:
            by_key.setdefault((row["scene"], row["what"]), []).append(row)
    lines = [[*HEAD, "holds", "omniscope-viewer"]]
    for key, rows in by_key.items():
        lines.append(_line(key, rows))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _line(key: tuple[str, str], rows: list[dict[str, Any]]) -> list[str]:
    scene, what = key
    gap, computed = _median(rows, "gap_ms"), _median(rows, "computed_ms")
    busy, fps = _median(rows, "main_percent"), _median(rows, "shown_fps")
    took = _median(rows, "added_s" if what == "add" else "took_s")
    wrong = []
    if gap is not None and gap > GAP_MS and "alone" not in scene:
        wrong.append("gap")
    if what == "live":
        wrong += ["CPU"] * (busy is not None and busy > BUSY_PERCENT)
        wrong += ["fps"] * (fps is not None and fps < FPS[scene.partition(",")[0]])
    if what in TOOK_S and (took is None or took > TOOK_S[what]):
        wrong.append("time")
    live = what in ("live", "one layer as often as it can")
    gaps = [row["gap_ms"] for row in rows if "gap_ms" in row]
    spread = f" ({min(gaps):.0f}-{max(gaps):.0f})" if len(gaps) > 1 else ""
    return [
        f"{scene}: {what}",
        "" if gap is None else f"{gap:.0f}{spread}",
        "" if computed is None else f"{computed:.0f}",
        f"{busy:.0f}" if live and busy is not None else "",
        f"{fps:.1f}" if live and fps is not None else "",
        f"{_median(rows, 'age_p50_ms'):.0f} / {_median(rows, 'age_p99_ms'):.0f}" if what == "live" else "",
        "" if took is None else f"{took:.2f}",
        ("no: " + ", ".join(wrong)) if wrong else "yes" if "alone" not in scene else "",
        BEFORE.get(key, ""),
    ]


def _median(rows: list[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return statistics.median(values) if values else None


def page(runs: list[list[dict[str, Any]]], how: str, busy: float | None) -> str:
    """Write docs/performance-napari.md."""
    about = machine()
    versions = ", ".join(f"{name} {_version(name)}" for name in ("napari", "vispy", "PyQt6", "numpy"))
    words = (
        f"{about['cores']} cores of {about['processor']}, {about['system']}, {about['kernel']}, Python "
        f"{about['python']}, {versions}; Xvfb 2560x1440 with software OpenGL. {how}, "
        f"{datetime.now(UTC):%Y-%m-%d}; others used {busy} % of a core meanwhile."
    )
    wrapped = "\n".join(textwrap.wrap(words, 108, break_long_words=False, break_on_hyphens=False))
    return TEXT.format(machine=wrapped, table=table(runs), floor=_floor(runs, about["cores"]))


def _floor(runs: list[list[dict[str, Any]]], cores: object) -> str:
    """Say what one refresh takes of all processors with napari alone, and so 24 a second."""
    parts = []
    for scene, canvas in (("napari alone", "the large canvas"), ("napari alone, small canvas", "the small")):
        rows = [row for each in runs for row in each if row["scene"] == scene]
        each_ms = _median(rows, "refresh_cpu_ms")
        if each_ms is not None:
            parts.append(f"{each_ms:.0f} ms with {canvas}, so that 24 a second need {0.024 * each_ms:.1f}")
    words = (
        f"One refresh of napari alone takes of all processors together {' and '.join(parts)} of the {cores} "
        "cores there are, before anything is received or decoded."
    )
    return "\n".join(textwrap.wrap(words, 108)) if parts else ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


TEXT = """# The napari plugin in figures

`python -m benchmarks.napari_live --page` writes this page; `--short` takes four minutes.

{machine}

The worst gap is the longest time in which napari did not answer: from one beat of a 4 ms timer on the
thread that draws to the next, the median over the runs of each run's maximum (smallest and largest in
brackets). "Of it computed" is that thread's own CPU time in that gap; for the rest it waited for a
processor or for Python's lock. "Shown fps" counts new pictures that were drawn, per camera; their age
runs from the last byte received to the end of drawing. "Took" is until all cameras are there, live,
stopped or let go. A gap holds up to 50 ms; CPU is that of the thread that draws, in percent of a core,
and holds up to 30 while live.

{table}

The canvas has 1312 x 951 pixels, as that one whose figures are aimed at (24 fps, 50 ms) on a faster machine;
"small canvas" has 400 x 672. "napari alone" is napari without a plugin, in a window of the same size: how
often it draws one VGA layer that changes, with nothing else to do, and what a layer that comes or goes, and
closing, cost there anyway. No plugin can show much more on this machine, or have much shorter gaps while it
draws. The Snap panel, when it is first looked at with more than four cameras, has napari take in a layer.
{floor}

Where the time goes without a graphics card: of one refresh, drawing the picture takes software about half,
and Qt the other half to put the whole window together from its parts. All that time napari
holds Python's lock (its window handles Qt's events in Python), so that nothing is decoded; with a graphics
card it is a few milliseconds. What helped: one picture of each camera decoded between two refreshes and no
more; no refresh before there is something new of every camera, as long as the last drawing took at most;
napari's list of layers kept from being painted with every refresh, which had the window put together twice.
What was tried and did not: having the window exposed instead of updated, which leaves the lock free (the same
fps); opaque layers; other interpolations; a window of its own for the canvas (a third slower); four bytes a
pixel; decode threads of lower priority, and a shorter turn of Python's lock (both within what this machine's
speed wavers by itself, a fifth up or down). A plainer shader in place of napari's, without its gamma, would
save about a tenth; that would be napari's to do.

Figures of omniscope-viewer, the plugin there was before, were taken once after five repairs that let it open.
"""
