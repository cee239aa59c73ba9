"""Starting the command line a thousand times: by forks of a process that has imported it and does no more.

What runs is the real program, `python -m espressoscope`, in a process of its own that ends as it would: its
own arguments, environment, folder, standard streams, session, signals and exit code. Only what is the same
for each of them, the interpreter's start and the imports, has been done once. What such a test cannot see, a
forgotten import and all that happens before `main`, is for those marked ``fresh``, which start it the long
way; ESPRESSOSCOPE_TESTS_FRESH=1 has all do so.

This file is the program that forks, too. Linux only; `Forks.start` gives None where a fork would differ.
"""

from __future__ import annotations

import array
import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGEST = 200_000
"""Bytes of arguments and environment."""
_LOOKED_AT_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC", "OPENBLAS", "OMP")
"""Variables that decide how an interpreter, or a library while it is imported, begins."""


class Forked:
    """A process started by a fork: as much of `subprocess.Popen` as tests use.

    Parameters
    ----------
    pid : int
        Its number.
    ended : int
        Descriptor from which its exit code can be read when it has ended.
    """

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Give the exit code, minus a signal's number where one ended it; None while it runs."""
        return self._read(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code."""
        code = self._read(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(["espressoscope"], timeout or 0.0)
        return code

    def _read(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout_s)[0]:
            told = os.read(self._ended, 4)
            os.close(self._ended)
            assert told, "the process that forks has ended"
            (self.returncode,) = struct.unpack("i", told)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal while it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Forks:
    """The process that forks, seen by a test; a context manager."""

    def __init__(self) -> None:
        self.refused = ""
        """Why the last start that was no fork was none."""
        self._lock = threading.Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._environment = dict(os.environ)
        for end in (self._line, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGEST)
        self._program = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src")},
        )
        theirs.close()
        self._line.settimeout(60)
        assert self._line.recv(1) == b"+", "the process that forks could not begin"

    @staticmethod
    def possible() -> bool:
        """Whether this system has all it takes, and nobody asked for the long way."""
        return sys.platform == "linux" and not os.environ.get("ESPRESSOSCOPE_TESTS_FRESH")

    def start(
        self, arguments: Sequence[str], folder: Path | None, env: Mapping[str, str], streams: Sequence[int]
    ) -> Forked | None:
        """Start the command line; None where a fork would differ from the long way.

        Parameters
        ----------
        arguments : sequence of str
            Without the program's name.
        folder : Path or None
            Where it works; None: here.
        env : mapping of str to str
            All its variables.
        streams : sequence of int
            Descriptors of its standard input, output and error.
        """
        told = {"arguments": list(arguments), "folder": str(folder or Path.cwd()), "env": dict(env)}
        data = json.dumps(told).encode()
        if self._differs(env) or len(data) > LARGEST or b"\\u0000" in data:
            self.refused = f"{len(data)} bytes; other variables: {self._differs(env)}"
            return None
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # which a program inherits
            self.refused = "Ctrl-C is ignored here"
            return None
        ended, tell = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._line, [data], [*streams, tell])
                (pid,) = struct.unpack("i", self._line.recv(4))
        except BaseException:
            os.close(ended)
            raise
        finally:
            os.close(tell)
        if pid < 0:
            os.close(ended)
            self.refused = f"the process that forks has threads: {-pid}"
            return None
        return Forked(pid, ended)

    def _differs(self, env: Mapping[str, str]) -> list[str]:
        source = str(Path(__file__).parent.parent / "src")
        mine = {**self._environment, "PYTHONPATH": source}
        names = sorted(name for name in {*mine, *env} if name.startswith(_LOOKED_AT_AT_START))
        return [
            f"{name}: {mine.get(name)} → {env.get(name)}" for name in names if mine.get(name) != env.get(name)
        ]

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *error: object) -> None:
        self._line.close()
        try:
            self._program.wait(10)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait(10)


# --- the program that forks


class _Request(NamedTuple):
    arguments: list[str]
    folder: str
    env: dict[str, str]
    descriptors: list[int]


def _import_all() -> None:
    """Import what commands import sooner or later; whatever starts a thread must stay away."""
    import importlib
    import pkgutil

    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import espressoscope as es
    from espressoscope.cli.app import _NAMES, _made, app

    for name in es.__all__:
        getattr(es, name)
    for name in _NAMES:
        _made(name)
        app(args=[name, "--help"], standalone_mode=False)  # has typer import what it reads options with
    for name in ("api", "cli", "decode", "device", "discovery", "engine", "lab", "sim", "wire"):
        folder = importlib.import_module(f"espressoscope.{name}").__path__
        for each in pkgutil.iter_modules(folder, f"espressoscope.{name}."):
            importlib.import_module(each.name)
    for name in ("ifaddr", "PIL.Image", "PIL.JpegImagePlugin", "platformdirs", "rich.live", "rich.progress"):
        importlib.import_module(name)
    for name in ("tomlkit", "zeroconf.asyncio"):
        importlib.import_module(name)


def _receive(line: socket.socket) -> _Request | None:
    # Not socket.recv_fds, which does not say of what it has opened whether it was cut.
    data, told, flags, _ = line.recvmsg(LARGEST + 1, socket.CMSG_LEN(4 * array.array("i").itemsize))
    if not data:
        return None
    assert not flags & socket.MSG_TRUNC
    descriptors = array.array("i")
    for _, _, more in told:
        descriptors.frombytes(more)
    said = json.loads(data)
    return _Request(said["arguments"], said["folder"], said["env"], list(descriptors))


def _serve(line: socket.socket) -> _Request | None:
    """Fork for each request and tell of each end; gives the request in the new process, None in the end."""
    running: dict[int, tuple[int, int]] = {}
    look = select.poll()
    look.register(line, select.POLLIN)
    line.send(b"+")
    while True:
        for descriptor, _ in look.poll():
            if descriptor != line.fileno():
                pid, tell = running.pop(descriptor)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError):  # nobody wants to know any more
                    os.write(tell, struct.pack("i", code))
                look.unregister(descriptor)
                os.close(descriptor)
                os.close(tell)
                continue
            request = _receive(line)
            if request is None:
                return None
            threads = len(os.listdir("/proc/self/task"))
            pid = -threads if threads > 1 else os.fork()
            if pid == 0:
                return request
            *streams, tell = request.descriptors
            for stream in streams:
                os.close(stream)
            if pid > 0:
                ended = os.pidfd_open(pid)
                running[ended] = (pid, tell)
                look.register(ended, select.POLLIN)
            else:
                os.close(tell)
            line.send(struct.pack("i", pid))


def _become(request: _Request) -> None:
    """Have all that a process just started would have."""
    os.setsid()
    for number in range(3):
        os.dup2(request.descriptors[number], number)
    os.closerange(3, 1024)
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.folder)
    sys.path[0] = request.folder
    sys.argv = ["-m", *request.arguments]
    sys.stdin = sys.__stdin__ = _stream(0, sys.stdin)
    sys.stdout = sys.__stdout__ = _stream(1, sys.stdout)
    sys.stderr = sys.__stderr__ = _stream(2, sys.stderr)


def _stream(number: int, like: Any) -> io.TextIOWrapper:
    """Open a standard stream as the interpreter does (create_stdio in Python/pylifecycle.c)."""
    unbuffered = bool(like.write_through) and number != 0  # PYTHONUNBUFFERED
    mode = "wb" if number else "rb"
    raw: Any = open(number, mode, buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        raw,
        encoding=like.encoding,
        errors=like.errors,
        newline="\n",
        line_buffering=not unbuffered and (number == 2 or raw.isatty()),
        write_through=unbuffered,
    )


def main() -> None:
    """Serve, until the other side is gone; in each fork, be the command line."""
    import runpy

    line = socket.socket(fileno=int(sys.argv[1]))
    _import_all()
    gc.collect()
    gc.freeze()  # else collections in each fork copy every page
    request = _serve(line)
    line.detach()
    if request is None:
        return
    _become(request)
    runpy.run_module("espressoscope", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
