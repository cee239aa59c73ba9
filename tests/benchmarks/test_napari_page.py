"""The page of the plugin's benchmark says what was found, and what does not hold."""

from __future__ import annotations

from typing import Any

from benchmarks.napari_page import page, table


def row(what: str, gap_ms: float, **more: Any) -> dict[str, Any]:
    usual = {"scene": "24 x VGA", "computed_ms": gap_ms / 2, "main_percent": 20}
    return {"what": what, "gap_ms": gap_ms, **usual, **more}


def cells(text: str, what: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| 24 x VGA: {what} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_medians_limits_and_what_is_missing() -> None:
    ages = {"age_p50_ms": 40.0, "age_p99_ms": 80.0}
    runs = [
        [
            row("live", gap, shown_fps=fps, **ages),
            row("connect", 45, took_s=1.0),
            row("the widget closes", 20),
        ]
        for gap, fps in ((30, 24.0), (90, 19.0), (40, 22.0))
    ]
    runs[0].append({"what": "add", "scene": "24 x VGA", "added_s": 1.4})
    text = table(runs)
    live = cells(text, "live")
    assert live[1] == "40 (30-90)"
    assert live[4] == "22.0"
    assert live[7] == "yes"
    assert "2.2 fps" in live[8]
    assert cells(text, "connect")[6:8] == ["1.00", "yes"]
    assert cells(text, "add")[6:8] == ["1.40", "no: time"]
    assert cells(text, "the widget closes")[7] == "no: time"  # that it ended at all was not seen
    slow = table([[row("live", 60, shown_fps=12.0, **ages) | {"main_percent": 45}]])
    assert cells(slow, "live")[7] == "no: gap, CPU, fps"
    assert text in page(runs, "3 runs of 10 s", 1.5)
