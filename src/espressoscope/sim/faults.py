"""Everything that can go wrong with a simulated camera on purpose.

Use as a context manager, ``with camera.fault("stall"):``, or on the command line,
``--fault stall:after=5,seconds=10``. Every fault takes ``after`` (seconds until it begins, 0) and ``seconds``
(how long it lasts; without it until the ``with`` block, or the camera, ends). Those of single frames take
``every`` (1 = each frame, 5 = each fifth).

=============  ===========================================================================================
fault          what the camera does
=============  ===========================================================================================
slow           drips the stream: `size` bytes every `pause` seconds
stall          stops sending in the middle of a frame; the socket stays open
cut            closes the stream within every n-th frame, `part` of its bytes sent
wrong-length   part headers tell a Content-Length that is `delta` off
no-length      part headers without Content-Length
junk           `size` bytes that belong to nothing between two frames
stale-bytes    `size` stale bytes and a second end marker behind the picture, as one in ten real pictures
two-jpegs      a part holds two pictures (esp32-camera#857)
corrupt        damaged picture: `kind` scan (markers whole), no-eoi (no end marker), no-soi (no start marker)
reboot         power fails: no FIN, no RST, nothing answers; boots after `seconds` with the settings saved
vanish         drops off the network: no FIN, no RST, connects are not answered
refuse         listens no more: connects are refused; open connections go on
silent-second  another viewer holds the stream: connects succeed, not a byte comes
bad-json       `/status` is no JSON: `kind` trailing-comma, truncated, unescaped, html, empty or unsigned
stale-capture  `/capture` gives pictures up to `depth` captures old
frozen         the same picture again and again
size-change    the picture size changes to `to` and back, every n-th frame
=============  ===========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from espressoscope.tables.framesizes import SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAULTS", "ActiveFaults", "Fault", "make_fault", "parse_fault"]

Value = int | float | str | None

_ALWAYS: Final[Mapping[str, Value]] = {"after": 0.0, "seconds": None}

FAULTS: Final[Mapping[str, Mapping[str, Value]]] = MappingProxyType(
    {
        "slow": {"size": 8, "pause": 0.2},
        "stall": {},
        "cut": {"every": 10, "part": 0.5},
        "wrong-length": {"every": 5, "delta": 2},
        "no-length": {"every": 1},
        "junk": {"every": 5, "size": 64},
        "stale-bytes": {"every": 1, "size": 100},
        "two-jpegs": {"every": 5},
        "corrupt": {"every": 5, "kind": "scan"},
        "reboot": {},
        "vanish": {},
        "refuse": {},
        "silent-second": {},
        "bad-json": {"kind": "trailing-comma"},
        "stale-capture": {"depth": 2},
        "frozen": {},
        "size-change": {"every": 10, "to": ""},
    }
)
"""Names, and the options of each with their defaults; `after` and `seconds` come with every one."""

_BEYOND: Final = 1_000_000_000
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "corrupt": ("scan", "no-eoi", "no-soi"),
    "bad-json": ("trailing-comma", "truncated", "unescaped", "html", "empty", "unsigned"),
}


@dataclass(eq=False)
class Fault:
    """A fault with its options, and how often it has struck.

    Attributes
    ----------
    name : str
        One of `FAULTS`.
    options : dict
        All of them, defaults filled in.
    hits : int
        Frames, answers or connections it has touched so far.
    state : dict
        Scratch space of the code that carries the fault out.
    """

    name: str
    options: dict[str, Value]
    hits: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    _count: int = 0

    def strikes(self) -> bool:
        """Count one frame; say whether it is the n-th."""
        self._count += 1
        every = int(self.number("every"))
        if every > 1 and self._count % every:
            return False
        self.hits += 1
        return True

    def number(self, option: str) -> float:
        """Give a number among the options, 0 for none."""
        value = self.options.get(option)
        return float(value) if isinstance(value, (int, float)) else 0.0

    def text(self, option: str) -> str:
        """Give a word among the options."""
        value = self.options.get(option)
        return "" if value is None else str(value)


class ActiveFaults(dict[str, Fault]):
    """The faults in force, by name; false when there are none."""


def make_fault(name: str, **options: Value) -> Fault:
    """Check a fault's name and options and fill in the rest.

    Raises
    ------
    ValueError
        Name, option or value is none of those in the table.
    """
    known = FAULTS.get(name)
    if known is None:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join(FAULTS)}")
    allowed = {**_ALWAYS, **known}
    for option, value in options.items():
        if option not in allowed:
            raise ValueError(f"fault {name!r} has no option {option!r}; it has {', '.join(allowed)}")
        if isinstance(allowed[option], str):
            kinds = _KINDS.get(name)
            if option == "kind" and kinds is not None and value not in kinds:
                raise ValueError(f"fault {name!r}: kind is one of {', '.join(kinds)}, not {value!r}")
            if option == "to" and value and str(value).upper() not in SIZES:
                raise ValueError(f"fault {name!r}: to is one of {', '.join(SIZES)}, not {value!r}")
        elif not isinstance(value, (int, float)) or isinstance(value, bool):
            if value is not None or allowed[option] is not None:
                raise ValueError(f"fault {name!r}: {option} is a number, not {value!r}")
        elif not abs(value) < _BEYOND:
            raise ValueError(f"fault {name!r}: {option} is less than {_BEYOND:,}, not {value!r}")
        elif value < 0 and option != "delta":
            raise ValueError(f"fault {name!r}: {option} is not negative, not {value!r}")
        elif option == "every" and value < 1:
            raise ValueError(f"fault {name!r}: every is 1 or more, not {value!r}")
    return Fault(name, {**allowed, **options})


def parse_fault(text: str) -> Fault:
    """Read a fault from the command line: ``NAME`` or ``NAME:key=value,key=value``.

    Raises
    ------
    ValueError
        It is not of that form, or not in the table.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Value] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"fault {text!r}: options are key=value, not {item!r}")
        options[key.strip()] = _value(value.strip())
    return make_fault(name.strip(), **options)


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
