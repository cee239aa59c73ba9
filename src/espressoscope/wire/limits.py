"""How much a camera may make the parser hold: every ceiling of `wire` in one place.

Only numbers live here. What happens when one is passed is decided where the bytes are read.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings of one `ResponseParser`.

    Attributes
    ----------
    max_head : int
        Bytes of a response's status line and headers.
    max_headers : int
        Header lines in a response head or part head.
    max_line : int
        Bytes of one header line, chunk-size line or boundary line.
    max_part_head : int
        Bytes of the headers of one part.
    max_part : int
        Bytes of one part's body. The largest sensor's JPEGs (2592 x 1944) stay under 2 MB.
    max_body : int
        Bytes of a body that is not multipart: `/status`, `/capture`, a web page.
    buffer : int
        Bytes of the receive buffer to begin with. It is replaced by a larger one when a part or body needs
        more, and, up to 1 MB, when it holds less than four parts.
    """

    max_head: int = 16 * KIB
    max_headers: int = 64
    max_line: int = 4 * KIB
    max_part_head: int = 8 * KIB
    max_part: int = 16 * MIB
    max_body: int = 16 * MIB
    buffer: int = 256 * KIB

    @property
    def slack(self) -> int:
        """Bytes a buffer holds beyond the part or body at hand: the heads and frames around it."""
        return self.max_head + self.max_part_head + 2 * self.max_line + 8 * KIB

    @property
    def max_buffer(self) -> int:
        """Most bytes a parser's buffer ever has."""
        return max(self.max_part, self.max_body, self.buffer) + 2 * self.slack


DEFAULT_LIMITS = Limits()
