"""Header fields as these cameras send them, and what the important ones mean.

Pure functions over bytes already cut into lines; where a head begins and ends is the parser's work.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "LATEST_NS",
    "Headers",
    "boundary_of",
    "content_length",
    "is_chunked",
    "media_type",
    "parse_status_line",
    "parse_timestamp",
    "split_field",
]

_STATUS_LINE = re.compile(rb"HTTP/(\d\.\d) +(\d{3})(?: +(.*))?")
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)
_TIMESTAMP = re.compile(r"(\d{1,11})\.(\d{1,9})")
_MOST_DIGITS = 15
LATEST_NS = (1 << 63) - 1
"""Latest time of a camera's clock, in the year 2262: what comes after it has no room in a recording."""


class Headers:
    """Header fields in the order they came; names compare without case.

    Names are kept as sent, spaces included: matchboxscope-fw answers with
    ``Access - Control - Allow - Origin``.

    Parameters
    ----------
    fields : iterable of (str, str)
        Names and values.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Value of the first field of that name, else `default`."""
        wanted = name.lower()
        for key, value in self._fields:
            if key.lower() == wanted:
                return value
        return default

    def get_all(self, name: str) -> list[str]:
        """Values of all fields of that name, in order."""
        wanted = name.lower()
        return [value for key, value in self._fields if key.lower() == wanted]

    def items(self) -> Iterator[tuple[str, str]]:
        """Names and values as sent, in order."""
        return iter(self._fields)

    def replaced(self, name: str, value: str) -> Headers:
        """Give a copy in which every field of that name has this value."""
        wanted = name.lower()
        return Headers((key, value if key.lower() == wanted else old) for key, old in self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, Headers) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields)

    def __repr__(self) -> str:
        return f"Headers({list(self._fields)!r})"


def split_field(line: bytes) -> tuple[str, str] | None:
    """Split a header line without its line end into name and value; None when it has no name."""
    name, colon, value = line.partition(b":")
    name = name.strip()
    if not colon or not name:
        return None
    return name.decode("latin-1"), value.strip().decode("latin-1")


def parse_status_line(line: bytes) -> tuple[str, int, str] | None:
    """Give version, status and reason of a status line; None when it is none."""
    match = _STATUS_LINE.fullmatch(line.rstrip())
    if match is None:
        return None
    version, status, reason = match.groups()
    return version.decode("ascii"), int(status), (reason or b"").decode("latin-1").strip()


def content_length(headers: Headers) -> int | None:
    """Give the announced length, None when there is none.

    Blanks around the digits are accepted (MJPEG2SD sends ``%10u``, motion pads too), and so are several
    fields that agree, as RFC 9110 §8.6 allows.

    Raises
    ------
    ValueError
        Not plain digits, absurdly many of them, or fields that contradict each other.
    """
    length: int | None = None
    for value in headers.get_all("content-length"):
        # isdecimal() takes other scripts' digits, but latin-1 has none; int() alone would take "+5", "1_0".
        if not value.isdecimal() or len(value.lstrip("0")) > _MOST_DIGITS:
            raise ValueError(f"Content-Length is not a usable number: {value[:40]!r}")
        number = int(value)
        if length is not None and number != length:
            raise ValueError(f"two Content-Lengths contradict each other: {length} and {number}")
        length = number
    return length


def is_chunked(headers: Headers) -> bool:
    """Whether the body is chunked.

    Raises
    ------
    ValueError
        A transfer coding this parser cannot undo.
    """
    chunked = False
    for value in headers.get_all("transfer-encoding"):
        for coding in value.lower().split(","):
            name = coding.partition(";")[0].strip()
            if name == "chunked":
                chunked = True
            elif name not in ("", "identity"):
                raise ValueError(f"unknown Transfer-Encoding {name[:40]!r}")
    return chunked


def media_type(value: str | None) -> str:
    """Give the media type of a Content-Type value: lower case, without parameters; "" for None."""
    return value.partition(";")[0].strip().lower() if value else ""


def boundary_of(value: str | None) -> bytes | None:
    """Give the boundary parameter of a Content-Type value; None when it is missing, empty or too long."""
    match = _BOUNDARY.search(value) if value else None
    if match is None:
        return None
    text = (match[1] if match[1] is not None else match[2]).strip()
    # RFC 2046 allows 70 characters; nobody needs more than this.
    return text.encode("latin-1", "replace") if 0 < len(text) <= 200 else None


def parse_timestamp(value: str | None) -> int | None:
    """Give an ``X-Timestamp`` of seconds and decimals in nanoseconds; None when it is no such thing.

    So it is of one after `LATEST_NS`.
    """
    match = _TIMESTAMP.fullmatch(value) if value else None
    if match is None:
        return None
    time_ns = int(match[1]) * 1_000_000_000 + int(match[2].ljust(9, "0"))
    return time_ns if time_ns <= LATEST_NS else None
