"""What the parser says: the events of one HTTP response, in the order of the stream.

A response is `Head`, then either one `Body`, or any number of `Part` and `Damage`; then `End`. Plain data:
no parsing here. They are slotted classes and not dataclasses because a `Part` is made for every frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.wire.headers import LATEST_NS, Headers, media_type, parse_timestamp

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["EOI", "Body", "Damage", "End", "Event", "Head", "Part", "PartHead"]

EOI = b"\xff\xd9"  # end of image: the last bytes of a part that is a JPEG


class Head:
    """Status line and headers of the response; answers of status 1xx are not reported.

    Attributes
    ----------
    version : str
        ``"1.0"`` or ``"1.1"``.
    status : int
    reason : str
    headers : Headers
    """

    __slots__ = ("headers", "reason", "status", "version")

    def __init__(self, version: str, status: int, reason: str, headers: Headers) -> None:
        self.version = version
        self.status = status
        self.reason = reason
        self.headers = headers

    def __repr__(self) -> str:
        return f"<Head HTTP/{self.version} {self.status} {self.reason}>"


class PartHead:
    """The headers of a part, shared by all parts whose heads differ in length and time stamp only."""

    __slots__ = ("content_type", "device_ns", "headers")

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.content_type = media_type(headers.get("content-type"))
        self.device_ns = parse_timestamp(headers.get("x-timestamp"))


class Part:
    """One part of a multipart response.

    Parameters
    ----------
    body : memoryview or bytes
    head : PartHead
        The part's headers, or those of another part of the same shape.
    complete : bool
    announced : int, optional
        The part's own Content-Length when `head` is another's.
    stamp : bytes, optional
        The part's own X-Timestamp when `head` is another's.

    Attributes
    ----------
    body : memoryview or bytes
        The part's bytes as sent. A memoryview looks into the parser's buffer and is valid until the next
        call of `get_buffer`, `receive` or `feed`.
    complete : bool
        False when the stream broke off, or lost its chunk structure, inside the part.
    """

    __slots__ = ("_announced", "_head", "_stamp", "body", "complete")

    def __init__(
        self,
        body: memoryview | bytes,
        head: PartHead,
        complete: bool = True,
        announced: int | None = None,
        stamp: bytes | None = None,
    ) -> None:
        self.body = body
        self._head = head
        self.complete = complete
        self._announced = announced
        self._stamp = stamp

    def kept(self) -> Part:
        """Give a part that stays valid: its body is a copy."""
        return Part(bytes(self.body), self._head, self.complete, self._announced, self._stamp)

    @property
    def content_type(self) -> str:
        """Media type, lower case, without parameters; "" when the part names none."""
        return self._head.content_type

    @property
    def headers(self) -> Headers:
        """The part's headers."""
        headers = self._head.headers
        if self._announced is not None:
            headers = headers.replaced("content-length", str(self._announced))
        if self._stamp:
            headers = headers.replaced("x-timestamp", self._stamp.decode("ascii"))
        return headers

    @property
    def device_ns(self) -> int | None:
        """The camera's own ``X-Timestamp`` in nanoseconds, None without one.

        Time since boot on ESP32 firmwares, Unix time with ustreamer.
        """
        stamp = self._stamp
        if not stamp:
            return self._head.device_ns
        seconds, _, fraction = stamp.partition(b".")
        if len(fraction) == 6:  # as every firmware writes it
            time_ns = int(seconds + fraction) * 1000
            return time_ns if time_ns <= LATEST_NS else None
        return parse_timestamp(stamp.decode("ascii"))

    def __repr__(self) -> str:
        state = "" if self.complete else ", incomplete"
        return f"<Part {self.content_type or '?'}, {len(self.body)} bytes{state}>"


class Damage:
    """The stream was out of step; the parser goes on at the next boundary.

    Attributes
    ----------
    reason : str
        What was wrong, in words.
    offset : int
        Bytes into the answer at which it was noticed.
    sample : bytes
        At most 64 bytes from there.
    """

    __slots__ = ("offset", "reason", "sample")

    def __init__(self, reason: str, offset: int, sample: bytes) -> None:
        self.reason = reason
        self.offset = offset
        self.sample = sample

    def __repr__(self) -> str:
        return f"<Damage at {self.offset}: {self.reason} ({self.sample!r})>"


class Body:
    """The body of a response that is not multipart; exactly one, empty when there is none.

    Attributes
    ----------
    data : bytes
        What arrived; less than announced when the `End` after it is not clean.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"<Body {len(self.data)} bytes>"


class End:
    """The response is over; bytes after it are ignored.

    Attributes
    ----------
    clean : bool
        It ended as it should: zero chunk, length reached, closing boundary, or, for a body that lasts until
        the connection closes, between two parts.
    """

    __slots__ = ("clean",)

    def __init__(self, clean: bool) -> None:
        self.clean = clean

    def __repr__(self) -> str:
        return f"<End {'clean' if self.clean else 'unclean'}>"


Event: TypeAlias = Head | Part | Damage | Body | End
