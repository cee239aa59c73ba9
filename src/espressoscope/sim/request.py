"""Reading a request as esp_http_server reads it: in blocks of 128 bytes, judged as they come.

Follows esp-idf ``components/esp_http_server/src/httpd_parse.c`` and the http_parser beneath it, as far as a
client can tell the difference. Bytes in, a `Request` or a `BadRequest` out; no sockets.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "BLOCK_SIZE",
    "MAX_HEADER_BYTES",
    "MAX_URI_BYTES",
    "BadRequest",
    "Request",
    "RequestReader",
    "query_value",
]

BLOCK_SIZE: Final = 128
"""``PARSER_BLOCK_SIZE``: most bytes taken at once, and most that are kept for the next request."""

MAX_URI_BYTES: Final = 512
MAX_HEADER_BYTES: Final = 1024
_LONGEST_VERSION: Final = len("HTTP/999.999")
"""http_parser takes no larger numbers (``HPE_INVALID_VERSION``)."""

_METHODS: Final = tuple(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK "
    b"BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH "
    b"PURGE MKCALENDAR LINK UNLINK".split()
)


class BadRequest(Exception):
    """The request is answered with an error and the connection closed.

    Attributes
    ----------
    status : int
        400, 414, 431 or 505.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request(NamedTuple):
    """A request as the handlers see it.

    Attributes
    ----------
    method, path : str
        As sent; the path without its query.
    query : str
        As sent, never decoded; empty when there is none.
    headers : dict
        Lower-case names.
    body_bytes : int
        Length of the body that follows.
    line : str
        The request line as it came.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body_bytes: int
    line: str


class RequestReader:
    """Takes blocks until a request is whole; `left` then holds what came behind it."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._headers: bytearray | None = None
        self.left = b""

    def feed(self, block: bytes) -> Request | None:
        """Take one block; give the request once it is whole.

        Raises
        ------
        BadRequest
            As soon as the bytes so far cannot become an acceptable request.
        """
        if self._headers is None:
            if not self._line:
                block = block.lstrip(b"\r\n")  # http_parser skips empty lines before a request
            self._line += block
            end = self._line.find(b"\n")
            _judge_line(bytes(self._line if end < 0 else self._line[:end]), whole=end >= 0)
            if end < 0:
                return None
            self._headers = self._line[end + 1 :]
            del self._line[end:]
        else:
            self._headers += block
        return self._finish(self._headers)

    def _finish(self, text: bytearray) -> Request | None:
        at = 0
        headers: dict[str, str] = {}
        while (end := text.find(b"\n", at)) >= 0:
            line = bytes(text[at:end]).removesuffix(b"\r")
            at = end + 1
            if not line:
                if at > MAX_HEADER_BYTES:
                    raise BadRequest(431)
                self.left = bytes(text[at:])
                return self._request(headers)
            name, colon, value = line.partition(b":")
            if not colon or not name or name.strip() != name:
                raise BadRequest(400)
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        if len(text) >= MAX_HEADER_BYTES:
            raise BadRequest(431)
        return None

    def _request(self, headers: dict[str, str]) -> Request:
        line = self._line.decode("latin-1").rstrip("\r")
        method, url, *_ = line.split(" ")
        if "upgrade" in headers and "upgrade" in headers.get("connection", "").lower():
            raise BadRequest(400)  # no WebSocket support in these builds
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):  # Latin-1 has digits that are no numbers
            raise BadRequest(400)
        if "://" in url:
            url = "/" + url.split("://", 1)[1].partition("/")[2]
        path, _, query = url.partition("#")[0].partition("?")
        return Request(method, path, query, headers, int(length), line)


def _judge_line(line: bytes, *, whole: bool) -> None:
    method, space, rest = line.partition(b" ")
    if not space:
        if whole or not any(known.startswith(method) for known in _METHODS):
            raise BadRequest(400)
        return
    if method not in _METHODS:
        raise BadRequest(400)
    url, space, version = rest.removesuffix(b"\r").partition(b" ")
    if len(url) > MAX_URI_BYTES:
        raise BadRequest(414)
    if url and not (url[:1] in (b"/", b"*") or url[:1].isalpha()):
        raise BadRequest(400)
    if len(version) > _LONGEST_VERSION:
        raise BadRequest(400)
    if not whole:
        if not b"HTTP/".startswith(version[:5]):
            raise BadRequest(400)
        return
    if not url:
        raise BadRequest(400)
    if not space:
        raise BadRequest(505)  # HTTP/0.9
    major, dot, minor = version.removeprefix(b"HTTP/").partition(b".")
    if not version.startswith(b"HTTP/") or not (major.isdigit() and dot and minor.isdigit()):
        raise BadRequest(400)
    if int(major) != 1 and int(minor) != 1:
        raise BadRequest(505)


def query_value(query: str, key: str, size: int = 32) -> str | None:
    """Look a key up as ``httpd_query_key_value`` does.

    The key's case does not matter, the first match wins, the value is not URL-decoded.

    Parameters
    ----------
    size : int
        Bytes of the caller's buffer, the terminating zero included: a longer value is an error.

    Returns
    -------
    str or None
        None when the key is missing or its value does not fit.
    """
    at = 0
    while at < len(query):
        equals = query.find("=", at)
        if equals < 0:
            return None
        ampersand = query.find("&", equals + 1)
        if query[at:equals].lower() != key.lower():
            if ampersand < 0:
                return None
            at = ampersand + 1
            continue
        value = query[equals + 1 : ampersand if ampersand >= 0 else len(query)]
        return value if len(value) < size else None
    return None
