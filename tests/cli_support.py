"""What the tests of the command line share: the program as a process, servers that are no cameras."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli_forks import Forked, Forks

MARK = "ESPRESSOSCOPE_TEST_MARK"
MOST_MEMORY_MB = 250


class Result(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str
    max_rss_mb: float

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON lines; fails when there is anything else on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


def _without_screen() -> dict[str, str]:
    """Give this process's variables, without the screen it may have: `demo` opens a window where it can."""
    screen = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return {name: value for name, value in os.environ.items() if name not in screen}


def _forked(
    forks: Forks | None, arguments: tuple[str, ...], cwd: Path | None, env: dict[str, str], *streams: Any
) -> Forked | None:
    if forks is None:
        return None
    with open(os.devnull, "rb") as nothing:
        numbers = [each if isinstance(each, int) else each.fileno() for each in (nothing, *streams)]
        return forks.start(arguments, cwd, env, numbers)


class Process:
    """A running command; everything it started carries its mark or, forked, is of its session."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        cwd: Path | None,
        env: dict[str, str],
        stdout: Any,
        forks: Forks | None = None,
    ) -> None:
        self._mark = uuid.uuid4().hex
        self._files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 (closed by `close`)
        variables = {**_without_screen(), "PYTHONPATH": str(REPO / "src"), MARK: self._mark, **env}
        out = self._files[0] if stdout is None else stdout
        self.process = _forked(forks, arguments, cwd, variables, out, self._files[1]) or subprocess.Popen(
            [sys.executable, "-m", "espressoscope", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=self._files[1],
            cwd=cwd,
            env=variables,
            start_new_session=True,
        )

    def _text(self, index: int) -> str:
        # pread: the position of the file is shared with the program that writes it.
        descriptor = self._files[index].fileno()
        return os.pread(descriptor, 1 << 24, 0).decode()

    @property
    def out(self) -> str:
        return self._text(0)

    @property
    def err(self) -> str:
        return self._text(1)

    def wait_for(self, text: str, timeout_s: float = 30.0, *, in_err: bool = False) -> None:
        """Wait until it has said something."""

        def said() -> bool:
            assert self.process.poll() is None or text in self._text(in_err), self.out + self.err
            return text in self._text(in_err)

        wait_until(said, timeout_s, what=f"{text!r} from the command")

    def lines(self, count: int, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Wait for so many JSON lines."""
        wait_until(
            lambda: self.out.count("\n") >= count, timeout_s, what=f"{count} lines, stderr {self.err!r}"
        )
        return [json.loads(line) for line in self.out.splitlines()[:count]]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def finish(self, timeout_s: float = 60.0) -> Result:
        """Wait for its end; fails when it says a traceback, or leaves a process."""
        peak_mb = self._wait(timeout_s)
        code = self.process.returncode
        result = Result(-1 if code is None else code, self.out, self.err, peak_mb)
        assert "Traceback" not in result.err + result.out, result.err
        assert "Exception ignored" not in result.err, result.err
        wait_until(lambda: not self.descendants(), 15.0, what="an end of everything it started")
        return result

    def _wait(self, timeout_s: float) -> float:
        """Wait for the end; give the peak of its memory in MB, up to 10 ms before it; 0 where unknown."""
        # Not from wait4: the kernel counts into ru_maxrss what this process held when it forked.
        peak_mb = 0.0
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{self.process.pid}/status").read_text()
                found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
                peak_mb = int(found[1]) / 1024 if found else peak_mb
            assert time.monotonic() < deadline, f"still running after {timeout_s} s: {self.out}{self.err}"
            time.sleep(0.01)
        return peak_mb

    def descendants(self) -> list[int]:
        """Processes that carry its mark, or are of its session."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                session = (folder / "stat").read_bytes().rpartition(b") ")[2].split()[3]
                mark = f"{MARK}={self._mark}".encode()
                if int(session) == self.process.pid or mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def close(self) -> None:
        for pid in self.descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        for file in self._files:
            file.close()


class Cli:
    """Runs commands; the working folder is a temporary one.

    Parameters
    ----------
    folder : Path
        Where they work.
    forks : Forks, optional
        Saves them the start of an interpreter and the imports.
    """

    def __init__(self, folder: Path, forks: Forks | None = None) -> None:
        self.folder = folder
        self._forks = forks
        self._started: list[Process] = []

    def start(self, *arguments: object, env: dict[str, str] | None = None, stdout: Any = None) -> Process:
        process = Process(tuple(map(str, arguments)), self.folder, env or {}, stdout, self._forks)
        self._started.append(process)
        return process

    def run(
        self,
        *arguments: object,
        env: dict[str, str] | None = None,
        stdout: Any = None,
        timeout_s: float = 60.0,
    ) -> Result:
        return self.start(*arguments, env=env, stdout=stdout).finish(timeout_s)

    def fails(self, code: int, *arguments: object, **options: Any) -> str:
        """Run a command that must fail so; give its one message."""
        result = self.run(*arguments, **options)
        assert result.code == code, result
        assert result.err.count("Error: ") == 1, result.err
        assert result.max_rss_mb < MOST_MEMORY_MB
        assert "\x1b" not in result.err + result.out
        return result.err

    def close(self) -> None:
        for process in self._started:
            process.close()


class Terminal:
    """A terminal for a command's standard output, and what stands on it; POSIX only.

    Knows as much of terminals as `rich` uses for a table on the second screen: each drawing begins at home.
    """

    def __init__(self, columns: int, lines: int) -> None:
        import pty

        self._ours, self.file = pty.openpty()
        self.resize(columns, lines)
        self._bytes = bytearray()
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the last program that wrote has ended
            while data := os.read(self._ours, 65536):
                self._bytes += data

    @property
    def text(self) -> str:
        """Everything written, escape sequences included."""
        return bytes(self._bytes).decode(errors="replace")

    @property
    def drawings(self) -> list[list[str]]:
        """Every table that has been drawn to its end, as lines without colours or spaces at their ends."""
        second = self.text.partition("\x1b[?1049h")[2].partition("\x1b[?1049l")[0]
        plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", each) for each in second.split("\x1b[H")[1:]]
        whole = [each.splitlines() for each in plain if "Ctrl-C ends" in each]
        return [[line.rstrip() for line in lines if line.strip()] for lines in whole]

    @property
    def left(self) -> list[str]:
        """What stands there when the second screen is gone."""
        after = self.text.rpartition("\x1b[?1049l")[2]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", after).splitlines()

    def wait_for(self, text: str, timeout_s: float = 30.0) -> list[str]:
        """Wait until a text is in the newest drawing, and give that."""

        def drawn() -> list[str]:
            drawings = self.drawings
            return drawings[-1] if drawings and text in "\n".join(drawings[-1]) else []

        return wait_until(drawn, timeout_s, what=f"{text!r} on the terminal: {self.text[-2000:]!r}")

    def close(self) -> None:
        os.close(self.file)
        self._reader.join(5)
        os.close(self._ours)


@contextlib.contextmanager
def server(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections one after the other with a function; gives host:port."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                handle(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        listening.close()


def answering(*answers: bytes, hold_s: float = 0.0) -> Callable[[socket.socket], None]:
    """Read a request, send some bytes, perhaps wait for the other side's end, close."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        for answer in answers:
            connection.sendall(answer)
        if hold_s:
            connection.settimeout(hold_s)
            connection.recv(1)

    return handle


def http(body: bytes, kind: str = "text/html", *, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole answer."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode() + body
