"""What a user may write for a camera, taken apart: host, host:port or URL, with or without a password."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from espressoscope.errors import ConnectError, ConnectReason, UnsupportedError
from espressoscope.model import shown_url

__all__ = ["Address", "clean_text", "parse_address"]

# RFC 1123 names, with the underscore that home routers and mDNS names use.
_HOST_NAME = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a camera is.

    Attributes
    ----------
    host : str
        Name or address, an IPv6 one without brackets.
    port : int
        TCP port, 1 to 65535.
    path : str
        Raw path and query of a URL; empty when none was given.
    auth : tuple of (str, str) or None
        User name and password; never part of `str` or `repr`.
    """

    host: str
    port: int
    path: str = ""
    auth: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def netloc(self) -> str:
        """Host and port as in a Host header; port 80 is left out."""
        return netloc(self.host, self.port)

    @property
    def url(self) -> str:
        """The address as a URL, without the password; `str` hides those in a query, too."""
        return f"http://{self.netloc}{self.path}"

    def __str__(self) -> str:
        return shown_url(self.url) if self.path else self.netloc


def netloc(host: str, port: int) -> str:
    """Write host and port as a URL does: brackets around IPv6, port 80 left out."""
    name = f"[{host}]" if ":" in host else host
    return name if port == 80 else f"{name}:{port}"


def clean_text(text: str, limit: int = 64) -> str:
    """Drop what is not printable (control and bidirectional marks) from a text; cap its length."""
    return "".join(c for c in text[: 16 * limit] if c.isprintable()).strip()[:limit]


def parse_address(text: str) -> Address:
    """Take apart what a user wrote for a camera.

    Parameters
    ----------
    text : str
        ``192.168.4.1``, ``cam.local:8080``, ``[::1]:8080``, ``http://user:pass@host:81/stream``.

    Raises
    ------
    ConnectError
        With reason UNRESOLVED: the text is no host name, address or URL.
    UnsupportedError
        The URL's scheme is not http.
    """
    rest = text.strip()
    # Up to the last @: a password may hold one, and a slash that cuts the URL short, unquoted by mistake.
    shown = shown_url(clean_text(re.sub(r"^(.*?://)?.*@", r"\1", rest, flags=re.DOTALL), 100))
    scheme, separator, after = rest.partition("://")
    path = ""
    if separator:
        if scheme.lower() != "http":
            raise UnsupportedError(
                f"{clean_text(scheme, 16)}:// addresses are not spoken",
                camera=shown,
                hint="ESP32 cameras serve plain http; for other sources give the address of an MJPEG stream",
            )
        rest = after
        cut = min((i for i in (rest.find(c) for c in "/?#") if i >= 0), default=len(rest))
        rest, path = rest[:cut], rest[cut:].split("#", 1)[0]
        if path.startswith("?"):
            path = "/" + path
    elif rest.endswith("/") and rest.count("/") == 1:
        rest = rest[:-1]  # as browsers show it
    elif "/" in rest:
        raise _not_an_address(shown, "write http:// before an address that has a path")
    auth = None
    if "@" in rest:
        userinfo, _, rest = rest.rpartition("@")
        user, _, password = userinfo.partition(":")
        auth = (unquote(user), unquote(password))
        if ":" in auth[0]:
            raise _not_an_address(shown, "basic authentication takes no colon in a user name")
    host, port = _host_and_port(rest, shown)
    if any(c <= " " or c >= "\x7f" for c in path):
        raise _not_an_address(shown, "the path must be written in ASCII, without spaces")
    return Address(host, port, path, auth)


def _host_and_port(text: str, shown: str) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket:
            raise _not_an_address(shown)
    elif text.count(":") > 1:
        host, tail = text, ""
    else:
        host, colon, number = text.partition(":")
        tail = colon + number
    port = 80
    if tail:
        digits = tail[1:]
        if tail[0] != ":" or not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:6]) < 65536:
            raise _not_an_address(shown, "a port is a number from 1 to 65535")
        port = int(digits)
    if ":" in host:
        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            raise _not_an_address(shown) from None
    elif not _HOST_NAME.fullmatch(host):
        raise _not_an_address(shown)
    return host, port


def _not_an_address(
    shown: str, hint: str = "write it like 192.168.4.1, cam.local:8080 or http://host/path"
) -> ConnectError:
    return ConnectError(
        "this is not the address of a camera",
        reason=ConnectReason.UNRESOLVED,
        camera=shown or "(empty)",
        hint=hint[:1].upper() + hint[1:],
    )
