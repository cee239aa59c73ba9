"""What every consumer makes of every fault: the table. Tests hold a run against it, and it is a page.

A cell says what is seen besides what is usual (`CONSUMERS` has that), what is said, which counters rise, and
within which time after the fault all is well; or, as a text, why there is nothing to look at. Cells that are
not there are as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from faults.cases import CASES
from faults.seen import Expected, cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.seen import Seen

__all__ = ["CONSUMERS", "MATRIX", "Consumer", "concerned", "have_been_seen"]


class Consumer(NamedTuple):
    """Somebody who uses cameras.

    Attributes
    ----------
    title : str
        For the page.
    usual : str
        What is seen when all is well.
    meaning : Mapping of str to str
        States that are told in other words on the page.
    """

    title: str
    usual: str
    meaning: Mapping[str, str]


_LINK = {"away": "connecting again"}
CONSUMERS: Final[Mapping[str, Consumer]] = {
    "stream": Consumer(
        "`Camera.stream(timeout=4)`",
        "whole frames come",
        {**_LINK, "raises": "raises after the timeout, and can be asked again"},
    ),
    "latest": Consumer(
        "`latest`",
        "new frames, never older than 6 s",
        {"none": "None from `Fleet.latest`", "raises": "`Camera.latest(1)` raises"},
    ),
    "snap": Consumer(
        "`snap`, while streaming",
        "a fresh picture at once",
        {"waits": "waits, then a fresh picture", "duplicate": "a picture, its status `duplicate`"},
    ),
    "snap alone": Consumer("`snap`, no stream", "a fresh picture at once", {"fails": "raises"}),
    "set": Consumer("`set`", "takes, and is read back", {"fails": "raises"}),
    "record": Consumer(
        "recording", "goes on, what is on the disk is what was told", {"waits": "waits, stays open"}
    ),
    "view": Consumer("decoded pictures (`view`)", "go on", {"waits": "none"}),
    "watch": Consumer("`espressoscope watch`", "live", _LINK),
    "time-lapse": Consumer(
        "time-lapse, every 3 s",
        "points are taken",
        {
            "missed": "points are missed",
            "damaged": "a damaged picture after three in vain, marked",
            "stored duplicate": "taken, marked `duplicate`",
        },
    ),
    "napari": Consumer(
        "napari",
        "live",
        {
            **_LINK,
            "tile stale": "the picture gray",
            "tile no signal": "NO SIGNAL",
            "tile frozen": "the picture marked FROZEN",
        },
    ),
    "discovery": Consumer(
        "search, and opening it",
        "found and opened",
        {"not found": "not found", "not opened": "not opened"},
    ),
}

WITHIN_S: Final = 15.0
"""What tests hold recoveries to, on machines with other things to do. What was measured is on the page."""

_OFF = "no answer to the connection within N s"
_REFUSED = "nothing listens on port N"
_BROKE = "its stream broke off"
_MUTE = "not a byte came for N s"
_DRIPS = "no whole picture for N s: only N bytes/s come"
_BUSY = "another viewer holds its only stream"
_FROZEN = "the same picture for N s: switch the camera off and on"
_NOT_STATUS = "an answer that is not a status object"
_STILL_BUSY = "the camera was still busy with the point before"
_CAPTURE = "it comes from `/capture`, this is a fault of streams"
_SINGLE = "nobody asks for `/capture` beside a stream"

Cells = dict[str, Expected | str]


def _back(states: str, words: str = "", rises: str = "", may: str = "", *, brief: bool = False) -> Expected:
    return cell(states, words, rises, may, WITHIN_S, brief=brief)


def _silent(words: str, *, damaged: str, besides: str = "", **more: Expected | str) -> Cells:
    """Give what streams see of a camera that falls silent for longer than 6 s."""
    counts, may = f"reconnects {damaged}".strip(), besides if damaged else "damaged"
    return {
        "stream": _back("slow, away, raises", _MUTE, counts, may),
        "latest": _back("none, raises", words),
        "snap": _back("waits"),
        "record": _back("waits", "", damaged, may),
        "view": _back("waits", "", "failed" if damaged else "", "" if damaged else "failed"),
        "watch": _back("slow, away", _MUTE, counts, may),
        "napari": _back(
            "slow, away, tile no signal", _MUTE, "drops" if damaged else "", f"tile stale, drops, {besides}"
        ),
        **more,
    }


def _off() -> Cells:
    """Give what is seen of a camera that is not there at all."""
    return _silent(
        _MUTE,
        damaged="",
        **{
            "snap alone": _back("fails", _OFF),
            "set": _back("fails", _OFF),
            "time-lapse": _back("missed", _OFF, "missed"),
            "discovery": _back("not found, not opened", _OFF),
        },
    )


def _broken_once() -> Cells:
    """Give what is seen of a stream that breaks off once and is there again at once."""
    return {
        "stream": cell("", _BROKE, "reconnects damaged", "away", brief=True),
        "record": cell("", "", "damaged"),
        "view": cell("", "", "failed"),
        "watch": cell("", _BROKE, "reconnects damaged", "away", brief=True),
        "napari": cell("", _BROKE, "drops", "away, tile stale", brief=True),
    }


def _broken_pictures(status: str) -> Cells:
    """Give what is seen when every second picture is not whole."""
    return {
        "stream": cell("", "", "damaged"),
        "record": cell("", "", "damaged"),
        "view": cell("", "", "failed"),
        "watch": cell("", "", "damaged"),
        "time-lapse": _back(
            "damaged", f"its picture is {status}", "", f"missed, stored {status}", brief=True
        ),
        "napari": cell("", "", "drops", "tile stale"),
    }


def _out_of_step() -> Cells:
    """Give what is seen when every picture is whole, and something between them is not."""
    return {
        "stream": cell("", "", "damaged"),
        "watch": cell("", "", "damaged"),
        "napari": cell("", "", "drops", "tile stale"),
    }


_ROWS: Final[Mapping[str, Cells]] = {
    "slow": {
        "stream": _back("slow, raises", _DRIPS),
        "latest": _back("none, raises", "no frame for N s | no whole picture came for N s"),
        "snap": _back("waits"),
        "record": _back("waits"),
        "view": _back("waits"),
        "watch": _back("slow", _DRIPS),
        "time-lapse": _back("missed", _STILL_BUSY, "missed"),
        "napari": _back("slow, tile no signal", _DRIPS, "", "tile stale"),
    },
    "stall": _silent(
        f"no frame for N s | {_MUTE}",
        damaged="damaged",
        # Where it lasts longer than 14 s, the next connection waits behind the one that has been given up.
        besides="busy, in use",
        **{"time-lapse": _back("missed", _STILL_BUSY, "missed")},
    ),
    "cut": {
        "stream": _back("away", _BROKE, "reconnects damaged"),
        "latest": cell("", _BROKE, "", "raises", brief=True),
        "snap": cell("", "", "", "waits"),
        "record": cell("", "", "damaged"),
        "view": cell("", "", "failed"),
        "watch": _back("away", _BROKE, "reconnects damaged"),
        "time-lapse": _back(
            "damaged", "its picture is truncated", "", "missed, stored truncated", brief=True
        ),
        "napari": _back("away", _BROKE, "drops", "tile stale, tile no signal"),
    },
    "wrong-length": _out_of_step(),
    "wrong-length-short": _broken_pictures("truncated"),
    "no-length": {},
    "junk": _out_of_step(),
    "stale-bytes": {},
    "two-jpegs": {},
    "corrupt": {
        "view": cell("", "", "failed"),
        "time-lapse": _back("damaged", "its picture is corrupt", "", "missed, stored corrupt", brief=True),
    },
    "no-eoi": _broken_pictures("truncated"),
    "no-soi": _broken_pictures("corrupt"),
    "reboot": _off(),
    "vanish": _off(),
    "refuse": {
        "stream": _back("away, raises", _REFUSED, "reconnects damaged"),
        "latest": _back("raises", _REFUSED, "", "none"),
        "snap": _back("waits"),
        "snap alone": _back("fails", _REFUSED),
        "set": _back("fails", _REFUSED),
        "record": _back("waits", "", "damaged"),
        "view": _back("waits", "", "failed"),
        "watch": _back("away", _REFUSED, "reconnects damaged"),
        "time-lapse": _back("missed", _REFUSED, "missed"),
        "napari": _back("away, tile no signal", _REFUSED, "drops", "tile stale"),
        "discovery": _back("not found, not opened", _REFUSED),
    },
    "silent-second": {
        "stream": _back("busy, away, raises", _BUSY, "reconnects damaged"),
        "latest": _back("none, raises", f"{_BROKE} | {_BUSY}"),
        "snap": _back("waits"),
        "record": _back("waits", "", "damaged"),
        "view": _back("waits", "", "failed"),
        "watch": _back("busy, away", _BUSY, "reconnects damaged"),
        "napari": _back("in use, away, tile no signal", _BUSY, "drops", "tile stale"),
    },
    "bad-json": _broken_once(),
    "html": {
        **_broken_once(),
        "set": _back("fails", _NOT_STATUS),
        "discovery": _back("not found, not opened", "something answers there, but it is not a camera"),
    },
    "stale-capture": dict.fromkeys(
        ("stream", "latest", "snap", "record", "view", "watch", "napari"), _SINGLE
    ),
    "frozen": {
        "stream": _back("frozen", _FROZEN),
        "snap": cell("duplicate"),
        "watch": _back("frozen", _FROZEN),
        "time-lapse": cell("stored duplicate"),
        "napari": _back("frozen, tile frozen", _FROZEN, "", "tile stale"),
    },
    "size-change": {},
}

_BESIDES: Final[Mapping[str, Expected]] = {"napari": cell("", "", "", "tile stale")}
"""As usual, where more may be seen: a machine with other things to do shows pictures late."""
_WHILE_IT_LASTS: Final = frozenset(
    {
        *("away", "slow", "busy", "in use", "frozen", "none", "raises", "missed", "damaged"),
        *("tile no signal", "tile frozen"),
    }
)
"""States that are seen at once; whether somebody waits is known only in the end."""
_CONTROL: Final = frozenset(
    {"reboot", "vanish", "refuse", "silent-second", "bad-json", "html", "stale-capture"}
)
"""Faults that concern who never opens a stream, or could."""


def _all() -> dict[tuple[str, str], Expected | str]:
    cells = {}
    for name in CASES:
        for consumer in CONSUMERS:
            usual: Expected | str = _BESIDES.get(consumer, cell())
            if consumer == "snap alone" and name not in _CONTROL:
                usual = _CAPTURE
            cells[name, consumer] = _ROWS[name].get(consumer, usual)
    return cells


MATRIX: Final[Mapping[tuple[str, str], Expected | str]] = _all()
"""By case and consumer: what is expected, or why there is nothing to look at."""


def concerned(case: str, consumer: str) -> bool:
    """Say whether a consumer is looked at under this fault."""
    return not isinstance(MATRIX[case, consumer], str)


def have_been_seen(case: str, consumer: str, seen: Seen) -> bool:
    """Say whether all states have been seen that are to be seen while the fault lasts."""
    expected = MATRIX[case, consumer]
    return isinstance(expected, str) or not (expected.states & _WHILE_IT_LASTS) - seen.states
