"""What `benchmarks.recording` found, as tables and as docs/performance-recording.md."""

from __future__ import annotations

import statistics
import textwrap
from datetime import UTC, datetime
from typing import Any

from benchmarks.harness import REPO
from benchmarks.results import machine

PAGE = REPO / "docs" / "performance-recording.md"
FLOOR = "bare write"
OURS = "Espressoscope"


def table(found: dict[str, Any]) -> str:
    """Give all figures as Markdown."""
    parts = []
    if "writers" in found:
        parts.append(_writers(found))
    if "reading" in found:
        parts.append(_reading(found["reading"]))
    if "streams" in found:
        parts.append(_streams(found["streams"]))
    return "\n\n".join(parts)


def _writers(found: dict[str, Any]) -> str:
    rows = [["written by", "CPU, us a frame", "beside a bare write", "target"]]
    rounds = found["writers"]
    for name, took in rounds.items():
        if not took:
            rows.append([name, "not installed", "", ""])
            continue
        ratios = [mine / floor for mine, floor in zip(took, rounds[FLOOR], strict=False)]
        target = ""
        if name == OURS:
            target = f"40: {'held' if statistics.median(took) <= 40 else 'missed'}"
        rows.append([name, _spread(took), f"{statistics.median(ratios):.1f} times", target])
    return _markdown(rows)


def _reading(found: dict[str, float]) -> str:
    opened, at_random = found["open_ms"], found["random_ms"]
    return _markdown(
        [
            ["read back", "ms", "most", "target"],
            [
                f"a segment of {found['frames']:.0f} frames opened",
                f"{opened:.1f}",
                f"{found['open_max_ms']:.1f}",
                f"50: {'held' if opened < 50 else 'missed'}",
            ],
            [
                "a frame at random",
                f"{at_random:.2f}",
                f"{found['random_max_ms']:.2f}",
                f"3: {'held' if at_random < 3 else 'missed'}",
            ],
            ["the same, decoded", f"{found['decoded_ms']:.2f}", "", ""],
        ]
    )


def _streams(found: dict[str, Any]) -> str:
    percent = found["writer_percent"]
    lost = found["dropped"] + found["missing"] + found["wrong"]
    grown = found["memory_last_mb"] - found["memory_first_mb"]
    return _markdown(
        [
            [f"{found['cameras']} cameras for {found['seconds']:.0f} s", "", "target"],
            ["frames a second", f"{found['frames_per_s']:.0f}", ""],
            ["MB a second", f"{found['mb_per_s']:.1f}", ""],
            [
                "frames dropped, missing, not as sent",
                f"{found['dropped']}, {found['missing']}, {found['wrong']}",
                f"0: {'held' if lost == 0 else 'missed'}",
            ],
            ["frames the cameras left out, we were too slow", f"{found['left_out']}", ""],
            [
                "writer's thread, % of a core",
                f"{percent:.1f}",
                f"20: {'held' if percent <= 20 else 'missed'}",
            ],
            ["the same, us a frame", f"{found['writer_us']:.1f}", ""],
            ["keeper's thread, % of a core", f"{found['keeper_percent']:.1f}", ""],
            [
                "resident memory, first and last third, MB",
                f"{found['memory_first_mb']:.0f}, {found['memory_last_mb']:.0f}",
                f"flat: {'held' if grown < 0.1 * found['memory_first_mb'] else 'missed'}",
            ],
        ]
    )


def _spread(values: list[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:.1f} ({min(values):.1f}-{max(values):.1f})"


def _markdown(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(found: dict[str, Any]) -> str:
    """Give the whole page."""
    facts = machine()
    others = found["others_percent"] or 0
    where = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {facts['cores']} cores of {facts['processor']}, "
        f"{facts['kernel']}, Python {facts['python']}. Other programs used {others:.0f} % of a core; "
        f"{'a short run' if found['asked']['short'] else 'a full run'}."
    )
    return f"""# Recording: what it costs

This page is written by `python -m benchmarks.recording --page`.

{textwrap.fill(where, 108)}

VGA pictures of {found["bytes"] / 1000:.1f} KB. CPU time is that of the thread that writes, medians of
{found["asked"]["rounds"]} rounds with the smallest and the largest; ratios are those within a round. Ours has
a checksum of every frame in it, the log, the page directories, and the end of each segment. OpenCV decodes
and encodes again: what it stores is not what the camera sent.

{table(found)}

Many cameras are played by the load generator of [the other benchmarks](performance.md), received, and
recorded by one process. What the keeper's thread does, ending full segments and waiting for the disk, is
beside the writer's way.
"""
