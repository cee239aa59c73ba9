"""The figures as pictures, into docs/images; with matplotlib, and without it not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import reading
from benchmarks.scenarios import many, scale

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.reading import Scenario
    from benchmarks.targets import Runs

OURS, FLOOR, PEERS = "#0b6e4f", "#8a8a8a", "#c1662f"
_PEERS = ("aiohttp", "tutorial", "cv2", "PyAV")
_LINES = {"aiohttp": "#c1662f", "tutorial": "#8f2d56", "cv2": "#3d5a98", "PyAV": "#b8a11d"}


def colour(row: str) -> str:
    """Give a row's colour: green ours, gray the floor, brown the peers."""
    if row.startswith(("Camera", "Fleet")):
        return OURS
    return PEERS if row.startswith(_PEERS) else FLOOR


def line_colour(row: str) -> str:
    """Give a colour that tells the peers apart."""
    return next((found for name, found in _LINES.items() if row.startswith(name)), colour(row))


def draw(runs: Runs, folder: Path) -> list[str]:
    """Draw what there is; give the names of the scenarios drawn.

    Raises
    ------
    ModuleNotFoundError
        No matplotlib.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    drawn = []
    for name, plot in PLOTS.items():
        if runs.get(name):
            figure = plot(runs[name], plt)
            figure.savefig(folder / f"performance-{name}.png", dpi=110, metadata={"Software": None})
            plt.close(figure)
            drawn.append(name)
    return drawn


def _bars(axes: Any, scenario: Scenario, title: str, *, logarithmic: bool) -> None:
    rows = [row for row in scenario["rows"] if not reading.missing(scenario, row)][::-1]
    spreads = [found for row in rows if (found := reading.spread(scenario, row)) is not None]
    medians = [found.median for found in spreads]
    around = [[f.median - f.low for f in spreads], [f.high - f.median for f in spreads]]
    axes.barh(rows, medians, xerr=around, color=[colour(row) for row in rows], error_kw={"elinewidth": 0.8})
    highest = max(found.high for found in spreads)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(min(medians) * 0.6, highest * 4)
    else:
        axes.set_xlim(0, highest * 1.25)
    for place, found in enumerate(spreads):
        text = f"{found.median:,.0f}" if found.median >= 100 else f"{found.median:.1f}"
        axes.annotate(text, (found.high, place), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_title(title, loc="left")
    axes.set_xlabel("CPU per frame, µs" + (" (logarithmic)" if logarithmic else ""))


def _ingest(scenarios: dict[str, Scenario], plt: Any) -> Any:
    figure, panels = plt.subplots(1, len(scenarios), figsize=(9, 2.6), layout="constrained", squeeze=False)
    for axes, (name, scenario) in zip(panels[0], scenarios.items(), strict=True):
        _bars(axes, scenario, f"Receiving, one saturated stream, {name}", logarithmic=True)
    return figure


def _endtoend(scenarios: dict[str, Scenario], plt: Any) -> Any:
    paced = {name: scenario for name, scenario in scenarios.items() if name.endswith("paced")}
    figure, panels = plt.subplots(1, len(paced), figsize=(9, 3.2), layout="constrained", squeeze=False)
    for axes, (name, scenario) in zip(panels[0], paced.items(), strict=True):
        _bars(axes, scenario, f"Receiving and decoding, {name.split()[0]}", logarithmic=False)
    return figure


def _many(scenarios: dict[str, Scenario], plt: Any) -> Any:
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axes, arrival in zip(panels, many.ARRIVALS, strict=True):
        mine = [found for found in scenarios.values() if found["about"]["arrival"] == arrival]
        for row in many.ROWS:
            there = [found for found in mine if not reading.missing(found, row)]
            counts = [found["about"]["cameras"] for found in there]
            medians = [reading.spread(found, row).median for found in there]  # type: ignore[union-attr]
            axes.plot(counts, medians, "o-", label=row, color=line_colour(row))
        words = {"burst": "frames in one go", "wifi": "WiFi-like arrival"}[arrival]
        axes.set_title(f"{many.FPS} frames/s each, {words}", loc="left")
        axes.set_xlabel("cameras")
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel("CPU per frame, µs")
    panels[1].legend(frameon=False, loc="upper right")
    return figure


def _scale(scenarios: dict[str, Scenario], plt: Any) -> Any:
    # What was asked for beside the share of this machine that it was to take; the rest is in the tables.
    scenarios = {name: found for name, found in scenarios.items() if found["about"]["fitted"] != scale.MOST}
    lines = (len(scenarios) + 1) // 2
    figure, panels = plt.subplots(lines, 2, figsize=(9, 2.1 * lines), layout="constrained", squeeze=False)
    for axes in panels.flat[len(scenarios) :]:
        axes.set_axis_off()
    for axes, (name, scenario) in zip(panels.flat, scenarios.items(), strict=False):
        rows = [row for row in scenario["rows"] if row != scale.FLOOR and not reading.missing(scenario, row)]
        shares = [100 * reading.arrived(scenario, row) for row in rows]
        axes.barh(rows[::-1], shares[::-1], color=[colour(row) for row in rows[::-1]])
        axes.set_xlim(0, 100)
        axes.set_xlabel("frames decoded, %")
        axes.set_title(name.replace(", ", ",\n"), loc="left", fontsize="medium")
    return figure


def _age(scenarios: dict[str, Scenario], plt: Any) -> Any:
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    for scenario in scenarios.values():
        for row in scenario["rows"]:
            if not reading.missing(scenario, row):
                at, age, _ = zip(*scenario["rows"][row][0]["ages"], strict=True)
                axes.plot(at, [ms / 1000 for ms in age], label=row, color=line_colour(row), linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("seconds since the consumer began")
    axes.set_ylabel("age of the picture, s")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _memory(scenarios: dict[str, Scenario], plt: Any) -> Any:
    figure, axes = plt.subplots(figsize=(9, 2.4), layout="constrained")
    for scenario in scenarios.values():
        samples = scenario["rows"]["Fleet"][0]["samples"]
        axes.plot([s["at_s"] for s in samples], [s["rss_mb"] for s in samples], color=OURS)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("resident memory, MB")
    return figure


PLOTS: dict[str, Callable[[dict[str, Scenario], Any], Any]] = {
    "ingest": _ingest,
    "endtoend": _endtoend,
    "many": _many,
    "scale": _scale,
    "age": _age,
    "memory": _memory,
}
