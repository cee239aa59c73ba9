"""The table `watch` draws: a camera a line, of widths that do not change, within the space there is.

From figures to text and nothing else: no camera is asked here, nothing is written.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

import espressoscope as es
from espressoscope.cli.output import clean

__all__ = ["FleetTable", "Row"]

_WIDEST_NAME, _ROOMY_NAME, _SHORTEST_NAME = 28, 16, 4
_NARROWEST_MESSAGE = 24
_GAP = "  "
_MOST_ABOVE = 1.25


class Row(NamedTuple):
    """What there is to tell about one camera.

    Attributes
    ----------
    stats : StreamStats
        Its figures.
    message : str
        What is wrong with it; "" when all is well.
    """

    stats: es.StreamStats
    message: str

    @property
    def live(self) -> bool:
        """Whether it gives pictures, and new ones."""
        return self.stats.state is es.LinkState.LIVE and not self.stats.frozen

    @property
    def in_trouble(self) -> bool:
        """Whether it should give pictures and does not; one that is reached for the first time is not."""
        stats = self.stats
        at_first = stats.state is es.LinkState.CONNECTING and not (stats.frames or stats.reconnects)
        return not self.live and not at_first


class _Cell(NamedTuple):
    text: str
    style: str = ""


class _Column(NamedTuple):
    """A column; in a narrow terminal those of the highest rank go first."""

    title: str
    width: int
    rank: int
    cell: Callable[[es.StreamStats], _Cell]
    left: bool = False

    def filled(self, text: str) -> str:
        return _GAP + (text.ljust(self.width) if self.left else text.rjust(self.width))


_COLOURS = {
    es.LinkState.LIVE: "green",
    es.LinkState.STALLED: "red",
    es.LinkState.STOPPED: "dim",
}


def _state(stats: es.StreamStats) -> _Cell:
    if stats.frozen and stats.state is es.LinkState.LIVE:
        return _Cell("frozen", "bold red")
    return _Cell(str(stats.state), _COLOURS.get(stats.state, "yellow"))


def _fps(stats: es.StreamStats) -> _Cell:
    sensor = _sensor_fps(stats)
    return _Cell(f"{stats.fps:.1f} {'' if sensor is None else '/ ' + _rate(sensor):<6}")


def _sensor_fps(stats: es.StreamStats) -> float | None:
    """Give the rate of its sensor, unless more frames come than that: then it is not known after all."""
    if stats.sensor_fps is None or stats.fps > _MOST_ABOVE * stats.sensor_fps:
        return None
    return stats.sensor_fps


def _rate(fps: float) -> str:
    return f"{fps:.1f}".removesuffix(".0")


def _size(stats: es.StreamStats) -> _Cell:
    return _Cell(f"{stats.width}x{stats.height}") if stats.width else _Cell("-", "dim")


def _age(stats: es.StreamStats) -> _Cell:
    age_s = stats.age_s
    if age_s is None:
        return _Cell("-", "dim")
    style = "yellow" if age_s >= 2 else ""
    if age_s < 100:
        return _Cell(f"{age_s:.1f} s" if age_s < 10 else f"{age_s:.0f} s", style)
    return _Cell(f"{age_s / 60:.0f} min" if age_s < 6000 else f"{age_s / 3600:.0f} h", style)


def _interval(stats: es.StreamStats) -> _Cell:
    if stats.interval_p50_ms is None or stats.interval_p99_ms is None:
        return _Cell("-", "dim")
    return _Cell(f"{stats.interval_p50_ms:.0f}/{stats.interval_p99_ms:.0f}")


def _count(number: int, width: int) -> str:
    for unit in ("", "k", "M"):
        if len(text := f"{number}{unit}") <= width:
            return text
        number //= 1000
    return f"{number}G"


def _counted(number: int, width: int) -> _Cell:
    return _Cell(_count(number, width), "yellow" if number else "dim")


_COLUMNS = (
    _Column("STATE", 11, 0, _state, left=True),
    _Column("FPS / SENSOR", 12, 0, _fps),
    _Column("KB/S", 5, 1, lambda stats: _Cell(f"{stats.kb_per_s:.0f}")),
    _Column("SIZE", 9, 6, _size),
    _Column("AGE", 6, 2, _age),
    _Column("MS P50/P99", 10, 4, _interval),
    _Column("FRAMES", 7, 7, lambda stats: _Cell(_count(stats.frames, 7))),
    _Column("LOST", 5, 3, lambda stats: _counted(stats.damaged + stats.dropped, 5)),
    _Column("RECON", 5, 5, lambda stats: _counted(stats.reconnects, 5)),
)
_ALWAYS = 2
"""So many columns stand in the narrowest terminal."""


class _Layout:
    """Which columns fit, and how wide names and messages may be.

    Where there is no room for a column of messages, the message of a camera in trouble takes the place of
    its figures behind the rate, which say little then.
    """

    def __init__(self, longest_name: int, width: int) -> None:
        columns = list(_COLUMNS)
        name = min(longest_name, _WIDEST_NAME)
        while len(columns) > _ALWAYS and min(name, _ROOMY_NAME) + _taken(columns) > width:
            columns.remove(max(columns, key=lambda column: column.rank))
        self.columns = columns
        self.name = max(_SHORTEST_NAME, min(name, width - _taken(columns)))
        rest = width - self.name - _taken(columns) - len(_GAP)
        self.apart = rest >= _NARROWEST_MESSAGE
        self.message = (
            rest if self.apart else max(0, width - self.name - _taken(columns[:_ALWAYS]) - len(_GAP))
        )

    def heading(self) -> Text:
        titles = "".join(column.filled(column.title) for column in self.columns)
        return _line(("NAME".ljust(self.name) + titles + (f"{_GAP}MESSAGE" if self.apart else ""), "bold"))

    def line(self, name: str, row: Row) -> Text:
        message = clean(row.message, 300)
        covered = bool(message) and not self.apart and self.message > 0
        line = _line((fitted(name, self.name, self.name // 2), ""))
        for column in self.columns[: _ALWAYS if covered else None]:
            text, style = column.cell(row.stats)
            line.append(column.filled(text), style)
        if message and self.message > 0:
            line.append(
                _GAP + fitted(message, self.message).rstrip(), "red" if row.stats.frozen else "yellow"
            )
        return line


def _taken(columns: Sequence[_Column]) -> int:
    return sum(len(_GAP) + column.width for column in columns)


def _line(*parts: tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="crop")


def fitted(text: str, width: int, keep: int = 0) -> str:
    """Fill or cut a text to so many columns of a terminal, where some letters take two.

    The last `keep` of them stay when it is cut.
    """
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    end = text[-keep:] if 0 < keep < width - 2 and cell_len(text[-keep:]) == keep else ""
    begin = set_cell_size(text, max(0, width - 1 - len(end))).rstrip()
    return set_cell_size(f"{begin}…{end}", width)


class FleetTable:
    """The table of one fleet; keeps each camera on its line from one drawing to the next.

    Parameters
    ----------
    names : sequence of str
        The cameras, in order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._labels = {name: clean(name, 200) or "-" for name in names}
        self._longest = max((cell_len(label) for label in self._labels.values()), default=0)
        self._shown: list[str] = []

    def lines(self, rows: Mapping[str, Row], clock: str, width: int, height: int | None = None) -> list[Text]:
        """Draw it.

        Parameters
        ----------
        rows : mapping of str to Row
            All cameras by name.
        clock : str
            What the last line says about time.
        width, height : int
            Columns and lines there are; without `height` all cameras are shown.
        """
        layout = _Layout(max(self._longest, len("NAME")), width)
        shown = list(rows) if height is None else self._choose(rows, max(1, height - 2))
        lines = [layout.heading(), *(layout.line(self._labels[name], rows[name]) for name in shown)]
        if hidden := [row for name, row in rows.items() if name not in set(shown)]:
            missing = sum(not row.live for row in hidden)
            lines.append(
                _line(
                    (f"and {len(hidden)} more, ", "dim"),
                    (f"{missing} of them not live", "yellow") if missing else ("all live", "dim"),
                )
            )
        lines.append(_totals(rows.values(), clock))
        return lines if height is None else lines[-height:]

    def _choose(self, rows: Mapping[str, Row], room: int) -> list[str]:
        """Choose whom to show: as before, but a camera in trouble takes the line of one that is well."""
        if len(rows) <= room:
            self._shown = list(rows)
            return self._shown
        room = max(1, room - 1)  # one line tells of the others
        shown = [name for name in self._shown if name in rows]
        shown += [name for name in rows if name not in set(shown)][: max(0, room - len(shown))]
        waiting = [name for name, row in rows.items() if row.in_trouble and name not in set(shown)]
        lines_of_the_well = [line for line, name in enumerate(shown) if not rows[name].in_trouble]
        while waiting and lines_of_the_well:
            shown[lines_of_the_well.pop()] = waiting.pop(0)
        while len(shown) > room:  # the terminal has become smaller
            well = [line for line, name in enumerate(shown) if not rows[name].in_trouble]
            del shown[well[-1] if well else -1]
        self._shown = shown
        return shown


def _totals(rows: Collection[Row], clock: str) -> Text:
    live = sum(row.live for row in rows)
    line = _line((f"{live} of {len(rows)} live", "bold green" if live == len(rows) else "bold yellow"))
    line.append(f"{_GAP} {sum(row.stats.fps for row in rows):.1f}", "bold")
    # What all sensors together make: more than arrives is what the radio, or the cameras, cannot carry.
    sensors = [_sensor_fps(row.stats) for row in rows if row.stats.state is es.LinkState.LIVE]
    known = [rate for rate in sensors if rate is not None]
    line.append(f" / {_rate(sum(known))} fps" if known and len(known) == len(sensors) else " fps")
    line.append(f"{_GAP} {sum(row.stats.kb_per_s for row in rows):.0f} KB/s", "bold")
    line.append(f"{_GAP} {clock}", "dim")
    return line
