"""The demo's simulator: `espressoscope simulate` as a process of its own, which never outlives this one."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Self

import espressoscope as es
from espressoscope.cli.output import clean
from espressoscope.cli.parent import PARENT_VARIABLE

__all__ = ["MOST_CAMERAS", "SimulatorProcess"]

_HOST = "127.0.0.1"
# Where discovery looks on loopback without being told (docs/architecture.md).
_FIRST_PORT, _LAST_PORT = 8080, 8175
MOST_CAMERAS = (_LAST_PORT - _FIRST_PORT + 1) // 2
_START_S = 30.0
_END_S = 3.0
_TRIES = 3


class SimulatorProcess:
    """Simulated cameras in another process, as a context manager.

    Three things end it: leaving the ``with`` block, the end of this process however it comes (the simulator
    watches for it by id), and its own time limit. It has a session of its own, so that Ctrl-C in the terminal
    reaches this process only, which then ends it in order.

    Parameters
    ----------
    count : int
        Cameras, at most `MOST_CAMERAS`.
    options : list of str
        Further options of ``espressoscope simulate``.
    limit_s : float
        Its own time limit.

    Attributes
    ----------
    cameras : list of dict
        What it says about its cameras.
    ports : list of int or None
        The ports to search; None: those discovery looks at anyway.
    """

    def __init__(self, count: int, options: list[str], limit_s: float) -> None:
        self._count = count
        self._options = options
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self.cameras: list[dict[str, Any]] = []
        self.ports: list[int] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        after = _FIRST_PORT
        for _ in range(_TRIES):
            port = _free_block(2 * self._count, after)
            self._launch(port)
            if self._read_cameras():
                if port == 0:
                    self.ports = [int(str(camera["url"]).rpartition(":")[2]) for camera in self.cameras]
                return
            # Somebody took one of these ports meanwhile: look behind it.
            self._end()
            after = port + 2 if port else _FIRST_PORT
        raise es.CameraError(
            f"the simulated cameras did not start: {self._last_words()}",
            hint="Try espressoscope simulate by itself; it says more",
        )

    def _launch(self, port: int) -> None:
        command = [sys.executable, "-m", "espressoscope", "simulate", "--json", "--exit-with-parent"]
        command += [
            "-n",
            str(self._count),
            "--host",
            _HOST,
            "--port",
            str(port),
            "--seconds",
            f"{self._limit_s:.0f}",
        ]
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = subprocess.Popen(
            [*command, *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            **apart,
        )

    def _read_cameras(self) -> bool:
        """Wait until it has named all its cameras; False when it ended before."""
        process = self._process
        assert process is not None
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_pass_lines, args=(process.stdout, lines), daemon=True).start()
        self.cameras = []
        deadline = time.monotonic() + _START_S
        while len(self.cameras) < self._count:
            try:
                line = lines.get(timeout=0.2)
            except queue.Empty:
                if time.monotonic() > deadline:
                    return False
                continue
            if not line:
                return False
            self.cameras.append(json.loads(line))
        return True

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = [line for line in self._log.read(8192).decode(errors="replace").splitlines() if line.strip()]
        return clean(" ".join(lines[-3:]), 300).rstrip(". ") or f"nothing for {_START_S:.0f} s"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                process.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if process.stdout is not None:
                process.stdout.close()

    def close(self) -> None:
        """End it and wait until it has; twice does nothing."""
        try:
            self._end()
        finally:
            self._log.close()


def _pass_lines(pipe: Any, lines: "queue.SimpleQueue[bytes]") -> None:
    with contextlib.suppress(ValueError, OSError):  # closed by the other thread
        for line in pipe:
            lines.put(line)
    lines.put(b"")


def _free_block(size: int, after: int) -> int:
    """Find so many free ports in a row where discovery looks; 0 when there are none."""
    start = after
    while start + size - 1 <= _LAST_PORT:
        taken = next((port for port in range(start, start + size) if not _is_free(port)), None)
        if taken is None:
            return start
        start = taken + 1
    return 0


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        if sys.platform != "win32":
            # As servers do: a port whose last connection has just ended is free.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_HOST, port))
        except OSError:
            return False
    return True
