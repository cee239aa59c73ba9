"""What the tests of the doctor share: what it says of an address, and control servers without a stream."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from cli_support import http, server
from espressoscope.errors import CameraError
from espressoscope.sim import SimulatedCamera
from support import alone_on_usual_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import espressoscope as es

STATUS = (
    b'{"lamp":0,"autolamp":0,"min_frame_time":0,"framesize":8,"quality":12,"xclk":8,"cam_name":"Fake",'
    b'"stream_url":"http://192.168.4.1:%d/","isTimelapseGeneral":"0"}'
)


def problems(findings: Iterable[es.Finding]) -> set[str]:
    """Codes of what is wrong."""
    return {finding.code for finding in findings if finding.ok is False}


def codes(findings: Iterable[es.Finding]) -> list[str]:
    return [finding.code for finding in findings]


def page(path: str, body: bytes, kind: str = "text/html", status: str = "200 OK") -> dict[str, bytes]:
    return {path: http(body, kind, status=status)}


def serving(pages: dict[str, bytes]) -> Callable[[socket.socket], None]:
    """Answer by path, 404 for all others."""

    def handle(connection: socket.socket) -> None:
        path = connection.recv(65536).split(b" ")[1].decode()
        connection.sendall(pages.get(path) or http(b"nothing here", status="404 Not Found"))

    return handle


@contextlib.contextmanager
def control_of(stream_port: int, dump: str = "") -> Iterator[str]:
    """A camera's control server whose stream is on another port."""
    pages = page("/status", STATUS % stream_port, "application/json")
    if dump:
        pages |= page("/dump", dump.encode())
    with server(serving(pages)) as address:
        yield address


@contextlib.contextmanager
def findable(**options: Any) -> Iterator[SimulatedCamera]:
    """A camera on a port that a search of this computer asks."""
    with alone_on_usual_ports(), _on_a_usual_port(options) as camera:
        yield camera


@contextlib.contextmanager
def _on_a_usual_port(options: dict[str, Any]) -> Iterator[SimulatedCamera]:
    for port in range(8172, 8110, -2):
        with contextlib.ExitStack() as stack:
            try:
                camera = stack.enter_context(SimulatedCamera(port=port, side_delays=False, **options))
            except CameraError:
                continue
            yield camera
            return
    raise AssertionError("no port from 8112 to 8173 is free")


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose queue is full: the kernel does not even answer."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listening.getsockname()
        for _ in range(2):
            plug = stack.enter_context(socket.socket())
            plug.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                plug.connect(address)
        yield address[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
