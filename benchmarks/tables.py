"""Figures as tables of words, for the terminal and for the page alike."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import reading
from benchmarks.scenarios import endtoend, ingest, many, scale

if TYPE_CHECKING:
    from benchmarks.reading import Scenario, Spread
    from benchmarks.targets import Runs, Verdict


class Table(NamedTuple):
    """A title, and rows of cells of which the first is the head."""

    title: str
    rows: list[list[str]]

    def plain(self) -> str:
        """Give it with columns in line."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = (
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
                ]
            )
            for row in self.rows
        )
        return "\n".join(["", self.title, *lines])

    def markdown(self, *, titled: bool = True) -> str:
        """Give it as a page has it."""
        head, *rest = (f"| {' | '.join(row)} |" for row in self.rows)
        rule = "|---|" + "---:|" * (len(self.rows[0]) - 1)
        title = [f"**{self.title}**", ""] if titled else []
        return "\n".join([*title, head, rule, *rest])


def number(value: float) -> str:
    """Write a number with three digits or so."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_range(found: Spread | None) -> str:
    """Write a median with what lies around it."""
    return "-" if found is None else f"{number(found.median)} ({number(found.low)}-{number(found.high)})"


def times(found: Spread | None) -> str:
    """Write a ratio."""
    return "-" if found is None else f"{found.median:.3f}" if found.median < 0.1 else f"{found.median:.2f}"


def _rows(scenario: Scenario, head: list[str], cells: Any) -> list[list[str]]:
    rows = [head]
    for row in scenario["rows"]:
        why = reading.missing(scenario, row)
        rows.append([row, why, *["-"] * (len(head) - 2)] if why else [row, *cells(row)])
    return rows


def _share(share: float) -> str:
    """Write a share of frames."""
    return "all" if share > 0.99999 else f"{100 * share:.1f} %" if share < 0.9995 else f"{100 * share:.2f} %"


def of_ingest(name: str, scenario: Scenario) -> Table:
    """Tell of receiving one stream."""
    peers = (ingest.FLOOR, "aiohttp", "tutorial's loop")
    head = ["", "us/frame", "x bare recv_into", "x aiohttp", "x tutorial", "frames/s"]
    rows = _rows(
        scenario,
        head,
        lambda row: [
            with_range(reading.spread(scenario, row)),
            *(times(reading.ratio(scenario, row, peer)) for peer in peers),
            f"{statistics.median(result['fps'] for result in scenario['rows'][row]):,.0f}",
        ],
    )
    return Table(f"One saturated stream, {name}, {scenario['about']['frame_bytes']:,} bytes a frame", rows)


def of_endtoend(size: str, paced: Scenario, most: Scenario | None) -> Table:
    """Tell of receiving and decoding one stream."""
    about = paced["about"]

    def cells(row: str) -> list[str]:
        top_row = endtoend.FLOOR if row == endtoend.PACED_FLOOR else row
        top = reading.spread(most, top_row, "fps") if most is not None else None
        return [
            with_range(reading.spread(paced, row)),
            with_range(reading.spread(paced, row, "floor_us_per_frame")),
            times(reading.over_floor(paced, row)),
            times(reading.ratio_over_floor(paced, row, "cv2.VideoCapture")),
            _share(reading.arrived(paced, row)),
            f"{top.median:,.0f}" if top else "-",
        ]

    head = [
        "",
        "us/frame",
        "bare decode beside it",
        "x bare decode",
        "x VideoCapture",
        "frames decoded",
        "most frames/s",
    ]
    sent = f"paced at {about['fps']:,.0f} frames/s, {about['frame_bytes']:,} bytes a frame"
    return Table(f"One stream to RGB arrays, {size}, {sent}", _rows(paced, head, cells))


def of_many(arrival: str, scenarios: dict[str, Scenario]) -> Table:
    """Tell of many cameras, nothing decoded."""
    head = [
        "",
        "cameras",
        "us/frame",
        "% of a core",
        "frames arrived",
        "wake-ups a frame",
        "x epoll",
        "x aiohttp",
    ]
    rows = [head]
    for scenario in scenarios.values():
        count = str(scenario["about"]["cameras"])

        def cells(row: str, scenario: Scenario = scenario, count: str = count) -> list[str]:
            percent = reading.spread(scenario, row, "cpu_percent")
            wakeups = reading.total(scenario, row, "wakeups") / reading.total(scenario, row, "frames")
            return [
                count,
                with_range(reading.spread(scenario, row)),
                f"{percent.median:.1f}" if percent else "-",
                _share(reading.arrived(scenario, row)),
                f"{wakeups:.2f}",
                *(times(reading.ratio(scenario, row, peer)) for peer in (many.FLOOR, "aiohttp")),
            ]

        rows += _rows(scenario, head, cells)[1:]
    words = {"burst": "each frame in one go", "wifi": "segments of 1436 bytes over 8 ms"}[arrival]
    return Table(f"Many VGA cameras at {many.FPS} frames/s, {words}", rows)


def of_scale(name: str, scenario: Scenario) -> Table:
    """Tell of many cameras, decoded."""
    about = scenario["about"]
    head = [
        f"of {about['cameras'] * about['fps']:,} frames/s",
        "frames decoded",
        "lost",
        "CPU, % of a core",
        "received to array, ms: p50, p99",
        "due to array, ms: p50, p99",
    ]

    def cells(row: str) -> list[str]:
        results = scenario["rows"][row]
        percent = reading.spread(scenario, row, "cpu_percent")
        pairs = []
        for key in ("received_to_array_ms", "ages_ms"):
            found = [result[key] for result in results if key in result]
            pairs.append(
                ", ".join(number(statistics.median(f[p] for f in found)) for p in ("p50", "p99"))
                if found
                else "-"
            )
        decoded = _share(reading.arrived(scenario, row))
        if row == scale.FLOOR:
            decoded = f"{statistics.median(result['fps'] for result in results):,.0f}/s"
        cameras = min(result.get("cameras", about["cameras"]) for result in results)
        if cameras < about["cameras"]:
            decoded += f" ({cameras} cameras began)"
        return [
            decoded,
            "-" if row == scale.FLOOR else f"{reading.total(scenario, row, 'lost'):,.0f}",
            f"{percent.median:.0f}" if percent else "-",
            *pairs,
        ]

    return Table(
        f"VGA cameras at {about['fps']} frames/s, every frame decoded: {name}",
        _rows(scenario, head, cells),
    )


def of_age(scenario: Scenario) -> Table:
    """Tell of a slow consumer."""

    def cells(row: str) -> list[str]:
        ages = reading.settled_ages(scenario, row)
        if not ages:
            return ["no frame", "-", "-", "-", "-"]
        figures = (statistics.median(ages), reading.percentile(ages, 99), max(ages), ages[-1])
        decoding = [
            age - left for age, left in zip(ages, reading.settled_ages_undecoded(scenario, row), strict=True)
        ]
        own = f"{statistics.median(decoding):.1f}" if any(decoding) else "-"
        return [*(f"{figure:,.1f}" for figure in figures), own]

    head = ["", "median ms", "p99 ms", "highest ms", "at the end ms", "of that decoding, median ms"]
    about = scenario["about"]
    sent = f"VGA at {about['fps']} frames/s, {about['seconds']:.0f} s"
    return Table(f"Age of what a consumer that takes 200 ms sees, {sent}", _rows(scenario, head, cells))


def of_decoding(name: str, scenario: Scenario) -> Table:
    """Tell of decoding alone, each view a line."""
    views = scenario["views"]
    readers = list(dict.fromkeys(reader for medians in views.values() for reader in medians))
    floor = readers[0]
    rows = [["us/frame (x the first)", *readers]]
    for view, medians in views.items():
        cells = [
            f"{number(medians[r])} ({medians[r] / medians[floor]:.2f})" if r in medians else "-"
            for r in readers
        ]
        rows.append([view, *cells])
    return Table(f"Decoding alone, {name}, {scenario['about']['frame_bytes']:,} bytes, one thread", rows)


def of_memory(scenario: Scenario) -> Table:
    """Tell what a process holds that receives for long."""
    rows = [["after", "resident memory, MB", "threads", "open files"]]
    samples = scenario["rows"]["Fleet"][0]["samples"]
    wanted = (0, 60, 120, 300, samples[-1]["at_s"])
    for seconds in sorted({min(at, wanted[-1]) for at in wanted}):
        sample = min(samples, key=lambda sample: abs(sample["at_s"] - seconds))
        held = [f"{sample['rss_mb']:.1f}", f"{sample['threads']:.0f}", f"{sample['files']:.0f}"]
        rows.append([f"{sample['at_s']:.0f} s", *held])
    about = scenario["about"]
    return Table(f"A Fleet of {about['cameras']} for {about['seconds']:.0f} s, WiFi-like arrival", rows)


def of_targets(found: list[Verdict]) -> Table:
    """Tell what must hold, and whether it does."""
    rows = [["target", "at most", "figure (least-most)", ""]]
    for verdict in found:
        target = verdict.target
        unit = f" {target.unit}" if target.unit not in ("", "x") else target.unit
        words = "not measured" if verdict.held is None else "held" if verdict.held else "**missed**"
        rows.append([target.words, f"{target.limit:g}{unit}", with_range(verdict.figure), words])
    return Table("Targets", rows)


def of_load(runs: Runs) -> Table:
    """Tell what the load generator did."""
    rows = [["", "CPU, % of a core: median, most", "late, ms: p99, most", "frames left out for slow rows"]]
    for module, scenarios in runs.items():
        for name, scenario in scenarios.items():
            load = [entry for entry in scenario.get("load", ()) if entry]
            if load:
                cpu = [entry["cpu_percent"] for entry in load]
                late = [
                    statistics.median(e["late_p99_ms"] for e in load),
                    max(e["late_max_ms"] for e in load),
                ]
                rows.append(
                    [
                        f"{module}: {name}",
                        f"{statistics.median(cpu):.0f}, {max(cpu):.0f}",
                        "-" if module == "ingest" else ", ".join(map(number, late)),
                        f"{sum(entry['left_out'] for entry in load):,}",
                    ]
                )
    return Table("The load generator, a process of its own", rows)


def all_of(runs: Runs) -> dict[str, list[Table]]:
    """Give all tables by the scenario's module."""
    found: dict[str, list[Table]] = {}
    found["ingest"] = [of_ingest(*item) for item in runs.get("ingest", {}).items()]
    ends = runs.get("endtoend", {})
    found["endtoend"] = [
        of_endtoend(name.split()[0], scenario, ends.get(name.replace("paced", "most")))
        for name, scenario in ends.items()
        if name.endswith("paced")
    ]
    groups: dict[str, dict[str, Scenario]] = {}
    for name, scenario in runs.get("many", {}).items():
        groups.setdefault(scenario["about"]["arrival"], {})[name] = scenario
    found["many"] = [of_many(*item) for item in groups.items()]
    found["scale"] = [of_scale(*item) for item in runs.get("scale", {}).items()]
    found["age"] = [of_age(scenario) for scenario in runs.get("age", {}).values()]
    found["memory"] = [of_memory(scenario) for scenario in runs.get("memory", {}).values()]
    found["decoding"] = [of_decoding(*item) for item in runs.get("decoding", {}).items()]
    return {module: tables for module, tables in found.items() if tables}
