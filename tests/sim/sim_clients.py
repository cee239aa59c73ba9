"""A client that speaks bytes, for tests of the simulator: nothing of the package's own parser."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

    from espressoscope.sim import SimulatedCamera


class Answer(NamedTuple):
    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def lines(self) -> list[str]:
        return self.head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")

    def header(self, name: str) -> str | None:
        for line in self.lines[1:]:
            key, _, value = line.partition(": ")
            if key == name:
                return value
        return None


class Wire:
    """One TCP connection to a port of a simulated camera."""

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.sock = socket.create_connection((parts.hostname, parts.port), timeout=timeout_s)
        self.seen = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes | str) -> None:
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def get(self, path: str) -> Answer:
        self.send(f"GET {path} HTTP/1.1\r\nHost: cam\r\n\r\n")
        return self.answer()

    def read(self, size: int) -> bytes:
        """Take exactly so many bytes; fewer only at the end of the stream."""
        while len(self.seen) < size:
            more = self.sock.recv(65536)
            if not more:
                break
            self.seen += more
        taken, self.seen = self.seen[:size], self.seen[size:]
        return taken

    def read_past(self, mark: bytes) -> bytes:
        """Take everything up to and including the mark."""
        while mark not in self.seen:
            more = self.sock.recv(65536)
            assert more, f"closed before {mark!r}; got {self.seen[:200]!r}"
            self.seen += more
        end = self.seen.index(mark) + len(mark)
        taken, self.seen = self.seen[:end], self.seen[end:]
        return taken

    def answer(self) -> Answer:
        """Take one response with a Content-Length."""
        head = self.read_past(b"\r\n\r\n")
        found = re.search(rb"Content-Length: (\d+)", head)
        return Answer(head, self.read(int(found[1])) if found else b"")

    def chunk(self) -> bytes:
        """Take one chunk's data."""
        size = int(self.read_past(b"\r\n")[:-2], 16)
        data = self.read(size + 2)
        assert data[-2:] == b"\r\n"
        return data[:-2]

    def ending(self, wait_s: float) -> str:
        """Say how the connection is after so long without a byte: open, fin or reset; bytes are an error."""
        self.sock.settimeout(wait_s)
        try:
            more = self.seen or self.sock.recv(1)
        except TimeoutError:
            return "open"
        except ConnectionError:
            return "reset"
        assert not more, f"unexpected {more!r}"
        return "fin"

    def rest_until_silent(self, wait_s: float) -> bytes:
        """Take everything until so long nothing comes, or the end."""
        before = self.sock.gettimeout()
        self.sock.settimeout(wait_s)
        rest, self.seen = self.seen, b""
        try:
            while more := self.sock.recv(65536):
                rest += more
        except TimeoutError:
            pass
        self.sock.settimeout(before)
        return rest

    def silent(self, wait_s: float) -> bool:
        return self.ending(wait_s) == "open"

    def ask(self, path: str) -> None:
        self.send(f"GET {path} HTTP/1.1\r\nHost: cam\r\n\r\n")


class ChunkedStream(Wire):
    """A client of a chunked stream (layouts B and C)."""

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        super().__init__(url, timeout_s)
        self.ask(urlsplit(url).path)
        self.head = self.read_past(b"\r\n\r\n")
        self.boundaries = 0

    def frame(self) -> tuple[bytes, bytes]:
        """Take the next part's header and picture."""
        while True:
            data = self.chunk()
            if data.startswith(b"Content-Type"):
                return data, self.chunk()
            assert data == b"\r\n--123456789000000000000987654321\r\n", data
            self.boundaries += 1


def get(url: str, path: str, timeout_s: float = 10.0) -> Answer:
    """Ask once, on a connection of its own."""
    with Wire(url, timeout_s) as wire:
        return wire.get(path)


def control(camera: SimulatedCamera, var: str, val: object) -> int:
    return get(camera.url, f"/control?var={var}&val={val}").status
