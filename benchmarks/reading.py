"""Reading the raw figures: medians over rounds, ratios round by round, what arrived."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

Scenario = dict[str, Any]
"""One of `Figures` as JSON holds it: about, rows, load."""


class Spread(NamedTuple):
    """Median, lowest and highest of several rounds."""

    median: float
    low: float
    high: float


def missing(scenario: Scenario, row: str) -> str | None:
    """Say why a row is not there."""
    results = scenario["rows"].get(row) or [{"missing": "not run"}]
    return results[0].get("missing")


def spread(scenario: Scenario, row: str, key: str = "us_per_frame") -> Spread | None:
    """Give what the rounds of a row gave; None when it is not there."""
    if missing(scenario, row):
        return None
    return _spread([result[key] for result in scenario["rows"][row] if key in result])


def ratio(scenario: Scenario, row: str, peer: str, key: str = "us_per_frame") -> Spread | None:
    """Compare two rows round by round: the machine's speed drifts, and both of a pair drift with it."""
    if missing(scenario, row) or missing(scenario, peer):
        return None
    theirs = {result["round"]: result[key] for result in scenario["rows"][peer]}
    return _spread(
        [
            result[key] / theirs[result["round"]]
            for result in scenario["rows"][row]
            if theirs.get(result["round"])
        ]
    )


def over_floor(scenario: Scenario, row: str) -> Spread | None:
    """Compare a row with the floor that ran beside it, frame by frame."""
    if missing(scenario, row):
        return None
    return _spread(_over_floor(scenario["rows"][row]))


def ratio_over_floor(scenario: Scenario, row: str, peer: str) -> Spread | None:
    """Compare two rows round by round, each by how much more than its own floor it took."""
    if missing(scenario, row) or missing(scenario, peer):
        return None
    theirs = {result["round"]: _over_floor([result]) for result in scenario["rows"][peer]}
    return _spread(
        [
            mine / yours
            for result in scenario["rows"][row]
            for mine in _over_floor([result])
            for yours in theirs.get(result["round"], [])
        ]
    )


def _over_floor(results: list[dict[str, Any]]) -> list[float]:
    key = "floor_us_per_frame"
    return [result["us_per_frame"] / result[key] for result in results if key in result]


def _spread(values: list[float]) -> Spread | None:
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def total(scenario: Scenario, row: str, key: str) -> float:
    """Add up the rounds."""
    return float(sum(result.get(key, 0) for result in scenario["rows"][row]))


def arrived(scenario: Scenario, row: str) -> float:
    """Give the share of frames sent that arrived, by the gaps in their numbers and by the clock."""
    about = scenario["about"]
    offered = about.get("cameras", 1) * about["fps"] * total(scenario, row, "seconds")
    frames = total(scenario, row, "frames") - total(scenario, row, "unknown")
    lost = total(scenario, row, "lost")
    by_clock = frames / offered
    # A window of seconds holds a frame more or less of each camera than its length says.
    slack = about.get("cameras", 1) * len(scenario["rows"][row]) / offered
    by_number = frames / max(1.0, frames + lost)
    return by_number if by_clock > 1 - slack - 0.005 else min(by_clock, by_number)


def settled_ages(scenario: Scenario, row: str) -> list[float]:
    """Give the ages a slow consumer saw once things had settled, in milliseconds."""
    return [age for age, _ in _settled(scenario, row)]


def settled_ages_undecoded(scenario: Scenario, row: str) -> list[float]:
    """Give how old each was when its decoding began, in milliseconds."""
    return [age - decoding for age, decoding in _settled(scenario, row)]


def _settled(scenario: Scenario, row: str) -> list[tuple[float, float]]:
    ages = scenario["rows"][row][0]["ages"]
    since = min(scenario["about"]["settled_s"], 0.5 * scenario["about"]["seconds"])
    return [(age, decoding) for at, age, decoding in ages if at >= since]


def percentile(values: list[float], percent: int) -> float:
    """Give a percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
