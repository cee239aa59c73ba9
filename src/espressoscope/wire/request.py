"""The one request these cameras need: a GET, as bytes, to be sent in one write.

ESP-IDF's server blocks for five seconds on half a request, does not decode ``%3B`` and limits the header
block to 512 or 1024 bytes: so the path goes out raw and the headers are few.
"""

from __future__ import annotations

import base64
import re

__all__ = ["build_get"]

_REFUSED_IN_PATH = re.compile(r"[\x00-\x20\x7f-\xa0]")
_REFUSED_IN_HOST = re.compile(r"[\x00-\x20\x7f-\xa0/]")


def build_get(
    host_header: str, path: str, *, auth: tuple[str, str] | None = None, version: str = "1.1"
) -> bytes:
    """Build a whole GET request.

    Parameters
    ----------
    host_header : str
        Value of the Host header: host, or host and port.
    path : str
        Path and query exactly as they shall arrive: nothing is percent-encoded.
    auth : (str, str), optional
        User name and password for Basic authentication.
    version : {"1.1", "1.0"}
        HTTP version.

    Returns
    -------
    bytes
        The request, to be sent in one write.

    Raises
    ------
    ValueError
        `path` does not start with a slash, or holds a space, a control character or one outside Latin-1;
        `host_header` likewise; the user name holds a colon; an unknown `version`. The message never
        shows a password.
    """
    if not path.startswith("/"):
        raise ValueError(f"a request path begins with a slash: {path!r}")
    if _REFUSED_IN_PATH.search(path):
        raise ValueError(f"a request path cannot hold spaces or control characters: {path!r}")
    if not host_header or _REFUSED_IN_HOST.search(host_header):
        raise ValueError(f"not a host name: {host_header!r}")
    if version not in ("1.0", "1.1"):
        raise ValueError(f"unknown HTTP version {version!r}")
    lines = [f"GET {path} HTTP/{version}", f"Host: {host_header}"]
    if auth is not None:
        user, password = auth
        if ":" in user:
            raise ValueError("a user name for Basic authentication cannot hold a colon")
        token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        lines.append(f"Authorization: Basic {token}")
    lines.append("Connection: close")
    try:
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"a request can only hold Latin-1 characters: {path!r}") from None
