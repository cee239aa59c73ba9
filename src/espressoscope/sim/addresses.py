"""Where simulated cameras listen: free ports, hosts as a URL shows them, and why that cannot be."""

from __future__ import annotations

import contextlib
import socket

from espressoscope.errors import CameraError

__all__ = ["cannot_listen", "free_pair", "shown"]


def free_pair(host: str) -> tuple[int, int]:
    """Find two free ports, the second one above the first; another program may still be quicker."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with (
            socket.socket(family, socket.SOCK_STREAM) as first,
            socket.socket(family, socket.SOCK_STREAM) as second,
        ):
            first.bind((host, 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                second.bind((host, port + 1))
                return port, port + 1


def shown(host: str) -> str:
    """Write the host as a client on this computer puts it into a URL."""
    if host in ("", "0.0.0.0"):
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def cannot_listen(host: str, ports: tuple[int, int], error: OSError) -> CameraError:
    """Build the error for a host or ports that cannot be listened on."""
    reason = error.strerror or str(error)
    where = f"{host}:{ports[0]}" if ports[0] else host
    return CameraError(
        f"no simulated camera at {where}: cannot listen there or on the stream port {ports[1]} ({reason})",
        hint="Choose another port with --port (port=), or 0 for any free one",
    )
