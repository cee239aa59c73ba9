"""The targets, and whether the figures hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import reading
from benchmarks.reading import Spread
from benchmarks.scenarios import age, endtoend, ingest, many, scale

if TYPE_CHECKING:
    from collections.abc import Callable

Runs = dict[str, dict[str, reading.Scenario]]
"""Scenarios by module and name, as the results hold them."""


class Target(NamedTuple):
    """One target.

    Attributes
    ----------
    key : str
        Under which `remarks.toml` says why it is missed.
    words : str
        What must hold.
    limit : float
        The figure must not be above.
    unit : str
        ``"x"`` for ratios.
    figure : callable
        Takes the runs; gives median, least and most, or None when it was not measured.
    """

    key: str
    words: str
    limit: float
    unit: str
    figure: Callable[[Runs], Spread | None]


class Verdict(NamedTuple):
    """A target beside its figure; `held` is None when it was not measured."""

    target: Target
    figure: Spread | None
    held: bool | None


def _ratio(module: str, name: str, row: str, peer: str) -> Callable[[Runs], Spread | None]:
    def figure(runs: Runs) -> Spread | None:
        scenario = runs.get(module, {}).get(name)
        return reading.ratio(scenario, row, peer) if scenario else None

    return figure


def _end_to_end(name: str, row: str, peer: str) -> Callable[[Runs], Spread | None]:
    def figure(runs: Runs) -> Spread | None:
        scenario = runs.get("endtoend", {}).get(name)
        if scenario is None:
            return None
        if peer == endtoend.FLOOR:
            return reading.over_floor(scenario, row)
        return reading.ratio_over_floor(scenario, row, peer)

    return figure


def _per_frame(name: str, key: str) -> Callable[[Runs], Spread | None]:
    def figure(runs: Runs) -> Spread | None:
        scenario = runs.get("many", {}).get(name)
        if scenario is None or reading.missing(scenario, many.OURS):
            return None
        values = [result[key] / result["frames"] for result in scenario["rows"][many.OURS]]
        return Spread(sorted(values)[len(values) // 2], min(values), max(values))

    return figure


def _of_scale(name: str, get: Callable[[dict[str, Any]], float]) -> Callable[[Runs], Spread | None]:
    def figure(runs: Runs) -> Spread | None:
        scenario = runs.get("scale", {}).get(name)
        if scenario is None or reading.missing(scenario, scale.OURS):
            return None
        values = sorted(get(result) for result in scenario["rows"][scale.OURS])
        return Spread(values[len(values) // 2], values[0], values[-1])

    return figure


def _of_fitted(size: int, get: Callable[[dict[str, Any]], float]) -> Callable[[Runs], Spread | None]:
    def figure(runs: Runs) -> Spread | None:
        name = scale.of_fitted(runs.get("scale", {}), size)
        return _of_scale(name, get)(runs) if name else None

    return figure


def _beyond_frame_time(runs: Runs) -> Spread | None:
    """How much older than one frame time a picture is when its decoding begins, at its 99th percentile."""
    scenario = runs.get("age", {}).get("slow consumer")
    if scenario is None or reading.missing(scenario, age.OURS):
        return None
    ages = reading.settled_ages_undecoded(scenario, age.OURS)
    frame_ms = 1000 / scenario["about"]["fps"]
    over = [percent - frame_ms for percent in (reading.percentile(ages, 99), min(ages), max(ages))]
    return Spread(*over)


def _grown(runs: Runs) -> Spread | None:
    """Percent by which memory at the end differs from after the first minute."""
    scenario = runs.get("memory", {}).get("memory")
    if scenario is None:
        return None
    sizes = {round(sample["at_s"]): sample["rss_mb"] for sample in scenario["rows"]["Fleet"][0]["samples"]}
    settled = [size for at, size in sizes.items() if at >= 60] or list(sizes.values())
    grown = [100 * abs(size / settled[0] - 1) for size in settled]
    return Spread(grown[-1], min(grown), max(grown))


TARGETS = (
    Target(
        "ingest-vga",
        "Camera to latest slot, VGA, saturated: CPU per frame <= 1/5 of the tutorial's loop",
        0.2,
        "x",
        _ratio("ingest", "VGA", ingest.OURS, "tutorial's loop"),
    ),
    Target(
        "ingest-uxga",
        "Camera to latest slot, UXGA, saturated: CPU per frame <= 1/2 of aiohttp",
        0.5,
        "x",
        _ratio("ingest", "UXGA", ingest.OURS, "aiohttp"),
    ),
    *(
        Target(
            f"wifi-{count}",
            f"{count} cameras, WiFi-like arrival: CPU per frame <= {words} of aiohttp",
            limit,
            "x",
            _ratio("many", f"{count} wifi", many.OURS, "aiohttp"),
        )
        for count, limit, words in ((24, 0.25, "1/4"), (100, 0.5, "1/2"))
    ),
    *(
        Target(
            f"wakeups-{count}",
            f"{count} cameras, WiFi-like arrival: <= 2.5 wake-ups a frame",
            2.5,
            "",
            _per_frame(f"{count} wifi", "wakeups"),
        )
        for count in many.COUNTS
    ),
    *(
        Target(
            f"end-to-end-{size.lower()}-{floor}-{'view' if row.endswith('view') else 'stream'}",
            f"Receive and decode, {size}, {row}: CPU per frame <= {limit:g}x {peer}",
            limit,
            "x",
            _end_to_end(f"{size} paced", row, peer),
        )
        for size in ("VGA", "UXGA")
        for floor, peer, limit in (("floor", endtoend.FLOOR, 1.05), ("capture", "cv2.VideoCapture", 0.82))
        for row in endtoend.OURS
    ),
    *(
        Target(
            f"scale-{name.partition(' ')[0]}-lost",
            f"{name}, every frame decoded at 25 frames/s: none lost",
            0.0,
            "frames",
            _of_scale(name, lambda result: result["lost"]),
        )
        for name in scale.CASES
    ),
    Target(
        "scale-100-p99",
        "100 at full size: 99 % within 20 ms from received to array",
        20.0,
        "ms",
        _of_scale("100 at full size", lambda result: result["received_to_array_ms"]["p99"]),
    ),
    *(
        Target(
            f"scale-fitted-{size}-lost",
            f"As many at {words} as take the same share of this machine: none lost",
            0.0,
            "frames",
            _of_fitted(divisor, lambda result: result["lost"]),
        )
        for size, words, divisor in (("full", "full size", 1), ("quarter", "1/4", 4))
    ),
    Target(
        "scale-fitted-p99",
        "As many at full size as take the same share of this machine: 99 % within 20 ms",
        20.0,
        "ms",
        _of_fitted(1, lambda result: result["received_to_array_ms"]["p99"]),
    ),
    Target(
        "age",
        "Camera.latest behind a 200 ms consumer: 99 % no older than one frame time and decoding, and 2 ms "
        "for the sender's lateness",
        2.0,
        "ms more",
        _beyond_frame_time,
    ),
    Target(
        "memory",
        "100 cameras for 10 minutes: memory within 5 % of its value after the first minute",
        5.0,
        "%",
        _grown,
    ),
)


def verdicts(runs: Runs) -> list[Verdict]:
    """Hold the figures against the targets: the median counts, of memory and lost frames the worst."""
    found = []
    for target in TARGETS:
        figure = target.figure(runs)
        held = None
        if figure is not None:
            worst = target.unit in ("frames", "%")
            held = (figure.high if worst else figure.median) <= target.limit
        found.append(Verdict(target, figure, held))
    return found
